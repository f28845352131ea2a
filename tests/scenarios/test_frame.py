"""Frames that cannot be, and frames that cannot come here (spec 4.2.3; RabbitMQ's texts)."""

import re
import struct
from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic, Exchange, Queue, Tx

from tests.peers import codec
from tests.peers.channel import Channel
from tests.peers.connection import Connection, method_payload
from tests.peers.errors import ConnectionClosed, Disconnected, connection_error
from tests.peers.ways import send

TAIL = codec.HEARTBEAT_FRAME
PUBLISH = codec.make(Basic.Publish, exchange="amq.fanout", routing_key="k")


def written(data: bytes) -> str:
    """How RabbitMQ writes octets: a string where all can be printed."""
    if data and all(32 <= octet < 127 for octet in data):
        return f'<<"{data.decode()}">>'
    return "<<" + ",".join(str(octet) for octet in data) + ">>"


def refused(connection: Connection, code: int, text: str) -> None:
    """Expect connection.close; a text over 255 bytes is cut."""
    if len(text) > 255:
        pattern = re.compile(re.escape(text[:240]) + ".*", re.DOTALL)
        with connection_error(code, pattern, None):
            connection.expect_close()
    else:
        with connection_error(code, text, None):
            connection.expect_close()


# -- frames that cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0, 4, 5, 7, 9, 127, 255])
@pytest.mark.parametrize("payload", [b"", b"text", b"\x00\x01", bytes(16), bytes(17), b"a" * 40])
def test_an_unknown_frame_type(
    connection: Connection, way: str, kind: int, payload: bytes
) -> None:
    send(connection, codec.frame(kind, 0, payload), way, TAIL)
    shown = f"first 16 octets = {written(payload[:16])}"
    if len(payload) <= 16:
        shown = f"all octets = {written(payload)}"
    refused(connection, 501, f"FRAME_ERROR - type {kind}, {shown}: unknown_frame")


@pytest.mark.parametrize("number", [0, 1])
def test_a_heartbeat_with_a_payload(connection: Connection, way: str, number: int) -> None:
    connection.channel()
    send(connection, codec.frame(codec.HEARTBEAT, number, b"beat"), way, TAIL)
    text = 'FRAME_ERROR - type 8, all octets = <<"beat">>: unknown_frame'
    refused(connection, 501, text)


@pytest.mark.parametrize("size", [131073, 131072 * 2, 2**31, 2**32 - 1])
def test_a_frame_over_frame_max_is_refused_by_its_header(
    connection: Connection, way: str, size: int
) -> None:
    send(connection, struct.pack(">BHI", codec.BODY, 1, size), way, b"")
    text = f"FRAME_ERROR - type 3, all octets = <<>>: {{frame_too_large,{size},131064}}"
    refused(connection, 501, text)


def test_the_frame_max_is_the_negotiated_one(peer: Any) -> None:
    connection = peer.connect(frame_max=4096)
    connection.raw(struct.pack(">BHI", codec.BODY, 1, 4097))
    refused(
        connection, 501, "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}"
    )


def test_frame_max_is_taken_as_the_size_of_a_payload(channel: Channel) -> None:
    body = bytes(131072)
    number = channel.number
    channel.connection.raw(
        codec.method_frame(number, PUBLISH)
        + codec.frame(codec.HEADER, number, codec.encode_header(b"\0\0", len(body)))
        + codec.frame(codec.BODY, number, body)
    )
    channel.sync()


def test_before_tune_a_frame_has_4096_bytes(peer: Any) -> None:
    stranger = peer.greet()
    stranger.start_ok(properties={"filler": "x" * 3000})
    stranger.expect(commands.Connection.Tune)


@pytest.mark.parametrize("end", [0, 0xCD, 0xFF])
@pytest.mark.parametrize("payload", [b"text", b"\x00\x14\x00\x0a\x00"])
def test_a_wrong_end_octet(connection: Connection, way: str, end: int, payload: bytes) -> None:
    send(connection, codec.frame(codec.METHOD, 1, payload, end), way, TAIL)
    text = (
        f"FRAME_ERROR - type 1, all octets = {written(payload)}:"
        f" {{invalid_frame_end_marker,{end}}}"
    )
    refused(connection, 501, text)


def test_a_wrong_end_octet_shows_16_octets(connection: Connection, way: str) -> None:
    send(connection, codec.frame(codec.BODY, 0, b"0123456789abcdefgh", 0), way, TAIL)
    text = (
        'FRAME_ERROR - type 3, first 16 octets = <<"0123456789abcdef">>:'
        " {invalid_frame_end_marker,0}"
    )
    refused(connection, 501, text)


