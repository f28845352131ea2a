"""Client-side bytes: what a scenario says, and what a broker said.

Methods are pamqp's classes. They are filled in and encoded here rather than by pamqp, which checks
names more strictly than brokers do and picks the tags of table values itself.

    ┌──────┬─────────┬──────┬─────────┬──────┐
    │ kind │ channel │ size │ payload │ 0xCE │    kind: 1 method, 2 header, 3 body, 8 heartbeat
    │  u8  │   u16   │ u32  │  size   │  u8  │
    └──────┴─────────┴──────┴─────────┴──────┘
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pamqp import base, commands, decode, header

METHOD = 1
HEADER = 2
BODY = 3
HEARTBEAT = 8
END = 0xCE
OVERHEAD = 8  # bytes of a frame that are not payload

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"
BASIC = 60

M = TypeVar("M", bound=base.Frame)


class Typed(NamedTuple):
    """A table value with the tag it is to be sent with (spec 4.2.5.5, RabbitMQ: errata)."""

    tag: str
    value: Any


class Frame(NamedTuple):
    """A frame as it came."""

    kind: int
    channel: int
    payload: bytes


class ContentHeader(NamedTuple):
    """The fields of a header frame; `properties` are flags and values as they came."""

    class_id: int
    body_bytes: int
    properties: bytes


class RequestOk(base.Frame):
    """access.request-ok, which pamqp does not know (0-9-1 has no class access any more)."""

    __slots__ = ["ticket"]
    index = 0x001E000B
    name = "Access.RequestOk"
    _ticket = "short"


_METHODS: dict[int, Any] = {**commands.INDEX_MAPPING, RequestOk.index: RequestOk}

_NUMBERS = {
    "t": ">?",
    "b": ">b",
    "B": ">B",
    "s": ">h",
    "u": ">H",
    "I": ">i",
    "i": ">I",
    "l": ">q",
    "L": ">q",
    "f": ">f",
    "d": ">d",
    "T": ">Q",
}
_ARGUMENTS = {"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q", "timestamp": ">Q"}


def make(kind: type[M], **fields: Any) -> M:
    """Return a method with these fields, whatever pamqp thinks of their values."""
    method = kind()
    for name, value in fields.items():
        if name not in kind.__slots__:
            raise TypeError(f"{kind.name} has no field {name}")
        setattr(method, name, value)
    return method


# -- tables ----------------------------------------------------------------------------------------


def encode_table(fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> bytes:
    """Encode a table with its length; pairs may repeat a key."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    data = b"".join(encode_shortstr(key) + encode_value(value) for key, value in pairs)
    return struct.pack(">I", len(data)) + data


def encode_value(value: Any) -> bytes:
    """Encode a value with its tag: a `Typed`'s own, else what a client library would choose."""
    tag, plain = value if isinstance(value, Typed) else _tagged(value)
    return tag.encode() + _encode_plain(tag, plain)


def _tagged(value: Any) -> tuple[str, Any]:
    if value is None:
        return "V", None
    if isinstance(value, bool):
        return "t", value
    if isinstance(value, int):
        return ("I" if -(2**31) <= value < 2**31 else "l"), value
    if isinstance(value, float):
        return "d", value
    if isinstance(value, str):
        return "S", value
    if isinstance(value, bytes):
        return "x", value
    if isinstance(value, Mapping):
        return "F", value
    return "A", value


def _encode_plain(tag: str, value: Any) -> bytes:
    if tag in _NUMBERS:
        return struct.pack(_NUMBERS[tag], value)
    if tag in "Sx":
        return encode_longstr(value)
    if tag == "F":
        return encode_table(value)
    if tag == "A":
        data = b"".join(encode_value(item) for item in value)
        return struct.pack(">I", len(data)) + data
    if tag == "D":
        return struct.pack(">BI", *value)
    assert tag == "V", tag
    return b""


def encode_shortstr(value: str | bytes) -> bytes:
    """Encode a short string; bytes go out as they are."""
    data = value.encode() if isinstance(value, str) else value
    return bytes((len(data),)) + data


