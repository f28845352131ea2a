"""Queues that serve one consumer at a time (RabbitMQ: single active consumer)."""

from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers.channel import Channel
from tests.peers.errors import channel_error


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with a single active consumer."""
    name: str = peer.name("q")
    channel.declare(name, arguments={"x-single-active-consumer": True})
    return name


def consumers(channel: Channel, queue: str, *priorities: int) -> list[Channel]:
    """Register consumers, each on a channel of its own, in this order."""
    made = []
    for priority in priorities:
        other = channel.connection.channel()
        other.consume(queue, "c", arguments={"x-priority": priority})
        made.append(other)
    return made


def publish(channel: Channel, queue: str, *bodies: bytes) -> None:
    """Publish these, and wait until that is done."""
    for body in bodies:
        channel.publish("", queue, body)
    channel.sync()


def test_the_first_gets_everything(channel: Channel, queue: str) -> None:
    first, second = consumers(channel, queue, 0, 0)
    publish(channel, queue, b"1", b"2", b"3")
    assert [delivery.body for delivery in first.deliveries(3)] == [b"1", b"2", b"3"]
    second.expect_nothing(queue)


def test_all_are_counted(channel: Channel, queue: str) -> None:
    consumers(channel, queue, 0, 0, 0)
    assert channel.declare(queue, passive=True).consumer_count == 3


def test_the_next_is_the_one_that_has_waited_longest(channel: Channel, queue: str) -> None:
    first, second, third = consumers(channel, queue, 0, 0, 0)
    first.cancel("c")
    publish(channel, queue, b"1")
    assert second.delivery().body == b"1"
    second.cancel("c")
    publish(channel, queue, b"2")
    assert third.delivery().body == b"2"
    first.consume(queue, "again")
    third.cancel("c")
    publish(channel, queue, b"3")
    assert first.delivery().body == b"3"


def test_the_next_is_the_one_of_the_highest_priority(channel: Channel, queue: str) -> None:
    first, *others = consumers(channel, queue, 0, 1, 5, 5, 3)
    publish(channel, queue, b"0")
    assert first.delivery().body == b"0"
    for number, index in enumerate((1, 2, 3, 0)):
        first.cancel("c")
        first = others[index]
        body = str(number).encode()
        publish(channel, queue, body)
        assert first.delivery().body == body


def test_a_higher_priority_does_not_take_over(channel: Channel, queue: str) -> None:
    low, high = consumers(channel, queue, 0, 10)
    publish(channel, queue, b"1")
    assert low.delivery().body == b"1"
    high.expect_nothing(queue)


def test_one_without_room_is_not_replaced(channel: Channel, queue: str) -> None:
    first = channel.connection.channel()
    first.qos(1)
    first.consume(queue)
    (second,) = consumers(channel, queue, 0)
    publish(channel, queue, b"1", b"2")
    message = first.delivery()
    second.expect_nothing(queue)
    channel.expect_ready(queue, 1)
    first.ack(message.delivery_tag)
    assert first.delivery().body == b"2"
    second.expect_nothing(queue)


@pytest.mark.parametrize("how", ["cancel", "channel", "connection"])
def test_when_it_goes_the_next_takes_over(
    peer: Any, queue: str, channel: Channel, how: str
) -> None:
    connection = peer.connect()
    first = connection.channel()
    first.qos(2)
    tag = first.consume(queue)
    (second,) = consumers(channel, queue, 0)
    publish(channel, queue, b"1", b"2", b"3")
    assert [delivery.body for delivery in first.deliveries(2)] == [b"1", b"2"]
    second.expect_nothing(queue)
    if how == "cancel":
        first.cancel(tag)
        first.nack(0, multiple=True)  # before that RabbitMQ gives the next one nothing
        assert sorted(found.body for found in second.deliveries(3)) == [b"1", b"2", b"3"]
        return
    if how == "channel":
        first.close()
    else:
        connection.drop()
    found = second.deliveries(3)
    assert [delivery.body for delivery in found] == [b"1", b"2", b"3"]
    assert [delivery.redelivered for delivery in found] == [True, True, False]


def test_unacked_messages_stay_with_a_cancelled_consumer(channel: Channel, queue: str) -> None:
    first, second = consumers(channel, queue, 0, 0)
    publish(channel, queue, b"1")
    message = first.delivery()
    first.cancel("c")
    publish(channel, queue, b"2")
    assert second.delivery().body == b"2"
    first.ack(message.delivery_tag)
    second.expect_nothing(queue)


def test_when_a_waiting_one_goes_nothing_changes(channel: Channel, queue: str) -> None:
    first, second, third = consumers(channel, queue, 0, 0, 0)
    second.cancel("c")
    publish(channel, queue, b"1")
    assert first.delivery().body == b"1"
    first.cancel("c")
    publish(channel, queue, b"2")
    assert third.delivery().body == b"2"


def test_when_all_are_gone_the_next_to_come_is_active(channel: Channel, queue: str) -> None:
    (first,) = consumers(channel, queue, 0)
    first.cancel("c")
    publish(channel, queue, b"1")
    channel.expect_ready(queue, 1)
    (second,) = consumers(channel, queue, -1)
    assert second.delivery().body == b"1"


@pytest.mark.parametrize("count", [0, 1])
def test_exclusive_consumers_are_refused(channel: Channel, queue: str, count: int) -> None:
    consumers(channel, queue, *[0] * count)
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with channel_error(403, text, Basic.Consume):
        channel.consume(queue, exclusive=True)


def test_a_get_goes_past_it(channel: Channel, queue: str) -> None:
    first = channel.connection.channel()
    first.qos(1)
    first.consume(queue)
    publish(channel, queue, b"1", b"2")
    assert first.delivery().body == b"1"
    assert channel.get(queue, no_ack=True).body == b"2"


def test_false_is_no_single_active_consumer(peer: Any, channel: Channel) -> None:
    name = peer.name("q")
    channel.declare(name, arguments={"x-single-active-consumer": False})
    first, second = consumers(channel, name, 0, 0)
    publish(channel, name, b"1", b"2")
    assert first.delivery().body == b"1"
    assert second.delivery().body == b"2"


def test_all_learn_that_the_queue_is_gone(channel: Channel, queue: str) -> None:
    made = consumers(channel, queue, 0, 0)
    channel.delete(queue)
    for other in made:
        assert other.expect(Basic.Cancel).consumer_tag == "c"
