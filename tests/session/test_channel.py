"""A channel: the way of a publish, confirms, settling, consumers, and its end."""

from typing import Any

import pytest
from pamqp import commands

from amqpd.errors import HardError, SoftError
from amqpd.limits import ROUTE_CACHE_MAX
from amqpd.session.channel import Channel
from amqpd.session.transaction import Transaction
from amqpd.wire import tables
from tests.peers import codec
from tests.session.fakes import Bench, link_of, publish, refusal, waiting


@pytest.fixture
def bench() -> Bench:
    """A vhost with a queue q and a durable queue d."""
    made = Bench()
    made.queue("q")
    made.queue("d", durable=True)
    made.end_turn()
    return made


def ready(bench: Bench, name: str = "q") -> int:
    """How many messages wait."""
    return int(bench.vhost.queues[name].backlog.count)


def confirming(bench: Bench) -> Channel:
    """Make a channel in confirm mode."""
    channel = bench.channel()
    channel.confirming = True
    return channel


def acks(channel: Channel) -> list[tuple[int, bool]]:
    """Take the confirms that were written: (number, multiple)."""
    said = link_of(channel).said()
    return [(i.method.delivery_tag, i.method.multiple) for i in said if i.name == "Basic.Ack"]


# -- the way of a publish --------------------------------------------------------------------------


def test_a_publish_reaches_its_queue(bench: Bench) -> None:
    publish(bench.channel(), body=b"hello")
    message = bench.vhost.queues["q"].backlog.peek().message
    assert (message.address.exchange, message.address.routing_key) == ("", "q")
    assert message.body_bytes == 5
    assert message.content.endswith(b"hello\xce")
    assert not message.persistent


@pytest.mark.parametrize(
    ("properties", "persistent"),
    [
        ({}, False),
        ({"delivery_mode": 1}, False),
        ({"delivery_mode": 2}, True),
        ({"delivery_mode": 3}, False),
        ({"content_type": "text/plain", "delivery_mode": 2}, True),
        ({"content_type": "text/plain"}, False),
        ({"priority": 2}, False),
    ],
)
def test_only_delivery_mode_2_is_persistent(
    bench: Bench, properties: dict[str, Any], persistent: bool
) -> None:
    publish(bench.channel(), key="d", **properties)
    assert bench.vhost.queues["d"].backlog.peek().message.persistent == persistent


def test_a_publish_notes_that_the_connection_publishes(bench: Bench) -> None:
    channel = bench.channel()
    assert not channel.link.has_published
    publish(channel)
    assert channel.link.has_published


def test_immediate_is_not_implemented(bench: Bench) -> None:
    text = refusal(lambda: publish(bench.channel(), immediate=True), HardError, 540)
    assert text == "immediate=true"


def test_the_exchange_must_exist(bench: Bench) -> None:
    text = refusal(lambda: publish(bench.channel(), "gone"), SoftError, 404)
    assert text == "no exchange 'gone' in vhost '/'"


def test_the_exchange_must_not_be_internal(bench: Bench) -> None:
    bench.exchange("x", internal=True)
    text = refusal(lambda: publish(bench.channel(), "x"), SoftError, 403)
    assert text == "cannot publish to internal exchange 'x' in vhost '/'"


def test_the_user_must_be_allowed_to_write(bench: Bench) -> None:
    bench.users.permit("guest", "/", ".*", "^y$", ".*")
    bench.exchange("y")
    publish(bench.channel(), "y")
    text = refusal(lambda: publish(bench.channel(), "x"), SoftError, 403)
    assert text == "write access to exchange 'x' in vhost '/' refused for user 'guest'"
    text = refusal(lambda: publish(bench.channel()), SoftError, 403)
    assert text == "write access to exchange 'amq.default' in vhost '/' refused for user 'guest'"


def test_a_message_may_be_as_large_as_the_bound() -> None:
    bench = Bench(message_bytes_max=10)
    bench.queue("q")
    channel = bench.channel()
    publish(channel, body=bytes(10))
    text = refusal(lambda: publish(channel, body=bytes(11)), SoftError, 406)
    assert text == "message size 11 is larger than configured max size 10"
    assert refusal(lambda: channel.on_content_size(11), SoftError, 406) == text
    channel.on_content_size(10)
    assert ready(bench) == 1


def test_a_remembered_way_is_forgotten_when_something_changes(bench: Bench) -> None:
    channel = bench.channel()
    bench.exchange("x")
    publish(channel, "x", "k")
    bench.bind("x", bench.vhost.queues["q"], "k")
    publish(channel, "x", "k")
    assert ready(bench) == 1
    bench.vhost.delete_exchange("x", False)
    refusal(lambda: publish(channel, "x", "k"), SoftError, 404)


