"""Clients that do not read, floods, and long queues: who waits, and who does not notice."""

from typing import Any

import pytest

from tests.peers.channel import Channel

BODY = bytes(range(256)) * 64  # 16 KiB


@pytest.fixture
def flood(peer: Any) -> int:
    """How many such messages are surely more than all the buffers on the way to a client."""
    return 200 if peer.distance in ("memory", "sim") else 2000


def test_messages_for_a_client_that_does_not_read_stay_in_the_queue(
    peer: Any, channel: Channel, flood: int
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    slow = peer.connect(slow=True).channel()
    slow.consume(queue, no_ack=True)
    slow.connection.link.stop_reading()
    for _ in range(flood):
        channel.publish("", queue, BODY)
    channel.sync()
    assert channel.ready(queue) > 0
    slow.connection.link.resume_reading()
    assert len(slow.deliveries(flood)) == flood
    assert channel.bodies(queue) == []


def test_another_consumer_gets_what_a_client_that_does_not_read_does_not(
    peer: Any, channel: Channel, flood: int
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    slow, fast = peer.connect(slow=True).channel(), peer.connect().channel()
    slow.consume(queue)
    slow.connection.link.stop_reading()
    for number in range(flood):
        channel.publish("", queue, BODY, message_id=str(number))
    channel.sync()
    fast.consume(queue)
    seen = {int(fast.delivery().properties.message_id) for _ in range(50)}
    slow.connection.drop()  # its share comes back
    seen |= {int(fast.delivery().properties.message_id) for _ in range(flood - 50)}
    assert seen == set(range(flood))


def test_a_client_that_reads_again_gets_all_in_order(
    peer: Any, channel: Channel, flood: int
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    slow = peer.connect(slow=True).channel()
    slow.consume(queue)
    for _ in range(2):
        slow.connection.link.stop_reading()
        for number in range(flood):
            channel.publish("", queue, BODY, message_id=str(number))
        channel.sync()
        slow.connection.link.resume_reading()
        deliveries = slow.deliveries(flood)
        assert [int(one.properties.message_id) for one in deliveries] == list(range(flood))
        slow.ack(deliveries[-1].delivery_tag, multiple=True)


def test_others_do_not_notice_a_client_that_does_not_read(
    peer: Any, channel: Channel, flood: int
) -> None:
    queue, other = peer.name("q"), peer.name("other")
    channel.declare(queue)
    channel.declare(other)
    slow = peer.connect(slow=True).channel()
    slow.consume(queue, no_ack=True)
    slow.connection.link.stop_reading()
    for _ in range(flood):
        channel.publish("", queue, BODY)
    channel.publish("", other, b"1")
    assert channel.get(other, no_ack=True).body == b"1"
    quick = peer.connect().channel()
    quick.consume(other, no_ack=True)
    channel.publish("", other, b"2")
    assert quick.delivery().body == b"2"


def test_a_long_queue_is_delivered_to_the_end(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.connection.hold()
    for number in range(5000):
        channel.publish("", queue, str(number).encode())
    channel.connection.release()
    channel.sync()
    channel.consume(queue, no_ack=True)
    assert [int(one.body) for one in channel.deliveries(5000)] == list(range(5000))


def test_a_call_is_answered_while_a_long_queue_is_delivered(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.connection.hold()
    for _ in range(2000):
        channel.publish("", queue, bytes(1000))
    channel.connection.release()
    channel.sync()
    connection = channel.connection
    connection.hold()
    channel.consume(queue, "tag", no_ack=True, nowait=True)
    connection.release()
    connection.channel().sync()
    channel.cancel("tag")
    delivered = len(channel.inbox)
    left = len(channel.bodies(queue))
    assert delivered + left == 2000


def test_messages_of_many_megabytes_pass(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    body = bytes(range(256)) * 32768  # 8 MiB
    channel.consume(queue)
    for _ in range(3):
        channel.publish("", queue, body)
        delivery = channel.delivery()
        assert delivery.body == body
        channel.ack(delivery.delivery_tag)


def test_a_large_message_does_not_wait_for_room_that_never_comes(
    peer: Any, channel: Channel
) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    slow = peer.connect(slow=True).channel()
    slow.qos(1)
    slow.consume(queue)
    for size in (1_000_000, 10, 3_000_000):
        channel.publish("", queue, bytes(size))
        delivery = slow.delivery()
        assert len(delivery.body) == size
        slow.ack(delivery.delivery_tag)
