"""Frames: the unit of transport, and contents kept as the frames that brought them.

    ┌──────┬─────────┬──────┬─────────┬──────┐
    │ type │ channel │ size │ payload │ 0xCE │    big-endian (spec 4.2.3); frame_max counts it all
    │  u8  │   u16   │ u32  │  size   │  u8  │
    └──────┴─────────┴──────┴─────────┴──────┘

The payload of a content header (spec 4.2.6.1), which is always the first frame of a content:

    ┌──────────┬────────┬───────────┬───────┬────────────┐
    │ class 60 │ weight │ body size │ flags │ properties │
    │   u16    │  u16   │    u64    │  u16  │   ...      │
    └──────────┴────────┴───────────┴───────┴────────────┘

A message's *content* is its header frame and body frames as they arrived, in one `bytes`; sending
it on copies that out whole and patches the channel numbers. Only when a consumer's frame_max is
smaller than the largest frame is the body cut anew.
"""

from typing import Final

from librt.strings import BytesWriter, read_i32_be, write_i32_be
from mypy_extensions import i64

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8
FRAME_END: Final = 0xCE

FRAME_OVERHEAD: Final = 8  # bytes of a frame around its payload
HEADER_BYTES_MIN: Final = 14  # payload of a content header without properties
FLAGS_AT: Final = 19  # offset of the property flags in a content header frame
CLASS_WEIGHT: Final = 0x003C0000  # class 60 and weight 0, read as one u32

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
PROTOCOL_HEADER_0_9: Final = b"AMQP\x01\x01\x00\x09"
HEARTBEAT_FRAME: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"


def write_method(out: BytesWriter, channel: int, payload: bytes) -> None:
    """Append a method frame that carries `payload` (class id, method id, arguments)."""
    out.append(METHOD)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, len(payload))
    out.write(payload)
    out.append(FRAME_END)


def method_frame(channel: int, payload: bytes) -> bytes:
    """Build a method frame that carries `payload` (class id, method id, arguments)."""
    out = BytesWriter()
    write_method(out, channel, payload)
    return out.getvalue()


def write_content(out: BytesWriter, channel: int, content: bytes, header_bytes: i64) -> None:
    """Append a content as it is, its frames readdressed to `channel`.

    `header_bytes` is the length of the header frame (bytes). O(body frames).
    """
    high = channel >> 8
    low = channel & 255
    at: i64 = len(out)
    out.write(content)
    out[at + 1] = high
    out[at + 2] = low
    end: i64 = len(content)
    frame = header_bytes
    while frame < end:
        out[at + frame + 1] = high
        out[at + frame + 2] = low
        size: int = read_i32_be(content, frame + 3)
        frame += size + FRAME_OVERHEAD


def body_of(content: bytes, header_bytes: i64) -> bytes:
    """Join the payloads of a content's body frames."""
    end: i64 = len(content)
    frame = header_bytes
    parts: list[bytes] = []
    while frame < end:
        size: int = read_i32_be(content, frame + 3)
        parts.append(content[frame + 7 : frame + 7 + size])
        frame += size + FRAME_OVERHEAD
    if len(parts) == 1:
        return parts[0]
    return b"".join(parts)


def write_recut(
    out: BytesWriter, channel: int, content: bytes, header_bytes: i64, frame_max: int
) -> None:
    """Append a content with its body cut into frames of at most `frame_max` bytes.

    The header frame cannot be cut; a header larger than `frame_max` goes out as it is
    (as RabbitMQ does; the client then reports a frame error).
    """
    at: i64 = len(out)
    out.write(content[:header_bytes])
    out[at + 1] = channel >> 8
    out[at + 2] = channel & 255
    body = body_of(content, header_bytes)
    step = frame_max - FRAME_OVERHEAD
    for start in range(0, len(body), step):
        part = body[start : start + step]
        out.append(BODY)
        out.append(channel >> 8)
        out.append(channel & 255)
        write_i32_be(out, len(part))
        out.write(part)
        out.append(FRAME_END)


def largest_frame(content: bytes, header_bytes: i64) -> i64:
    """Return the length of the largest body frame of a content (bytes, 0 = no body)."""
    end: i64 = len(content)
    frame = header_bytes
    largest: i64 = 0
    while frame < end:
        size: int = read_i32_be(content, frame + 3)
        whole: i64 = size + FRAME_OVERHEAD
        if whole > largest:
            largest = whole
        frame += whole
    return largest
