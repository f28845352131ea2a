"""Queues that deliver what is urgent first (RabbitMQ: priority queues)."""

from typing import Any

import pytest

from tests.peers.channel import Channel


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with priorities up to 5."""
    name: str = peer.name("q")
    channel.declare(name, arguments={"x-max-priority": 5})
    return name


def publish(channel: Channel, queue: str, *priorities: int | None) -> None:
    """Publish messages whose bodies are their priority and number."""
    for number, priority in enumerate(priorities):
        channel.publish("", queue, f"{priority}.{number}".encode(), priority=priority)


def test_the_highest_come_first(channel: Channel, queue: str) -> None:
    publish(channel, queue, 1, 5, 3, 2, 4)
    assert channel.bodies(queue) == [b"5.1", b"4.4", b"3.2", b"2.3", b"1.0"]


def test_equal_priorities_keep_their_order(channel: Channel, queue: str) -> None:
    publish(channel, queue, 2, 3, 2, 3, 2)
    assert channel.bodies(queue) == [b"3.1", b"3.3", b"2.0", b"2.2", b"2.4"]


def test_none_is_the_lowest(channel: Channel, queue: str) -> None:
    publish(channel, queue, None, 1, 0, None)
    assert channel.bodies(queue) == [b"1.1", b"None.0", b"0.2", b"None.3"]


def test_priorities_over_the_maximum_are_the_maximum(channel: Channel, queue: str) -> None:
    publish(channel, queue, 4, 5, 200, 5, 6, 255)
    assert channel.bodies(queue) == [b"5.1", b"200.2", b"5.3", b"6.4", b"255.5", b"4.0"]


def test_the_property_stays_as_it_was(channel: Channel, queue: str) -> None:
    publish(channel, queue, 200)
    assert channel.get(queue, no_ack=True).properties.priority == 200


@pytest.mark.parametrize("highest", [0, 1])
def test_the_lowest_maximum_has_two_priorities(peer: Any, channel: Channel, highest: int) -> None:
    name = peer.name("q")
    channel.declare(name, arguments={"x-max-priority": highest})
    publish(channel, name, 0, 1, 2)
    wanted = [b"1.1", b"2.2", b"0.0"]
    if highest == 0 and not peer.oracle.since(3, 13):
        wanted = [b"0.0", b"1.1", b"2.2"]  # none at all, in 3.10 at least
    assert channel.bodies(name) == wanted


def test_without_a_maximum_there_are_none(peer: Any, channel: Channel) -> None:
    name = peer.name("q")
    channel.declare(name)
    publish(channel, name, 1, 5, 3)
    assert channel.bodies(name) == [b"1.0", b"5.1", b"3.2"]


def test_what_comes_back_goes_to_its_old_place(channel: Channel, queue: str) -> None:
    publish(channel, queue, 1, 3, 3, 1)
    low_and_high = [channel.get(queue) for _ in range(3)]
    assert [message.body for message in low_and_high] == [b"3.1", b"3.2", b"1.0"]
    publish(channel, queue, 3, 2)
    channel.nack(low_and_high[-1].delivery_tag, multiple=True)
    found = [channel.get(queue) for _ in range(6)]
    wanted = [b"3.1", b"3.2", b"3.0", b"2.1", b"1.0", b"1.3"]
    assert [message.body for message in found] == wanted
    assert [message.redelivered for message in found] == [True, True, False, False, True, False]


def test_what_was_delivered_is_not_overtaken(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue)
    publish(channel, queue, 1, 2, 5)
    first = channel.delivery()
    assert first.body == b"1.0"
    channel.ack(first.delivery_tag)
    assert channel.delivery().body == b"5.2"


def test_what_the_consumer_had_comes_back_first_again(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    other.consume(queue)
    publish(channel, queue, 1, 5, 3)
    other.deliveries(3)
    other.close()
    assert channel.bodies(queue) == [b"5.1", b"3.2", b"1.0"]


def test_all_of_them_are_counted_and_purged(channel: Channel, queue: str) -> None:
    publish(channel, queue, 1, 5, 3, None)
    channel.expect_ready(queue, 4)
    assert channel.delete(queue).message_count == 4


@pytest.mark.parametrize("durable", [False, True])
def test_many_of_all_priorities(peer: Any, channel: Channel, durable: bool) -> None:
    name = peer.name("q")
    channel.declare(name, durable=durable, arguments={"x-max-priority": 10})
    priorities = [number * 7 % 11 for number in range(300)]
    for number, priority in enumerate(priorities):
        channel.publish("", name, str(number).encode(), priority=priority, delivery_mode=2)
    wanted = sorted(range(300), key=lambda number: (-priorities[number], number))
    assert channel.bodies(name) == [str(number).encode() for number in wanted]
