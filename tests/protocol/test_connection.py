"""A connection's conversation: states, frame-level errors to the letter, and how bytes are cut.

Each byte-level case runs whole, a byte at a time, and followed by other bytes.
"""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import base, commands

from amqpd import errors
from amqpd.protocol import connection as states
from amqpd.protocol.channel import ChannelConversation
from amqpd.wire import methods
from tests.peers import codec
from tests.protocol.recorder import (
    CHANNEL_OPEN,
    CLOSE,
    CLOSE_OK,
    FRAME_MAX,
    HARD,
    OPEN,
    SOFT,
    START_OK,
    TUNE_OK,
    UPDATE_SECRET,
    WAY_TO,
    WAYS,
    Recorder,
    body,
    header,
    method,
    publish,
    recorder,
    say,
)

HANDSHAKE = (states.STARTING, states.TUNING, states.OPENING)
BEFORE_CLOSE = (*HANDSHAKE, states.RUNNING)
METHODS = {
    index: codec.frame(codec.METHOD, 0, struct.pack(">I", index))
    for index in [*commands.INDEX_MAPPING, methods.ACCESS_REQUEST]
}
# Which methods of channel 0 lead on, and to which state.
LEADS_TO = {
    (states.STARTING, "connection.startok"): states.TUNING,
    (states.TUNING, "connection.tuneok"): states.OPENING,
    (states.OPENING, "connection.open"): states.RUNNING,
    (states.RUNNING, "connection.updatesecret"): states.RUNNING,
}
UNKNOWN_METHOD = b"\x00\x3c\x03\xe7"

every_way = pytest.mark.parametrize("way", WAYS)


def ids(index: int) -> tuple[int, int]:
    """Return class id and method id of a method (0 = none)."""
    return index >> 16, index & 0xFFFF


def connection_close(code: int, text: str, index: int) -> tuple[Any, ...]:
    """Return connection.close as the recorder shows it."""
    return (0, "Connection.Close", code, text, *ids(index))


def channel_close(number: int, code: int, text: str, index: int) -> tuple[Any, ...]:
    """Return channel.close as the recorder shows it."""
    return (number, "Channel.Close", code, text, *ids(index))


# -- protocol header -------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("octets", [b"AMQP\0\0\x09\x01", b"AMQP\x01\x01\x00\x09"])
def test_a_right_protocol_header_starts_the_handshake(octets: bytes, way: str) -> None:
    conversation = Recorder()
    say(conversation, octets, way)
    assert conversation.state == states.STARTING
    assert conversation.news() == [("header",)]
    assert not conversation.close_socket


@every_way
@pytest.mark.parametrize(
    "octets",
    [
        b"AMQP\0\0\x08\x00",
        b"AMQP\0\0\x09\x02",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x02\x01\x00\x00",
        b"amqp\0\0\x09\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        bytes(8),
    ],
)
def test_a_wrong_protocol_header_is_answered_by_the_right_one(octets: bytes, way: str) -> None:
    conversation = Recorder()
    say(conversation, octets, way)
    assert conversation.outbox.getvalue() == b"AMQP\0\0\x09\x01"
    assert conversation.state == states.CLOSED
    assert conversation.close_socket
    assert conversation.news() == [("end", None)]


@pytest.mark.parametrize("octets", [b"", b"A", b"AMQP\0\0\x09", b"GET ", b"\0"])
def test_nothing_is_said_before_eight_octets_have_come(octets: bytes) -> None:
    conversation = Recorder()
    say(conversation, octets, "whole")
    assert conversation.state == states.AWAITING_HEADER
    assert conversation.outbox.getvalue() == b""


def test_the_handshake_may_come_in_one_piece() -> None:
    conversation = Recorder()
    conversation.receive_bytes(WAY_TO[states.RUNNING] + method(1, CHANNEL_OPEN))
    assert conversation.state == states.RUNNING
    assert list(conversation.channels) == [1]