# -- methods that cannot be ------------------------------------------------------------------------

UNDECODABLE = [
    (Queue.Declare, b"\x00\x00\x01q\x00"),  # no table
    (Queue.Declare, b"\x00\x00\x09q\x00\x00\x00\x00\x00"),  # a name too long
    (Queue.Declare, b"\x00\x00\x01q\x00\x00\x00\x00\x09"),  # a table too long
    (Queue.Declare, b"\x00\x00\x01q\x00\x00\x00\x00\x03\x01a?"),  # an unknown type
    (Basic.Ack, b"\x00"),
    (Exchange.Declare, b""),
    (Basic.Publish, b"\x00"),
]


@pytest.mark.parametrize(("kind", "arguments"), UNDECODABLE)
def test_arguments_that_cannot_be_decoded(
    peer: Any, channel: Channel, way: str, kind: Any, arguments: bytes
) -> None:
    connection = channel.connection
    payload = method_payload(kind.index >> 16, kind.index & 0xFFFF, arguments)
    send(connection, codec.frame(codec.METHOD, channel.number, payload), way, TAIL)
    if peer.oracle.is_rabbitmq and b"?" in arguments:  # its reader crashes
        with pytest.raises(Disconnected):
            connection.expect_close()
    else:
        octets = ",".join(str(octet) for octet in arguments)
        with connection_error(501, f"FRAME_ERROR - cannot decode <<{octets}>>", kind):
            connection.expect_close()


@pytest.mark.parametrize("data", [b"\xff", b"\xc3", b"a\x80"])
def test_a_name_that_is_not_utf_8(channel: Channel, way: str, data: bytes) -> None:
    connection = channel.connection
    method = codec.make(Queue.Declare, queue=data)
    send(connection, codec.method_frame(channel.number, method), way, TAIL)
    refused(connection, 501, "FRAME_ERROR - Malformed UTF-8 in shortstr")


def test_a_publish_may_have_a_routing_key_that_is_not_utf_8(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    queue = channel.declare(exclusive=True).queue
    channel.bind(queue, exchange)
    channel.publish(exchange, b"\xff\x00\xfe", b"1")
    assert channel.get(queue, no_ack=True).routing_key == b"\xff\x00\xfe"
    channel.consume(queue, no_ack=True)
    channel.publish(exchange, b"\x80", b"2")
    assert channel.delivery().routing_key == b"\x80"
    channel.publish("", b"\xc3", b"3", mandatory=True)
    assert channel.expect(Basic.Return).routing_key == b"\xc3"


@pytest.mark.parametrize(("class_id", "method_id"), [(99, 10), (60, 99), (0, 0), (30, 99)])
@pytest.mark.parametrize("number", [0, 1])
def test_an_unknown_method(
    peer: Any, channel: Channel, way: str, number: int, class_id: int, method_id: int
) -> None:
    connection = channel.connection
    payload = method_payload(class_id, method_id)
    send(connection, codec.frame(codec.METHOD, number, payload), way, TAIL)
    if peer.oracle.is_rabbitmq:  # whose reader crashes
        with pytest.raises(Disconnected):
            connection.expect_close()
    else:
        with pytest.raises(ConnectionClosed) as caught:
            connection.expect_close()
        assert caught.value.reply_code == 541, caught.value


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("payload", [b"", b"\x00\x32", b"\x00\x32\x00"])
def test_a_method_frame_without_room_for_a_method(
    channel: Channel, way: str, number: int, payload: bytes
) -> None:
    send(channel.connection, codec.frame(codec.METHOD, number, payload), way, TAIL)
    text = f"FRAME_ERROR - type 1, all octets = {written(payload)}: unknown_frame"
    refused(channel.connection, 501, text)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("payload", [b"", b"text", bytes(11)])
def test_a_header_frame_without_room_for_a_header(
    channel: Channel, way: str, number: int, payload: bytes
) -> None:
    send(channel.connection, codec.frame(codec.HEADER, number, payload), way, TAIL)
    text = f"FRAME_ERROR - type 2, all octets = {written(payload)}: unknown_frame"
    refused(channel.connection, 501, text)


# -- frames that cannot come here ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (codec.BODY, b""),
        (codec.BODY, b"text"),
        (codec.BODY, bytes(20)),
        (codec.HEADER, bytes(14)),
        (codec.HEADER, bytes(20)),
    ],
)
def test_content_on_channel_0(connection: Connection, way: str, kind: int, payload: bytes) -> None:
    send(connection, codec.frame(kind, 0, payload), way, TAIL)
    shown = f"first 16 octets = {written(payload[:16])}"
    if len(payload) <= 16:
        shown = f"all octets = {written(payload)}"
    refused(connection, 505, f"UNEXPECTED_FRAME - type {kind}, {shown}")


