"""queue.bind, unbind, purge and delete (spec 1.7; RabbitMQ's rules and texts)."""

from typing import Any

import pytest
from pamqp.commands import Queue

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts
from tests.scenarios.things import queue_exists

# -- bind ------------------------------------------------------------------------------------------


def test_binding_to_a_missing_exchange_is_a_404(peer: Any, channel: Channel) -> None:
    queue, exchange = peer.name("q"), peer.name("x")
    channel.declare(queue)
    with channel_error(404, texts.no_exchange(exchange), Queue.Bind):
        channel.bind(queue, exchange, "k")


def test_binding_a_missing_queue_is_a_404(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    with channel_error(404, texts.no_queue(queue), Queue.Bind):
        channel.bind(queue, "amq.direct", "k")


def test_one_of_two_missing_ends_is_named(peer: Any, channel: Channel) -> None:
    queue, exchange = peer.name("q"), peer.name("x")
    with channel_error(404, texts.no_exchange(exchange), Queue.Bind):
        channel.bind(queue, exchange, "k")


@pytest.mark.parametrize("kind", [Queue.Bind, Queue.Unbind])
def test_the_default_exchange_has_no_bindings_of_clients(
    peer: Any, channel: Channel, kind: Any
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    with channel_error(403, texts.DEFAULT_EXCHANGE, kind):
        channel.do(kind, queue=queue, exchange="", routing_key="k")


def test_binding_twice_is_one_binding(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k")
    channel.bind(queue, exchange, "k")
    channel.publish(exchange, "k", b"once")
    channel.unbind(queue, exchange, "k")
    channel.publish(exchange, "k", b"never")
    assert channel.bodies(queue) == [b"once"]


def test_arguments_make_another_binding(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k", arguments={"a": 1})
    channel.bind(queue, exchange, "k")
    channel.unbind(queue, exchange, "k")
    channel.publish(exchange, "k", b"once")
    channel.unbind(queue, exchange, "k", arguments={"a": 1})
    channel.publish(exchange, "k", b"never")
    assert channel.bodies(queue) == [b"once"]


def test_unbinding_what_is_not_there_succeeds(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.unbind(queue, exchange, "k")
    channel.declare(queue)
    channel.unbind(queue, exchange, "k")
    channel.declare_exchange(exchange)
    channel.unbind(queue, exchange, "k")
    channel.unbind(peer.name("missing"), exchange, "k")


def test_binding_without_waiting_binds(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k", nowait=True)
    channel.publish(exchange, "k", b"1")
    assert channel.bodies(queue) == [b"1"]
    channel.expect_nothing()


# -- purge -----------------------------------------------------------------------------------------


def test_purging_empties_a_queue_and_counts(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    assert channel.do(Queue.Purge, queue=queue).message_count == 0
    for _ in range(3):
        channel.publish("", queue)
    assert channel.do(Queue.Purge, queue=queue).message_count == 3
    assert channel.bodies(queue) == []


def test_purging_leaves_what_was_delivered(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    for body in (b"1", b"2", b"3"):
        channel.publish("", queue, body)
    message = channel.get(queue)
    assert channel.do(Queue.Purge, queue=queue).message_count == 2
    channel.nack(message.delivery_tag)
    assert channel.bodies(queue) == [b"1"]


def test_purging_a_missing_queue_is_a_404(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    with channel_error(404, texts.no_queue(queue), Queue.Purge):
        channel.do(Queue.Purge, queue=queue)


def test_purging_without_waiting_purges(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue)
    channel.do(Queue.Purge, queue=queue, nowait=True)
    assert channel.bodies(queue) == []
    channel.expect_nothing()


# -- delete ----------------------------------------------------------------------------------------


def test_deleting_counts_ready_messages(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    for _ in range(3):
        channel.publish("", queue)
    channel.get(queue)
    assert channel.delete(queue).message_count == 2
    assert not queue_exists(channel, queue)


def test_deleting_a_missing_queue_succeeds(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    assert channel.delete(queue).message_count == 0
    assert channel.delete(queue, if_unused=True, if_empty=True).message_count == 0


def test_if_unused_refuses_a_queue_with_consumers(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    tag = channel.consume(queue)
    other = channel.connection.channel()
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"
    with channel_error(406, text, Queue.Delete):
        other.delete(queue, if_unused=True)
    channel.cancel(tag)
    channel.delete(queue, if_unused=True)


def test_if_empty_refuses_a_queue_with_ready_messages(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue)
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    with channel_error(406, text, Queue.Delete):
        channel.delete(queue, if_empty=True)


def test_if_empty_does_not_count_what_was_delivered(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue)
    channel.get(queue)
    channel.delete(queue, if_empty=True)


def test_not_empty_comes_before_in_use(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.qos(1)
    channel.consume(queue)
    channel.publish("", queue)
    channel.publish("", queue)
    channel.expect_ready(queue, 1)
    other = channel.connection.channel()
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    with channel_error(406, text, Queue.Delete):
        other.delete(queue, if_unused=True, if_empty=True)


def test_deleting_a_queue_deletes_its_bindings(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k")
    channel.delete(queue)
    channel.declare(queue)
    channel.publish(exchange, "k")
    assert channel.bodies(queue) == []
    channel.delete_exchange(exchange, if_unused=True)


def test_settling_what_a_deleted_queue_delivered_is_no_error(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    for _ in range(4):
        channel.publish("", queue)
    tags = [channel.get(queue).delivery_tag for _ in range(4)]
    channel.delete(queue)
    channel.ack(tags[0])
    channel.reject(tags[1])
    channel.nack(tags[2])
    channel.ack(tags[3], multiple=True)
    channel.sync()


def test_deleting_without_waiting_deletes(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.delete(queue, nowait=True)
    channel.sync()
    assert not queue_exists(channel, queue)


def test_a_failed_delete_without_waiting_closes_the_channel(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue)
    channel.delete(queue, if_empty=True, nowait=True)
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    with channel_error(406, text, Queue.Delete):
        channel.expect_close()


def test_names_in_another_vhost_are_other_queues(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    elsewhere = peer.connect(vhost="amqpd-scenarios").channel()
    with channel_error(404, texts.no_queue(queue, "amqpd-scenarios"), Queue.Declare):
        elsewhere.declare(queue, passive=True)
