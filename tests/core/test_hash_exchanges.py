"""Exchanges that choose by a hash: weights, what is hashed, what moves when bindings change."""

from collections import Counter

import pytest

from amqpd.core.exchange import Binding, Envelope, Exchange
from amqpd.core.exchange_types import make_exchange
from amqpd.errors import SoftError
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table
from tests.core.fakes import make_queue
from tests.peers import codec

KEYS = [f"key-{n}" for n in range(2000)]


def make(kind: str = "x-consistent-hash", **arguments: Field) -> Exchange:
    """Make an exchange; underscores in arguments stand for dashes."""
    table = {name.replace("_", "-"): field for name, field in arguments.items()}
    return make_exchange(
        kind, "/", "x", durable=False, auto_delete=False, internal=False, arguments=table
    )


def bind(exchange: Exchange, queue: str, key: str = "1", arguments: Table | None = None) -> Binding:
    """Bind a queue, as a vhost does."""
    binding = Binding(exchange, key, arguments or {}, queue=make_queue(name=queue))
    exchange.check(binding)
    exchange.bindings[binding.identity] = binding
    exchange.add(binding)
    return binding


def unbind(exchange: Exchange, binding: Binding) -> None:
    """Remove a binding, as a vhost does."""
    exchange.remove(binding)
    del exchange.bindings[binding.identity]


def content(**properties: object) -> tuple[bytes, int]:
    """Make a message's content. Returns it and the length of its header frame."""
    head = codec.encode_properties(properties)
    frames = codec.content_frames(1, head, b"", 4096)
    return frames, len(frames)


def reached(
    exchange: Exchange, *keys: str, headers: Table | None = None, **properties: object
) -> str:
    """Return the one destination of a message."""
    found: list[Binding] = []
    exchange.route(Envelope(list(keys), headers or {}, *content(**properties)), found)
    assert len(found) == 1
    return found[0].destination


def ways(exchange: Exchange) -> list[str]:
    """Where each of KEYS goes."""
    return [reached(exchange, key) for key in KEYS]


# -- x-consistent-hash -----------------------------------------------------------------------------


def test_without_bindings_nothing_is_reached() -> None:
    for kind in ("x-consistent-hash", "x-modulus-hash"):
        found: list[Binding] = []
        make(kind).route(Envelope(["k"], {}), found)
        assert found == []


def test_weights_share_the_keys_out() -> None:
    exchange = make()
    for queue, weight in (("a", "1"), ("b", "+2"), ("c", "07")):
        bind(exchange, queue, weight)
    count = Counter(reached(exchange, f"{n}") for n in range(20_000))
    for queue, share in (("a", 2_000), ("b", 4_000), ("c", 14_000)):
        assert abs(count[queue] - share) < 0.05 * share + 50, count


def test_a_queue_that_is_added_takes_its_share_alone() -> None:
    exchange = make()
    for n in range(9):
        bind(exchange, f"q{n}")
    before = ways(exchange)
    last = bind(exchange, "q9")
    after = ways(exchange)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"q9"}
    assert abs(len(moved) - len(KEYS) / 10) < len(KEYS) / 40
    unbind(exchange, last)
    assert ways(exchange) == before


def test_the_same_bindings_make_the_same_ways() -> None:
    one, other = make(), make()
    for n in range(20):
        bind(one, f"q{n}", str(n + 1))
    unbind(one, bind(one, "gone", "50"))
    for n in range(20):
        bind(other, f"q{n}", str(n + 1))
    assert ways(one) == ways(other)


def test_the_first_weight_of_a_queue_counts() -> None:
    exchange = make()
    first = bind(exchange, "a", "1")
    bind(exchange, "b", "1")
    plain = ways(exchange)
    bind(exchange, "a", "9")
    assert ways(exchange) == plain
    unbind(exchange, first)
    count = Counter(ways(exchange))
    assert count["a"] > 8 * count["b"]


