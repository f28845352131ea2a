"""exchange.bind, exchange.unbind and alternate exchanges: the ways between exchanges."""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts


def unbind(channel: Channel, destination: str, source: str, key: str = "", **fields: Any) -> None:
    """exchange.unbind."""
    kind = Exchange.Unbind
    channel.do(kind, destination=destination, source=source, routing_key=key, **fields)


def test_a_message_passes_from_exchange_to_exchange(peer: Any, channel: Channel) -> None:
    source, destination, queue = peer.name("source"), peer.name("destination"), peer.name("q")
    channel.declare_exchange(source)
    channel.declare_exchange(destination, "fanout")
    channel.declare(queue)
    channel.bind(queue, destination)
    channel.bind_exchange(destination, source, "k")
    channel.publish(source, "k", b"yes")
    channel.publish(source, "other", b"no")
    assert channel.bodies(queue) == [b"yes"]


def test_each_hop_sees_the_original_routing_key(peer: Any, channel: Channel) -> None:
    source, destination, queue = peer.name("source"), peer.name("destination"), peer.name("q")
    channel.declare_exchange(source, "topic")
    channel.declare_exchange(destination, "topic")
    channel.declare(queue)
    channel.bind(queue, destination, "a.*")
    channel.bind_exchange(destination, source, "*.b")
    channel.publish(source, "a.b", b"both")
    channel.publish(source, "b.b", b"first only")
    message = channel.get(queue, no_ack=True)
    assert (message.body, message.exchange, message.routing_key) == (b"both", source, "a.b")
    assert channel.get(queue) is None


def test_a_queue_that_is_reached_twice_gets_a_message_once(peer: Any, channel: Channel) -> None:
    source, left, right = peer.name("source"), peer.name("left"), peer.name("right")
    queue = peer.name("q")
    channel.declare(queue)
    for exchange in (source, left, right):
        channel.declare_exchange(exchange, "fanout")
    channel.bind_exchange(left, source)
    channel.bind_exchange(right, source)
    for exchange in (source, left, right):
        channel.bind(queue, exchange)
    channel.publish(source, "", b"once")
    assert channel.bodies(queue) == [b"once"]


def test_exchanges_bound_in_a_circle_route_once(peer: Any, channel: Channel) -> None:
    exchanges = [peer.name(f"x{index}") for index in range(3)]
    queues = [peer.name(f"q{index}") for index in range(3)]
    for exchange, queue in zip(exchanges, queues, strict=True):
        channel.declare_exchange(exchange, "fanout")
        channel.declare(queue)
        channel.bind(queue, exchange)
    for index in range(3):
        channel.bind_exchange(exchanges[(index + 1) % 3], exchanges[index])
    for exchange in exchanges:
        channel.publish(exchange, "", exchange.encode())
    for queue in queues:
        assert channel.bodies(queue) == [exchange.encode() for exchange in exchanges]


def test_an_exchange_may_be_bound_to_itself(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "fanout")
    channel.declare(queue)
    channel.bind(queue, exchange)
    channel.bind_exchange(exchange, exchange)
    channel.publish(exchange, "", b"once")
    assert channel.bodies(queue) == [b"once"]


def test_binding_exchanges_twice_is_one_binding(peer: Any, channel: Channel) -> None:
    source, destination, queue = peer.name("source"), peer.name("destination"), peer.name("q")
    channel.declare_exchange(source)
    channel.declare_exchange(destination, "fanout")
    channel.declare(queue)
    channel.bind(queue, destination)
    for _ in range(2):
        channel.bind_exchange(destination, source, "k", arguments={"a": 1, "b": 2})
    channel.bind_exchange(destination, source, "k", arguments={"b": 2, "a": 1})
    unbind(channel, destination, source, "k", arguments={"b": 2, "a": 1})
    channel.publish(source, "k")
    assert channel.bodies(queue) == []


def test_unbound_exchanges_no_longer_route(peer: Any, channel: Channel) -> None:
    source, destination, queue = peer.name("source"), peer.name("destination"), peer.name("q")
    channel.declare_exchange(source)
    channel.declare_exchange(destination, "fanout")
    channel.declare(queue)
    channel.bind(queue, destination)
    channel.bind_exchange(destination, source, "k")
    unbind(channel, destination, source, "other")
    channel.publish(source, "k", b"still")
    unbind(channel, destination, source, "k")
    channel.publish(source, "k", b"no more")
    assert channel.bodies(queue) == [b"still"]