def test_many_ways_are_remembered_up_to_a_bound(bench: Bench) -> None:
    channel = bench.channel()
    for number in range(ROUTE_CACHE_MAX + 10):
        publish(channel, key=f"k{number}")
    assert len(channel._routes) <= ROUTE_CACHE_MAX
    publish(channel)
    publish(channel, key="d")
    publish(channel)
    assert (ready(bench), ready(bench, "d")) == (2, 1)


def test_alike_messages_share_their_address(bench: Bench) -> None:
    channel = bench.channel()
    publish(channel)
    publish(channel)
    first, second = waiting(bench.vhost.queues["q"])
    assert first.message.address is second.message.address


def test_headers_are_asked_for_each_message(bench: Bench) -> None:
    channel = bench.channel()
    queue = bench.vhost.queues["q"]
    bench.bind("amq.headers", queue, "", {"h": tables.longstr("1")})
    for value in ("1", "2", "1"):
        publish(channel, "amq.headers", "k", headers={"h": value})
    publish(channel, "amq.headers", "k")
    assert ready(bench) == 2


def test_nobody_is_told_of_a_message_that_reaches_nothing(bench: Bench) -> None:
    channel = bench.channel()
    publish(channel, key="nowhere")
    assert link_of(channel).said() == []


def test_a_mandatory_message_comes_back(bench: Bench) -> None:
    channel = bench.channel(number=3)
    publish(channel, "amq.direct", "nowhere", b"hello", mandatory=True, app_id="me")
    (item,) = link_of(channel).said()
    assert (item.channel, item.name) == (3, "Basic.Return")
    assert (item.method.reply_code, item.method.reply_text) == (312, "NO_ROUTE")
    assert (item.method.exchange, item.method.routing_key) == ("amq.direct", "nowhere")
    assert item.body == b"hello"
    assert item.properties == codec.encode_properties({"app_id": "me"})
    assert bench.dirty == [channel.link]


def test_a_mandatory_message_that_reaches_a_queue_does_not(bench: Bench) -> None:
    channel = bench.channel()
    publish(channel, mandatory=True)
    assert link_of(channel).said() == []
    assert ready(bench) == 1


# -- confirms --------------------------------------------------------------------------------------


def test_confirms_of_a_turn_are_one(bench: Bench) -> None:
    channel = confirming(bench)
    for _ in range(3):
        publish(channel)
    assert acks(channel) == []
    bench.end_turn()
    assert acks(channel) == [(3, True)]
    publish(channel)
    bench.end_turn()
    assert acks(channel) == [(4, False)]


def test_a_single_confirm_is_not_multiple(bench: Bench) -> None:
    channel = confirming(bench)
    publish(channel)
    bench.end_turn()
    assert acks(channel) == [(1, False)]


def test_what_reaches_nothing_is_confirmed_after_its_return(bench: Bench) -> None:
    channel = confirming(bench)
    publish(channel, key="nowhere", mandatory=True)
    publish(channel, key="nowhere")
    bench.end_turn()
    assert link_of(channel).names() == ["Basic.Return", "Basic.Ack"]


def test_persistent_messages_are_confirmed_after_their_sync(bench: Bench) -> None:
    channel = confirming(bench)
    publish(channel, key="d", delivery_mode=2)
    publish(channel)
    bench.end_turn(synced=False)
    assert acks(channel) == []
    bench.context.settlement.on_synced(bench.journal.position)
    assert acks(channel) == [(2, True)]


def test_without_confirm_mode_there_are_none(bench: Bench) -> None:
    channel = bench.channel()
    publish(channel)
    bench.end_turn()
    assert link_of(channel).said() == []


def test_a_closed_channel_confirms_nothing(bench: Bench) -> None:
    channel = confirming(bench)
    publish(channel)
    channel.state = 1
    bench.end_turn()
    assert acks(channel) == []


# -- settling --------------------------------------------------------------------------------------


def delivered(bench: Bench, count: int, **options: Any) -> Channel:
    """Make a channel that has so many deliveries from q."""
    channel = bench.channel()
    bench.consume(channel, bench.vhost.queues["q"], **options)
    for _ in range(count):
        publish(bench.channel())
    link_of(channel).said()
    return channel


def test_an_ack_settles_one(bench: Bench) -> None:
    channel = delivered(bench, 3)
    channel.on_ack(2, False)
    assert bench.vhost.queues["q"].unacked_count == channel.unacked.count == 2