# -- the state table -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", BEFORE_CLOSE)
@pytest.mark.parametrize("index", METHODS, ids=methods.name_of)
def test_on_channel_0_each_state_takes_its_own_methods_only(state: int, index: int) -> None:
    conversation = recorder(state)
    conversation.receive_bytes(METHODS[index])
    name = methods.name_of(index)
    sent, news = conversation.take(), conversation.news()
    if (state, name) in LEADS_TO:
        assert conversation.state == LEADS_TO[state, name]
        assert news == [("connection", name, METHODS[index][7:-1])]
        assert sent == []
    elif name == "connection.close" and state > states.STARTING:
        assert conversation.state == states.CLOSED
        assert conversation.close_socket
        assert news == [("end", None)]
        assert sent == [(0, "Connection.CloseOk")]
    elif state == states.STARTING:
        assert conversation.state == states.DISCARDING
        text = "CHANNEL_ERROR - unexpected method in connection state starting"
        assert news == [("end", text), ("wait", "closed", True)]
        assert sent == []
    else:
        assert conversation.state == states.CLOSING
        text = f"CHANNEL_ERROR - unexpected method in connection state {states.STATE_NAMES[state]}"
        assert news == [("end", text), ("wait", "closing", False)]
        assert sent == [connection_close(504, text, index)]


@pytest.mark.parametrize("index", METHODS, ids=methods.name_of)
def test_while_we_wait_for_close_ok_only_the_two_close_methods_count(index: int) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, HARD))
    conversation.take()
    conversation.news()
    conversation.receive_bytes(METHODS[index])
    name = methods.name_of(index)
    sent = conversation.take()
    assert conversation.news() == []
    assert sent == ([(0, "Connection.CloseOk")] if name == "connection.close" else [])
    is_over = name in ("connection.close", "connection.closeok")
    assert conversation.close_socket == is_over
    assert conversation.state == (states.CLOSED if is_over else states.CLOSING)


def test_whatever_else_comes_while_we_wait_for_close_ok_is_discarded() -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, HARD))
    conversation.take()
    conversation.news()
    for data in (
        publish(1) + header(1, 3) + body(1, b"abc"),
        body(1, b"stray"),
        header(0, 1),
        codec.HEARTBEAT_FRAME,
        codec.frame(codec.HEARTBEAT, 5, b"x"),
        codec.frame(codec.METHOD, 1, UNKNOWN_METHOD),
        codec.frame(codec.METHOD, 0, b""),
        codec.frame(9, 7, b"x"),
        method(1, CHANNEL_OPEN),
        method(2, CHANNEL_OPEN),
    ):
        conversation.receive_bytes(data)
    assert conversation.state == states.CLOSING
    conversation.receive_bytes(CLOSE_OK)
    assert conversation.close_socket
    assert conversation.take() == []
    assert conversation.news() == []


@every_way
def test_a_frame_error_while_we_wait_for_close_ok_is_told_to_nobody(way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, HARD))
    assert len(conversation.take()) == 1
    say(conversation, codec.frame(codec.METHOD, 1, b"\0\0\0\0", end=0) + CLOSE_OK, way)
    assert conversation.take() == []
    assert conversation.state == states.DISCARDING
    assert conversation.news()[-1] == ("wait", "closed", True)


def test_after_the_end_nothing_is_heard() -> None:
    discarding = recorder(states.STARTING)
    discarding.receive_bytes(CLOSE)
    assert discarding.state == states.DISCARDING
    closed = recorder(states.RUNNING)
    closed.receive_bytes(CLOSE + method(1, CHANNEL_OPEN) + CLOSE)
    assert closed.take() == [(0, "Connection.CloseOk")]
    for conversation in (discarding, closed):
        conversation.news()
        for data in (WAY_TO[states.RUNNING], CLOSE, CLOSE_OK, b"\xff" * 99):
            conversation.receive_bytes(data)
        assert conversation.news() == []
        assert conversation.take() == []


def test_heartbeats_may_come_in_any_state_once_the_header_was_there() -> None:
    for state in BEFORE_CLOSE:
        conversation = recorder(state)
        conversation.receive_bytes(codec.HEARTBEAT_FRAME * 3)
        assert conversation.state == state
        assert conversation.take() == []


# -- logging in ------------------------------------------------------------------------------------


def test_a_refused_login_is_told_without_ids_and_waits_a_short_while_for_close_ok() -> None:
    conversation = recorder(states.STARTING)
    conversation.refusal = errors.login_refused("PLAIN")
    conversation.receive_bytes(START_OK + TUNE_OK + OPEN)
    text = (
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."
        " For details see the broker logfile."
    )
    assert conversation.take() == [connection_close(403, text, 0)]
    assert conversation.state == states.CLOSING
    assert conversation.news()[-1] == ("wait", "closing", True)
    conversation.receive_bytes(CLOSE_OK)
    assert conversation.close_socket


