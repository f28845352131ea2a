"""tx.select, commit and rollback (spec 1.9; RabbitMQ: semantics of tx)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Confirm, Tx

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with three messages; the channel is transactional."""
    name = peer.name("q")
    channel.declare(name)
    for body in (b"a", b"b", b"c"):
        channel.publish("", name, body)
    channel.call(Tx.Select())
    return name


@pytest.fixture
def other(channel: Channel) -> Channel:
    """A channel beside the transactional one."""
    return channel.connection.channel()


def test_publishes_are_held_until_commit(peer: Any, channel: Channel, other: Channel) -> None:
    name = peer.name("q")
    channel.declare(name)
    channel.call(Tx.Select())
    channel.publish("", name, b"1")
    channel.publish("", name, b"2")
    channel.sync()
    assert other.get(name) is None
    channel.call(Tx.Commit())
    assert other.bodies(name) == [b"1", b"2"]


def test_publishes_are_forgotten_by_rollback(peer: Any, channel: Channel, other: Channel) -> None:
    name = peer.name("q")
    channel.declare(name)
    channel.call(Tx.Select())
    channel.publish("", name, b"1")
    channel.call(Tx.Rollback())
    channel.publish("", name, b"2")
    channel.call(Tx.Commit())
    assert other.bodies(name) == [b"2"]


def test_acks_are_held_until_commit(channel: Channel, other: Channel, queue: str) -> None:
    channel.ack(channel.get(queue).delivery_tag)
    channel.call(Tx.Commit())
    channel.ack(channel.get(queue).delivery_tag)
    channel.close()
    assert other.bodies(queue) == [b"b", b"c"]


def test_acks_are_taken_back_by_rollback(channel: Channel, queue: str) -> None:
    tag = channel.get(queue).delivery_tag
    channel.ack(tag)
    channel.call(Tx.Rollback())
    channel.ack(tag)
    channel.call(Tx.Commit())
    assert channel.bodies(queue) == [b"b", b"c"]


def test_rollback_delivers_nothing_again(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue)
    channel.ack(channel.delivery().delivery_tag)
    channel.call(Tx.Rollback())
    channel.expect_nothing(queue)


@pytest.mark.parametrize("how", ["nack", "reject"])
def test_requeues_are_held_until_commit(
    channel: Channel, other: Channel, queue: str, how: str
) -> None:
    message = channel.get(queue)
    getattr(channel, how)(message.delivery_tag)
    channel.sync()
    assert other.get(queue, no_ack=True).body == b"b"
    channel.call(Tx.Commit())
    again = other.get(queue, no_ack=True)
    assert (again.body, again.redelivered) == (b"a", True)


def test_discards_are_held_until_commit(channel: Channel, other: Channel, queue: str) -> None:
    channel.reject(channel.get(queue).delivery_tag, requeue=False)
    channel.call(Tx.Commit())
    channel.nack(channel.get(queue).delivery_tag, requeue=False)
    channel.close()
    assert other.bodies(queue) == [b"b", b"c"]


def test_a_held_ack_makes_no_room(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue)
    channel.ack(channel.delivery().delivery_tag)
    channel.expect_nothing(queue)
    channel.call(Tx.Commit())
    assert channel.delivery().body == b"b"


def test_deliveries_go_on_in_a_transaction(channel: Channel, queue: str) -> None:
    channel.consume(queue)
    assert [delivery.body for delivery in channel.deliveries(3)] == [b"a", b"b", b"c"]


def test_publishes_and_acks_are_committed_together(
    peer: Any, channel: Channel, other: Channel, queue: str
) -> None:
    target = peer.name("target")
    channel.declare(target)
    for _ in range(3):
        message = channel.get(queue)
        channel.publish("", target, message.body)
        channel.ack(message.delivery_tag)
    channel.call(Tx.Commit())
    channel.close()
    assert other.bodies(queue) == []
    assert other.bodies(target) == [b"a", b"b", b"c"]


def test_what_was_not_committed_is_lost_with_the_channel(
    channel: Channel, other: Channel, queue: str
) -> None:
    channel.ack(channel.get(queue).delivery_tag)
    channel.publish("", queue, b"d")
    channel.close()
    assert other.bodies(queue) == [b"a", b"b", b"c"]


def test_returns_come_before_commit_ok(peer: Any, channel: Channel) -> None:
    channel.call(Tx.Select())
    missing = peer.name("missing")
    channel.publish("", missing, b"1", mandatory=True)
    channel.publish("", missing, b"2")
    channel.expect_nothing()
    channel.send(Tx.Commit())
    assert channel.expect(Basic.Return).body == b"1"
    channel.expect(Tx.CommitOk)


def test_rollback_returns_nothing(peer: Any, channel: Channel) -> None:
    channel.call(Tx.Select())
    channel.publish("", peer.name("missing"), mandatory=True)
    channel.call(Tx.Rollback())
    channel.call(Tx.Commit())
    channel.expect_nothing()


def test_where_a_message_goes_is_decided_when_it_is_published(
    peer: Any, channel: Channel, other: Channel
) -> None:
    exchange, name = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(name)
    channel.call(Tx.Select())
    channel.publish(exchange, "k", b"too early")
    channel.sync()
    other.bind(name, exchange, "k")
    channel.publish(exchange, "k", b"in time")
    channel.sync()
    other.unbind(name, exchange, "k")
    channel.call(Tx.Commit())
    assert other.bodies(name) == [b"in time"]


def test_errors_of_a_publish_come_at_once(peer: Any, channel: Channel, queue: str) -> None:
    exchange = peer.name("x")
    channel.publish(exchange, "k")
    with channel_error(404, texts.no_exchange(exchange), Basic.Publish):
        channel.expect_close()


def test_an_unknown_tag_is_refused_at_once(channel: Channel, queue: str) -> None:
    channel.ack(5)
    with channel_error(406, "PRECONDITION_FAILED - unknown delivery tag 5", Basic.Ack):
        channel.expect_close()


def test_empty_transactions_commit(channel: Channel) -> None:
    channel.call(Tx.Select())
    channel.call(Tx.Select())
    channel.call(Tx.Commit())
    channel.call(Tx.Rollback())
    channel.call(Tx.Commit())


@pytest.mark.parametrize("kind", [Tx.Commit, Tx.Rollback])
def test_there_is_nothing_to_end_without_select(channel: Channel, kind: Any) -> None:
    with channel_error(406, "PRECONDITION_FAILED - channel is not transactional", kind):
        channel.call(kind())


def test_a_confirming_channel_cannot_be_transactional(channel: Channel) -> None:
    channel.confirm()
    text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode"
    with channel_error(406, text, Tx.Select):
        channel.call(Tx.Select())


def test_a_transactional_channel_cannot_confirm(channel: Channel) -> None:
    channel.call(Tx.Select())
    text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode"
    with channel_error(406, text, Confirm.Select):
        channel.call(Confirm.Select())


def test_persistent_messages_are_committed(peer: Any, channel: Channel, other: Channel) -> None:
    name = peer.name("q")
    channel.declare(name, durable=True)
    channel.call(Tx.Select())
    for number in range(100):
        channel.publish("", name, str(number).encode(), delivery_mode=2)
    channel.call(Tx.Commit())
    assert other.bodies(name) == [str(number).encode() for number in range(100)]
