"""The specification's exchange types: what a message passes, and that removing undoes adding."""

from typing import Any

import pytest

from amqpd.core.exchange import Binding, Exchange
from amqpd.core.exchange_types import TYPES as ALL_TYPES
from amqpd.core.exchange_types import make_exchange
from amqpd.errors import SoftError
from amqpd.wire import tables
from amqpd.wire.tables import Table
from tests.core.fakes import make_queue

TYPES = ("direct", "fanout", "headers", "topic")
PLUGINS = (
    "x-consistent-hash",
    "x-local-random",
    "x-message-deduplication",
    "x-modulus-hash",
    "x-random",
    "x-recent-history",
)


def make(kind: str) -> Exchange:
    """Make an exchange of a type."""
    return make_exchange(
        kind, "/", "x", durable=False, auto_delete=False, internal=False, arguments={}
    )


def bind(exchange: Exchange, queue: str, key: str, arguments: Table | None = None) -> Binding:
    """Bind a queue, as a vhost does."""
    binding = Binding(exchange, key, arguments or {}, queue=make_queue(name=queue))
    exchange.bindings[binding.identity] = binding
    exchange.add(binding)
    return binding


def unbind(exchange: Exchange, binding: Binding) -> None:
    """Remove a binding, as a vhost does."""
    exchange.remove(binding)
    del exchange.bindings[binding.identity]


def reached(exchange: Exchange, key: str, headers: Table | None = None) -> list[str]:
    """Return the destinations that a message passes to, as often as it does."""
    found: list[Binding] = []
    exchange.match(key, headers or {}, found)
    return [binding.destination for binding in found]


def test_the_registry_has_the_types_of_the_specification_and_of_plugins() -> None:
    assert sorted(ALL_TYPES) == sorted([*TYPES, *PLUGINS])
    for kind in TYPES:
        exchange = make(kind)
        assert exchange.kind == kind
        assert exchange.needs_headers == (kind == "headers")


def test_an_unknown_type_is_a_406() -> None:
    with pytest.raises(SoftError) as refused:
        make("x-magic")
    assert refused.value.code == 406
    assert refused.value.text == "PRECONDITION_FAILED - unknown exchange type 'x-magic'"


@pytest.mark.parametrize("kind", TYPES)
def test_attributes_reach_the_exchange(kind: str) -> None:
    exchange = make_exchange(
        kind,
        "v",
        "x",
        durable=True,
        auto_delete=True,
        internal=True,
        arguments={"alternate-exchange": tables.longstr("other")},
    )
    assert (exchange.vhost, exchange.name, exchange.alternate) == ("v", "x", "other")
    assert exchange.durable and exchange.auto_delete and exchange.internal


@pytest.mark.parametrize("kind", TYPES)
def test_without_bindings_nothing_is_reached(kind: str) -> None:
    assert reached(make(kind), "k", {"h": tables.longstr("v")}) == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_removed_binding_reaches_nothing(kind: str) -> None:
    exchange = make(kind)
    gone = bind(exchange, "gone", "k")
    bind(exchange, "kept", "k")
    unbind(exchange, gone)
    assert reached(exchange, "k") == ["kept"]
    bind(exchange, "gone", "k")
    assert sorted(reached(exchange, "k")) == ["gone", "kept"]


@pytest.mark.parametrize("kind", TYPES)
def test_bindings_that_differ_in_arguments_are_two(kind: str) -> None:
    exchange = make(kind)
    plain = bind(exchange, "q", "k")
    bind(exchange, "q", "k", {"x-other": tables.longstr("1")})
    assert reached(exchange, "k") == ["q", "q"]
    unbind(exchange, plain)
    assert reached(exchange, "k") == ["q"]


def test_direct_wants_the_very_key() -> None:
    exchange = make("direct")
    bind(exchange, "a1", "a")
    bind(exchange, "a2", "a")
    bind(exchange, "b", "b")
    bind(exchange, "empty", "")
    assert reached(exchange, "a") == ["a1", "a2"]
    assert reached(exchange, "") == ["empty"]
    assert reached(exchange, "A") == []
    assert reached(exchange, "a.b") == []


def test_direct_forgets_a_key_without_bindings() -> None:
    exchange: Any = make("direct")
    unbind(exchange, bind(exchange, "q", "k"))
    assert exchange._by_key == {}


def test_fanout_does_not_look_at_the_key() -> None:
    exchange = make("fanout")
    bind(exchange, "a", "x")
    bind(exchange, "b", "")
    assert reached(exchange, "whatever") == ["a", "b"]


def test_topic_goes_by_patterns() -> None:
    exchange = make("topic")
    bind(exchange, "all", "#")
    bind(exchange, "two", "a.*")
    bind(exchange, "exact", "a.b")
    bind(exchange, "other", "b.#")
    assert sorted(reached(exchange, "a.b")) == ["all", "exact", "two"]
    assert sorted(reached(exchange, "b")) == ["all", "other"]
    assert reached(exchange, "") == ["all"]


def test_headers_goes_by_arguments() -> None:
    exchange = make("headers")
    red, big = {"colour": tables.longstr("red")}, {"size": tables.longstr("big")}
    any_of = {"x-match": tables.longstr("any")}
    bind(exchange, "all", "ignored", {**red, **big})
    bind(exchange, "any", "", {**red, **big, **any_of})
    bind(exchange, "none", "", {})
    assert reached(exchange, "k", {**red, **big}) == ["all", "any", "none"]
    assert reached(exchange, "k", red) == ["any", "none"]
    assert reached(exchange, "k") == ["none"]


def test_headers_refuses_an_x_match_that_is_none() -> None:
    exchange = make("headers")
    with pytest.raises(SoftError) as refused:
        exchange.check(a_match(exchange, "some"))
    assert refused.value.code == 406
    exchange.check(a_match(exchange, "any-with-x"))


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic"])
def test_other_types_take_any_arguments(kind: str) -> None:
    exchange = make(kind)
    exchange.check(a_match(exchange, "some"))


def a_match(exchange: Exchange, how: str) -> Binding:
    """Make a binding with an x-match."""
    arguments = {"x-match": tables.longstr(how)}
    return Binding(exchange, "", arguments, queue=make_queue(name="q"))