def test_an_error_in_the_login_is_not_told() -> None:
    conversation = recorder(states.STARTING)
    conversation.refusal = errors.login_refused_silently("PLAIN")
    conversation.receive_bytes(START_OK)
    assert conversation.take() == []
    assert conversation.state == states.DISCARDING
    assert conversation.news()[-1] == ("wait", "closed", True)
    assert not conversation.close_socket


# -- frame-level errors, to the letter -------------------------------------------------------------

UNKNOWN_FRAMES = [
    (codec.frame(9, 0, b""), "type 9, all octets = <<>>: unknown_frame"),
    (codec.frame(4, 1, b"abc"), 'type 4, all octets = <<"abc">>: unknown_frame'),
    (codec.frame(0, 7, b"\x01\xff"), "type 0, all octets = <<1,255>>: unknown_frame"),
    (codec.frame(9, 1, b"x" * 16), f'type 9, all octets = <<"{"x" * 16}">>: unknown_frame'),
    (codec.frame(9, 1, b"x" * 17), f'type 9, first 16 octets = <<"{"x" * 16}">>: unknown_frame'),
    (codec.frame(8, 0, b"x"), 'type 8, all octets = <<"x">>: unknown_frame'),
    (codec.frame(8, 1, b"x"), 'type 8, all octets = <<"x">>: unknown_frame'),
    (codec.frame(1, 0, b""), "type 1, all octets = <<>>: unknown_frame"),
    (codec.frame(1, 1, b"\0\x3c\0"), "type 1, all octets = <<0,60,0>>: unknown_frame"),
    (codec.frame(1, 7, b"ab"), 'type 1, all octets = <<"ab">>: unknown_frame'),
    (codec.frame(2, 0, b""), "type 2, all octets = <<>>: unknown_frame"),
    (codec.frame(2, 1, b"header"), 'type 2, all octets = <<"header">>: unknown_frame'),
    (codec.frame(2, 7, b"header"), 'type 2, all octets = <<"header">>: unknown_frame'),
]
UNREADABLE_FRAMES = [
    (
        codec.frame(1, 1, b"abcd", end=0),
        'type 1, all octets = <<"abcd">>: {invalid_frame_end_marker,0}',
    ),
    (
        codec.frame(3, 0, b"", end=0xCF),
        "type 3, all octets = <<>>: {invalid_frame_end_marker,207}",
    ),
    (
        codec.frame(9, 1, bytes(20), end=1),
        f"type 9, first 16 octets = <<{','.join('0' * 16)}>>: {{invalid_frame_end_marker,1}}",
    ),
    (
        struct.pack(">BHI", 3, 1, FRAME_MAX + 1) + b"\0",
        f"type 3, all octets = <<>>: {{frame_too_large,{FRAME_MAX + 1},{FRAME_MAX - 8}}}",
    ),
    (
        struct.pack(">BHI", 1, 0, 0xFFFFFFFF) + b"\0",
        f"type 1, all octets = <<>>: {{frame_too_large,4294967295,{FRAME_MAX - 8}}}",
    ),
    (
        struct.pack(">BHI", 1, 0, 0x80000000) + b"\0",
        f"type 1, all octets = <<>>: {{frame_too_large,2147483648,{FRAME_MAX - 8}}}",
    ),
]


