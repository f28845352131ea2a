"""Exclusive and auto-delete queues: who may use them, and when they go (spec 1.7.2.1)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts
from tests.scenarios.things import queue_exists

# -- exclusive -------------------------------------------------------------------------------------


def test_an_exclusive_queue_can_be_used_from_all_channels_of_its_connection(
    peer: Any, channel: Channel
) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    other = channel.connection.channel()
    other.declare(queue, exclusive=True)
    other.publish("", queue, b"1")
    assert other.bodies(queue) == [b"1"]


def test_others_are_locked_out_of_an_exclusive_queue(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    channel.bind(queue, "amq.direct", queue)
    connection = peer.connect()
    uses = [
        (Queue.Declare, {}),
        (Queue.Declare, {"exclusive": True}),
        (Queue.Declare, {"passive": True}),
        (Queue.Bind, {"exchange": "amq.direct", "routing_key": "k"}),
        (Queue.Unbind, {"exchange": "amq.direct", "routing_key": queue}),
        (Queue.Purge, {}),
        (Queue.Delete, {}),
        (Basic.Consume, {}),
        (Basic.Get, {}),
    ]
    for kind, fields in uses:
        with channel_error(405, texts.locked(queue), kind):
            connection.channel().do(kind, queue=queue, **fields)
    channel.declare(queue, exclusive=True)


def test_others_may_unbind_what_is_not_bound_to_an_exclusive_queue(
    peer: Any, channel: Channel
) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    peer.connect().channel().unbind(queue, "amq.direct", "k")


def test_others_may_publish_to_an_exclusive_queue(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    other = peer.connect().channel()
    other.publish("", queue, b"1")
    other.sync()
    assert channel.bodies(queue) == [b"1"]


def test_the_owner_may_not_declare_it_as_not_exclusive(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    with channel_error(405, texts.locked(queue), Queue.Declare):
        channel.declare(queue)


def test_a_shared_queue_cannot_become_exclusive(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    with channel_error(405, texts.locked(queue), Queue.Declare):
        channel.declare(queue, exclusive=True)


def test_being_locked_out_comes_before_other_differences(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True)
    other = peer.connect().channel()
    with channel_error(405, texts.locked(queue), Queue.Declare):
        other.declare(queue, durable=True, auto_delete=True)


def test_an_exclusive_queue_outlives_the_channel_that_declared_it(
    peer: Any, channel: Channel
) -> None:
    queue = peer.name("q")
    other = channel.connection.channel()
    other.declare(queue, exclusive=True)
    other.close()
    channel.declare(queue, exclusive=True)


def test_exclusive_queues_are_gone_when_close_is_answered(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    for _ in range(3):
        connection = peer.connect()
        connection.channel().declare(queue, exclusive=True)
        connection.close()
    with channel_error(404, texts.no_queue(queue), Queue.Declare):
        channel.declare(queue, passive=True)


def test_exclusive_queues_go_when_the_socket_does(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    connection = peer.connect()
    connection.channel().declare(queue, exclusive=True)
    connection.drop()
    peer.until(lambda: not queue_exists(channel, queue))


def test_durable_does_not_matter_for_an_exclusive_queue(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, exclusive=True, durable=True)
    channel.declare(queue, exclusive=True, durable=False)


# -- auto-delete -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["cancel", "channel", "connection", "socket"])
def test_an_auto_delete_queue_goes_with_its_last_consumer(
    peer: Any, channel: Channel, end: str
) -> None:
    queue = peer.name("q")
    channel.declare(queue, auto_delete=True)
    other = peer.connect().channel()
    tags = [other.consume(queue), other.consume(queue)]
    other.cancel(tags[0])
    assert queue_exists(channel, queue)
    if end == "cancel":
        other.cancel(tags[1])
        assert not queue_exists(channel, queue)
    elif end == "channel":
        other.close()
        assert not queue_exists(channel, queue)
    elif end == "connection":
        other.connection.close()
        assert not queue_exists(channel, queue)
    else:
        other.connection.drop()
        peer.until(lambda: not queue_exists(channel, queue))


def test_an_auto_delete_queue_that_had_no_consumer_stays(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, auto_delete=True)
    channel.publish("", queue, b"1")
    assert channel.bodies(queue) == [b"1"]
    assert queue_exists(channel, queue)


def test_an_auto_delete_queue_goes_with_its_messages(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, auto_delete=True)
    channel.qos(1)
    tag = channel.consume(queue)
    for _ in range(3):
        channel.publish("", queue)
    delivery = channel.delivery()
    channel.cancel(tag)
    assert not queue_exists(channel, queue)
    channel.ack(delivery.delivery_tag)
    channel.expect_nothing()
