"""basic.consume, basic.cancel, deliveries and who gets them (spec 1.8.3; RabbitMQ: consumers)."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.connection import CAPABILITIES
from tests.peers.errors import ChannelClosed, channel_error, connection_error
from tests.scenarios import texts


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue."""
    name = peer.name("q")
    channel.declare(name)
    return name


def bodies(channel: Channel, count: int) -> list[bytes]:
    """The bodies of the next deliveries."""
    return [delivery.body for delivery in channel.deliveries(count)]


def publish(channel: Channel, queue: str, count: int) -> list[bytes]:
    """Publish numbered messages and make sure that they are in the queue. Returns the bodies."""
    sent = [str(number).encode() for number in range(1, count + 1)]
    for body in sent:
        channel.publish("", queue, body)
    channel.sync()
    return sent


# -- consuming -------------------------------------------------------------------------------------


def test_waiting_messages_are_delivered_in_order(channel: Channel, queue: str) -> None:
    sent = publish(channel, queue, 5)
    tag = channel.consume(queue)
    deliveries = channel.deliveries(5)
    assert [delivery.body for delivery in deliveries] == sent
    assert [delivery.delivery_tag for delivery in deliveries] == [1, 2, 3, 4, 5]
    for delivery in deliveries:
        assert (delivery.consumer_tag, delivery.redelivered) == (tag, False)
        assert (delivery.exchange, delivery.routing_key) == ("", queue)


def test_new_messages_are_delivered_as_they_come(channel: Channel, queue: str) -> None:
    channel.consume(queue)
    for body in (b"1", b"2"):
        channel.publish("", queue, body)
        assert channel.delivery().body == body
    channel.expect_nothing(queue)


def test_consume_ok_comes_before_the_first_delivery(channel: Channel, queue: str) -> None:
    publish(channel, queue, 1)
    channel.send(Basic.Consume(queue=queue, consumer_tag="tag"))
    assert channel.expect(Basic.ConsumeOk).consumer_tag == "tag"
    assert channel.expect(Basic.Deliver).consumer_tag == "tag"


def test_the_server_makes_up_a_tag_for_an_empty_one(channel: Channel, queue: str) -> None:
    tags = [channel.consume(queue) for _ in range(2)]
    for tag in tags:
        assert re.fullmatch(r"amq\.ctag-[A-Za-z0-9_-]{22}", tag)
    assert tags[0] != tags[1]


def test_the_same_tag_may_be_used_on_two_channels(channel: Channel, queue: str) -> None:
    channel.consume(queue, "tag")
    assert channel.connection.channel().consume(queue, "tag") == "tag"


def test_a_tag_used_twice_closes_the_connection(channel: Channel, queue: str) -> None:
    channel.consume(queue, "tag")
    text = "NOT_ALLOWED - attempt to reuse consumer tag 'tag'"
    with connection_error(530, text, Basic.Consume):
        channel.consume(queue, "tag")


def test_a_tag_used_twice_is_seen_before_a_missing_queue(
    peer: Any, channel: Channel, queue: str
) -> None:
    channel.consume(queue, "tag")
    text = "NOT_ALLOWED - attempt to reuse consumer tag 'tag'"
    with connection_error(530, text, Basic.Consume):
        channel.consume(peer.name("missing"), "tag")