@every_way
@pytest.mark.parametrize(("data", "text"), UNKNOWN_FRAMES + UNREADABLE_FRAMES)
def test_what_is_no_frame_is_a_501_and_no_more_is_read(data: bytes, text: str, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    say(conversation, data, way)
    assert conversation.take() == [connection_close(501, f"FRAME_ERROR - {text}", 0)]
    assert conversation.state == states.DISCARDING
    assert conversation.news() == [
        ("end", f"FRAME_ERROR - {text}"),
        ("wait", "closing", False),
        ("wait", "closed", True),
    ]
    conversation.receive_bytes(CLOSE_OK + method(1, CHANNEL_OPEN))
    assert conversation.news() == []
    assert not conversation.close_socket


UNEXPECTED_FRAMES = [
    (body(0, b"abc"), 'type 3, all octets = <<"abc">>', 0),
    (header(0, 1), "type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,1,0,0>>", 0),
    (codec.frame(8, 1, b""), "type 8, all octets = <<>>", 0),
    (codec.frame(8, 9, b""), "type 8, all octets = <<>>", 0),
    (body(1, b"x"), "expected method frame, got non method frame instead", 0),
    (header(1, 1), "expected method frame, got non method frame instead", 0),
    (body(9, b"x"), "expected method frame, got non method frame instead", 0),
    (header(9, 1), "expected method frame, got non method frame instead", 0),
]


@every_way
@pytest.mark.parametrize(("data", "text", "index"), UNEXPECTED_FRAMES)
def test_a_frame_that_cannot_come_here_is_a_505(
    data: bytes, text: str, index: int, way: str
) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, commands.Basic.Qos()))
    say(conversation, data, way)
    assert conversation.take() == [connection_close(505, f"UNEXPECTED_FRAME - {text}", index)]
    assert conversation.state == states.DISCARDING


@every_way
@pytest.mark.parametrize("number", [0, 1, 9])
def test_an_unknown_method_is_a_541_without_ids(number: int, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, commands.Basic.Qos()) + UPDATE_SECRET)
    say(conversation, codec.frame(codec.METHOD, number, UNKNOWN_METHOD), way)
    assert conversation.take() == [connection_close(541, "INTERNAL_ERROR", 0)]
    assert conversation.state == states.CLOSING


@every_way
def test_a_frame_of_a_channel_before_the_vhost_is_open_is_a_505(way: str) -> None:
    for state in (states.TUNING, states.OPENING):
        for data in (method(1, CHANNEL_OPEN), body(1, b"x")):
            conversation = recorder(state)
            say(conversation, data, way)
            described = errors.frame_octets(data[0], data[7:-1])
            text = f"UNEXPECTED_FRAME - {described}"
            assert conversation.take() == [connection_close(505, text, 0)]


@every_way
@pytest.mark.parametrize(
    "data", [data for data, _ in UNKNOWN_FRAMES + UNREADABLE_FRAMES] + [method(1, CHANNEL_OPEN)]
)
def test_before_the_login_errors_are_not_told(data: bytes, way: str) -> None:
    conversation = recorder(states.STARTING)
    say(conversation, data, way)
    assert conversation.take() == []
    assert conversation.state == states.DISCARDING
    assert conversation.news()[-1] == ("wait", "closed", True)


@pytest.mark.parametrize("kind", [codec.METHOD, codec.BODY])
def test_a_payload_of_frame_max_is_let_pass_and_one_more_is_not(kind: int) -> None:
    payload = struct.pack(">I", commands.Basic.Qos.index) + bytes(FRAME_MAX - 4)
    conversation = recorder(states.RUNNING, 1)
    if kind == codec.BODY:
        conversation.receive_bytes(publish(1) + header(1, FRAME_MAX))
    conversation.receive_bytes(codec.frame(kind, 1, payload))
    assert conversation.state == states.RUNNING
    assert len(conversation.news()) == 1
    conversation.receive_bytes(codec.frame(kind, 1, payload + b"x"))
    assert conversation.state == states.DISCARDING


