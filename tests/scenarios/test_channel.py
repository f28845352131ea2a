"""Channels: open, close, flow, errors that close one, numbers (spec 1.5; RabbitMQ: channels)."""

import re
from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic, Queue

from tests.peers import codec
from tests.peers.channel import Channel
from tests.peers.connection import Connection
from tests.peers.errors import ChannelClosed, ConnectionClosed, channel_error, connection_error
from tests.scenarios import texts

OPEN, CLOSE = commands.Channel.Open, commands.Channel.Close


def fail(channel: Channel) -> None:
    """Have the broker close a channel."""
    with channel_error(404, texts.no_queue("no-such"), Queue.Declare):
        channel.declare("no-such", passive=True)


@pytest.mark.parametrize("number", [1, 2, 1000, 2047, 65535])
def test_a_channel_of_any_number_can_be_opened(connection: Connection, number: int) -> None:
    channel = connection.channel(number)
    channel.declare(exclusive=True)
    channel.close()


def test_thousands_of_channels_can_be_open(connection: Connection) -> None:
    connection.hold()
    for number in range(1, 2048):
        connection.channels[number] = Channel(connection, number)
        connection.send(OPEN(), number)
    connection.release()
    for channel in connection.channels.values():
        channel.expect(commands.Channel.OpenOk)
    connection.channels[2047].sync()
    connection.channels[1].sync()


def test_more_channels_than_negotiated_are_refused(peer: Any) -> None:
    connection = peer.connect(channel_max=3)
    for _ in range(3):
        connection.channel()
    text = "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)"
    with pytest.raises(ConnectionClosed) as caught:
        connection.channel()
    assert (caught.value.reply_code, caught.value.reply_text) == (530, text)


def test_closed_channels_do_not_count(peer: Any) -> None:
    connection = peer.connect(channel_max=2)
    for _ in range(5):
        first, second = connection.channel(), connection.channel()
        first.close()
        second.close()


@pytest.mark.parametrize(
    "method",
    [
        Queue.Declare(queue="q"),
        CLOSE(reply_code=200, reply_text="OK", class_id=0, method_id=0),
        commands.Channel.Flow(active=True),
        Basic.Ack(delivery_tag=1),
    ],
)
def test_a_channel_that_was_not_opened_cannot_be_used(connection: Connection, method: Any) -> None:
    connection.send(method, 1)
    text = "CHANNEL_ERROR - expected 'channel.open'"
    with connection_error(504, text, type(method)):
        connection.expect_close()


def test_a_publish_on_a_channel_that_was_not_opened_is_refused(connection: Connection) -> None:
    Channel(connection, 1).publish("", "q", b"body")
    with connection_error(504, "CHANNEL_ERROR - expected 'channel.open'", Basic.Publish):
        connection.expect_close()


def test_a_closed_channel_cannot_be_used(channel: Channel) -> None:
    connection = channel.connection
    channel.close()
    connection.send(Queue.Declare(queue="q"), channel.number)
    text = "CHANNEL_ERROR - expected 'channel.open'"
    with connection_error(504, text, Queue.Declare):
        connection.expect_close()


def test_a_channel_is_opened_once(channel: Channel) -> None:
    channel.send(OPEN())
    with connection_error(504, "CHANNEL_ERROR - second 'channel.open' seen", OPEN):
        channel.expect_close()


def test_a_number_can_be_used_again_after_close(connection: Connection) -> None:
    for _ in range(10):
        channel = connection.channel(7)
        channel.declare(exclusive=True)
        channel.close()


@pytest.mark.distances("memory", "sim", "socket", why="in RabbitMQ a close takes its time")
def test_open_may_follow_close_without_waiting(channel: Channel) -> None:
    connection = channel.connection
    connection.hold()
    channel.send(codec.make(CLOSE, reply_code=200, reply_text="OK"))
    channel.send(OPEN())
    channel.send(codec.make(Queue.Declare, exclusive=True))
    connection.release()
    channel.expect(commands.Channel.CloseOk)
    channel.expect(commands.Channel.OpenOk)
    channel.expect(Queue.DeclareOk)


# -- errors ----------------------------------------------------------------------------------------


def test_an_error_closes_its_channel_alone(connection: Connection) -> None:
    first, second = connection.channel(), connection.channel()
    fail(first)
    second.declare(exclusive=True)


def test_a_number_can_be_used_again_after_an_error(connection: Connection) -> None:
    for _ in range(10):
        fail(connection.channel(7))
    connection.channel(7).declare(exclusive=True)


def test_open_may_follow_close_ok_without_waiting(channel: Channel) -> None:
    connection = channel.connection
    channel.answers_close = False
    fail(channel)
    connection.hold()
    channel.send(commands.Channel.CloseOk())
    channel.send(OPEN())
    channel.send(codec.make(Queue.Declare, exclusive=True))
    connection.release()
    channel.failure = None
    channel.expect(commands.Channel.OpenOk)
    channel.expect(Queue.DeclareOk)


def test_everything_is_discarded_until_close_ok(peer: Any, channel: Channel) -> None:
    connection = channel.connection
    other = connection.channel()
    queue, never = peer.name("q"), peer.name("never")
    other.declare(queue)
    channel.answers_close = False
    connection.hold()
    channel.send(codec.make(Queue.Declare, queue="no-such", passive=True))
    channel.publish("", queue, b"too late")
    channel.send(codec.make(Queue.Declare, queue=never))
    channel.send(codec.make(Queue.Declare, queue="no-such", passive=True))
    channel.publish("", queue, b"too late", immediate=True)
    connection.release()
    with pytest.raises(ChannelClosed):
        channel.expect_close()
    channel.publish("", queue, b"much too late")
    channel.send(commands.Channel.CloseOk())
    other.sync()
    assert other.bodies(queue) == []
    assert not channel.inbox
    with channel_error(404, texts.no_queue(never), Queue.Declare):
        other.declare(never, passive=True)


