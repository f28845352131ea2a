"""Frames: built as pamqp builds them, readdressed as they are, cut anew where they must be."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter
from pamqp import body, commands, frame, header, heartbeat

from amqpd.wire import frames

CHANNELS = st.integers(0, 65535)
PIECES = st.lists(st.binary(min_size=1, max_size=60), max_size=6)
PROPERTIES = st.builds(
    commands.Basic.Properties,
    content_type=st.none() | st.text("ab/é", min_size=1, max_size=10),
    delivery_mode=st.none() | st.sampled_from([1, 2]),
    correlation_id=st.none() | st.text("01-ab", min_size=1, max_size=30),
)


def content(channel: int, properties: commands.Basic.Properties, pieces: list[bytes]) -> bytes:
    """Build a content as pamqp does: a header frame, and a body frame for each piece."""
    size = sum(len(piece) for piece in pieces)
    head = frame.marshal(header.ContentHeader(0, size, properties), channel)
    return head + b"".join(frame.marshal(body.ContentBody(piece), channel) for piece in pieces)


def writer(before: bytes) -> BytesWriter:
    """Return a writer that has something in it already."""
    out = BytesWriter()
    out.write(before)
    return out


def header_bytes(data: bytes) -> int:
    """Return the length of the first frame."""
    size: int = struct.unpack_from(">I", data, 3)[0]
    return size + frames.FRAME_OVERHEAD


def cut(data: bytes) -> list[tuple[int, int, bytes]]:
    """Cut bytes into (type, channel, payload); they must be whole frames."""
    found = []
    while data:
        kind, channel, size = struct.unpack_from(">BHI", data)
        assert data[7 + size] == frames.FRAME_END
        found.append((kind, channel, data[7 : 7 + size]))
        data = data[8 + size :]
    return found


def test_the_fixed_frames_are_those_of_pamqp() -> None:
    assert frames.HEARTBEAT_FRAME == heartbeat.Heartbeat().marshal()
    assert frames.PROTOCOL_HEADER == header.ProtocolHeader(0, 9, 1).marshal()


@given(CHANNELS, st.binary(max_size=300))
def test_a_method_frame_wraps_its_payload(channel: int, payload: bytes) -> None:
    expected = struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce"
    assert frames.method_frame(channel, payload) == expected
    out = writer(b"before")
    frames.write_method(out, channel, payload)
    assert out.getvalue() == b"before" + expected


@given(CHANNELS)
def test_a_method_frame_is_that_of_pamqp(channel: int) -> None:
    method = commands.Queue.DeclareOk("q", 70000, 3)
    payload = struct.pack(">I", method.index) + method.marshal()
    assert frames.method_frame(channel, payload) == frame.marshal(method, channel)


@given(CHANNELS, CHANNELS, PROPERTIES, PIECES)
def test_a_content_goes_out_as_it_came_but_for_its_channel(
    came_on: int, goes_on: int, properties: commands.Basic.Properties, pieces: list[bytes]
) -> None:
    came = content(came_on, properties, pieces)
    out = writer(b"\xce" * 9)
    frames.write_content(out, goes_on, came, header_bytes(came))
    assert out.getvalue() == b"\xce" * 9 + content(goes_on, properties, pieces)


@given(PROPERTIES, PIECES)
def test_a_body_is_what_its_frames_hold(
    properties: commands.Basic.Properties, pieces: list[bytes]
) -> None:
    came = content(1, properties, pieces)
    assert frames.body_of(came, header_bytes(came)) == b"".join(pieces)


@given(PROPERTIES, PIECES)
def test_the_largest_frame_is_that_of_the_longest_piece(
    properties: commands.Basic.Properties, pieces: list[bytes]
) -> None:
    came = content(1, properties, pieces)
    largest = max((len(piece) + 8 for piece in pieces), default=0)
    assert frames.largest_frame(came, header_bytes(came)) == largest


@given(CHANNELS, PROPERTIES, PIECES, st.integers(9, 100))
def test_a_body_cut_anew_fills_every_frame_but_the_last(
    channel: int, properties: commands.Basic.Properties, pieces: list[bytes], frame_max: int
) -> None:
    came = content(7, properties, pieces)
    out = writer(b"before")
    frames.write_recut(out, channel, came, header_bytes(came), frame_max)
    whole = b"".join(pieces)
    step = frame_max - 8
    cut_anew = [whole[at : at + step] for at in range(0, len(whole), step)]
    assert out.getvalue() == b"before" + content(channel, properties, cut_anew)


@pytest.mark.parametrize("size", [4087, 4088, 4089, 8176, 8177])
def test_a_frame_of_exactly_frame_max_is_not_cut(size: int) -> None:
    came = content(1, commands.Basic.Properties(), [b"x" * size])
    out = BytesWriter()
    frames.write_recut(out, 2, came, header_bytes(came), 4096)
    sizes = [len(payload) + 8 for _, _, payload in cut(out.getvalue())[1:]]
    assert sum(sizes) == size + 8 * len(sizes)
    assert max(sizes) <= 4096
    assert len(sizes) == -(-size // 4088)


def test_a_header_over_frame_max_goes_out_whole() -> None:
    came = content(1, commands.Basic.Properties(correlation_id="c" * 200), [b"x" * 20])
    out = BytesWriter()
    frames.write_recut(out, 2, came, header_bytes(came), 20)
    sent = cut(out.getvalue())
    assert [len(payload) for _, _, payload in sent] == [header_bytes(came) - 8, 12, 8]
    assert {channel for _, channel, _ in sent} == {2}