def test_unbinding_what_is_not_there_succeeds(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    unbind(channel, destination, source, "k")
    channel.declare_exchange(source)
    unbind(channel, destination, source, "k")
    channel.declare_exchange(destination)
    unbind(channel, destination, source, "k")


def test_a_missing_source_is_named(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    channel.declare_exchange(destination)
    with channel_error(404, texts.no_exchange(source), Exchange.Bind):
        channel.bind_exchange(destination, source, "k")


def test_a_missing_destination_is_named(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    channel.declare_exchange(source)
    with channel_error(404, texts.no_exchange(destination), Exchange.Bind):
        channel.bind_exchange(destination, source, "k")


def test_the_source_is_named_when_both_are_missing(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    with channel_error(404, texts.no_exchange(source), Exchange.Bind):
        channel.bind_exchange(destination, source, "k")


@pytest.mark.parametrize("end", ["source", "destination"])
@pytest.mark.parametrize("kind", [Exchange.Bind, Exchange.Unbind])
def test_the_default_exchange_cannot_be_an_end(
    peer: Any, channel: Channel, end: str, kind: Any
) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    ends = {"source": exchange, "destination": exchange, end: ""}
    with channel_error(403, texts.DEFAULT_EXCHANGE, kind):
        channel.do(kind, routing_key="k", **ends)


def test_binding_exchanges_without_waiting_binds(peer: Any, channel: Channel) -> None:
    source, destination, queue = peer.name("source"), peer.name("destination"), peer.name("q")
    channel.declare_exchange(source)
    channel.declare_exchange(destination, "fanout")
    channel.declare(queue)
    channel.bind(queue, destination)
    channel.bind_exchange(destination, source, "k", nowait=True)
    channel.publish(source, "k", b"bound")
    unbind(channel, destination, source, "k", nowait=True)
    channel.publish(source, "k", b"unbound")
    assert channel.bodies(queue) == [b"bound"]
    channel.expect_nothing()


def test_deleting_the_middle_of_a_way_cuts_it(peer: Any, channel: Channel) -> None:
    source, middle, queue = peer.name("source"), peer.name("middle"), peer.name("q")
    channel.declare_exchange(source, "fanout")
    channel.declare_exchange(middle, "fanout")
    channel.declare(queue)
    channel.bind(queue, middle)
    channel.bind_exchange(middle, source)
    channel.delete_exchange(middle)
    channel.publish(source, "", b"lost", mandatory=True)
    assert channel.expect(Basic.Return).body == b"lost"


# -- alternate exchanges ---------------------------------------------------------------------------


def with_alternate(peer: Any, channel: Channel, kind: str = "direct") -> tuple[str, str, str]:
    """Declare an exchange, its alternate, and a queue on the alternate."""
    exchange, alternate, queue = peer.name("x"), peer.name("alternate"), peer.name("q")
    channel.declare_exchange(alternate, "fanout")
    channel.declare_exchange(exchange, kind, arguments={"alternate-exchange": alternate})
    channel.declare(queue)
    channel.bind(queue, alternate)
    return exchange, alternate, queue


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic", "headers"])
def test_what_finds_no_way_takes_the_alternate(peer: Any, channel: Channel, kind: str) -> None:
    exchange, _, queue = with_alternate(peer, channel, kind)
    channel.publish(exchange, "k", b"lost", mandatory=True)
    message = channel.get(queue, no_ack=True)
    assert (message.body, message.exchange, message.routing_key) == (b"lost", exchange, "k")
    channel.expect_nothing()


def test_what_finds_a_way_does_not_take_the_alternate(peer: Any, channel: Channel) -> None:
    exchange, _, queue = with_alternate(peer, channel)
    own = peer.name("own")
    channel.declare(own)
    channel.bind(own, exchange, "k")
    channel.publish(exchange, "k", b"found")
    assert channel.bodies(own) == [b"found"]
    assert channel.bodies(queue) == []


def test_a_binding_that_leads_nowhere_is_a_way(peer: Any, channel: Channel) -> None:
    exchange, _, queue = with_alternate(peer, channel)
    dead_end = peer.name("dead-end")
    channel.declare_exchange(dead_end)
    channel.bind_exchange(dead_end, exchange, "k")
    channel.publish(exchange, "k", b"lost", mandatory=True)
    assert channel.expect(Basic.Return).body == b"lost"
    assert channel.bodies(queue) == []


def test_a_missing_alternate_makes_a_message_unroutable(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, arguments={"alternate-exchange": peer.name("missing")})
    channel.publish(exchange, "k", b"lost", mandatory=True)
    assert channel.expect(Basic.Return).body == b"lost"


def test_an_alternate_may_be_declared_later(peer: Any, channel: Channel) -> None:
    exchange, alternate, queue = peer.name("x"), peer.name("alternate"), peer.name("q")
    channel.declare_exchange(exchange, arguments={"alternate-exchange": alternate})
    channel.publish(exchange, "k", b"too early")
    channel.declare_exchange(alternate, "fanout")
    channel.declare(queue)
    channel.bind(queue, alternate)
    channel.publish(exchange, "k", b"in time")
    assert channel.bodies(queue) == [b"in time"]


def test_alternates_are_followed_one_after_the_other(peer: Any, channel: Channel) -> None:
    last, middle, first, queue = (peer.name(base) for base in ("last", "middle", "first", "q"))
    channel.declare_exchange(last, "fanout")
    channel.declare_exchange(middle, arguments={"alternate-exchange": last})
    channel.declare_exchange(first, arguments={"alternate-exchange": middle})
    channel.declare(queue)
    channel.bind(queue, last)
    channel.publish(first, "k", b"far")
    assert channel.bodies(queue) == [b"far"]


def test_alternates_in_a_circle_end(peer: Any, channel: Channel) -> None:
    one, other = peer.name("one"), peer.name("other")
    channel.declare_exchange(one, arguments={"alternate-exchange": other})
    channel.declare_exchange(other, arguments={"alternate-exchange": one})
    channel.publish(one, "k", b"lost", mandatory=True)
    assert channel.expect(Basic.Return).body == b"lost"


def test_the_default_exchange_as_alternate_finds_no_queue_by_name(
    peer: Any, channel: Channel
) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, arguments={"alternate-exchange": ""})
    channel.declare(queue)
    channel.publish(exchange, queue, b"by name", mandatory=True)
    assert channel.expect(Basic.Return).body == b"by name"
    assert channel.bodies(queue) == []