def test_a_heartbeat_on_another_channel(channel: Channel, way: str) -> None:
    connection = channel.connection
    send(connection, codec.frame(codec.HEARTBEAT, channel.number, b""), way, TAIL)
    refused(connection, 505, "UNEXPECTED_FRAME - type 8, all octets = <<>>")


@pytest.mark.parametrize(
    "method", [codec.make(Queue.Declare, queue="q"), commands.Channel.Open(), Tx.Select()]
)
def test_a_channels_method_on_channel_0(connection: Connection, way: str, method: Any) -> None:
    send(connection, codec.method_frame(0, method), way, TAIL)
    text = "CHANNEL_ERROR - unexpected method in connection state running"
    with connection_error(504, text, type(method)):
        connection.expect_close()


@pytest.mark.parametrize("kind", [codec.HEADER, codec.BODY])
def test_content_where_a_method_is_expected(channel: Channel, way: str, kind: int) -> None:
    connection = channel.connection
    payload = codec.encode_header(b"\0\0", 0) if kind == codec.HEADER else b"body"
    send(connection, codec.frame(kind, channel.number, payload), way, TAIL)
    text = "UNEXPECTED_FRAME - expected method frame, got non method frame instead"
    refused(connection, 505, text)


@pytest.mark.parametrize("kind", [codec.METHOD, codec.BODY])
def test_something_else_where_a_header_is_expected(channel: Channel, way: str, kind: int) -> None:
    connection = channel.connection
    number = channel.number
    payload = codec.encode_method(PUBLISH) if kind == codec.METHOD else b"body"
    data = codec.method_frame(number, PUBLISH) + codec.frame(kind, number, payload)
    send(connection, data, way, TAIL)
    text = (
        "UNEXPECTED_FRAME - expected content header for class 60,"
        " got non content header frame instead"
    )
    with connection_error(505, text, Basic.Publish):
        connection.expect_close()


@pytest.mark.parametrize("class_id", [0, 50, 61, 90])
def test_a_header_of_another_class(channel: Channel, way: str, class_id: int) -> None:
    connection = channel.connection
    number = channel.number
    header = codec.encode_header(b"\0\0", 0, class_id)
    data = codec.method_frame(number, PUBLISH) + codec.frame(codec.HEADER, number, header)
    send(connection, data, way, TAIL)
    text = (
        "UNEXPECTED_FRAME - expected content header for class 60,"
        f" got one for class {class_id} instead"
    )
    with connection_error(505, text, Basic.Publish):
        connection.expect_close()


@pytest.mark.parametrize("kind", [codec.METHOD, codec.HEADER])
def test_something_else_where_a_body_is_expected(channel: Channel, way: str, kind: int) -> None:
    connection = channel.connection
    number = channel.number
    header = codec.encode_header(b"\0\0", 10)
    payload = codec.encode_method(PUBLISH) if kind == codec.METHOD else header
    data = codec.method_frame(number, PUBLISH) + codec.frame(codec.HEADER, number, header)
    send(connection, data + codec.frame(kind, number, payload), way, TAIL)
    text = "UNEXPECTED_FRAME - expected content body, got non content body frame instead"
    with connection_error(505, text, Basic.Publish):
        connection.expect_close()


@pytest.mark.parametrize("size", [536870913, 2**63 - 1, 2**64 - 1])
def test_a_body_over_512_mib_is_refused_by_its_header_since_4_3(
    peer: Any, channel: Channel, way: str, size: int
) -> None:
    connection = channel.connection
    number = channel.number
    header = codec.encode_header(b"\0\0", size)
    data = codec.method_frame(number, PUBLISH) + codec.frame(codec.HEADER, number, header)
    send(connection, data, way, TAIL)
    if peer.oracle.is_rabbitmq and not peer.oracle.since(4, 3):  # it waits for the body
        connection.channel().sync()
    else:
        text = f"FRAME_ERROR - content body size {size} exceeds maximum allowed size 536870912"
        refused_publish(connection, 501, text)