@every_way
def test_a_frame_that_is_too_large_is_refused_before_its_payload_comes(way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    start = struct.pack(">BHI", 3, 1, FRAME_MAX + 1)
    conversation.receive_bytes(codec.HEARTBEAT_FRAME + start[:-1])
    assert conversation.take() == []
    say(conversation, start[-1:], way)
    assert [sent[2] for sent in conversation.take()] == [501]


def test_without_a_frame_max_frames_are_as_large_as_31_bits_can_say() -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.frame_max = 0
    conversation.receive_bytes(method(1, commands.Basic.Qos()))
    big = codec.frame(codec.METHOD, 1, struct.pack(">I", HARD.index ^ 1) + bytes(300000))
    conversation.receive_bytes(big)
    assert [event[2] for event in conversation.news()] == ["basic.qos", "tx.selectok"]
    conversation.receive_bytes(struct.pack(">BHI", 3, 1, 0x7FFFFFFF) + b"x")
    assert conversation.state == states.RUNNING
    conversation = recorder(states.RUNNING, 1)
    conversation.frame_max = 0
    conversation.receive_bytes(struct.pack(">BHI", 3, 1, 0x80000000) + b"x")
    assert [sent[2] for sent in conversation.take()] == [501]


@pytest.mark.parametrize("read_bytes", [1, 9, 1000, 300_000])
def test_a_large_frame_is_put_together_from_many_reads(read_bytes: int) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.frame_max = 0
    payload = bytes(index & 255 for index in range(5000 if read_bytes < 1000 else 400_000))
    data = publish(1) + header(1, len(payload)) + body(1, payload) + publish(1) + header(1, 0)
    for at in range(0, len(data), read_bytes):
        conversation.receive_bytes(data[at : at + read_bytes])
    contents = [event[3] for event in conversation.news()]
    assert contents == [header(1, len(payload)) + body(1, payload), header(1, 0)]


def test_before_tune_frames_are_at_most_4096_octets() -> None:
    conversation = recorder(states.STARTING)
    conversation.receive_bytes(struct.pack(">BHI", 1, 0, 4096) + b"x")
    assert conversation.state == states.STARTING
    conversation = recorder(states.STARTING)
    conversation.receive_bytes(struct.pack(">BHI", 1, 0, 4097) + b"x")
    assert conversation.state == states.DISCARDING


# -- channels --------------------------------------------------------------------------------------


@every_way
def test_a_channel_is_opened_and_closed_by_the_peer(way: str) -> None:
    conversation = recorder(states.RUNNING)
    say(conversation, method(65535, CHANNEL_OPEN), way)
    assert conversation.take() == [(65535, "Channel.OpenOk", "")]
    assert conversation.news() == [("open", 65535)]
    assert list(conversation.channels) == [65535]
    conversation = recorder(states.RUNNING, 3)
    conversation.end_channel(conversation.channels[3])
    assert conversation.take() == [(3, "Channel.CloseOk")]
    assert conversation.news() == [("channel end", 3)]
    assert conversation.channels == {}


@every_way
@pytest.mark.parametrize(
    "command",
    [
        commands.Basic.Qos(),
        commands.Channel.Close(200, "", 0, 0),
        commands.Basic.Publish(),
        commands.Basic.Ack(1),
        commands.Channel.Flow(),
        commands.Connection.Close(200, "", 0, 0),
    ],
    ids=lambda command: command.name,
)
def test_a_method_on_a_channel_that_is_not_open_is_a_504(command: base.Frame, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    say(conversation, method(2, command), way)
    text = "CHANNEL_ERROR - expected 'channel.open'"
    assert conversation.take() == [connection_close(504, text, command.index)]
    assert conversation.state == states.CLOSING


def test_channel_close_ok_on_a_channel_that_is_not_open_means_nothing() -> None:
    conversation = recorder(states.RUNNING)
    conversation.receive_bytes(method(2, commands.Channel.CloseOk()))
    assert conversation.state == states.RUNNING
    assert conversation.take() == []


def test_a_refused_channel_closes_the_connection() -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.refuses_channels = True
    conversation.receive_bytes(method(2, CHANNEL_OPEN))
    text = "NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)"
    assert conversation.take() == [connection_close(530, text, CHANNEL_OPEN.index)]
    assert list(conversation.channels) == [1]


@every_way
def test_a_soft_error_closes_its_channel_and_discards_the_rest_of_it(way: str) -> None:
    conversation = recorder(states.RUNNING, 1, 2)
    data = (
        method(1, SOFT)
        + method(1, commands.Basic.Qos())
        + publish(1)
        + header(1, 3)
        + body(1, b"abc")
        + codec.frame(codec.METHOD, 1, UNKNOWN_METHOD)
        + method(1, CHANNEL_OPEN)
        + method(2, commands.Basic.Qos())
    )
    say(conversation, data, way)
    text = "PRECONDITION_FAILED - channel is not transactional"
    assert conversation.take() == [channel_close(1, 406, text, SOFT.index)]
    assert [event[:3] for event in conversation.news()] == [
        ("channel error", 1, 406),
        ("channel end", 1),
        ("method", 2, "basic.qos"),
    ]


@every_way
@pytest.mark.parametrize("answer", ["close-ok", "close"])
def test_a_channel_that_we_closed_is_free_once_the_peer_knows(answer: str, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.receive_bytes(method(1, SOFT))
    conversation.take()
    if answer == "close":  # the two closes have crossed
        say(conversation, method(1, commands.Channel.Close(200, "", 0, 0)), way)
        assert conversation.take() == [(1, "Channel.CloseOk")]
    else:
        say(conversation, method(1, commands.Channel.CloseOk()), way)
        assert conversation.take() == []
    assert conversation.channels == {}
    again = recorder(states.RUNNING, 1)
    again.receive_bytes(method(1, SOFT) + method(1, commands.Channel.CloseOk()))
    again.receive_bytes(method(1, CHANNEL_OPEN))
    assert again.take()[-1] == (1, "Channel.OpenOk", "")


def test_heartbeats_and_unknown_frames_are_errors_on_a_closing_channel_too() -> None:
    for data, code in ((codec.frame(8, 1, b""), 505), (codec.frame(9, 1, b""), 501)):
        conversation = recorder(states.RUNNING, 1)
        conversation.receive_bytes(method(1, SOFT))
        conversation.take()
        conversation.receive_bytes(data)
        assert [sent[2] for sent in conversation.take()] == [code]


@every_way
def test_a_hard_error_closes_the_connection_and_names_its_method(way: str) -> None:
    conversation = recorder(states.RUNNING, 1, 2)
    data = method(1, HARD) + method(2, commands.Basic.Qos()) + method(2, SOFT)
    say(conversation, data, way)
    text = "NOT_IMPLEMENTED - hard"
    assert conversation.take() == [connection_close(540, text, HARD.index)]
    assert conversation.news() == [("end", text), ("wait", "closing", False)]


def test_a_soft_error_on_channel_0_closes_the_connection() -> None:
    conversation = recorder(states.RUNNING, 1)
    conversation.refusal = errors.no_queue("q", "/")
    conversation.receive_bytes(UPDATE_SECRET)
    text = "NOT_FOUND - no queue 'q' in vhost '/'"
    index = commands.Connection.UpdateSecret.index
    assert conversation.take() == [connection_close(404, text, index)]


# -- acks, which take a short way ------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("tag", [0, 1, 255, 1 << 40, (1 << 63) - 1])
def test_an_ack_is_carried_out_with_its_tag(tag: int, multiple: bool, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    say(
        conversation,
        method(1, codec.make(commands.Basic.Ack, delivery_tag=tag, multiple=multiple)),
        way,
    )
    assert conversation.news() == [("ack", 1, tag, multiple)]


@every_way
@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("tag", [1 << 63, (1 << 63) + 1, (1 << 64) - 1])
def test_an_ack_of_a_tag_that_no_delivery_can_have_is_a_406(
    tag: int, multiple: bool, way: str
) -> None:
    conversation = recorder(states.RUNNING, 1)
    ack = struct.pack(">IQB", commands.Basic.Ack.index, tag, multiple)
    say(conversation, codec.frame(codec.METHOD, 1, ack), way)
    text = f"PRECONDITION_FAILED - unknown delivery tag {tag}"
    assert conversation.take() == [channel_close(1, 406, text, commands.Basic.Ack.index)]


@every_way
@pytest.mark.parametrize("arguments", [b"", b"\0" * 8, b"\0" * 10])
def test_an_ack_of_another_length_cannot_be_decoded(arguments: bytes, way: str) -> None:
    conversation = recorder(states.RUNNING, 1)
    index = commands.Basic.Ack.index
    say(conversation, codec.frame(codec.METHOD, 1, struct.pack(">I", index) + arguments), way)
    text = f"FRAME_ERROR - cannot decode {errors.octets(arguments)}"
    assert conversation.take() == [connection_close(501, text, index)]
    assert conversation.state == states.DISCARDING


# -- wherever the bytes are split ------------------------------------------------------------------


def outcome(pieces: list[bytes]) -> tuple[Any, ...]:
    """Return all that comes of these reads: events, sent frames, and the state at the end."""
    conversation = recorder(states.RUNNING, 1, 2)
    for piece in pieces:
        conversation.receive_bytes(piece)
    return (
        conversation.news(),
        conversation.take(),
        conversation.state,
        conversation.close_socket,
        [(number, channel.state) for number, channel in conversation.channels.items()],
    )


MIXED = (
    publish(1)
    + header(1, 5)
    + body(1, b"hello")
    + publish(2, "", "q")
    + header(2, 0)
    + method(1, commands.Basic.Ack(7, True))
    + codec.HEARTBEAT_FRAME
    + publish(1)
    + header(1, 6)
    + body(1, b"hel")
    + method(2, commands.Basic.Qos())
    + body(1, b"")
    + body(1, b"lo!")
    + method(2, SOFT)
    + publish(2)
    + header(2, 1)
    + body(2, b"x")
    + method(2, commands.Channel.CloseOk())
    + method(2, CHANNEL_OPEN)
    + publish(1)
    + header(1, 1, b"\x10\x00\x02")
    + body(1, b"x")
    + codec.frame(9, 2, b"?")
    + publish(1)
)


@pytest.mark.parametrize("at", range(1, len(MIXED)))
def test_the_same_bytes_lead_to_the_same_wherever_they_are_split(at: int) -> None:
    assert outcome([MIXED[:at], MIXED[at:]]) == outcome([MIXED])


def test_the_same_bytes_lead_to_the_same_one_by_one() -> None:
    single = [MIXED[at : at + 1] for at in range(len(MIXED))]
    assert outcome(single) == outcome([MIXED])


FRAMES = st.one_of(
    st.builds(
        publish, st.integers(1, 2), st.sampled_from(["", "exchange"]), st.text("ab", max_size=4)
    ),
    st.builds(
        header, st.integers(1, 2), st.integers(0, 4), st.sampled_from([b"\0\0", b"\x10\0\2"])
    ),
    st.builds(body, st.integers(1, 2), st.binary(max_size=4)),
    st.sampled_from(
        [
            method(1, commands.Basic.Ack(3)),
            method(1, commands.Basic.Qos()),
            method(1, SOFT),
            method(1, HARD),
            method(1, CHANNEL_OPEN),
            method(1, commands.Channel.CloseOk()),
            method(3, CHANNEL_OPEN),
            codec.HEARTBEAT_FRAME,
            CLOSE,
            CLOSE_OK,
        ]
    ),
)
CONTENTS = st.builds(
    lambda number, size, data: publish(number) + header(number, size) + body(number, data),
    st.integers(1, 2),
    st.integers(0, 5),
    st.binary(max_size=5),
)
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=2)


@settings(max_examples=300)
@given(
    st.lists(CONTENTS | FRAMES, min_size=1, max_size=8),
    CHANGES,
    st.lists(st.integers(0, 1 << 20), max_size=6),
)
def test_any_bytes_lead_to_the_same_wherever_they_are_split(
    frames: list[bytes], changes: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(b"".join(frames))
    for place, octet in changes:
        data[place % len(data)] = octet
    whole = outcome([bytes(data)])
    places = sorted({0, len(data), *(place % len(data) for place in cuts)})
    pieces = [bytes(data[start:end]) for start, end in zip(places, places[1:], strict=False)]
    assert outcome(pieces) == whole
    assert outcome([bytes((octet,)) for octet in data]) == whole


def test_all_octets_are_counted_also_those_that_are_discarded() -> None:
    conversation = recorder(states.RUNNING, 1)
    before = conversation.received_bytes
    conversation.receive_bytes(method(1, HARD)[:5])
    conversation.receive_bytes(method(1, HARD)[5:])
    conversation.receive_bytes(CLOSE_OK)
    conversation.receive_bytes(b"nothing that is heard")
    sizes = len(method(1, HARD)) + len(CLOSE_OK) + 21
    assert conversation.received_bytes == before + sizes


def test_a_subclass_gives_the_methods_their_meaning() -> None:
    bare = states.Conversation()
    channel = ChannelConversation(1)
    for call in (
        bare.on_protocol_header,
        lambda: bare.on_connection_method(methods.CONNECTION_OPEN, b""),
        lambda: bare.on_channel_open(1),
        lambda: bare.on_channel_end(channel),
        lambda: bare.on_channel_error(channel, errors.no_queue("q", "/")),
        lambda: bare.on_end(None),
        lambda: bare.on_wait(states.CLOSING, False),
    ):
        with pytest.raises(NotImplementedError):
            call()