def test_consuming_from_a_missing_queue_is_a_404(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    with channel_error(404, texts.no_queue(queue), Basic.Consume):
        channel.consume(queue)


def test_consuming_without_waiting_consumes(channel: Channel, queue: str) -> None:
    publish(channel, queue, 1)
    channel.consume(queue, "tag", nowait=True)
    assert channel.expect(Basic.Deliver).consumer_tag == "tag"


def test_no_local_is_taken_and_does_nothing(channel: Channel, queue: str) -> None:
    channel.consume(queue, no_local=True)
    channel.publish("", queue, b"own")
    assert channel.delivery().body == b"own"


def test_unknown_arguments_are_taken(channel: Channel, queue: str) -> None:
    channel.consume(queue, arguments={"x-mine": [1, {"a": None}], "x-cancel-on-ha-failover": True})


def test_a_priority_is_an_integer(channel: Channel, queue: str) -> None:
    text = (
        f"PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/':"
        ' "expected integer, got longstr"'
    )
    with channel_error(406, text, Basic.Consume):
        channel.consume(queue, arguments={"x-priority": "high"})


def test_one_consumer_can_be_on_each_of_many_queues(peer: Any, channel: Channel) -> None:
    queues = [peer.name("q") for _ in range(10)]
    tags = {}
    for queue in queues:
        channel.declare(queue)
        tags[channel.consume(queue)] = queue
    for queue in queues:
        channel.publish("", queue, queue.encode())
    for delivery in channel.deliveries(10):
        assert tags[delivery.consumer_tag].encode() == delivery.body


# -- no-ack ----------------------------------------------------------------------------------------


def test_without_acks_messages_are_gone_when_delivered(channel: Channel, queue: str) -> None:
    publish(channel, queue, 3)
    other = channel.connection.channel()
    other.consume(queue, no_ack=True)
    assert bodies(other, 3) == [b"1", b"2", b"3"]
    other.close()
    assert channel.bodies(queue) == []


def test_without_acks_deliveries_have_tags_that_cannot_be_acked(
    channel: Channel, queue: str
) -> None:
    publish(channel, queue, 2)
    channel.consume(queue, no_ack=True)
    assert [delivery.delivery_tag for delivery in channel.deliveries(2)] == [1, 2]
    channel.ack(1)
    with channel_error(406, "PRECONDITION_FAILED - unknown delivery tag 1", Basic.Ack):
        channel.expect_close()


def test_tags_count_all_kinds_of_deliveries(channel: Channel, queue: str) -> None:
    publish(channel, queue, 4)
    assert channel.get(queue).delivery_tag == 1
    assert channel.get(queue, no_ack=True).delivery_tag == 2
    tag = channel.consume(queue)
    assert [delivery.delivery_tag for delivery in channel.deliveries(2)] == [3, 4]
    channel.cancel(tag)
    publish(channel, queue, 1)
    channel.consume(queue, no_ack=True)
    assert channel.delivery().delivery_tag == 5


# -- exclusive -------------------------------------------------------------------------------------


def in_exclusive_use(queue: str) -> str:
    """The text of the refusal."""
    return f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"


def test_an_exclusive_consumer_keeps_others_out(channel: Channel, queue: str) -> None:
    channel.consume(queue, exclusive=True)
    other = channel.connection.channel()
    with channel_error(403, in_exclusive_use(queue), Basic.Consume):
        other.consume(queue)


def test_an_exclusive_consumer_must_be_the_first(channel: Channel, queue: str) -> None:
    channel.consume(queue)
    other = channel.connection.channel()
    with channel_error(403, in_exclusive_use(queue), Basic.Consume):
        other.consume(queue, exclusive=True)


def test_others_may_consume_when_the_exclusive_consumer_is_gone(
    peer: Any, channel: Channel, queue: str
) -> None:
    tag = channel.consume(queue, exclusive=True)
    channel.cancel(tag)
    channel.consume(queue, exclusive=True)
    channel.close()
    other = peer.connect().channel()
    other.consume(queue)


def test_an_exclusive_consumer_does_not_keep_out_get(channel: Channel, queue: str) -> None:
    channel.qos(1)
    channel.consume(queue, exclusive=True)
    publish(channel, queue, 2)
    assert channel.delivery().body == b"1"
    other = channel.connection.channel()
    assert other.get(queue).body == b"2"


# -- who gets what ---------------------------------------------------------------------------------


def test_consumers_take_turns(channel: Channel, queue: str) -> None:
    channels = [channel.connection.channel() for _ in range(3)]
    for one in channels:
        one.consume(queue)
    publish(channel, queue, 9)
    for index, one in enumerate(channels):
        assert bodies(one, 3) == [str(n).encode() for n in range(index + 1, 10, 3)]


def test_consumers_of_one_channel_take_turns(channel: Channel, queue: str) -> None:
    for tag in ("a", "b"):
        channel.consume(queue, tag)
    publish(channel, queue, 4)
    assert [delivery.consumer_tag for delivery in channel.deliveries(4)] == ["a", "b", "a", "b"]


def test_consumers_without_room_are_passed_over(channel: Channel, queue: str) -> None:
    slow, fast = channel.connection.channel(), channel.connection.channel()
    slow.qos(1)
    slow.consume(queue)
    fast.consume(queue)
    publish(channel, queue, 5)
    assert bodies(slow, 1) == [b"1"]
    assert bodies(fast, 4) == [b"2", b"3", b"4", b"5"]
    slow.expect_nothing(queue)


def test_higher_priorities_get_messages_while_they_have_room(channel: Channel, queue: str) -> None:
    low, high, middle = (channel.connection.channel() for _ in range(3))
    high.qos(2)
    middle.qos(1)
    low.consume(queue, arguments={"x-priority": -5})
    high.consume(queue, arguments={"x-priority": 10})
    middle.consume(queue)  # 0 is the default
    publish(channel, queue, 5)
    assert bodies(high, 2) == [b"1", b"2"]
    assert bodies(middle, 1) == [b"3"]
    assert bodies(low, 2) == [b"4", b"5"]


def test_a_freed_higher_priority_is_preferred_again(channel: Channel, queue: str) -> None:
    low, high = channel.connection.channel(), channel.connection.channel()
    high.qos(1)
    high.consume(queue, arguments={"x-priority": 1})
    low.qos(1)
    low.consume(queue)
    publish(channel, queue, 4)
    first = high.delivery()
    assert bodies(low, 1) == [b"2"]
    high.ack(first.delivery_tag)
    assert bodies(high, 1) == [b"3"]
    low.expect_nothing(queue)


# -- cancel ----------------------------------------------------------------------------------------


def test_a_cancelled_consumer_gets_nothing_more(channel: Channel, queue: str) -> None:
    tag = channel.consume(queue)
    assert channel.cancel(tag).consumer_tag == tag
    publish(channel, queue, 1)
    channel.expect_nothing()
    assert channel.bodies(queue) == [b"1"]


def test_what_was_delivered_before_a_cancel_can_be_acked_after_it(
    channel: Channel, queue: str
) -> None:
    publish(channel, queue, 2)
    tag = channel.consume(queue)
    first, second = channel.deliveries(2)
    channel.cancel(tag)
    channel.ack(first.delivery_tag)
    channel.nack(second.delivery_tag)
    assert channel.bodies(queue) == [b"2"]


def test_a_cancel_requeues_nothing(channel: Channel, queue: str) -> None:
    publish(channel, queue, 2)
    tag = channel.consume(queue)
    channel.deliveries(2)
    channel.cancel(tag)
    assert channel.get(queue) is None


def test_cancelling_an_unknown_tag_succeeds(channel: Channel) -> None:
    assert channel.cancel("no-such").consumer_tag == "no-such"


def test_cancelling_twice_succeeds(channel: Channel, queue: str) -> None:
    tag = channel.consume(queue)
    channel.cancel(tag)
    channel.cancel(tag)


def test_a_tag_is_free_after_its_cancel(channel: Channel, queue: str) -> None:
    for _ in range(3):
        channel.consume(queue, "tag")
        channel.cancel("tag")
    channel.consume(queue, "tag")
    publish(channel, queue, 1)
    assert channel.delivery().consumer_tag == "tag"


def test_cancelling_without_waiting_cancels(channel: Channel, queue: str) -> None:
    channel.consume(queue, "tag")
    channel.cancel("tag", nowait=True)
    channel.consume(queue, "tag")
    channel.expect_nothing()


def test_a_channel_cannot_cancel_for_another(channel: Channel, queue: str) -> None:
    channel.consume(queue, "tag")
    channel.connection.channel().cancel("tag")
    publish(channel, queue, 1)
    assert channel.delivery().consumer_tag == "tag"


# -- the server cancels ----------------------------------------------------------------------------


def test_consumers_are_told_when_their_queue_is_deleted(
    peer: Any, channel: Channel, queue: str
) -> None:
    other = peer.connect().channel()
    channel.consume(queue, "here")
    other.consume(queue, "there")
    channel.delete(queue)
    for one, tag in ((channel, "here"), (other, "there")):
        (cancel,) = one.take(Basic.Cancel)
        assert (cancel.consumer_tag, cancel.nowait) == (tag, True)


def test_who_deletes_the_queue_hears_that_it_is_done_before_its_consumer_is_told(
    channel: Channel, queue: str
) -> None:
    channel.consume(queue, "tag")
    channel.send(Queue.Delete(queue=queue))
    first, second = channel.take(count=2)
    assert (type(first), type(second)) == (Queue.DeleteOk, Basic.Cancel)


def test_a_client_that_cannot_be_told_is_not(peer: Any, channel: Channel, queue: str) -> None:
    capabilities = tuple(set(CAPABILITIES) - {"consumer_cancel_notify"})
    deaf = peer.connect(capabilities=capabilities).channel()
    deaf.consume(queue, "tag")
    channel.delete(queue)
    deaf.expect_nothing()
    channel.declare(queue)
    deaf.consume(queue, "tag")


def test_a_cancel_by_the_server_may_be_answered_since_4_3(
    peer: Any, channel: Channel, queue: str
) -> None:
    channel.consume(queue, "tag")
    channel.delete(queue)
    channel.take(Basic.Cancel)
    channel.send(Basic.CancelOk(consumer_tag="tag"))
    if peer.oracle.is_rabbitmq and not peer.oracle.since(4, 3):
        text = "COMMAND_INVALID - unimplemented method"
        with connection_error(503, text, Basic.CancelOk):
            channel.expect_close()
    else:
        channel.expect_nothing()


def test_a_tag_is_free_after_a_cancel_by_the_server(channel: Channel, queue: str) -> None:
    channel.consume(queue, "tag")
    channel.delete(queue)
    channel.take(Basic.Cancel)
    channel.declare(queue)
    channel.consume(queue, "tag")
    publish(channel, queue, 1)
    assert channel.delivery().consumer_tag == "tag"


def test_a_queue_deleted_with_its_owner_cancels_no_one_else(peer: Any, channel: Channel) -> None:
    connection = peer.connect()
    owner = connection.channel()
    name = owner.declare(exclusive=True).queue
    owner.consume(name)
    connection.close()
    channel.expect_nothing()


# -- the end of a channel or connection ------------------------------------------------------------


@pytest.mark.parametrize("end", ["channel", "error", "connection", "socket"])
def test_what_was_not_acked_is_delivered_again_in_order(
    peer: Any, channel: Channel, queue: str, end: str
) -> None:
    publish(channel, queue, 4)
    other = peer.connect().channel()
    other.consume(queue)
    deliveries = other.deliveries(4)
    other.ack(deliveries[1].delivery_tag)
    other.sync()
    if end == "channel":
        other.close()
    elif end == "error":
        with pytest.raises(ChannelClosed):
            other.declare(queue, durable=True)
    elif end == "connection":
        other.connection.close()
    else:
        other.connection.drop()
    channel.consume(queue)
    again = channel.deliveries(3)
    assert [(one.body, one.redelivered) for one in again] == [
        (b"1", True),
        (b"3", True),
        (b"4", True),
    ]


def test_what_was_not_delivered_yet_is_not_redelivered(
    peer: Any, channel: Channel, queue: str
) -> None:
    publish(channel, queue, 2)
    other = peer.connect().channel()
    other.qos(1)
    other.consume(queue)
    other.delivery()
    other.close()
    messages = [channel.get(queue, no_ack=True) for _ in range(2)]
    assert [(one.body, one.redelivered) for one in messages] == [(b"1", True), (b"2", False)]