def encode_longstr(value: str | bytes) -> bytes:
    """Encode a long string; bytes go out as they are."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


# -- methods and content ---------------------------------------------------------------------------


def encode_method(method: base.Frame) -> bytes:
    """Encode class, method and arguments: the payload of a method frame."""
    parts = [struct.pack(">I", method.index)]
    bits: list[bool] = []
    for name in method.__slots__:
        kind = method.amqp_type(name)
        if kind == "bit":
            bits.append(bool(getattr(method, name)))
        else:
            parts.append(_encode_bits(bits))
            bits = []
            parts.append(_encode_argument(kind, getattr(method, name)))
    parts.append(_encode_bits(bits))
    return b"".join(parts)


def _encode_bits(bits: list[bool]) -> bytes:
    if not bits:
        return b""
    return bytes((sum(bit << index for index, bit in enumerate(bits)),))


def _encode_argument(kind: str, value: Any) -> bytes:
    if kind == "shortstr":
        return encode_shortstr(value or "")
    if kind == "longstr":
        return encode_longstr(value or "")
    if kind == "table":
        return encode_table(value or {})
    return struct.pack(_ARGUMENTS[kind], value or 0)


def encode_properties(fields: Mapping[str, Any]) -> bytes:
    """Encode basic properties, flags first; a property that is absent or None is left out."""
    flags = 0
    values = []
    properties = commands.Basic.Properties
    for name in fields:
        if name not in properties.flags:
            raise TypeError(f"there is no property {name}")
    for name in properties.__slots__:
        value = fields.get(name)
        if value is not None:
            flags |= properties.flags[name]
            values.append(_encode_argument(properties.amqp_type(name), value))
    return struct.pack(">H", flags) + b"".join(values)


def decode_properties(data: bytes) -> commands.Basic.Properties:
    """Decode flags and values to pamqp's class; tags of headers are lost."""
    content = header.ContentHeader()
    content.unmarshal(struct.pack(">HHQ", BASIC, 0, 0) + data)
    return content.properties


def encode_header(
    properties: bytes, body_bytes: int, class_id: int = BASIC, weight: int = 0
) -> bytes:
    """Encode the payload of a content header frame."""
    return struct.pack(">HHQ", class_id, weight, body_bytes) + properties


def decode_header(payload: bytes) -> ContentHeader:
    """Take a content header frame's payload apart."""
    class_id, weight, body_bytes = struct.unpack_from(">HHQ", payload)
    assert weight == 0, "weight of a content header"
    return ContentHeader(class_id, body_bytes, payload[12:])


# -- frames ----------------------------------------------------------------------------------------


def frame(kind: int, channel: int, payload: bytes, end: int = END) -> bytes:
    """Encode a frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes((end,))


def method_frame(channel: int, method: base.Frame) -> bytes:
    """Encode a method as a whole frame."""
    return frame(METHOD, channel, encode_method(method))


def content_frames(channel: int, properties: bytes, body: bytes, frame_max: int) -> bytes:
    """Encode a content's header and as many body frames as frame_max (bytes) asks for."""
    room = frame_max - OVERHEAD if frame_max else max(len(body), 1)
    bodies = (body[at : at + room] for at in range(0, len(body), room))
    return frame(HEADER, channel, encode_header(properties, len(body))) + b"".join(
        frame(BODY, channel, piece) for piece in bodies
    )


def decode_method(payload: bytes) -> base.Frame:
    """Decode a method frame's payload to pamqp's class; a text that is not UTF-8 stays bytes."""
    (index,) = struct.unpack_from(">I", payload)
    method: base.Frame = _METHODS[index]()
    at, bit = 4, 8
    for name in method.__slots__:
        kind = method.amqp_type(name)
        if kind == "bit":
            if bit == 8:
                at, bit = at + 1, 0
            setattr(method, name, bool(payload[at - 1] >> bit & 1))
            bit += 1
            continue
        bit = 8
        if kind == "shortstr":
            end = at + 1 + payload[at]
            value: Any = _text(payload[at + 1 : end])
            at = end
        else:
            length, value = decode.by_type(payload[at:], kind)
            at += length
        setattr(method, name, value)
    assert at == len(payload), f"{method.name} has {len(payload) - at} octets too many"
    return method


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class FrameReader:
    """Cuts what a broker sends into frames; asserts that they are well formed."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that came."""
        self._data += data

    def next(self) -> Frame | None:
        """Return the next whole frame, None if its end has not come."""
        data = self._data
        if len(data) < OVERHEAD:
            return None
        kind, channel, size = struct.unpack_from(">BHI", data)
        if len(data) < size + OVERHEAD:
            return None
        assert data[size + 7] == END, f"end octet of a frame is {data[size + 7]}: {bytes(data)!r}"
        assert kind in (METHOD, HEADER, BODY, HEARTBEAT), f"frame type {kind}"
        payload = bytes(data[7 : size + 7])
        del data[: size + OVERHEAD]
        return Frame(kind, channel, payload)

    @property
    def rest(self) -> bytes:
        """What has come of a frame whose end has not."""
        return bytes(self._data)