def refused_publish(connection: Connection, code: int, text: str) -> None:
    """Expect connection.close; whether it bears the ids of basic.publish does not matter."""
    with pytest.raises(ConnectionClosed) as caught:
        connection.expect_close()
    assert (caught.value.reply_code, caught.value.reply_text) == (code, text)


@pytest.mark.parametrize("pieces", [[b"12345678"], [b"123", b"45"], [b"1234", b"5"]])
def test_a_body_longer_than_announced_is_refused_since_4_3(
    peer: Any, channel: Channel, way: str, pieces: list[bytes]
) -> None:
    connection = channel.connection
    number = channel.number
    header = codec.encode_header(b"\0\0", 4)
    data = codec.method_frame(number, PUBLISH) + codec.frame(codec.HEADER, number, header)
    data += b"".join(codec.frame(codec.BODY, number, piece) for piece in pieces)
    send(connection, data, way, TAIL)
    if pieces[0] == b"1234":
        text = "UNEXPECTED_FRAME - expected method frame, got non method frame instead"
        refused(connection, 505, text)
    elif peer.oracle.is_rabbitmq and not peer.oracle.since(4, 3):  # it waits for more
        connection.channel().sync()
    else:
        text = "FRAME_ERROR - content body frame exceeds remaining content size"
        refused_publish(connection, 501, text)


def test_a_weight_that_is_not_0(channel: Channel, way: str) -> None:
    connection = channel.connection
    number = channel.number
    header = codec.encode_header(b"\0\0", 0, weight=1)
    data = codec.method_frame(number, PUBLISH) + codec.frame(codec.HEADER, number, header)
    send(connection, data, way, TAIL)
    text = (
        "UNEXPECTED_FRAME - expected content header for class 60,"
        " got non content header frame instead"
    )
    with connection_error(505, text, Basic.Publish):
        connection.expect_close()


# -- the rest is discarded -------------------------------------------------------------------------


def test_what_follows_a_frame_error_is_discarded(peer: Any, connection: Connection) -> None:
    channel, other = connection.channel(), peer.connect().channel()
    queue = peer.name("q")
    other.declare(queue)
    connection.hold()
    connection.raw(codec.frame(9, 0, b""))
    channel.publish("", queue, b"too late")
    connection.release()
    with pytest.raises(ConnectionClosed):
        connection.expect_close()
    assert other.bodies(queue) == []


@pytest.mark.distances("memory", "sim", why="moves the clock")
def test_the_socket_is_closed_after_a_frame_error(connection: Connection) -> None:
    connection.raw(codec.frame(9, 0, b""))
    with pytest.raises(ConnectionClosed):
        connection.expect_close()
    connection.expect_end()


def test_unacked_messages_come_back_after_a_frame_error(peer: Any, connection: Connection) -> None:
    channel, other = connection.channel(), peer.connect().channel()
    queue = peer.name("q")
    other.declare(queue)
    channel.publish("", queue, b"1")
    channel.get(queue)
    connection.raw(codec.frame(9, 0, b""))
    with pytest.raises(ConnectionClosed):
        connection.expect_close()
    other.consume(queue)
    message = other.delivery()
    assert (message.body, message.redelivered) == (b"1", True)


# -- frames that can come in pieces ----------------------------------------------------------------


def test_a_publish_in_pieces_is_a_publish(peer: Any, channel: Channel, way: str) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    number = channel.number
    data = codec.method_frame(number, codec.make(Basic.Publish, routing_key=queue))
    properties = codec.encode_properties({"headers": {"a": 1}, "delivery_mode": 2})
    data += codec.content_frames(number, properties, b"0123456789" * 10, 60)
    send(channel.connection, data, way, TAIL)
    message = channel.get(queue, no_ack=True)
    assert (message.body, message.raw_properties) == (b"0123456789" * 10, properties)


def test_calls_in_pieces_are_answered(peer: Any, channel: Channel, way: str) -> None:
    queue = peer.name("q")
    number = channel.number
    declare = codec.method_frame(number, codec.make(Queue.Declare, queue=queue))
    get = codec.method_frame(number, codec.make(Basic.Get, queue=queue))
    send(channel.connection, TAIL + declare + TAIL + get, way, declare)
    channel.expect(Queue.DeclareOk)
    channel.expect(Basic.GetEmpty)


def test_a_megabyte_of_heartbeats_is_nothing(connection: Connection) -> None:
    connection.raw(codec.HEARTBEAT_FRAME * 100_000)
    connection.channel()
