"""basic.get, ack, nack, reject and recover (spec 1.8.3; RabbitMQ: confirms, nack)."""

import warnings
from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers import codec
from tests.peers.channel import Channel
from tests.peers.errors import channel_error, connection_error
from tests.scenarios import texts


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with five messages."""
    name = peer.name("q")
    channel.declare(name)
    for number in range(1, 6):
        channel.publish("", name, str(number).encode())
    channel.sync()
    return name


def unknown(tag: int) -> str:
    """The text of the refusal."""
    return f"PRECONDITION_FAILED - unknown delivery tag {tag}"


# -- get -------------------------------------------------------------------------------------------


def test_get_returns_message_after_message(channel: Channel, queue: str) -> None:
    for number in range(1, 6):
        message = channel.get(queue)
        assert (message.body, message.delivery_tag) == (str(number).encode(), number)
        assert (message.exchange, message.routing_key) == ("", queue)
        assert (message.redelivered, message.message_count) == (False, 5 - number)
    assert channel.get(queue) is None


def test_get_from_an_empty_queue_says_so(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.send(codec.make(Basic.Get, queue=queue))
    assert channel.expect(Basic.GetEmpty)


def test_get_from_a_missing_queue_is_a_404(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    with channel_error(404, texts.no_queue(queue), Basic.Get):
        channel.get(queue)


def test_what_was_got_without_ack_is_gone(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    assert other.get(queue, no_ack=True).body == b"1"
    other.close()
    assert channel.get(queue).body == b"2"


def test_what_was_got_and_not_acked_comes_back(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    assert other.get(queue).body == b"1"
    other.close()
    message = channel.get(queue)
    assert (message.body, message.redelivered) == (b"1", True)


# -- ack -------------------------------------------------------------------------------------------


def test_an_acked_message_is_gone(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    other.ack(other.get(queue).delivery_tag)
    other.close()
    assert channel.bodies(queue) == [b"2", b"3", b"4", b"5"]


def test_acks_may_come_in_any_order(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    tags = [other.get(queue).delivery_tag for _ in range(5)]
    for tag in (tags[3], tags[0], tags[4]):
        other.ack(tag)
    other.close()
    assert channel.bodies(queue) == [b"2", b"3"]


def test_multiple_acks_all_up_to_a_tag(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    tags = [other.get(queue).delivery_tag for _ in range(5)]
    other.ack(tags[1])
    other.ack(tags[2], multiple=True)
    other.close()
    assert channel.bodies(queue) == [b"4", b"5"]


def test_multiple_with_tag_0_acks_all(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    for _ in range(4):
        other.get(queue)
    other.ack(0, multiple=True)
    other.close()
    assert channel.bodies(queue) == [b"5"]


def test_multiple_with_tag_0_and_nothing_to_ack_is_no_error(channel: Channel) -> None:
    channel.ack(0, multiple=True)
    channel.nack(0, multiple=True)
    channel.sync()


def test_multiple_acks_deliveries_of_all_consumers_and_gets(
    peer: Any, channel: Channel, queue: str
) -> None:
    second = peer.name("second")
    channel.declare(second)
    channel.publish("", second, b"other")
    channel.sync()
    other = channel.connection.channel()
    other.qos(1)
    other.consume(queue)
    other.delivery()
    other.get(second)
    last = other.get(queue)
    other.ack(last.delivery_tag, multiple=True)
    assert other.delivery().body == b"3"
    other.close()
    assert channel.bodies(queue) == [b"3", b"4", b"5"]
    assert channel.bodies(second) == []


@pytest.mark.parametrize("tag", [1, 2, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("multiple", [False, True])
def test_acking_what_was_never_delivered_is_a_406(
    channel: Channel, tag: int, multiple: bool
) -> None:
    channel.ack(tag, multiple)
    with channel_error(406, unknown(tag), Basic.Ack):
        channel.expect_close()


def test_acking_tag_0_is_a_406(channel: Channel, queue: str) -> None:
    channel.get(queue)
    channel.ack(0)
    with channel_error(406, unknown(0), Basic.Ack):
        channel.expect_close()


def test_acking_twice_is_a_406(channel: Channel, queue: str) -> None:
    tag = channel.get(queue).delivery_tag
    channel.ack(tag)
    channel.ack(tag)
    with channel_error(406, unknown(tag), Basic.Ack):
        channel.expect_close()


def test_multiple_asks_for_a_tag_that_is_outstanding(channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    tags = [other.get(queue).delivery_tag for _ in range(3)]
    other.ack(tags[2])
    other.ack(tags[2], multiple=True)
    with channel_error(406, unknown(tags[2]), Basic.Ack):
        other.expect_close()
    assert channel.bodies(queue) == [b"1", b"2", b"4", b"5"]


def test_a_delivery_is_settled_on_its_own_channel_only(channel: Channel, queue: str) -> None:
    tag = channel.get(queue).delivery_tag
    other = channel.connection.channel()
    other.ack(tag)
    with channel_error(406, unknown(tag), Basic.Ack):
        other.expect_close()
    channel.ack(tag)
    channel.sync()


@pytest.mark.parametrize("kind", [Basic.Nack, Basic.Reject])
def test_settling_in_other_ways_asks_for_known_tags_too(channel: Channel, kind: Any) -> None:
    channel.send(codec.make(kind, delivery_tag=7, requeue=True))
    with channel_error(406, unknown(7), kind):
        channel.expect_close()


# -- nack and reject -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["nack", "reject"])
def test_a_refused_message_can_be_discarded(channel: Channel, queue: str, how: str) -> None:
    getattr(channel, how)(channel.get(queue).delivery_tag, requeue=False)
    assert channel.bodies(queue) == [b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize("how", ["nack", "reject"])
def test_a_refused_message_can_go_back_to_its_place(
    channel: Channel, queue: str, how: str
) -> None:
    messages = [channel.get(queue) for _ in range(3)]
    getattr(channel, how)(messages[1].delivery_tag)
    getattr(channel, how)(messages[0].delivery_tag)
    again = [channel.get(queue) for _ in range(4)]
    assert [(one.body, one.redelivered) for one in again] == [
        (b"1", True),
        (b"2", True),
        (b"4", False),
        (b"5", False),
    ]


def test_messages_go_back_among_each_other_in_any_order(channel: Channel, queue: str) -> None:
    messages = [channel.get(queue) for _ in range(5)]
    for index in (3, 0, 4, 2, 1):
        channel.nack(messages[index].delivery_tag)
    assert channel.bodies(queue) == [b"1", b"2", b"3", b"4", b"5"]


def test_nack_multiple_requeues_all_up_to_a_tag(channel: Channel, queue: str) -> None:
    tags = [channel.get(queue).delivery_tag for _ in range(4)]
    channel.nack(tags[2], multiple=True)
    assert channel.bodies(queue) == [b"1", b"2", b"3", b"5"]


def test_nack_multiple_with_tag_0_requeues_all(channel: Channel, queue: str) -> None:
    for _ in range(4):
        channel.get(queue)
    channel.nack(0, multiple=True)
    assert channel.bodies(queue) == [b"1", b"2", b"3", b"4", b"5"]


def test_nack_multiple_can_discard(channel: Channel, queue: str) -> None:
    for _ in range(4):
        channel.get(queue)
    channel.nack(0, multiple=True, requeue=False)
    assert channel.bodies(queue) == [b"5"]


def test_a_requeued_message_goes_to_the_next_consumer(channel: Channel, queue: str) -> None:
    first, second = channel.connection.channel(), channel.connection.channel()
    first.qos(1)
    first.consume(queue)
    delivery = first.delivery()
    second.qos(1)
    second.consume(queue)
    assert second.delivery().body == b"2"
    first.nack(delivery.delivery_tag)
    again = first.delivery()
    assert (again.body, again.redelivered) == (b"1", True)


# -- recover ---------------------------------------------------------------------------------------


def recover(channel: Channel, requeue: bool) -> Any:
    """basic.recover."""
    return channel.do(Basic.Recover, requeue=requeue)


def test_recover_requeues_all_that_is_unacked(channel: Channel, queue: str) -> None:
    tags = [channel.get(queue).delivery_tag for _ in range(3)]
    channel.ack(tags[1])
    recover(channel, requeue=True)
    again = [channel.get(queue) for _ in range(3)]
    assert [(one.body, one.redelivered) for one in again] == [
        (b"1", True),
        (b"3", True),
        (b"4", False),
    ]


def test_recover_delivers_again_to_consumers(channel: Channel, queue: str) -> None:
    channel.consume(queue)
    channel.deliveries(5)
    recover(channel, requeue=True)
    again = channel.deliveries(5)
    assert [one.body for one in again] == [b"1", b"2", b"3", b"4", b"5"]
    assert all(one.redelivered for one in again)
    assert [one.delivery_tag for one in again] == [6, 7, 8, 9, 10]


def test_recover_with_nothing_unacked_succeeds(channel: Channel) -> None:
    recover(channel, requeue=True)


def test_tags_are_unknown_after_recover(channel: Channel, queue: str) -> None:
    tag = channel.get(queue).delivery_tag
    recover(channel, requeue=True)
    channel.ack(tag)
    with channel_error(406, unknown(tag), Basic.Ack):
        channel.expect_close()


def test_recover_async_has_no_reply(channel: Channel, queue: str) -> None:
    channel.get(queue)
    channel.send(recover_async(requeue=True))
    channel.expect_nothing()
    message = channel.get(queue)
    assert (message.body, message.redelivered) == (b"1", True)


def recover_async(requeue: bool) -> Any:
    """basic.recover-async; pamqp warns of it, as the protocol deprecates it."""
    with warnings.catch_warnings(action="ignore"):
        return codec.make(Basic.RecoverAsync, requeue=requeue)


def test_recover_without_requeue_is_not_implemented(channel: Channel) -> None:
    with connection_error(540, "NOT_IMPLEMENTED - requeue=false", Basic.Recover):
        recover(channel, requeue=False)


def test_recover_async_without_requeue_is_not_implemented(channel: Channel) -> None:
    channel.send(recover_async(requeue=False))
    with connection_error(540, "NOT_IMPLEMENTED - requeue=false", Basic.RecoverAsync):
        channel.expect_close()
