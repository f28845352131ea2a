"""confirm.select and the acks of the broker (RabbitMQ: publisher confirms)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Confirm

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue; the channel is in confirm mode."""
    name = peer.name("q")
    channel.declare(name)
    channel.confirm()
    return name


def test_a_publish_is_confirmed_when_it_is_in_its_queue(channel: Channel, queue: str) -> None:
    channel.publish("", queue, b"1")
    ack = channel.expect(Basic.Ack)
    assert ack.delivery_tag == 1
    channel.publish("", queue, b"2")
    assert channel.expect(Basic.Ack).delivery_tag == 2
    assert channel.connection.channel().bodies(queue) == [b"1", b"2"]


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("mode", [None, 1, 2])
def test_every_publish_is_confirmed_once(
    peer: Any, channel: Channel, durable: bool, mode: int | None
) -> None:
    name = peer.name("q")
    channel.declare(name, durable=durable)
    channel.confirm()
    with peer.one_turn():
        for _ in range(100):
            channel.publish("", name, b"body", delivery_mode=mode)
    channel.confirmed()
    channel.expect_nothing()
    channel.expect_ready(name, 100)


def test_unroutable_publishes_are_confirmed(peer: Any, channel: Channel, queue: str) -> None:
    channel.publish("", peer.name("missing"))
    channel.publish("amq.fanout", "k")
    channel.confirmed()


def test_a_return_comes_before_its_ack(peer: Any, channel: Channel, queue: str) -> None:
    missing = peer.name("missing")
    channel.publish("", missing, b"1", mandatory=True)
    assert channel.expect(Basic.Return).body == b"1"
    assert channel.expect(Basic.Ack).delivery_tag == 1


def test_returns_and_acks_of_many_come_in_order(peer: Any, channel: Channel, queue: str) -> None:
    missing = peer.name("missing")
    with peer.one_turn():
        for number in range(10):
            key = missing if number % 2 else queue
            channel.publish("", key, str(number).encode(), mandatory=True)
    confirmed: set[int] = set()
    returned = []
    while len(confirmed) < 10:
        (item,) = channel.take()
        if isinstance(item, Basic.Ack):
            first = 1 if item.multiple else item.delivery_tag
            confirmed |= set(range(first, item.delivery_tag + 1))
        else:
            assert item.reply_code == 312
            returned.append(int(item.body))
            assert int(item.body) + 1 not in confirmed
    assert returned == [1, 3, 5, 7, 9]


def test_a_publish_to_many_queues_is_confirmed_once(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    for durable in (False, True):
        name = peer.name("q")
        channel.declare(name, durable=durable)
        channel.bind(name, exchange)
    channel.confirm()
    channel.publish(exchange, "", delivery_mode=2)
    channel.confirmed()
    channel.expect_nothing()


def test_what_a_consumer_gets_at_once_is_confirmed(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    other.consume(queue, no_ack=True)
    channel.publish("", queue, b"1", delivery_mode=2)
    assert other.delivery().body == b"1"
    channel.confirmed()


def test_publishes_before_select_are_not_counted(peer: Any, channel: Channel) -> None:
    name = peer.name("q")
    channel.declare(name)
    channel.publish("", name)
    channel.confirm()
    channel.publish("", name)
    assert channel.expect(Basic.Ack).delivery_tag == 1
    channel.expect_nothing()


def test_selecting_again_changes_nothing(channel: Channel, queue: str) -> None:
    channel.publish("", queue)
    assert channel.expect(Basic.Ack).delivery_tag == 1
    channel.call(Confirm.Select())
    channel.publish("", queue)
    assert channel.expect(Basic.Ack).delivery_tag == 2


def test_selecting_without_waiting_selects(peer: Any, channel: Channel) -> None:
    channel.call(Confirm.Select(nowait=True))
    channel.publish("", peer.name("missing"))
    assert channel.expect(Basic.Ack).delivery_tag == 1


def test_each_channel_counts_for_itself(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    other.confirm()
    channel.publish("", queue)
    channel.confirmed()
    other.publish("", queue)
    assert other.expect(Basic.Ack).delivery_tag == 1
    channel.expect_nothing()


def test_a_refused_publish_is_not_confirmed(peer: Any, channel: Channel, queue: str) -> None:
    exchange = peer.name("x")
    channel.publish(exchange, "k")
    with channel_error(404, texts.no_exchange(exchange), Basic.Publish):
        channel.expect_close()
    assert not channel.inbox


def test_what_was_published_before_a_refusal_may_be_confirmed(
    peer: Any, channel: Channel, queue: str
) -> None:
    exchange = peer.name("x")
    with peer.one_turn():
        channel.publish("", queue, b"1")
        channel.publish(exchange, "k")
    with channel_error(404, texts.no_exchange(exchange), Basic.Publish):
        channel.expect_close()
    assert all(isinstance(item, Basic.Ack) and item.delivery_tag == 1 for item in channel.inbox)
    assert channel.connection.channel().bodies(queue) == [b"1"]


def test_confirms_and_deliveries_share_a_channel(channel: Channel, queue: str) -> None:
    channel.consume(queue)
    for number in range(10):
        channel.publish("", queue, str(number).encode())
    deliveries = channel.deliveries(10)
    channel.confirmed()
    assert [delivery.delivery_tag for delivery in deliveries] == list(range(1, 11))
    channel.ack(10, multiple=True)
    channel.expect_nothing(queue)


def test_a_deleted_queue_confirms_what_it_had(channel: Channel, queue: str) -> None:
    for _ in range(10):
        channel.publish("", queue, delivery_mode=2)
    channel.connection.channel().delete(queue)
    channel.confirmed()
