"""basic.qos: RabbitMQ's per-consumer and per-channel windows (RabbitMQ: consumer prefetch)."""

from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers.channel import Channel
from tests.peers.errors import connection_error


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with ten messages."""
    name = peer.name("q")
    channel.declare(name)
    for number in range(1, 11):
        channel.publish("", name, str(number).encode())
    channel.sync()
    return name


def test_a_window_bounds_what_is_unacked(channel: Channel, queue: str) -> None:
    channel.qos(3)
    channel.consume(queue)
    first, second, third = channel.deliveries(3)
    channel.expect_nothing(queue)
    channel.ack(second.delivery_tag)
    assert channel.delivery().body == b"4"
    channel.ack(third.delivery_tag, multiple=True)
    assert [one.body for one in channel.deliveries(2)] == [b"5", b"6"]
    channel.expect_nothing(queue)
    assert first.body == b"1"


@pytest.mark.parametrize("how", ["ack", "reject", "nack"])
def test_settling_in_any_way_makes_room(channel: Channel, queue: str, how: str) -> None:
    channel.qos(1)
    channel.consume(queue)
    tag = channel.delivery().delivery_tag
    channel.expect_nothing(queue)
    if how == "ack":
        channel.ack(tag)
    elif how == "reject":
        channel.reject(tag, requeue=False)
    else:
        channel.nack(tag, requeue=False)
    assert channel.delivery().body == b"2"
    channel.expect_nothing(queue)


def test_a_requeued_message_comes_again_at_once(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue)
    for redelivered in (False, True, True):
        delivery = channel.delivery()
        assert (delivery.body, delivery.redelivered) == (b"1", redelivered)
        channel.nack(delivery.delivery_tag)


def test_zero_is_no_limit(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.qos(0)
    channel.consume(queue)
    assert len(channel.deliveries(10)) == 10


def test_each_consumer_has_a_window_of_its_own(channel: Channel, queue: str) -> None:
    channel.qos(2)
    for tag in ("a", "b"):
        channel.consume(queue, tag)
    tags = [delivery.consumer_tag for delivery in channel.deliveries(4)]
    assert sorted(tags) == ["a", "a", "b", "b"]
    channel.expect_nothing(queue)


def test_a_window_counts_for_consumers_started_later(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue, "small")
    channel.qos(3)
    channel.consume(queue, "large")
    tags = [delivery.consumer_tag for delivery in channel.deliveries(4)]
    assert sorted(tags) == ["large", "large", "large", "small"]
    channel.expect_nothing(queue)


def test_a_window_is_of_one_channel(channel: Channel, queue: str) -> None:
    channel.qos(1)
    other = channel.connection.channel()
    other.consume(queue)
    assert len(other.deliveries(10)) == 10


def test_consumers_without_acks_have_no_window(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue, no_ack=True)
    assert len(channel.deliveries(10)) == 10


def test_get_has_no_window(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.qos(1, global_=True)
    assert [channel.get(queue).body for _ in range(3)] == [b"1", b"2", b"3"]


# -- the window of the channel ---------------------------------------------------------------------


def test_a_global_window_is_shared_by_the_channels_consumers(
    channel: Channel, queue: str
) -> None:
    channel.qos(3, global_=True)
    for tag in ("a", "b"):
        channel.consume(queue, tag)
    deliveries = channel.deliveries(3)
    channel.expect_nothing(queue)
    channel.ack(deliveries[0].delivery_tag)
    assert channel.delivery().body == b"4"
    channel.expect_nothing(queue)


def test_a_global_window_is_of_one_channel(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    for one in (channel, other):
        one.qos(2, global_=True)
        one.consume(queue)
    assert len(channel.deliveries(2)) == 2
    assert len(other.deliveries(2)) == 2
    channel.expect_nothing(queue)
    other.expect_nothing(queue)


def test_both_windows_count(channel: Channel, queue: str) -> None:
    channel.qos(2)
    channel.qos(3, global_=True)
    for tag in ("a", "b"):
        channel.consume(queue, tag)
    tags = [delivery.consumer_tag for delivery in channel.deliveries(3)]
    assert sorted(tags) in (["a", "a", "b"], ["a", "b", "b"])
    channel.expect_nothing(queue)


def test_a_global_window_can_grow(channel: Channel, queue: str) -> None:
    channel.qos(1, global_=True)
    channel.consume(queue)
    channel.delivery()
    channel.expect_nothing(queue)
    channel.qos(3, global_=True)
    assert len(channel.deliveries(2)) == 2
    channel.expect_nothing(queue)


def test_a_global_window_can_be_removed(channel: Channel, queue: str) -> None:
    channel.qos(1, global_=True)
    channel.consume(queue)
    channel.delivery()
    channel.expect_nothing(queue)
    channel.qos(0, global_=True)
    assert len(channel.deliveries(9)) == 9


def test_a_global_window_can_shrink_below_what_is_out(channel: Channel, queue: str) -> None:
    channel.qos(4, global_=True)
    channel.consume(queue)
    deliveries = channel.deliveries(4)
    channel.qos(2, global_=True)
    channel.ack(deliveries[1].delivery_tag, multiple=True)
    channel.expect_nothing(queue)
    channel.ack(deliveries[2].delivery_tag)
    assert channel.delivery().body == b"5"
    channel.expect_nothing(queue)


def test_gets_before_it_count_towards_a_global_window(
    peer: Any, channel: Channel, queue: str
) -> None:
    first = channel.get(queue)
    channel.qos(2, global_=True)
    channel.consume(queue)
    assert channel.delivery().body == b"2"
    channel.expect_nothing(queue)
    channel.ack(first.delivery_tag)
    if not peer.oracle.is_rabbitmq:  # which has forgotten that the get took room
        assert channel.delivery().body == b"3"
    channel.expect_nothing(queue)


def test_gets_after_it_count_towards_a_global_window_but_not_in_rabbitmq(
    peer: Any, channel: Channel, queue: str
) -> None:
    channel.qos(2, global_=True)
    channel.get(queue)
    channel.consume(queue)
    assert channel.delivery().body == b"2"
    if peer.oracle.is_rabbitmq:  # "Pretty obscure though", says its source
        assert channel.delivery().body == b"3"
    channel.expect_nothing(queue)


def test_a_window_per_consumer_removes_that_of_the_channel(channel: Channel, queue: str) -> None:
    channel.qos(1, global_=True)
    channel.qos(3)
    channel.consume(queue)
    assert len(channel.deliveries(3)) == 3
    channel.expect_nothing(queue)


def test_consumers_without_acks_are_not_in_a_global_window(channel: Channel, queue: str) -> None:
    channel.qos(1, global_=True)
    channel.consume(queue, no_ack=True)
    assert len(channel.deliveries(10)) == 10


def test_a_full_window_stops_consumers_without_acks_too(
    peer: Any, channel: Channel, queue: str
) -> None:
    other = peer.name("other")
    channel.declare(other)
    channel.publish("", other, b"waits")
    channel.qos(1, global_=True)
    channel.consume(queue)
    first = channel.delivery()
    channel.consume(other, "without", no_ack=True)
    channel.expect_nothing(other)
    channel.cancel("without")
    channel.ack(first.delivery_tag)
    channel.delivery()


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("global_", [False, True])
def test_a_prefetch_size_is_not_implemented(channel: Channel, global_: bool) -> None:
    with connection_error(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1000)", Basic.Qos):
        channel.qos(1, global_=global_, prefetch_size=1000)