def test_weights_may_be_absurd() -> None:
    exchange = make()
    bind(exchange, "a", "9" * 30)
    bind(exchange, "b", str(1 << 30))
    bind(exchange, "c", "1")
    count = Counter(ways(exchange))
    assert abs(count["a"] - count["b"]) < 200 and count["c"] < 3


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("0", "The binding key must be greater than 0"),
        ("-0", "The binding key must be greater than 0"),
        ("-17", "The binding key must be greater than 0"),
        ("", "The binding key must be an integer: <<>>"),
        ("x", 'The binding key must be an integer: <<"x">>'),
        ("1.5", 'The binding key must be an integer: <<"1.5">>'),
        (" 1", 'The binding key must be an integer: <<" 1">>'),
        ("1_0", 'The binding key must be an integer: <<"1_0">>'),
        ("+", 'The binding key must be an integer: <<"+">>'),
        ("٣", 'The binding key must be an integer: <<"٣">>'),
        ('a"b\\c\n', 'The binding key must be an integer: <<"a\\"b\\\\c\\n">>'),
        ("\x01", "The binding key must be an integer: <<1>>"),
    ],
)
def test_a_weight_is_an_integer_above_0(key: str, text: str) -> None:
    with pytest.raises(SoftError) as refused:
        bind(make(), "q", key)
    assert refused.value.text == f"PRECONDITION_FAILED - {text}"


def test_a_header_can_be_hashed() -> None:
    exchange = make(hash_header=tables.longstr("h"))
    assert exchange.needs_headers
    for n in range(50):
        bind(exchange, f"q{n}")
    keys = {reached(exchange, key, headers={"h": tables.longstr("1")}) for key in KEYS[:50]}
    assert len(keys) == 1
    values = {reached(exchange, "k", headers={"h": tables.longstr(key)}) for key in KEYS}
    assert len(values) == 50
    for field in (tables.long(1), tables.boolean(True), tables.table({"a": tables.long(1)})):
        assert reached(exchange, "k", headers={"h": field}) == reached(
            exchange, "other", headers={"h": field}
        )
    without = {reached(exchange, key, headers={"g": tables.longstr(key)}) for key in KEYS}
    assert len(without) == 1


@pytest.mark.parametrize("name", ["message_id", "correlation_id", "timestamp"])
def test_a_property_can_be_hashed(name: str) -> None:
    exchange = make(hash_property=tables.longstr(name))
    assert exchange.needs_headers
    for n in range(50):
        bind(exchange, f"q{n}")
    values = [n if name == "timestamp" else f"id-{n}" for n in range(1, 1000)]
    assert len({reached(exchange, "k", **{name: value}) for value in values}) == 50
    same = {reached(exchange, key, **{name: values[0], "app_id": key}) for key in KEYS[:50]}
    assert len(same) == 1
    other = "message_id" if name == "correlation_id" else "correlation_id"
    assert len({reached(exchange, "k", **{other: key}) for key in KEYS}) == 1


def test_without_a_message_a_property_is_missing() -> None:
    exchange = make(hash_property=tables.longstr("message_id"))
    bind(exchange, "q")
    found: list[Binding] = []
    exchange.route(Envelope(["k"], {}), found)
    assert [binding.destination for binding in found] == ["q"]


def test_only_the_first_key_is_hashed() -> None:
    exchange = make()
    for n in range(50):
        bind(exchange, f"q{n}")
    assert {reached(exchange, "k", key) for key in KEYS[:50]} == {reached(exchange, "k")}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"hash_header": tables.longstr("a"), "hash_property": tables.longstr("b")},
            "hash-header and hash-property are mutually exclusive",
        ),
        ({"hash_property": tables.longstr("app_id")}, "Unsupported property: app_id"),
        ({"hash_property": tables.longstr("")}, "Unsupported property: "),
        (
            {"hash_header": Field("I", 1)},
            "invalid type 'signedint' for arg 'hash-header' in exchange 'x' in vhost '/'",
        ),
        (
            {"hash_property": tables.boolean(True)},
            "invalid type 'bool' for arg 'hash-property' in exchange 'x' in vhost '/'",
        ),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Field], text: str) -> None:
    with pytest.raises(SoftError) as refused:
        make(**arguments)
    assert refused.value.text == f"PRECONDITION_FAILED - {text}"


# -- x-modulus-hash --------------------------------------------------------------------------------


def test_modulus_spreads_keys_and_ignores_binding_keys() -> None:
    exchange = make("x-modulus-hash")
    assert not exchange.needs_headers
    bound = [bind(exchange, f"q{n}", f"any {n}") for n in range(4)]
    count = Counter(ways(exchange))
    assert sorted(count) == ["q0", "q1", "q2", "q3"]
    assert all(abs(hit - 500) < 100 for hit in count.values())
    assert ways(exchange) == ways(exchange)
    for binding in bound[1:]:
        unbind(exchange, binding)
    assert set(ways(exchange)) == {"q0"}


def test_modulus_hashes_all_keys() -> None:
    exchange = make("x-modulus-hash")
    for n in range(20):
        bind(exchange, f"q{n}")
    assert len({reached(exchange, "k", key) for key in KEYS[:100]}) == 20
