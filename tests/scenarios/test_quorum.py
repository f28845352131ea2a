"""Quorum queues as clients see them: counts, the delivery limit, where messages come back to."""

from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel, Message
from tests.scenarios.things import Cemetery, deaths, let_pass, queue_exists


def quorum(peer: Any, channel: Channel, **arguments: Any) -> str:
    """Declare a quorum queue; an underscore stands for a hyphen, and x- is left out."""
    named = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    name: str = peer.name("q")
    channel.declare(name, durable=True, arguments={"x-queue-type": "quorum", **named})
    return name


def fetch(peer: Any, channel: Channel, queue: str) -> Message:
    """Get the next message, waiting until it is ready."""
    found: list[Message] = []

    def ready() -> bool:
        message = channel.get(queue)
        if message is not None:
            found.append(message)
        return message is not None

    peer.until(ready)
    return found[0]


def count_of(message: Message) -> int:
    """How often a message has come back, as its headers say; 3.10 told it of gets that are new."""
    headers: Any = message.properties.headers
    return int((headers or {}).get("x-delivery-count", 0))


def publish(channel: Channel, queue: str, *bodies: bytes) -> None:
    """Publish these, on a channel of their own, and wait until they are there."""
    other = channel.connection.channel()
    other.confirm()
    for body in bodies:
        other.publish("", queue, body)
    other.confirmed()
    other.close()


def drain(peer: Any, channel: Channel, queue: str, count: int) -> list[bytes]:
    """Get this many for good, waiting for each."""
    bodies = []
    for _ in range(count):
        message = fetch(peer, channel, queue)
        channel.ack(message.delivery_tag)
        bodies.append(message.body)
    channel.sync()
    return bodies


# -- counts ----------------------------------------------------------------------------------------