def test_an_ack_may_settle_many(bench: Bench) -> None:
    channel = delivered(bench, 3)
    channel.on_ack(2, True)
    assert channel.unacked.count == 1
    channel.on_ack(0, True)
    channel.on_ack(0, True)  # nothing out is fine
    assert bench.vhost.queues["q"].unacked_count == 0


@pytest.mark.parametrize("tag", [0, 1, 3, 4])
def test_an_ack_of_what_is_not_out_is_a_406(bench: Bench, tag: int) -> None:
    channel = delivered(bench, 3)
    channel.on_ack(1, False)
    channel.on_ack(3, False)
    text = refusal(lambda: channel.on_ack(tag, False), SoftError, 406)
    assert text == f"unknown delivery tag {tag}"
    if tag:
        text = refusal(lambda: channel.on_ack(tag, True), SoftError, 406)
        assert text == f"unknown delivery tag {tag}"
    assert channel.unacked.count == 1


def test_a_reject_gives_back_or_drops(bench: Bench) -> None:
    channel = delivered(bench, 2, prefetch=2)
    bench.vhost.queues["q"].remove_consumer(channel.consumers["c"])
    channel.settle_through(1, False, True)
    channel.settle_through(2, False, False)
    assert ready(bench) == 1
    assert bench.vhost.queues["q"].backlog.peek().redelivered


def test_what_is_given_back_goes_to_the_queues_it_came_from(bench: Bench) -> None:
    channel = bench.channel()
    other = bench.queue("other")
    bench.consume(channel, bench.vhost.queues["q"], "c1")
    bench.consume(channel, other, "c2")
    for key in ("q", "other", "q"):
        publish(bench.channel(), key=key)
    for consumer in list(channel.consumers.values()):
        channel.cancel(consumer)
    channel.settle_through(0, True, True)
    assert (ready(bench), ready(bench, "other")) == (2, 1)
    bench.vhost.validate()


def test_a_window_that_moves_wakes_all_consumers(bench: Bench) -> None:
    channel = bench.channel()
    other = bench.queue("other")
    channel.set_window(1)
    bench.consume(channel, bench.vhost.queues["q"], "c1")
    bench.consume(channel, other, "c2")
    publish(bench.channel())
    publish(bench.channel(), key="other")
    assert (ready(bench), ready(bench, "other")) == (0, 1)
    channel.on_ack(1, False)
    channel.link.resume_consumers()
    assert ready(bench, "other") == 0


@pytest.mark.parametrize("requeue", [False, True])
def test_settling_many_moves_the_window_too(bench: Bench, requeue: bool) -> None:
    channel = bench.channel()
    other = bench.queue("other")
    channel.set_window(1)
    bench.consume(channel, bench.vhost.queues["q"], "c1")
    consumer = bench.consume(channel, other, "c2")
    publish(bench.channel())
    publish(bench.channel(), key="other")
    channel.cancel(channel.consumers["c1"])
    channel.settle(channel.unacked.take_all(), requeue)
    channel.link.resume_consumers()
    assert consumer.unacked == 1


@pytest.mark.parametrize("requeue", [False, True])
def test_settling_makes_room_within_the_prefetch(bench: Bench, requeue: bool) -> None:
    channel = bench.channel()
    consumer = bench.consume(channel, bench.vhost.queues["q"], prefetch=1)
    for _ in range(3):
        publish(bench.channel())
    for tag in (1, 2, 3):
        assert (consumer.unacked, channel.last_tag) == (1, tag)
        channel.settle_through(tag, False, requeue)
        channel.link.resume_consumers()
    assert ready(bench) == (2 if requeue else 0)


# -- consumers -------------------------------------------------------------------------------------


def test_a_cancelled_consumer_keeps_its_deliveries(bench: Bench) -> None:
    channel = delivered(bench, 1)
    consumer = channel.consumers["c"]
    assert channel.cancel(consumer) == 0
    assert not consumer.is_active
    assert channel.consumers == {}
    assert bench.vhost.queues["q"].consumers == []
    publish(bench.channel())
    assert ready(bench) == 1
    channel.on_ack(1, False)
    assert channel.unacked.count == 0


def test_the_last_consumer_takes_an_auto_delete_queue_along(bench: Bench) -> None:
    queue = bench.queue("auto", durable=True, auto_delete=True)
    first, second = bench.channel(), bench.channel()
    consumer = bench.consume(first, queue)
    assert first.cancel(bench.consume(first, queue, "c2")) == 0
    bench.consume(second, queue)
    assert first.cancel(consumer) == 0
    assert "auto" in bench.vhost.queues
    position = second.cancel(second.consumers["c"])
    assert "auto" not in bench.vhost.queues
    assert position == bench.journal.position  # the cancel-ok waits for it
    assert link_of(second).said() == []  # it is not told what it did itself


