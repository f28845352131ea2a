"""Messages that may wait for a time only (RabbitMQ: TTL)."""

from typing import Any

import pytest

from tests.peers.channel import Channel
from tests.scenarios.things import Cemetery, let_pass

TTL_MS = 60


@pytest.fixture
def grave(peer: Any, channel: Channel) -> Cemetery:
    """Where dead letters go."""
    return Cemetery(peer, channel)


def declared(peer: Any, channel: Channel, **arguments: Any) -> str:
    """Declare a queue; underscores in arguments stand for dashes."""
    name: str = peer.name("q")
    channel.declare(name, arguments={key.replace("_", "-"): v for key, v in arguments.items()})
    return name


def test_a_message_leaves_when_the_queues_time_is_over(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, x_message_ttl=TTL_MS)
    channel.publish("", queue, b"1")
    channel.expect_ready(queue, 1)
    let_pass(peer, channel, TTL_MS)
    peer.until(lambda: channel.ready(queue) == 0)
    assert channel.bodies(queue) == []


@pytest.mark.parametrize("times", [(60, 100_000), (100_000, 60)])
def test_the_shorter_time_counts(
    peer: Any, channel: Channel, grave: Cemetery, times: tuple[int, int]
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": times[0], **grave.arguments})
    channel.publish("", queue, b"1", expiration=str(times[1]))
    let_pass(peer, channel, TTL_MS)
    assert grave.reasons(1) == [(b"1", "expired")]


def test_a_message_may_bring_its_own_time(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=grave.arguments)
    channel.publish("", queue, b"1", expiration=str(TTL_MS))
    channel.publish("", queue, b"2")
    let_pass(peer, channel, TTL_MS)
    assert grave.reasons(1) == [(b"1", "expired")]
    assert channel.bodies(queue) == [b"2"]


def test_no_time_at_all_is_over_at_the_head_only(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel)
    channel.publish("", queue, b"waits")
    channel.publish("", queue, b"gone", expiration="0")
    channel.expect_ready(queue, 2)
    assert channel.bodies(queue) == [b"waits"]
    channel.publish("", queue, b"gone at once", expiration="0")
    peer.until(lambda: channel.ready(queue) == 0)


def test_a_message_expires_at_the_head_only(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=grave.arguments)
    channel.publish("", queue, b"long", expiration="100000")
    channel.publish("", queue, b"short", expiration="10")
    let_pass(peer, channel, TTL_MS)
    channel.expect_ready(queue, 2)
    grave.channel.expect_nothing(grave.queue)
    assert channel.get(queue, no_ack=True).body == b"long"
    assert grave.reasons(1) == [(b"short", "expired")]
    assert channel.get(queue) is None


def test_what_expired_behind_the_head_is_not_delivered(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=grave.arguments)
    for body, expiration in ((b"1", None), (b"2", "10"), (b"3", "20"), (b"4", None)):
        channel.publish("", queue, body, expiration=expiration)
    let_pass(peer, channel, TTL_MS)
    channel.consume(queue, no_ack=True)
    assert [delivery.body for delivery in channel.deliveries(2)] == [b"1", b"4"]
    assert grave.reasons(2) == [(b"2", "expired"), (b"3", "expired")]


def test_each_queue_counts_for_itself(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    short = declared(peer, channel, x_message_ttl=TTL_MS)
    long = declared(peer, channel, x_message_ttl=100_000)
    for queue in (short, long):
        channel.bind(queue, exchange)
    channel.publish(exchange, "", b"1")
    channel.expect_ready(long, 1)
    let_pass(peer, channel, TTL_MS)
    peer.until(lambda: channel.ready(short) == 0)
    assert channel.bodies(long) == [b"1"]


# -- no time at all --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["queue", "message"])
def test_no_time_means_at_once_or_never(
    peer: Any, channel: Channel, grave: Cemetery, how: str
) -> None:
    queue = peer.name("q")
    arguments = {"x-message-ttl": 0} if how == "queue" else {}
    expiration = "0" if how == "message" else None
    channel.declare(queue, arguments=arguments | grave.arguments)
    channel.publish("", queue, b"1", expiration=expiration)
    assert grave.reasons(1) == [(b"1", "expired")]
    assert channel.get(queue) is None
    channel.consume(queue)
    channel.publish("", queue, b"2", expiration=expiration)
    assert channel.delivery().body == b"2"
    grave.channel.expect_nothing(grave.queue)


def test_no_time_and_a_consumer_without_room(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": 0, **grave.arguments})
    channel.qos(1)
    channel.consume(queue)
    channel.publish("", queue, b"1")
    channel.publish("", queue, b"2")
    assert channel.delivery().body == b"1"
    assert grave.reasons(1) == [(b"2", "expired")]
    channel.expect_nothing(queue)


def test_requeued_with_no_time_left_it_expires(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": 0, **grave.arguments})
    tag = channel.consume(queue)
    channel.publish("", queue, b"1")
    message = channel.delivery()
    channel.cancel(tag)
    channel.nack(message.delivery_tag)
    assert grave.reasons(1) == [(b"1", "expired")]
    assert channel.get(queue) is None


def test_an_expired_publish_is_confirmed(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, x_message_ttl=0)
    channel.confirm()
    for _ in range(3):
        channel.publish("", queue, b"1", delivery_mode=2)
    channel.confirmed()
    assert channel.bodies(queue) == []


# -- delivered and requeued ------------------------------------------------------------------------


def test_what_is_delivered_does_not_expire(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": TTL_MS, **grave.arguments})
    channel.publish("", queue, b"1")
    message = channel.get(queue)
    let_pass(peer, channel, TTL_MS)
    grave.channel.expect_nothing(grave.queue)
    channel.ack(message.delivery_tag)
    grave.channel.expect_nothing(grave.queue)


def test_a_requeue_keeps_the_deadline(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": TTL_MS, **grave.arguments})
    channel.publish("", queue, b"1")
    message = channel.get(queue)
    let_pass(peer, channel, TTL_MS + 1)
    channel.nack(message.delivery_tag)
    assert grave.reasons(1) == [(b"1", "expired")]
    assert channel.get(queue) is None


def test_what_a_consumer_got_at_once_has_a_deadline_too(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": TTL_MS, **grave.arguments})
    tag = channel.consume(queue)
    channel.publish("", queue, b"1")
    message = channel.delivery()
    channel.cancel(tag)
    let_pass(peer, channel, TTL_MS + 1)
    channel.nack(message.delivery_tag)
    assert grave.reasons(1) == [(b"1", "expired")]
    assert channel.get(queue) is None


def test_a_message_expires_once_it_is_the_next(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=grave.arguments)
    channel.publish("", queue, b"1")
    channel.publish("", queue, b"2", expiration=str(TTL_MS))
    channel.qos(1)
    channel.consume(queue)
    assert channel.delivery().body == b"1"
    let_pass(peer, channel, TTL_MS)
    assert grave.reasons(1) == [(b"2", "expired")]
    channel.expect_nothing(queue)


def test_a_requeue_with_time_left_stays(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": 1000, **grave.arguments})
    channel.publish("", queue, b"1")
    channel.nack(channel.get(queue).delivery_tag)
    again = channel.get(queue)
    assert (again.body, again.redelivered) == (b"1", True)
    channel.nack(again.delivery_tag)
    let_pass(peer, channel, 1000)
    assert grave.reasons(1) == [(b"1", "expired")]


def test_the_time_is_part_of_the_message(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, x_message_ttl=100_000)
    channel.publish("", queue, b"1", expiration="50000")
    assert channel.get(queue, no_ack=True).properties.expiration == "50000"


def test_many_expire_in_order(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-ttl": TTL_MS, **grave.arguments})
    bodies = [str(number).encode() for number in range(500)]
    for body in bodies:
        channel.publish("", queue, body)
    channel.sync()
    let_pass(peer, channel, TTL_MS)
    assert grave.reasons(500) == [(body, "expired") for body in bodies]


def test_higher_priorities_hide_what_expired(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-priority": 5, **grave.arguments})
    channel.publish("", queue, b"short", expiration="10", priority=1)
    channel.publish("", queue, b"long", expiration="100000", priority=4)
    channel.sync()
    let_pass(peer, channel, TTL_MS)
    channel.expect_ready(queue, 2)
    grave.channel.expect_nothing(grave.queue)
    assert channel.get(queue, no_ack=True).body == b"long"
    assert channel.get(queue) is None
    assert grave.reasons(1) == [(b"short", "expired")]


@pytest.mark.distances("memory", "sim", why="RabbitMQ looks later, and may deliver what expired")
def test_lower_priorities_hide_nothing(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-priority": 5, **grave.arguments})
    channel.publish("", queue, b"long", expiration="100000", priority=1)
    channel.publish("", queue, b"short", expiration="10", priority=4)
    channel.sync()
    let_pass(peer, channel, TTL_MS)
    assert grave.reasons(1) == [(b"short", "expired")]
    assert channel.bodies(queue) == [b"long"]
