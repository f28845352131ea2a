"""The bytes a load generator needs: frames, methods, content, tables (spec 4.2).

┌──────┬─────────┬────────┬─────────┬──────┐
│ kind │ channel │ length │ payload │ 0xCE │    every frame; integers are big-endian
│  u8  │   u16   │  u32   │ length  │  u8  │
└──────┴─────────┴────────┴─────────┴──────┘

┌──┬───┬────┬────┬────┬─────┬──────────┬────┐
│1 │ 1 │ 13 │ 60 │ 80 │ tag │ multiple │ CE │    basic.ack on channel 1: 21 bytes
│u8│u16│u32 │u16 │u16 │ u64 │    u8    │ u8 │
└──┴───┴────┴────┴────┴─────┴──────────┴────┘
"""

import struct
import sys
from array import array
from typing import Final

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8

FRAME_END: Final = b"\xce"
FRAME_OVERHEAD: Final = 8
PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
HEARTBEAT_FRAME: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"

ACK: Final = struct.Struct(">BHIHHQBB")
ACK_BYTES: Final = ACK.size
BLOCK_TAGS: Final = 1 << 16

# Property flags of a basic content header (spec 4.2.6.1, in the order of the class's fields).
DELIVERY_MODE: Final = 0x1000
CORRELATION_ID: Final = 0x0400
REPLY_TO: Final = 0x0200

_FIXED: Final = {
    "t": "?", "b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I",
    "l": "q", "L": "Q", "f": "f", "d": "d", "T": "Q",
}  # fmt: skip


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Wrap a payload in its frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


def shortstr(text: str) -> bytes:
    """Encode a string of at most 255 bytes."""
    data = text.encode()
    return bytes([len(data)]) + data


def longstr(data: bytes) -> bytes:
    """Encode a string, or an encoded table, behind its 32-bit length."""
    return struct.pack(">I", len(data)) + data


def method(channel: int, class_id: int, method_id: int, arguments: bytes = b"") -> bytes:
    """Build a whole method frame."""
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def ack(tag: int, multiple: bool) -> bytes:
    """Build a basic.ack frame on channel 1."""
    return ACK.pack(METHOD, 1, 13, 60, 80, tag, multiple, 0xCE)


def publish(queue: str) -> bytes:
    """Build a basic.publish frame to the default exchange."""
    return method(1, 60, 40, b"\0\0" + shortstr("") + shortstr(queue) + b"\0")


def content(body: bytes, persistent: bool, frame_max: int) -> bytes:
    """Build the header frame and the body frames of a message that has only a delivery mode."""
    header = struct.pack(">HHQHB", 60, 0, len(body), DELIVERY_MODE, 2 if persistent else 1)
    return frame(HEADER, 1, header) + body_frames(body, frame_max)


def body_frames(body: bytes, frame_max: int) -> bytes:
    """Cut a body into frames of at most `frame_max` bytes; an empty body has none."""
    step = frame_max - FRAME_OVERHEAD
    return b"".join(frame(BODY, 1, body[at : at + step]) for at in range(0, len(body), step))


class SingleAcks:
    """The frames that acknowledge delivery tags one by one, in ascending order, at next to no cost.

    It keeps the frames of one block of 65,536 tags: their two low tag bytes never change, and
    moving to the next block rewrites only the high bytes that differ.
    """

    def __init__(self) -> None:
        low = array("H", range(BLOCK_TAGS))
        if sys.byteorder == "little":
            low.byteswap()
        column = low.tobytes()
        self._frames = bytearray(ack(0, multiple=False) * BLOCK_TAGS)
        self._frames[17::ACK_BYTES] = column[0::2]
        self._frames[18::ACK_BYTES] = column[1::2]
        self._high = bytes(6)
        self._view = memoryview(self._frames)

    def after(self, acked: int, got: int) -> bytes:
        """Return the frames for the tags `acked + 1` to `got`."""
        parts: list[bytes] = []
        first = acked + 1
        while first <= got:
            last = min(got, first | (BLOCK_TAGS - 1))
            self._turn_to((first >> 16).to_bytes(6, "big"))
            begin, end = first & (BLOCK_TAGS - 1), (last & (BLOCK_TAGS - 1)) + 1
            parts.append(bytes(self._view[begin * ACK_BYTES : end * ACK_BYTES]))
            first = last + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _turn_to(self, high: bytes) -> None:
        if high == self._high:
            return
        for k in range(6):
            if high[k] != self._high[k]:
                self._frames[11 + k :: ACK_BYTES] = high[k : k + 1] * BLOCK_TAGS
        self._high = high


class AckCount:
    """How many publishes the confirms received so far stand for.

    Takes the stream of a connection on which nothing but basic.ack frames arrives. Raises
    ValueError at any other frame, a basic.nack included.
    """

    def __init__(self) -> None:
        self.acked = 0
        self._pending = b""

    def receive(self, data: bytes) -> None:
        """Count the whole frames in `data`; the beginning of another waits for the rest."""
        data = self._pending + data
        whole = len(data) - len(data) % ACK_BYTES
        for _, _, _, class_id, method_id, tag, multiple, _ in ACK.iter_unpack(data[:whole]):
            if (class_id, method_id) != (60, 80):
                raise ValueError(f"expected basic.ack, got method {class_id}.{method_id}")
            self.acked = max(self.acked, tag) if multiple else self.acked + 1
        self._pending = data[whole:]


def take_shortstr(data: bytes, at: int) -> tuple[str, int]:
    """Decode a short string. Returns (text, offset just past it)."""
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(errors="replace"), end


def take_longstr(data: bytes, at: int) -> tuple[bytes, int]:
    """Decode a long string. Returns (bytes, offset just past it)."""
    (length,) = struct.unpack_from(">I", data, at)
    return data[at + 4 : at + 4 + length], at + 4 + length


def take_table(data: bytes, at: int) -> tuple[dict[str, object], int]:
    """Decode a field table with RabbitMQ's type letters. Returns (table, offset just past it).

    Raises ValueError at a type letter that is not one of them.
    """
    inner, end = take_longstr(data, at)
    table: dict[str, object] = {}
    at = 0
    while at < len(inner):
        name, at = take_shortstr(inner, at)
        table[name], at = _take_value(inner, at)
    return table, end


def _take_value(data: bytes, at: int) -> tuple[object, int]:
    letter, at = chr(data[at]), at + 1
    if letter in _FIXED:
        layout = ">" + _FIXED[letter]
        return struct.unpack_from(layout, data, at)[0], at + struct.calcsize(layout)
    if letter == "S":
        raw, at = take_longstr(data, at)
        return raw.decode(errors="replace"), at
    if letter == "x":
        return take_longstr(data, at)
    if letter == "F":
        return take_table(data, at)
    if letter == "A":
        inner, end = take_longstr(data, at)
        values: list[object] = []
        at = 0
        while at < len(inner):
            value, at = _take_value(inner, at)
            values.append(value)
        return values, end
    if letter == "D":
        return data[at : at + 5], at + 5
    if letter == "V":
        return None, at
    raise ValueError(f"unknown field type {letter!r}")