def test_open_before_close_ok_is_discarded_but_not_in_rabbitmq(
    peer: Any, channel: Channel
) -> None:
    connection = channel.connection
    channel.answers_close = False
    fail(channel)
    channel.send(OPEN())
    if peer.oracle.is_rabbitmq:
        with connection_error(504, "CHANNEL_ERROR - second 'channel.open' seen", OPEN):
            connection.expect_close()
    else:
        channel.confirm_close()
        connection.channel(channel.number).sync()


def test_content_is_discarded_from_the_middle_of_an_error(peer: Any, channel: Channel) -> None:
    connection = channel.connection
    number = channel.number
    other = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    channel.answers_close = False
    publish = codec.method_frame(number, codec.make(Basic.Publish, routing_key=queue))
    channel.send(codec.make(Queue.Declare, queue="no-such", passive=True))
    connection.raw(publish + codec.frame(codec.HEADER, number, codec.encode_header(b"\0\0", 4)))
    with pytest.raises(ChannelClosed):
        channel.expect_close()
    connection.raw(codec.frame(codec.BODY, number, b"body"))
    channel.confirm_close()
    other.sync()
    assert other.bodies(queue) == []
    connection.channel(number).sync()


def test_a_close_that_crosses_an_error_is_answered(channel: Channel) -> None:
    connection = channel.connection
    channel.answers_close = False
    fail(channel)
    channel.send(codec.make(CLOSE, reply_code=200, reply_text="OK"))
    channel.failure = None
    channel.expect(commands.Channel.CloseOk)
    channel.send(commands.Channel.CloseOk())
    other = connection.channel()
    other.sync()
    assert not channel.inbox


def test_consumers_of_a_channel_closed_by_an_error_are_gone(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.consume(queue, "tag")
    connection = channel.connection
    fail(channel)
    other = connection.channel()
    assert other.declare(queue, passive=True).consumer_count == 0
    other.publish("", queue, b"1")
    assert other.bodies(queue) == [b"1"]
    assert not channel.inbox


def test_replies_come_in_the_order_of_the_calls(peer: Any, channel: Channel) -> None:
    connection = channel.connection
    queues = [peer.name("q") for _ in range(5)]
    connection.hold()
    for queue in queues:
        channel.send(codec.make(Queue.Declare, queue=queue))
        channel.send(codec.make(Basic.Get, queue=queue))
    connection.release()
    for queue in queues:
        assert channel.expect(Queue.DeclareOk).queue == queue
        channel.expect(Basic.GetEmpty)


# -- flow ------------------------------------------------------------------------------------------


def test_flow_can_be_asked_to_be_what_it_is(channel: Channel) -> None:
    assert channel.call(commands.Channel.Flow(active=True)).active is True


def test_flow_cannot_be_stopped(channel: Channel) -> None:
    with connection_error(540, "NOT_IMPLEMENTED - active=false", commands.Channel.Flow):
        channel.call(commands.Channel.Flow(active=False))


# -- methods that only servers send ----------------------------------------------------------------

SERVERS = [
    codec.make(Basic.GetEmpty),
    codec.make(Basic.QosOk),
    codec.make(Basic.ConsumeOk, consumer_tag="t"),
    codec.make(Queue.DeclareOk, queue="q", message_count=0, consumer_count=0),
    codec.make(Queue.BindOk),
    codec.make(commands.Channel.OpenOk),
    codec.make(commands.Exchange.DeclareOk),
    codec.make(commands.Tx.CommitOk),
    codec.make(commands.Confirm.SelectOk),
]


@pytest.mark.parametrize("method", SERVERS, ids=lambda method: method.name)
def test_a_servers_method_from_a_client_is_unimplemented(channel: Channel, method: Any) -> None:
    channel.send(method)
    with connection_error(503, "COMMAND_INVALID - unimplemented method", type(method)):
        channel.expect_close()


@pytest.mark.parametrize("kind", [Basic.Deliver, Basic.GetOk, Basic.Return])
def test_a_servers_content_from_a_client_is_unimplemented(channel: Channel, kind: Any) -> None:
    channel.connection.raw(
        codec.method_frame(channel.number, codec.make(kind))
        + codec.content_frames(channel.number, b"\0\0", b"body", 4096)
    )
    with connection_error(503, "COMMAND_INVALID - unimplemented method", kind):
        channel.expect_close()


def test_a_close_ok_out_of_the_blue_says_nothing_but_to_rabbitmq(
    peer: Any, channel: Channel
) -> None:
    channel.send(commands.Channel.CloseOk())
    if peer.oracle.is_rabbitmq:
        text = "COMMAND_INVALID - unimplemented method"
        with connection_error(503, text, commands.Channel.CloseOk):
            channel.expect_close()
    else:
        channel.sync()


# -- access ----------------------------------------------------------------------------------------


def test_access_is_always_granted(channel: Channel) -> None:
    request = b"\x00\x1e\x00\x0a" + codec.encode_shortstr("/data") + b"\x1f"
    channel.connection.raw(codec.frame(codec.METHOD, channel.number, request))
    assert channel.expect(codec.RequestOk).ticket == 1


def test_reply_texts_are_cut_to_a_short_string(peer: Any, channel: Channel) -> None:
    queue = peer.name("q" * 225)
    with pytest.raises(ChannelClosed) as caught:
        channel.declare(queue, passive=True)
    assert caught.value.reply_code == 404
    assert re.fullmatch(r"NOT_FOUND - no queue 'q{200,}.*\.\.\.", caught.value.reply_text)
    assert len(caught.value.reply_text.encode()) == 255
