"""Copies of all that is published and delivered (RabbitMQ: firehose, `rabbitmqctl trace_on`)."""

from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic

from tests.peers.accounts import OTHER_VHOST
from tests.peers.channel import Channel, Message

pytestmark = pytest.mark.distances(
    "memory", "sim", why="only rabbitmqctl could switch it on; the texts are RabbitMQ's"
)


@pytest.fixture
def spy(peer: Any) -> Channel:
    """A channel that consumes all copies, of a connection of its own."""
    channel: Channel = peer.connect().channel()
    queue = channel.declare(exclusive=True).queue
    channel.bind(queue, "amq.rabbitmq.trace", "#")
    channel.consume(queue, no_ack=True)
    peer.broker.trace("/", True)
    return channel


def copies(spy: Channel, count: int) -> list[tuple[str, Message, Any]]:
    """The next copies: routing key, message, headers."""
    found = []
    for message in spy.deliveries(count):
        assert message.exchange == "amq.rabbitmq.trace"
        found.append((message.routing_key, message, message.properties.headers))
    return found


def test_a_publish(peer: Any, channel: Channel, spy: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish(
        "", queue, b"hello", headers={"a": 1}, priority=3, content_type="text/plain",
        message_id="m", delivery_mode=2, expiration="100000",
    )  # fmt: skip
    ((key, message, headers),) = copies(spy, 1)
    assert key == "publish." and message.body == b"hello"
    assert message.properties.delivery_mode is None
    assert list(headers) == [
        "exchange_name",
        "routing_keys",
        "properties",
        "node",
        "vhost",
        "connection",
        "channel",
        "user",
        "routed_queues",
    ]
    assert headers["exchange_name"] == ""
    assert headers["routing_keys"] == headers["routed_queues"] == [queue]
    assert list(headers["properties"].items()) == [
        ("message_id", "m"),
        ("expiration", "100000"),
        ("priority", 3),
        ("delivery_mode", 2),
        ("headers", {"a": 1}),
        ("content_type", "text/plain"),
    ]
    assert (headers["vhost"], headers["user"], headers["channel"]) == ("/", "guest", 1)
    assert "->" in headers["connection"]
    assert channel.bodies(queue) == [b"hello"]


def test_a_delivery_and_a_redelivery(peer: Any, channel: Channel, spy: Channel) -> None:
    queue, exchange = peer.name("q"), peer.name("x")
    channel.declare(queue)
    channel.declare_exchange(exchange, "topic")
    channel.bind(queue, exchange, "#")
    channel.publish(exchange, "a.b", b"1", headers={"CC": ["c.d"]})
    channel.consume(queue)
    channel.nack(channel.delivery().delivery_tag)
    channel.delivery()
    published, first, second = copies(spy, 3)
    assert published[0] == f"publish.{exchange}"
    assert published[2]["routing_keys"] == ["a.b", "c.d"]
    assert published[2]["routed_queues"] == [queue]
    for (key, message, headers), redelivered in ((first, 0), (second, 1)):
        assert key == f"deliver.{queue}" and message.body == b"1"
        assert headers["redelivered"] == redelivered
        assert headers["exchange_name"] == exchange
        assert "routed_queues" not in headers


def test_a_get(peer: Any, channel: Channel, spy: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue, b"1")
    assert channel.get(queue, no_ack=True).body == b"1"
    assert [key for key, _, _ in copies(spy, 2)] == ["publish.", f"deliver.{queue}"]


def test_what_goes_nowhere_is_returned_and_confirmed(channel: Channel, spy: Channel) -> None:
    channel.confirm()
    channel.publish("", "nowhere", b"1", mandatory=True)
    channel.publish("", "nowhere", b"2")
    assert channel.expect(Basic.Return).body == b"1"
    channel.confirmed()
    assert [message.body for _, message, _ in copies(spy, 2)] == [b"1", b"2"]


def test_a_full_queue_refuses_still(peer: Any, channel: Channel, spy: Channel) -> None:
    queue = peer.name("q")
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.declare(queue, arguments=arguments)
    channel.confirm()
    channel.publish("", queue, b"1")
    channel.confirmed()
    channel.publish("", queue, b"2")
    assert channel.expect(Basic.Nack).delivery_tag == 2
    copies(spy, 2)


def test_it_ends_when_it_is_switched_off(peer: Any, channel: Channel, spy: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.consume(queue, no_ack=True)
    channel.publish("", queue, b"1")
    channel.delivery()
    copies(spy, 2)
    peer.broker.trace("/", False)
    channel.publish("", queue, b"2")
    assert channel.delivery().body == b"2"
    spy.expect_nothing()


def test_who_consumed_before_is_traced(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.consume(queue, no_ack=True)
    channel.publish("", queue, b"1")
    channel.delivery()
    spy = peer.connect().channel()
    trace = spy.declare(exclusive=True).queue
    spy.bind(trace, "amq.rabbitmq.trace", "deliver.#")
    spy.consume(trace, no_ack=True)
    peer.broker.trace("/", True)
    channel.publish("", queue, b"2")
    channel.delivery()
    ((key, message, _),) = copies(spy, 1)
    assert key == f"deliver.{queue}" and message.body == b"2"


def test_other_vhosts_are_not_traced(peer: Any, spy: Channel) -> None:
    other = peer.connect(vhost=OTHER_VHOST).channel()
    queue = other.declare(exclusive=True).queue
    other.publish("", queue)
    other.sync()
    spy.expect_nothing()


def test_a_transaction_is_traced_when_it_is_committed(
    peer: Any, channel: Channel, spy: Channel
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.call(commands.Tx.Select())
    channel.publish("", queue, b"1")
    channel.sync()
    spy.expect_nothing()
    channel.call(commands.Tx.Commit())
    assert [key for key, _, _ in copies(spy, 1)] == ["publish."]
