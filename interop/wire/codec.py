"""Methods, properties and frames to bytes and back.

┌──────┬─────────┬──────┬─────────┬──────┐
│ kind │ channel │ size │ payload │ 0xCE │    kind: 1 method, 2 header, 3 body, 8 heartbeat
│  u8  │   u16   │ u32  │  size   │  u8  │
└──────┴─────────┴──────┴─────────┴──────┘
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from interop.wire.methods import BY_NAME, BY_NUMBER, PROPERTIES, Method
from interop.wire.tables import decode_table, encode_table

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8
END: Final = b"\xce"
OVERHEAD: Final = 8  # bytes of a frame that are not payload
BASIC: Final = 60

_FRAME: Final = struct.Struct(">BHI")
_CONTENT: Final = struct.Struct(">HHQH")
_INTEGERS: Final = {"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q"}


@dataclass
class Said:
    """A method as it was said, with its message if it carries one."""

    name: str
    fields: dict[str, object]
    properties: dict[str, object] = field(default_factory=dict)
    body: bytes = b""


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """The bytes of one frame."""
    return _FRAME.pack(kind, channel, len(payload)) + payload + END


def method_frames(channel: int, said: Said, frame_max: int) -> bytes:
    """A method and its content, as frames of at most `frame_max` bytes."""
    method = BY_NAME[said.name]
    parts = [frame(METHOD, channel, encode_method(method, said.fields))]
    if method.has_content:
        header = encode_header(len(said.body), said.properties)
        parts.append(frame(HEADER, channel, header))
        room = frame_max - OVERHEAD if frame_max else 131064
        parts += [
            frame(BODY, channel, said.body[at : at + room]) for at in range(0, len(said.body), room)
        ]
    return b"".join(parts)


def encode_method(method: Method, fields: Mapping[str, object]) -> bytes:
    """The payload of a method frame; fields that are not given are sent empty."""
    known = {name for name, _ in method.fields}
    if not known.issuperset(fields):
        raise ValueError(f"{method.name} has no {', '.join(set(fields) - known)}")
    parts = [struct.pack(">HH", method.class_id, method.method_id)]
    bits: list[bool] = []
    for name, kind in method.fields:
        if kind == "bit":
            bits.append(bool(fields.get(name, False)))
            continue
        parts += _pack_bits(bits)
        parts.append(_encode_value(kind, fields.get(name)))
    return b"".join([*parts, *_pack_bits(bits)])


def _pack_bits(bits: list[bool]) -> list[bytes]:
    if not bits:
        return []
    octet = sum(bit << index for index, bit in enumerate(bits))
    bits.clear()
    return [bytes([octet])]


def _encode_value(kind: str, value: object) -> bytes:
    if kind in _INTEGERS:
        return struct.pack(_INTEGERS[kind], value or 0)
    if kind == "table":
        assert value is None or isinstance(value, Mapping)
        return encode_table(value or {})
    text = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value or b""
    assert isinstance(text, bytes)
    if kind == "shortstr":
        return bytes([len(text)]) + text
    return struct.pack(">I", len(text)) + text


def decode_method(payload: bytes) -> Said:
    """Read the payload of a method frame. Raises ValueError if it is none that we know."""
    numbers = struct.unpack_from(">HH", payload, 0)
    method = BY_NUMBER.get(numbers)
    if method is None:
        raise ValueError(f"unknown method {numbers}")
    fields: dict[str, object] = {}
    at = 4
    bit = 0  # which bit of the octet at `at` is next; 0 also when there is none
    for name, kind in method.fields:
        if kind == "bit":
            fields[name] = bool(payload[at] >> bit & 1)
            bit += 1
            continue
        at += 1 if bit else 0
        bit = 0
        fields[name], at = _decode_value(kind, payload, at)
    return Said(method.name, {k: v for k, v in fields.items() if not k.startswith("reserved")})


def _decode_value(kind: str, data: bytes, at: int) -> tuple[object, int]:
    if kind in _INTEGERS:
        (number,) = struct.unpack_from(_INTEGERS[kind], data, at)
        return number, at + struct.calcsize(_INTEGERS[kind])
    if kind == "table":
        return decode_table(data, at)
    if kind == "shortstr":
        size, at = data[at], at + 1
    else:
        (size,) = struct.unpack_from(">I", data, at)
        at += 4
    return data[at : at + size].decode("utf-8", "surrogateescape"), at + size


def encode_header(body_bytes: int, properties: Mapping[str, object]) -> bytes:
    """The payload of a content header frame."""
    flags = 0
    parts = []
    for index, (name, kind) in enumerate(PROPERTIES):
        if name in properties:
            flags |= 1 << (15 - index)
            parts.append(_encode_value(kind, properties[name]))
    return _CONTENT.pack(BASIC, 0, body_bytes, flags) + b"".join(parts)


def decode_header(payload: bytes) -> tuple[int, dict[str, object]]:
    """Read a content header. Returns the body's length and the properties."""
    _, _, body_bytes, flags = _CONTENT.unpack_from(payload, 0)
    at = _CONTENT.size
    properties: dict[str, object] = {}
    for index, (name, kind) in enumerate(PROPERTIES):
        if flags & 1 << (15 - index):
            properties[name], at = _decode_value(kind, payload, at)
    return body_bytes, properties