def test_deleting_an_exclusive_queue_takes_it_from_its_connection(bench: Bench) -> None:
    channel = bench.channel()
    queue = bench.queue("mine", owner=channel.link.id)
    queue.siblings = channel.link.exclusive_queues
    channel.link.exclusive_queues["mine"] = queue
    publish(channel, key="mine")
    assert channel.delete_queue(queue) == (1, 0)
    assert channel.link.exclusive_queues == {}


def test_an_exclusive_queue_that_expires_leaves_its_connection(bench: Bench) -> None:
    channel = bench.channel()
    queue = bench.queue("mine", owner=channel.link.id)
    queue.siblings = channel.link.exclusive_queues
    channel.link.exclusive_queues["mine"] = queue
    bench.vhost.bury(queue)
    assert channel.link.exclusive_queues == {}


def test_an_empty_queue_name_stands_for_the_last_declared(bench: Bench) -> None:
    channel = bench.channel()
    assert channel.queue_named("given") == "given"
    text = refusal(lambda: channel.queue_named(""), SoftError, 404)
    assert text == "no previously declared queue"
    channel.last_queue = "last"
    assert channel.queue_named("") == "last"


@pytest.mark.parametrize(
    ("access", "verb"), [(0, "configure"), (1, "write"), (2, "read")]
)
def test_permissions_are_asked_for_by_name(bench: Bench, access: int, verb: str) -> None:
    channel = bench.channel()
    channel.require(access, "queue", "q")
    bench.users.permit("guest", "/", "^no$", "^no$", "^no$")
    channel.require(access, "queue", "no")
    text = refusal(lambda: channel.require(access, "queue", "q"), SoftError, 403)
    assert text == f"{verb} access to queue 'q' in vhost '/' refused for user 'guest'"


# -- methods and end -------------------------------------------------------------------------------


def test_a_method_finds_its_handler(bench: Bench) -> None:
    channel = bench.channel()
    method = codec.make(commands.Queue.Declare, queue="new")
    channel.on_method(method.index, codec.encode_method(method))
    assert "new" in bench.vhost.queues
    assert link_of(channel).names() == ["Queue.DeclareOk"]


def test_credit_from_acks_is_used_before_the_next_method(bench: Bench) -> None:
    channel = bench.channel()
    bench.consume(channel, bench.vhost.queues["q"], prefetch=1)
    publish(bench.channel())
    publish(bench.channel())
    link_of(channel).said()
    channel.on_ack(1, False)
    method = codec.make(commands.Queue.Declare, queue="q", passive=True)
    channel.on_method(method.index, codec.encode_method(method))
    delivery, declared = link_of(channel).said()
    assert delivery.name == "Basic.Deliver"
    assert declared.method.message_count == 0


def test_the_end_gives_everything_back(bench: Bench) -> None:
    channel = delivered(bench, 3)
    channel.on_ack(2, False)
    channel.end()
    assert channel.consumers == {}
    queue = bench.vhost.queues["q"]
    assert (queue.backlog.count, queue.unacked_count, queue.consumers) == (2, 0, [])
    assert [entry.seq for entry in waiting(queue)] == [1, 3]


def test_the_end_gives_nothing_back_to_its_own_consumers(bench: Bench) -> None:
    channel = delivered(bench, 2)
    bench.consume(channel, bench.vhost.queues["q"], "taker", no_ack=True)
    channel.end()
    assert ready(bench) == 2
    assert link_of(channel).said() == []


def test_the_end_takes_back_what_a_transaction_held(bench: Bench) -> None:
    channel = delivered(bench, 3)
    channel.transaction = Transaction()
    channel.on_ack(2, False)
    publish(channel, body=b"never committed")
    channel.end()
    queue = bench.vhost.queues["q"]
    assert [entry.seq for entry in waiting(queue)] == [1, 2, 3]
    assert queue.unacked_count == 0


def test_the_end_takes_auto_delete_queues_along(bench: Bench) -> None:
    queue = bench.queue("auto", auto_delete=True)
    channel = bench.channel()
    bench.consume(channel, queue)
    publish(bench.channel(), key="auto")
    channel.end()
    assert "auto" not in bench.vhost.queues


def test_a_channel_validates_itself(bench: Bench) -> None:
    channel = delivered(bench, 2)
    channel.validate()
    channel.consumers["other"] = channel.consumers["c"]
    with pytest.raises(AssertionError):
        channel.validate()
