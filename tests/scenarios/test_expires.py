"""Queues that go when nobody uses them (RabbitMQ: queue TTL, x-expires)."""

from typing import Any

from pamqp.commands import Basic

from tests.peers.channel import Channel
from tests.scenarios.things import Cemetery, let_pass, queue_exists

EXPIRES_MS = 400
HALF_MS = EXPIRES_MS * 5 // 8


def expiring(peer: Any, channel: Channel, **arguments: Any) -> str:
    """Declare a queue that expires."""
    name: str = peer.name("q")
    channel.declare(name, arguments={"x-expires": EXPIRES_MS, **arguments})
    return name


def redeclare(channel: Channel, queue: str) -> None:
    """Declare it again, alike."""
    channel.declare(queue, arguments={"x-expires": EXPIRES_MS})


def gone(peer: Any, channel: Channel, queue: str) -> None:
    """Let the rest of its time pass; it must go. Asking passively is no use of a queue."""
    let_pass(peer, channel, EXPIRES_MS)
    peer.until(lambda: not queue_exists(channel, queue))


def test_an_unused_queue_goes(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    channel.publish("", queue, b"1")
    let_pass(peer, channel, HALF_MS)
    channel.expect_ready(queue, 1)
    gone(peer, channel, queue)


def test_its_messages_are_no_dead_letters(peer: Any, channel: Channel) -> None:
    grave = Cemetery(peer, channel)
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-expires": EXPIRES_MS, **grave.arguments})
    channel.publish("", queue, b"1")
    channel.sync()
    gone(peer, channel, queue)
    grave.channel.expect_nothing(grave.queue)


def test_declaring_it_again_renews_it(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    let_pass(peer, channel, HALF_MS)
    redeclare(channel, queue)
    let_pass(peer, channel, HALF_MS)
    assert queue_exists(channel, queue)
    gone(peer, channel, queue)


def test_a_get_renews_it_though_it_is_empty(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    let_pass(peer, channel, HALF_MS)
    assert channel.get(queue) is None
    let_pass(peer, channel, HALF_MS)
    assert queue_exists(channel, queue)
    gone(peer, channel, queue)


def test_a_publish_does_not_renew_it(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    let_pass(peer, channel, HALF_MS)
    channel.publish("", queue, b"1")
    channel.sync()
    let_pass(peer, channel, HALF_MS)
    peer.until(lambda: not queue_exists(channel, queue))


def test_a_consumer_keeps_it(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    tag = channel.consume(queue)
    let_pass(peer, channel, 2 * EXPIRES_MS)
    channel.expect_nothing(queue)
    channel.cancel(tag)
    let_pass(peer, channel, HALF_MS)
    assert queue_exists(channel, queue)
    gone(peer, channel, queue)


def test_a_consumers_connection_keeps_it_until_it_ends(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    other = peer.connect()
    other.channel().consume(queue)
    let_pass(peer, channel, 2 * EXPIRES_MS)
    other.drop()
    peer.until(lambda: int(channel.declare(queue, passive=True).consumer_count) == 0)
    gone(peer, channel, queue)


def test_unacked_messages_do_not_keep_it(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    channel.publish("", queue, b"1")
    message = channel.get(queue)
    gone(peer, channel, queue)
    channel.ack(message.delivery_tag)
    channel.expect_nothing()


def test_its_bindings_go_with_it(peer: Any, channel: Channel) -> None:
    queue = expiring(peer, channel)
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    channel.bind(queue, exchange)
    gone(peer, channel, queue)
    channel.publish(exchange, "", b"1", mandatory=True)
    assert channel.expect(Basic.Return).reply_code == 312
