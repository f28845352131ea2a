"""A consumer: its credit, the deliveries that it writes, and its end."""

import pytest

from amqpd.session.subscription import Subscription
from amqpd.wire import tables
from tests.session.fakes import Bench, link_of, publish


@pytest.fixture
def bench() -> Bench:
    """A vhost."""
    return Bench()


def test_a_subscription_keeps_what_it_was_made_with(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    arguments = {"x-priority": tables.long(3)}
    consumer = Subscription(
        channel,
        queue,
        "tag",
        no_ack=True,
        exclusive=True,
        priority=3,
        prefetch=7,
        arguments=arguments,
    )
    assert consumer.channel is channel and consumer.queue is queue
    assert (consumer.tag, consumer.priority, consumer.prefetch) == ("tag", 3, 7)
    assert consumer.no_ack and consumer.exclusive and consumer.is_active
    assert consumer.arguments == arguments
    assert Subscription(channel, queue, "t", no_ack=False).arguments == {}


# -- deliveries ------------------------------------------------------------------------------------


def test_a_delivery_bears_tag_address_and_content(bench: Bench) -> None:
    channel, queue = bench.channel(number=258), bench.queue()
    bench.exchange("x", "fanout")
    bench.bind("x", queue, "")
    bench.consume(channel, queue, "consumer")
    publish(bench.channel(), "x", "the.key", b"hello", content_type="text/plain")
    (item,) = link_of(channel).said()
    assert item.name == "Basic.Deliver"
    assert item.channel == 258
    assert (item.method.consumer_tag, item.method.delivery_tag) == ("consumer", 1)
    assert (item.method.exchange, item.method.routing_key) == ("x", "the.key")
    assert not item.method.redelivered
    assert item.body == b"hello"
    assert item.properties == b"\x80\x00\x0atext/plain"


def test_delivery_tags_count_all_deliveries_of_the_channel(bench: Bench) -> None:
    channel = bench.channel()
    first, second = bench.queue("a"), bench.queue("b")
    bench.consume(channel, first, "c1")
    bench.consume(channel, second, "c2", no_ack=True)
    for key in ("a", "b", "a"):
        publish(bench.channel(), key=key)
    methods = [item.method for item in link_of(channel).said()]
    said = [(method.consumer_tag, method.delivery_tag) for method in methods]
    assert said == [("c1", 1), ("c2", 2), ("c1", 3)]
    assert channel.unacked.count == 2


def test_addresses_of_any_length_take_turns(bench: Bench) -> None:
    """The head of a deliver frame is remembered by the length of the address."""
    channel, queue = bench.channel(), bench.queue()
    bench.exchange("x", "fanout")
    bench.bind("x", queue, "")
    bench.consume(channel, queue)
    keys = ["", "a", "bb", "cc", "a" * 255, "é", ""]
    for key in keys:
        publish(bench.channel(), "x", key)
    assert [item.method.routing_key for item in link_of(channel).said()] == keys


def test_a_returned_message_is_redelivered(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    bench.consume(channel, queue)
    publish(bench.channel())
    channel.settle_through(1, False, True)
    channel.link.resume_consumers()
    flags = [item.method.redelivered for item in link_of(channel).said()]
    assert flags == [False, True]


@pytest.mark.parametrize(("frame_max", "frames"), [(4096, 3), (20_000, 1), (0, 1)])
def test_large_bodies_are_cut_for_the_consumer(bench: Bench, frame_max: int, frames: int) -> None:
    channel, queue = bench.channel(), bench.queue()
    bench.consume(channel, queue)
    link = link_of(channel)
    link.frame_max = frame_max
    body = bytes(range(256)) * 40
    publish(bench.channel(), body=body, frame_max=16_384)
    data = link.outbox.getvalue()
    assert link.said()[0].body == body
    assert data.count(b"\xce\x03\x00\x01\x00\x00") == frames


def test_a_delivery_makes_the_link_dirty(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    bench.consume(channel, queue)
    publish(bench.channel())
    publish(bench.channel())
    assert bench.dirty == [channel.link]


# -- credit ----------------------------------------------------------------------------------------


def test_prefetch_bounds_what_is_unacked(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    consumer = bench.consume(channel, queue, prefetch=2)
    for _ in range(4):
        publish(bench.channel())
    assert (consumer.unacked, queue.backlog.count) == (2, 2)
    channel.on_ack(1, False)
    assert queue.backlog.count == 2  # until all that was read is handled
    channel.link.resume_consumers()
    assert (consumer.unacked, queue.backlog.count) == (2, 1)
    queue.validate()


def test_prefetch_zero_and_no_ack_have_no_bound(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    bench.consume(channel, queue, "c1")
    bench.consume(channel, queue, "c2", no_ack=True, prefetch=1)
    for _ in range(10):
        publish(bench.channel())
    assert queue.backlog.count == 0
    assert len(link_of(channel).said()) == 10


def test_the_window_is_shared_by_the_consumers_of_a_channel(bench: Bench) -> None:
    channel, other = bench.channel(), bench.channel()
    first, second = bench.queue("a"), bench.queue("b")
    channel.set_window(2)
    bench.consume(channel, first, "c1")
    bench.consume(channel, second, "c2")
    for key in ("a", "b", "a", "b"):
        publish(other, key=key)
    assert channel.unacked.count == 2
    channel.on_ack(1, False)  # c1 makes room, and whoever waited first takes it
    channel.link.resume_consumers()
    assert channel.unacked.count == 2
    assert first.backlog.count + second.backlog.count == 1


def test_the_window_does_not_bound_no_ack(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    channel.set_window(1)
    bench.consume(channel, queue, no_ack=True)
    for _ in range(3):
        publish(bench.channel())
    assert len(link_of(channel).said()) == 3


def test_no_room_in_the_connection_stops_every_consumer() -> None:
    bench = Bench(outbox_bytes=100)
    channel, queue = bench.channel(), bench.queue()
    consumer = bench.consume(channel, queue, no_ack=True)
    for _ in range(9):
        publish(bench.channel(), body=bytes(50))
    link = link_of(channel)
    count = len(link.said())
    assert 0 < count < 9
    assert link.wants_turn and consumer.will_resume and not consumer.is_ready
    link.resume_stalled()
    assert len(link.said()) == count
    assert queue.backlog.count == 9 - 2 * count


def test_both_limits_hold_together(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    channel.set_window(3)
    consumer = bench.consume(channel, queue, prefetch=5)
    for _ in range(6):
        publish(bench.channel())
    assert consumer.unacked == 3
    channel.set_window(0)
    channel.link.resume_consumers()
    assert consumer.unacked == 5


# -- end -------------------------------------------------------------------------------------------


def test_a_deleted_queue_cancels_its_consumers(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    consumer = bench.consume(channel, queue, "gone")
    bench.vhost.delete_queue(queue)
    (item,) = link_of(channel).said()
    assert item.name == "Basic.Cancel"
    assert (item.method.consumer_tag, item.method.nowait) == ("gone", True)
    assert not consumer.is_active
    assert channel.consumers == {}  # the tag may be used again
    assert bench.dirty == [channel.link]


def test_clients_that_do_not_understand_it_are_not_told(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    link_of(channel).notifies_cancel = False
    consumer = bench.consume(channel, queue)
    bench.vhost.delete_queue(queue)
    assert link_of(channel).said() == []
    assert not consumer.is_active and channel.consumers == {}


def test_acks_after_the_queue_is_gone_are_fine(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    bench.consume(channel, queue)
    publish(bench.channel())
    publish(bench.channel())
    bench.vhost.delete_queue(queue)
    channel.on_ack(1, False)
    channel.settle_through(2, False, True)
    channel.link.resume_consumers()
    assert channel.unacked.count == 0


def test_an_inactive_consumer_is_not_resumed(bench: Bench) -> None:
    channel, queue = bench.channel(), bench.queue()
    consumer = bench.consume(channel, queue, prefetch=1)
    publish(bench.channel())
    publish(bench.channel())
    channel.cancel(consumer)
    channel.on_ack(1, False)
    channel.link.resume_consumers()
    consumer.resume()
    assert queue.backlog.count == 1
    assert not consumer.is_ready
