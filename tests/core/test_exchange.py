"""What all exchange types share: attributes, bindings, and what makes a binding one."""

from typing import Any

import pytest

from amqpd.core.exchange import Binding, Exchange, identity_of
from amqpd.wire import tables
from tests.core.fakes import make_queue


class PlainExchange(Exchange):
    """An exchange of no type."""

    kind = "plain"


def make(name: str = "x", *, durable: bool = False, arguments: Any = None) -> Exchange:
    """Make an exchange."""
    return PlainExchange(
        "/",
        name,
        durable=durable,
        auto_delete=False,
        internal=False,
        arguments=arguments or {},
    )


def test_an_exchange_keeps_what_it_was_declared_with() -> None:
    exchange = PlainExchange(
        "v", "x", durable=True, auto_delete=True, internal=True, arguments={}
    )
    assert (exchange.vhost, exchange.name, exchange.kind) == ("v", "x", "plain")
    assert exchange.durable and exchange.auto_delete and exchange.internal
    assert exchange.bindings == {} and not exchange.is_deleted
    assert exchange.position == 0
    assert exchange.alternate is None


def test_an_exchange_knows_its_alternate() -> None:
    exchange = make(arguments={"alternate-exchange": tables.longstr("other")})
    assert exchange.alternate == "other"


def test_a_type_decides_how_bindings_match() -> None:
    exchange = make()
    binding = Binding(exchange, "k", {}, queue=make_queue())
    exchange.check(binding)  # most types take any binding
    with pytest.raises(NotImplementedError):
        exchange.add(binding)
    with pytest.raises(NotImplementedError):
        exchange.remove(binding)
    with pytest.raises(NotImplementedError):
        exchange.match("k", {}, [])


def test_a_binding_leads_to_a_queue_or_to_an_exchange() -> None:
    source, queue = make(), make_queue(name="q")
    to_queue = Binding(source, "k", {}, queue=queue)
    to_exchange = Binding(source, "k", {}, exchange=make("y"))
    assert to_queue.destination == "q"
    assert to_exchange.destination == "y"
    assert to_queue.identity == (True, "q", "k", b"")
    assert to_exchange.identity == (False, "y", "k", b"")
    assert to_queue.position == 0


def test_a_binding_has_exactly_one_destination() -> None:
    with pytest.raises(AssertionError):
        Binding(make(), "k", {})
    with pytest.raises(AssertionError):
        Binding(make(), "k", {}, queue=make_queue(), exchange=make("y"))


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("destination", [False, True])
def test_a_binding_is_durable_between_durable_ends(source: bool, destination: bool) -> None:
    exchange = make(durable=source)
    to_queue = Binding(exchange, "", {}, queue=make_queue(durable=destination))
    to_exchange = Binding(exchange, "", {}, exchange=make("y", durable=destination))
    assert to_queue.durable == to_exchange.durable == (source and destination)


def test_the_order_of_arguments_makes_no_other_binding() -> None:
    a, b = tables.longstr("1"), tables.boolean(True)
    assert identity_of(True, "q", "k", {"a": a, "b": b}) == identity_of(
        True, "q", "k", {"b": b, "a": a}
    )


def test_other_arguments_make_another_binding() -> None:
    identities = {
        identity_of(True, "q", "k", {}),
        identity_of(False, "q", "k", {}),
        identity_of(True, "p", "k", {}),
        identity_of(True, "q", "j", {}),
        identity_of(True, "q", "k", {"a": tables.longstr("1")}),
        identity_of(True, "q", "k", {"a": tables.longstr("2")}),
        identity_of(True, "q", "k", {"b": tables.longstr("1")}),
    }
    assert len(identities) == 7
