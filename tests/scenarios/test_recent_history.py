"""Exchanges that remember their latest messages (RabbitMQ: the recent history plugin)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import ChannelClosed, ConnectionClosed, channel_error

KIND = "x-recent-history"


@pytest.fixture(autouse=True)
def needs_plugin(peer: Any) -> None:
    """Skip where a broker does not have the type."""
    if peer.distance == "rabbitmq":
        try:
            peer.connect().channel().declare_exchange(peer.name("plugin"), KIND)
        except (ChannelClosed, ConnectionClosed):
            pytest.skip("needs the plugin of this exchange type")


def remembering(peer: Any, channel: Channel, length: int | None = None, **more: Any) -> str:
    """Declare an exchange that remembers."""
    exchange: str = peer.name("x")
    arguments = more | ({} if length is None else {"x-recent-history-length": length})
    channel.declare_exchange(exchange, KIND, arguments=arguments)
    return exchange


def bound(peer: Any, channel: Channel, exchange: str, key: str = "") -> str:
    """Declare a queue, bound."""
    queue: str = peer.name("q")
    channel.declare(queue)
    channel.bind(queue, exchange, key)
    return queue


def holds(peer: Any, channel: Channel, queue: str, *bodies: bytes) -> None:
    """Assert that exactly these come to a queue."""
    if bodies:
        peer.until(lambda: channel.ready(queue) == len(bodies))
    assert channel.bodies(queue) == list(bodies)


def post(channel: Channel, exchange: str, *bodies: bytes, **fields: Any) -> None:
    """Publish, and wait until that is done."""
    for body in bodies:
        channel.publish(exchange, "k", body, **fields)
    channel.sync()


def test_it_is_a_fanout(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    queues = [bound(peer, channel, exchange, key) for key in ("a", "")]
    post(channel, exchange, b"1")
    for queue in queues:
        holds(peer, channel, queue, b"1")


def test_who_binds_later_gets_the_latest_in_order(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel, 3)
    early = bound(peer, channel, exchange)
    bodies = [b"%d" % n for n in range(5)]
    post(channel, exchange, *bodies)
    holds(peer, channel, early, *bodies)
    for _ in range(2):
        holds(peer, channel, bound(peer, channel, exchange), *bodies[2:])


def test_twenty_are_remembered_if_not_said_otherwise(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    bodies = [b"%d" % n for n in range(25)]
    post(channel, exchange, *bodies)
    holds(peer, channel, bound(peer, channel, exchange), *bodies[5:])


def test_messages_are_as_they_were(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    post(channel, exchange, b"1", headers={"h": "v"}, message_id="m", delivery_mode=2)
    queue = bound(peer, channel, exchange)
    peer.until(lambda: channel.ready(queue) == 1)
    message = channel.get(queue, no_ack=True)
    assert (message.exchange, message.routing_key, message.redelivered) == (exchange, "k", False)
    assert message.properties.headers == {"h": "v"}
    assert message.properties.message_id == "m"


def test_binding_again_brings_nothing_another_key_does(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    post(channel, exchange, b"1")
    queue = bound(peer, channel, exchange)
    holds(peer, channel, queue, b"1")
    channel.bind(queue, exchange, "")
    channel.sync()
    assert channel.bodies(queue) == []
    channel.bind(queue, exchange, "other")
    holds(peer, channel, queue, b"1")


@pytest.mark.parametrize(
    ("value", "kept"), [(True, False), (False, True), ("true", True), (1, True)]
)
def test_a_message_may_ask_not_to_be_remembered(
    peer: Any, channel: Channel, value: Any, kept: bool
) -> None:
    exchange = remembering(peer, channel)
    early = bound(peer, channel, exchange)
    post(channel, exchange, b"1", headers={"x-recent-history-no-store": value})
    holds(peer, channel, early, b"1")
    late = bound(peer, channel, exchange)
    channel.sync()
    holds(peer, channel, late, *([b"1"] if kept else []))


def test_without_bindings_a_message_is_returned_and_remembered(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    channel.publish(exchange, "k", b"1", mandatory=True, headers={"BCC": ["b"]})
    assert channel.expect(Basic.Return).reply_code == 312
    queue = bound(peer, channel, exchange)
    peer.until(lambda: channel.ready(queue) == 1)
    assert not channel.get(queue, no_ack=True).properties.headers


def test_an_alternate_exchange_gets_what_nobody_was_bound_for(peer: Any, channel: Channel) -> None:
    other = peer.name("alternate")
    channel.declare_exchange(other, "fanout")
    queue = bound(peer, channel, other)
    exchange = remembering(peer, channel, **{"alternate-exchange": other})
    post(channel, exchange, b"1")
    holds(peer, channel, queue, b"1")
    holds(peer, channel, bound(peer, channel, exchange), b"1")


def test_an_exchange_that_is_bound_gets_it_too(peer: Any, channel: Channel) -> None:
    exchange, other = remembering(peer, channel), peer.name("y")
    channel.declare_exchange(other, "direct")
    queue = peer.name("q")
    channel.declare(queue)
    channel.bind(queue, other, "k")
    post(channel, exchange, b"1", b"2")
    channel.bind_exchange(other, exchange)
    peer.until(lambda: channel.ready(queue) == 2)
    found = channel.bodies(queue)
    assert (sorted(found) if peer.oracle.is_rabbitmq else found) == [b"1", b"2"]


def test_what_came_by_way_of_another_exchange_is_remembered(peer: Any, channel: Channel) -> None:
    source = peer.name("source")
    channel.declare_exchange(source, "fanout")
    exchange = remembering(peer, channel)
    channel.bind_exchange(exchange, source)
    post(channel, source, b"1")
    holds(peer, channel, bound(peer, channel, exchange), b"1")


def test_a_new_exchange_remembers_nothing(peer: Any, channel: Channel) -> None:
    exchange = remembering(peer, channel)
    post(channel, exchange, b"1")
    channel.delete_exchange(exchange)
    channel.declare_exchange(exchange, KIND)
    queue = bound(peer, channel, exchange)
    channel.sync()
    assert channel.bodies(queue) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        ("a", '<<"a">>'),
        (Typed("t", True), "true"),
        (Typed("T", 5), "5"),
    ],
)
def test_the_length_is_a_number_above_0(
    peer: Any, channel: Channel, value: Any, shown: str
) -> None:
    text = (
        f"PRECONDITION_FAILED - Invalid argument {shown}, 'x-recent-history-length'"
        " must be a positive integer"
    )
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(peer.name("x"), KIND, arguments={"x-recent-history-length": value})
