"""A channel's conversation: contents put together from their frames, and what cannot come next."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from amqpd import errors
from amqpd.errors import FrameError, HardError, SoftError, StreamError
from amqpd.limits import CONTENT_BYTES_MAX
from amqpd.protocol import channel as states
from amqpd.protocol.channel import ChannelConversation
from amqpd.protocol.connection import RUNNING
from tests.peers import codec
from tests.protocol.recorder import (
    WAYS,
    RecordingChannel,
    body,
    header,
    method,
    publish,
    recorder,
    say,
)

PUBLISH = commands.Basic.Publish.index
HEADER_BYTES = len(header(1, 0))

every_way = pytest.mark.parametrize("way", WAYS)


def channel(number: int = 1) -> RecordingChannel:
    """Return an open channel that notes its commands."""
    return RecordingChannel(number, [])


def receive(conversation: ChannelConversation, *frames: bytes) -> None:
    """Let whole frames come, as a connection hands them on."""
    for data in frames:
        conversation.receive(data[0], data)


def arguments(exchange: str = "exchange", routing_key: str = "key") -> bytes:
    """Return the payload of the basic.publish that `publish` makes a frame of."""
    return publish(1, exchange, routing_key)[7:-1]


# -- contents --------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(
    "pieces",
    [[b"hello"], [b"he", b"llo"], [b"h", b"", b"ello", b""][:3], list(b"hello"), [b"", b"x"]],
)
def test_a_content_is_its_header_and_bodies_as_they_came(pieces: list[Any], way: str) -> None:
    parts = [piece if isinstance(piece, bytes) else bytes((piece,)) for piece in pieces]
    size = sum(len(part) for part in parts)
    conversation = recorder(RUNNING, 7)
    say(
        conversation,
        publish(7) + header(7, size) + b"".join(body(7, part) for part in parts),
        way,
    )
    content = header(7, size) + b"".join(body(7, part) for part in parts if part)
    sizes = (HEADER_BYTES, size, max(len(part) for part in parts) + 8)
    assert conversation.news() == [("publish", 7, arguments(), content, sizes)]
    assert conversation.channels[7].expects_method


@every_way
@pytest.mark.parametrize("routing_key", ["", "k", "key", "a-long-routing-key"])
def test_a_content_without_a_body_is_complete_with_its_header(routing_key: str, way: str) -> None:
    conversation = recorder(RUNNING, 1)
    say(conversation, publish(1, "", routing_key) + header(1, 0), way)
    sizes = (HEADER_BYTES, 0, 0)
    assert conversation.news() == [("publish", 1, arguments("", routing_key), header(1, 0), sizes)]


@every_way
def test_contents_of_two_channels_may_be_interleaved(way: str) -> None:
    conversation = recorder(RUNNING, 1, 2)
    data = (
        publish(1)
        + publish(2)
        + header(2, 2)
        + header(1, 2)
        + body(1, b"a")
        + codec.HEARTBEAT_FRAME
        + body(2, b"b")
        + body(2, b"B")
        + method(2, commands.Basic.Qos())
        + body(1, b"A")
    )
    say(conversation, data, way)
    assert [(event[0], event[1]) for event in conversation.news()] == [
        ("publish", 2),
        ("method", 2),
        ("publish", 1),
    ]


@every_way
def test_publishes_follow_each_other(way: str) -> None:
    conversation = recorder(RUNNING, 1)
    one = publish(1) + header(1, 1) + body(1, b"1")
    two = publish(1) + header(1, 2) + body(1, b"2") + body(1, b"2")
    say(conversation, one + two + one, way)
    contents = [event[3] for event in conversation.news()]
    assert contents == [one[len(publish(1)) :], two[len(publish(1)) :], one[len(publish(1)) :]]


@given(
    st.binary(max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
    st.sampled_from([b"\0\0", b"\x10\0\2", b"\x80\0\3a/b"]),
)
def test_however_a_body_is_cut_it_is_what_was_announced(
    data: bytes, cuts: list[int], properties: bytes
) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[at:to] for at, to in zip(places, places[1:], strict=False)]
    conversation = channel()
    head = header(1, len(data), properties)
    receive(conversation, publish(1), head, *(body(1, piece) for piece in pieces))
    largest = max((len(piece) + 8 for piece in pieces), default=0)
    content = head + b"".join(body(1, piece) for piece in pieces)
    assert conversation.events == [
        ("publish", 1, arguments(), content, (len(head), len(data), largest))
    ]


def test_a_publish_says_what_it_waits_for() -> None:
    conversation = channel()
    assert conversation.expects_method
    receive(conversation, publish(1))
    assert not conversation.expects_method
    receive(conversation, header(1, 2))
    assert not conversation.expects_method
    receive(conversation, body(1, b"a"))
    assert not conversation.expects_method
    receive(conversation, body(1, b"b"))
    assert conversation.expects_method


def test_a_forgotten_content_does_not_come_back() -> None:
    conversation = channel()
    receive(conversation, publish(1), header(1, 2), body(1, b"a"))
    conversation.forget_content()
    assert conversation.expects_method
    receive(conversation, publish(1), header(1, 2), body(1, b"xy"))
    assert [event[3] for event in conversation.events] == [header(1, 2) + body(1, b"xy")]


def test_methods_are_carried_out_in_order_and_remembered_by_their_index() -> None:
    conversation = channel(5)
    receive(conversation, method(5, commands.Basic.Qos()), method(5, commands.Basic.Ack(3, True)))
    assert conversation.events[0][:3] == ("method", 5, "basic.qos")
    assert conversation.events[1] == ("ack", 5, 3, True)
    assert conversation.index == commands.Basic.Ack.index
    receive(conversation, publish(5))
    assert conversation.index == PUBLISH


# -- what cannot come next -------------------------------------------------------------------------

NO_METHOD = "UNEXPECTED_FRAME - expected method frame, got non method frame instead"
NO_HEADER = (
    "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"
)
NO_BODY = "UNEXPECTED_FRAME - expected content body, got non content body frame instead"


def other_header(class_id: int, weight: int = 0) -> bytes:
    """Encode a content header frame of another class or with a weight."""
    payload = codec.encode_header(b"\0\0", 1, class_id, weight)
    return codec.frame(codec.HEADER, 1, payload)


WRONG_ORDERS = [
    ([header(1, 1)], NO_METHOD, 0),
    ([body(1, b"x")], NO_METHOD, 0),
    ([publish(1), header(1, 0), body(1, b"x")], NO_METHOD, 0),
    ([publish(1), header(1, 1), body(1, b"x"), body(1, b"")], NO_METHOD, 0),
    ([publish(1), publish(1)], NO_HEADER, PUBLISH),
    ([publish(1), method(1, commands.Basic.Ack(1))], NO_HEADER, PUBLISH),
    ([publish(1), method(1, commands.Channel.Close(200, "", 0, 0))], NO_HEADER, PUBLISH),
    ([publish(1), body(1, b"x")], NO_HEADER, PUBLISH),
    ([publish(1), other_header(60, weight=1)], NO_HEADER, PUBLISH),
    (
        [publish(1), other_header(50)],
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
        PUBLISH,
    ),
    (
        [publish(1), other_header(65535, weight=1)],
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 65535 instead",
        PUBLISH,
    ),
    ([publish(1), header(1, 1), header(1, 1)], NO_BODY, PUBLISH),
    ([publish(1), header(1, 1), publish(1)], NO_BODY, PUBLISH),
    ([publish(1), header(1, 2), body(1, b"x"), method(1, commands.Basic.Ack(1))], NO_BODY, PUBLISH),
    (
        [publish(1), header(1, 1), body(1, b"xy")],
        "FRAME_ERROR - content body frame exceeds remaining content size",
        PUBLISH,
    ),
    (
        [publish(1), header(1, 3), body(1, b"ab"), body(1, b"cd")],
        "FRAME_ERROR - content body frame exceeds remaining content size",
        PUBLISH,
    ),
    (
        [publish(1), codec.frame(codec.HEADER, 1, b"\0\x3c\0\0")],
        "FRAME_ERROR - type 2, all octets = <<0,60,0,0>>: unknown_frame",
        0,
    ),
    (
        [publish(1), header(1, 2), codec.frame(codec.HEADER, 1, b"short")],
        'FRAME_ERROR - type 2, all octets = <<"short">>: unknown_frame',
        0,
    ),
    (
        [publish(1), codec.frame(codec.METHOD, 1, b"")],
        "FRAME_ERROR - type 1, all octets = <<>>: unknown_frame",
        0,
    ),
    (
        [publish(1), codec.frame(codec.HEADER, 1, struct.pack(">HHQ", 60, 0, 0))],
        "FRAME_ERROR - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0>>: unknown_frame",
        0,
    ),
    (
        [publish(1), header(1, CONTENT_BYTES_MAX + 1)],
        "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912",
        PUBLISH,
    ),
    (
        [publish(1), header(1, (1 << 64) - 1)],
        "FRAME_ERROR - content body size 18446744073709551615"
        " exceeds maximum allowed size 536870912",
        PUBLISH,
    ),
    (
        [codec.frame(codec.METHOD, 1, arguments()[:-1]), header(1, 0)],
        f"FRAME_ERROR - cannot decode {errors.octets(arguments()[4:-1])}",
        PUBLISH,
    ),
    (
        [codec.frame(codec.METHOD, 1, arguments() + b"x")],
        f"FRAME_ERROR - cannot decode {errors.octets(arguments()[4:] + b'x')}",
        PUBLISH,
    ),
    (
        [
            codec.frame(
                codec.METHOD, 1, struct.pack(">I", PUBLISH) + b"\0\0\xff\xff\xff\xff\xff\xff"
            )
        ],
        "FRAME_ERROR - cannot decode <<0,0,255,255,255,255,255,255>>",
        PUBLISH,
    ),
]


@every_way
@pytest.mark.parametrize(("frames", "text", "index"), WRONG_ORDERS)
def test_what_cannot_come_next_ends_the_connection(
    frames: list[bytes], text: str, index: int, way: str
) -> None:
    conversation = recorder(RUNNING, 1)
    say(conversation, b"".join(frames), way)
    code = 501 if text.startswith("FRAME_ERROR") else 505
    close = (0, "Connection.Close", code, text, index >> 16, index & 0xFFFF)
    assert conversation.take() == [close]


def test_the_class_of_an_error_says_whether_a_method_is_named() -> None:
    with pytest.raises(FrameError):
        receive(channel(), body(1, b"x"))
    with pytest.raises(StreamError) as refused:
        receive(channel(), publish(1), publish(1))
    assert not isinstance(refused.value, FrameError)


def test_an_unknown_method_has_no_index() -> None:
    conversation = channel()
    receive(conversation, method(1, commands.Basic.Qos()))
    with pytest.raises(HardError) as refused:
        receive(conversation, codec.frame(codec.METHOD, 1, b"\x00\x3c\x03\xe7"))
    assert (refused.value.code, refused.value.text) == (541, "INTERNAL_ERROR")
    assert conversation.index == 0


def test_a_content_is_refused_by_the_size_that_its_header_announces() -> None:
    conversation = channel()
    with pytest.raises(SoftError) as refused:
        receive(conversation, publish(1), header(1, conversation.body_bytes_max + 1))
    assert refused.value.code == 406
    assert conversation.index == PUBLISH
    assert conversation.events == []


@every_way
def test_the_bodies_of_a_refused_content_are_discarded(way: str) -> None:
    conversation = recorder(RUNNING, 1)
    refused = conversation.channels[1]
    assert isinstance(refused, RecordingChannel)
    refused.body_bytes_max = 2
    data = publish(1) + header(1, 6) + body(1, b"abc") + body(1, b"def") + publish(1)
    say(conversation, data, way)
    assert [sent[1:3] for sent in conversation.take()] == [("Channel.Close", 406)]
    assert refused.state == states.CLOSING
    assert conversation.state == RUNNING


def test_a_subclass_gives_the_commands_their_meaning() -> None:
    bare = ChannelConversation(3)
    assert (bare.number, bare.state, bare.index) == (3, states.OPEN, 0)
    bare.on_content_size(1 << 40)  # takes any size, unless a subclass does not
    with pytest.raises(NotImplementedError):
        receive(bare, method(3, commands.Basic.Qos()))
    with pytest.raises(NotImplementedError):
        receive(bare, method(3, commands.Basic.Ack(1)))
    with pytest.raises(NotImplementedError):
        receive(bare, publish(3), header(3, 0))


@pytest.mark.parametrize("payload", [b"", b"\0\x3c\0"])
def test_a_method_frame_without_a_method_is_an_unknown_frame(payload: bytes) -> None:
    with pytest.raises(FrameError) as refused:
        receive(channel(), codec.frame(codec.METHOD, 1, payload))
    described = errors.frame_octets(codec.METHOD, payload)
    assert refused.value.text == f"FRAME_ERROR - {described}: unknown_frame"


def test_a_tag_that_no_delivery_can_have_is_not_acknowledged() -> None:
    ack = struct.pack(">IQB", commands.Basic.Ack.index, (1 << 64) - 1, 1)
    with pytest.raises(SoftError) as refused:
        receive(channel(), codec.frame(codec.METHOD, 1, ack))
    assert refused.value.text == "PRECONDITION_FAILED - unknown delivery tag 18446744073709551615"