def test_it_counts_how_often_a_message_came_back(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1")
    for times in range(5):
        message = fetch(peer, channel, queue)
        assert (message.redelivered, count_of(message)) == (times > 0, times)
        if times % 2:
            channel.reject(message.delivery_tag)
        else:
            channel.nack(message.delivery_tag)


def test_the_first_delivery_tells_no_count(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    channel.publish("", queue, b"1", headers={"a": 1})
    channel.publish("", queue, b"2")
    channel.consume(queue)
    one, two = channel.deliveries(2)
    assert one.properties.headers == {"a": 1}
    assert not two.properties.headers
    channel.nack(one.delivery_tag)
    again = channel.delivery()
    assert again.properties.headers == {"a": 1, "x-delivery-count": 1}
    assert again.raw_properties.endswith(b"\x10x-delivery-countl" + (1).to_bytes(8, "big"))


def test_the_count_of_a_publisher_means_nothing(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    channel.publish("", queue, b"1", headers={"x-delivery-count": 99})
    channel.consume(queue)
    channel.nack(channel.delivery().delivery_tag)
    assert count_of(channel.delivery()) == 1


def test_the_end_of_a_channel_counts(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1")
    for times in range(3):
        other = channel.connection.channel()
        message = fetch(peer, other, queue)
        assert count_of(message) == times
        other.close()


def test_the_end_of_a_connection_counts(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1")
    for times in range(3):
        other = peer.connect()
        message = fetch(peer, other.channel(), queue)
        assert count_of(message) == times
        other.drop()


def test_recover_counts(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1")
    for times in range(3):
        assert count_of(fetch(peer, channel, queue)) == times
        channel.do(Basic.Recover, requeue=True)


# -- the delivery limit ----------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "deliveries"), [(0, 1), (1, 2), (2, 3), (-1, 1)])
def test_it_leaves_when_it_came_back_too_often(
    peer: Any, channel: Channel, limit: int, deliveries: int
) -> None:
    grave = Cemetery(peer, channel)
    queue = peer.name("q")
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": limit, **grave.arguments}
    channel.declare(queue, durable=True, arguments=arguments)
    publish(channel, queue, b"1")
    for times in range(deliveries):
        message = fetch(peer, channel, queue)
        assert count_of(message) == times
        channel.reject(message.delivery_tag)
    dead = grave.channel.delivery()
    assert dead.body == b"1" and not dead.redelivered
    (death,) = deaths(dead)
    assert (death["reason"], death["queue"], death["count"]) == ("delivery_limit", queue, 1)
    headers: Any = dead.properties.headers
    assert headers["x-first-death-reason"] == "delivery_limit"
    assert "x-delivery-count" not in headers
    assert channel.get(queue) is None


def test_without_a_dead_letter_exchange_it_is_dropped(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel, delivery_limit=1)
    publish(channel, queue, b"1")
    channel.nack(fetch(peer, channel, queue).delivery_tag)
    channel.nack(fetch(peer, channel, queue).delivery_tag)
    channel.sync()
    assert channel.get(queue) is None


def test_channels_that_end_use_the_limit_up(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel, delivery_limit=1)
    publish(channel, queue, b"1", b"2")
    for _ in range(2):
        other = channel.connection.channel()
        assert fetch(peer, other, queue).body == b"1"
        other.close()
    assert fetch(peer, channel, queue).body == b"2"


@pytest.mark.parametrize("limit", ["2", True])
def test_a_limit_that_is_no_number_is_none(peer: Any, channel: Channel, limit: Any) -> None:
    queue = quorum(peer, channel, delivery_limit=limit)
    publish(channel, queue, b"1")
    for _ in range(30):
        channel.nack(fetch(peer, channel, queue).delivery_tag)
    assert fetch(peer, channel, queue).body == b"1"


# -- where it comes back to ------------------------------------------------------------------------


def four_of_five(peer: Any, channel: Channel, queue: str) -> list[int]:
    """Publish five messages and get four of them. Returns their delivery tags."""
    publish(channel, queue, b"1", b"2", b"3", b"4", b"5")
    return [fetch(peer, channel, queue).delivery_tag for _ in range(4)]


def nacked(peer: Any, channel: Channel, queue: str, tags: list[int]) -> None:
    """Nack these one by one, each when the one before is ready."""
    for ready, tag in enumerate(tags, 2):
        channel.nack(tag)
        channel.sync()
        peer.until(lambda ready=ready: channel.ready(queue) == ready)


def test_without_a_limit_nacked_messages_go_behind_all(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    one, _, three, four = four_of_five(peer, channel, queue)
    nacked(peer, channel, queue, [three, one, four])
    assert drain(peer, channel, queue, 4) == [b"5", b"3", b"1", b"4"]


def test_several_at_once_go_behind_in_their_order(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    four_of_five(peer, channel, queue)
    channel.nack(0, multiple=True)
    channel.sync()
    peer.until(lambda: channel.ready(queue) == 5)
    assert drain(peer, channel, queue, 5) == [b"5", b"1", b"2", b"3", b"4"]


def test_with_a_limit_they_go_ahead_of_what_is_new(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel, delivery_limit=5)
    one, _, three, four = four_of_five(peer, channel, queue)
    nacked(peer, channel, queue, [three, one, four])
    assert drain(peer, channel, queue, 4) == [b"3", b"1", b"4", b"5"]


def test_what_a_channel_leaves_goes_ahead(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    other = channel.connection.channel()
    four_of_five(peer, other, queue)
    other.close()
    peer.until(lambda: channel.ready(queue) == 5)
    assert drain(peer, channel, queue, 5) == [b"1", b"2", b"3", b"4", b"5"]


def test_a_cancelled_consumer_keeps_what_it_has(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1")
    tag = channel.consume(queue)
    message = channel.delivery()
    channel.cancel(tag)
    assert channel.get(queue) is None
    channel.nack(message.delivery_tag)
    assert count_of(fetch(peer, channel, queue)) == 1


# -- other rules -----------------------------------------------------------------------------------


def test_priorities_mean_nothing_before_4_0(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    channel.confirm()
    for body, priority in ((b"1", 0), (b"2", 9), (b"3", 0), (b"4", 5)):
        channel.publish("", queue, body, priority=priority)
    channel.confirmed()
    if not peer.oracle.since(4, 0):
        assert drain(peer, channel, queue, 4) == [b"1", b"2", b"3", b"4"]


def test_the_delivery_mode_is_left_as_it_was(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    channel.publish("", queue, b"1")
    channel.publish("", queue, b"2", delivery_mode=1)
    channel.consume(queue, no_ack=True)
    one, two = channel.deliveries(2)
    assert one.properties.delivery_mode is None
    assert two.properties.delivery_mode == 1


def test_messages_expire(peer: Any, channel: Channel) -> None:
    grave = Cemetery(peer, channel)
    queue = peer.name("q")
    arguments = {"x-queue-type": "quorum", "x-message-ttl": 100, **grave.arguments}
    channel.declare(queue, durable=True, arguments=arguments)
    channel.publish("", queue, b"1")
    channel.sync()
    let_pass(peer, channel, 150)
    assert grave.reasons(1) == [(b"1", "expired")]


def test_the_oldest_leave_where_there_is_no_room(peer: Any, channel: Channel) -> None:
    grave = Cemetery(peer, channel)
    queue = peer.name("q")
    arguments = {"x-queue-type": "quorum", "x-max-length": 2, **grave.arguments}
    channel.declare(queue, durable=True, arguments=arguments)
    publish(channel, queue, b"1", b"2", b"3")
    assert grave.reasons(1) == [(b"1", "maxlen")]
    assert drain(peer, channel, queue, 2) == [b"2", b"3"]


@pytest.mark.distances("memory", "sim", "socket", why="RabbitMQ looks every five seconds")
def test_an_unused_queue_goes_though_it_is_declared_again(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel, expires=400)
    let_pass(peer, channel, 250)
    channel.declare(queue, durable=True, arguments={"x-queue-type": "quorum", "x-expires": 400})
    let_pass(peer, channel, 400)
    peer.until(lambda: not queue_exists(channel, queue))


def test_a_purge_says_how_many(peer: Any, channel: Channel) -> None:
    queue = quorum(peer, channel)
    publish(channel, queue, b"1", b"2", b"3")
    fetch(peer, channel, queue)

    assert channel.do(Queue.Purge, queue=queue).message_count == 2


# -- a single active consumer ----------------------------------------------------------------------


def two_consumers(channel: Channel, queue: str) -> tuple[Channel, Channel]:
    """Register a consumer, and then one of a higher priority, each on its own channel."""
    low, high = channel.connection.channel(), channel.connection.channel()
    low.consume(queue, "low", arguments={"x-priority": 1})
    return low, high


def test_a_higher_priority_takes_over(peer: Any, channel: Channel) -> None:
    if not peer.oracle.since(3, 12):
        pytest.skip("since 3.12")
    queue = quorum(peer, channel, single_active_consumer=True)
    low, high = two_consumers(channel, queue)
    publish(channel, queue, b"1")
    message = low.delivery()
    high.consume(queue, "high", arguments={"x-priority": 5})
    publish(channel, queue, b"2")
    high.expect_nothing()
    low.expect_nothing()
    low.ack(message.delivery_tag)
    low.sync()
    assert high.delivery().body == b"2"


def test_it_takes_over_at_once_where_nothing_is_out(peer: Any, channel: Channel) -> None:
    if not peer.oracle.since(3, 12):
        pytest.skip("since 3.12")
    queue = quorum(peer, channel, single_active_consumer=True)
    low, high = two_consumers(channel, queue)
    high.consume(queue, "high", arguments={"x-priority": 5})
    publish(channel, queue, b"1")
    assert high.delivery().body == b"1"
    high.cancel("high")
    publish(channel, queue, b"2")
    assert low.delivery().body == b"2"


# -- dead letters at least once --------------------------------------------------------------------


def safe(peer: Any, channel: Channel, exchange: str, **arguments: Any) -> str:
    """Declare a quorum queue whose dead letters are not to be lost."""
    return quorum(
        peer,
        channel,
        dead_letter_exchange=exchange,
        dead_letter_strategy="at-least-once",
        overflow="reject-publish",
        **arguments,
    )


def test_a_dead_letter_comes_as_usual(peer: Any, channel: Channel) -> None:
    grave = Cemetery(peer, channel)
    queue = safe(peer, channel, grave.exchange)
    publish(channel, queue, b"1")
    channel.reject(fetch(peer, channel, queue).delivery_tag, requeue=False)
    assert grave.reasons(1) == [(b"1", "rejected")]


def test_a_dead_letter_without_a_way_waits_for_one(peer: Any, channel: Channel) -> None:
    exchange, grave = peer.name("dlx"), peer.name("dead")
    queue = safe(peer, channel, exchange)
    publish(channel, queue, b"1")
    channel.reject(fetch(peer, channel, queue).delivery_tag, requeue=False)
    channel.sync()
    assert channel.get(queue) is None
    channel.declare_exchange(exchange, "fanout")
    channel.declare(grave)
    channel.bind(grave, exchange)
    channel.consume(grave, no_ack=True)
    if peer.distance == "rabbitmq":
        return  # it tries again after minutes
    let_pass(peer, channel, 1100)
    dead = channel.delivery()
    assert dead.body == b"1" and deaths(dead)[0]["reason"] == "rejected"


def test_without_the_strategy_it_is_lost(peer: Any, channel: Channel) -> None:
    exchange, grave = peer.name("dlx"), peer.name("dead")
    queue = quorum(peer, channel, dead_letter_exchange=exchange, overflow="reject-publish")
    publish(channel, queue, b"1")
    channel.reject(fetch(peer, channel, queue).delivery_tag, requeue=False)
    channel.sync()
    channel.declare_exchange(exchange, "fanout")
    channel.declare(grave)
    channel.bind(grave, exchange)
    let_pass(peer, channel, 1100)
    assert channel.get(grave) is None


def test_a_full_queue_makes_it_wait(peer: Any, channel: Channel) -> None:
    grave = peer.name("dead")
    channel.declare(grave, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    queue = safe(peer, channel, "", dead_letter_routing_key=grave)
    publish(channel, queue, b"1", b"2")
    for _ in range(2):
        channel.reject(fetch(peer, channel, queue).delivery_tag, requeue=False)
    channel.sync()
    if peer.distance == "rabbitmq":
        return  # it tries again after minutes
    assert fetch(peer, channel, grave).body == b"1"
    let_pass(peer, channel, 1100)
    assert fetch(peer, channel, grave).body == b"2"


def test_a_purge_takes_them_too(peer: Any, channel: Channel) -> None:

    queue = safe(peer, channel, peer.name("dlx"))
    publish(channel, queue, b"1", b"2")
    channel.reject(fetch(peer, channel, queue).delivery_tag, requeue=False)
    channel.sync()
    assert channel.do(Queue.Purge, queue=queue).message_count == 1
    assert channel.get(queue) is None
