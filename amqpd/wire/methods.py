"""Method codecs: the hot methods of class basic by hand, all others driven by pamqp's definitions.

`decode` makes a pamqp command of a payload, reading with bounds checks and without recursion; its
field table comes back beside it as a typed `Table` (pamqp's own decoder drops the type octets that
RabbitMQ's texts name, and recurses over nesting that the peer controls). `encode` is its inverse.
Commands are filled in without pamqp's constructors, whose validation refuses names that RabbitMQ
takes, such as 'é' (Deviation of pamqp, not of ours).

Payloads begin with class id and method id (spec 4.2.4), read here as one number, the *index*.
"""

from typing import Final

from librt.strings import (
    BytesWriter,
    read_i16_be,
    read_i32_be,
    read_i64_be,
    write_i16_be,
    write_i32_be,
    write_i64_be,
)
from mypy_extensions import i64
from pamqp import base, commands

from amqpd import errors
from amqpd.wire import tables
from amqpd.wire.tables import Malformed, Table

CONNECTION_START_OK: Final = 0x000A000B
CONNECTION_SECURE_OK: Final = 0x000A0015
CONNECTION_TUNE_OK: Final = 0x000A001F
CONNECTION_OPEN: Final = 0x000A0028
CONNECTION_CLOSE: Final = 0x000A0032
CONNECTION_CLOSE_OK: Final = 0x000A0033
CONNECTION_BLOCKED: Final = 0x000A003C
CONNECTION_UNBLOCKED: Final = 0x000A003D
CONNECTION_UPDATE_SECRET: Final = 0x000A0046
CHANNEL_OPEN: Final = 0x0014000A
CHANNEL_CLOSE: Final = 0x00140028
CHANNEL_CLOSE_OK: Final = 0x00140029
ACCESS_REQUEST: Final = 0x001E000A
BASIC_PUBLISH: Final = 0x003C0028
BASIC_RETURN: Final = 0x003C0032
BASIC_DELIVER: Final = 0x003C003C
BASIC_GET_OK: Final = 0x003C0047
BASIC_ACK: Final = 0x003C0050
BASIC_REJECT: Final = 0x003C005A
BASIC_NACK: Final = 0x003C0078

# access.request is not in the 0-9-1 definitions; RabbitMQ grants it always, with ticket 1.
ACCESS_REQUEST_OK: Final = b"\x00\x1e\x00\x0b\x00\x01"

_COMMANDS: Final[dict[int, type[base.Frame]]] = {
    index: command
    for index, command in commands.INDEX_MAPPING.items()
    if issubclass(command, base.Frame)
}


def is_known(index: int) -> bool:
    """Say whether class and method id name a method of the protocol."""
    return index in _COMMANDS or index == ACCESS_REQUEST


def name_of(index: int) -> str:
    """Return the name of a method as logs show it (`queue.declare`); "none" for 0."""
    command = _COMMANDS.get(index)
    return command.name.lower() if command is not None else "none"


# -- short strings -------------------------------------------------------------------------------


def shortstr(payload: bytes, at: i64) -> tuple[str, i64]:
    """Read a short string of a method. Returns (text, offset just past it).

    Raises StreamError 501 if it runs past `payload` or is not UTF-8.
    """
    octets, after = _short_octets(payload, at)
    try:
        return octets.decode("utf-8"), after
    except UnicodeDecodeError:
        raise errors.malformed_text() from None


def _short_octets(payload: bytes, at: i64) -> tuple[bytes, i64]:
    if at >= len(payload):
        raise errors.undecodable(payload[4:])
    after: i64 = at + 1 + payload[at]
    if after > len(payload):
        raise errors.undecodable(payload[4:])
    return payload[at + 1 : after], after


def longstr(payload: bytes, at: i64) -> tuple[bytes, i64]:
    """Read a long string of a method. Returns (octets, offset just past it).

    Raises StreamError 501 if it runs past `payload`.
    """
    if at + 4 > len(payload):
        raise errors.undecodable(payload[4:])
    size: int = read_i32_be(payload, at)
    after: i64 = at + 4 + (size & 0xFFFFFFFF)
    if after > len(payload):
        raise errors.undecodable(payload[4:])
    return payload[at + 4 : after], after


def encode_shortstr(text: str) -> bytes:
    """Encode a name as a short string; names come from short strings, so they fit."""
    data = text.encode("utf-8", "surrogateescape")
    assert len(data) <= 255
    return bytes((len(data),)) + data


# -- all methods ---------------------------------------------------------------------------------


def index_of(payload: bytes) -> int:
    """Return class id and method id as one number; 0 if the payload is too short."""
    if len(payload) < 4:
        return 0
    index: int = read_i32_be(payload, 0)
    return index


class _Reader:
    """Walks the arguments of one payload."""

    def __init__(self, payload: bytes) -> None:
        self.payload: Final = payload
        self.at: i64 = 4
        self.bits = -1
        self.table: Table = {}

    def number(self, width: int) -> int:
        """Read an unsigned integer of 1, 2, 4 or 8 octets."""
        at = self.at
        self.at = at + width
        if self.at > len(self.payload):
            raise errors.undecodable(self.payload[4:])
        if width == 1:
            return self.payload[at]
        if width == 2:
            short: int = read_i16_be(self.payload, at)
            return short & 0xFFFF
        if width == 4:
            long: int = read_i32_be(self.payload, at)
            return long & 0xFFFFFFFF
        longlong: int = read_i64_be(self.payload, at)
        return longlong & 0xFFFFFFFFFFFFFFFF

    def bit(self) -> bool:
        """Read the next bit, low bits first; an octet starts at the first after another field."""
        if self.bits < 0 or self.bits == 8:
            self.number(1)
            self.bits = 0
        self.bits += 1
        return self.payload[self.at - 1] >> (self.bits - 1) & 1 != 0

    def short_text(self) -> str:
        """Read a short string."""
        text, self.at = shortstr(self.payload, self.at)
        return text

    def long_bytes(self) -> bytes:
        """Read a long string."""
        value, self.at = longstr(self.payload, self.at)
        return value

    def read_table(self) -> None:
        """Read the field table into `table`."""
        try:
            self.table, self.at = tables.decode_table(self.payload, self.at, len(self.payload))
        except Malformed:
            raise errors.undecodable(self.payload[4:]) from None


_WIDTH: Final = {"octet": 1, "short": 2, "long": 4, "longlong": 8, "timestamp": 8}


def decode(payload: bytes) -> tuple[base.Frame, Table]:
    """Decode a known method. Returns the command and its field table (empty if it has none).

    Long strings come as text with surrogates for what is not UTF-8. Raises StreamError 501 if the
    arguments do not fill the payload.
    """
    command = _COMMANDS[index_of(payload)]
    method = command.__new__(command)
    reader = _Reader(payload)
    for name in command.__slots__:
        kind = command.amqp_type(name)
        if kind == "bit":
            setattr(method, name, reader.bit())
            continue
        reader.bits = -1
        if kind == "shortstr":
            setattr(method, name, reader.short_text())
        elif kind == "table":
            reader.read_table()
            setattr(method, name, {})
        elif kind == "longstr":
            setattr(method, name, reader.long_bytes().decode("utf-8", "surrogateescape"))
        else:
            setattr(method, name, reader.number(_WIDTH[kind]))
    if reader.at != len(payload):
        raise errors.undecodable(payload[4:])
    return method, reader.table


def encode(method: base.Frame, table: Table | None = None) -> bytes:
    """Encode a command with `table` as its field table: the inverse of `decode`."""
    out = BytesWriter()
    write_i32_be(out, method.index)
    bits, count = 0, 0
    for name in method.__slots__:
        kind = method.amqp_type(name)
        value = getattr(method, name)
        if kind == "bit":
            bits |= bool(value) << count
            count += 1
            continue
        if count:
            out.append(bits)
            bits, count = 0, 0
        _write_field(out, kind, value, table)
    if count:
        out.append(bits)
    return out.getvalue()


def _write_field(out: BytesWriter, kind: str, value: object, table: Table | None) -> None:
    if kind == "shortstr":
        assert isinstance(value, str)
        out.write(encode_shortstr(value))
    elif kind == "table":
        out.write(tables.encode_table(table or {}))
    elif kind == "longstr":
        assert isinstance(value, str)
        data = value.encode("utf-8", "surrogateescape")
        write_i32_be(out, len(data))
        out.write(data)
    else:
        assert isinstance(value, int)
        out.write(value.to_bytes(_WIDTH[kind], "big"))


# -- hot methods, by hand ------------------------------------------------------------------------


def publish_head(exchange: str, routing_key: str) -> bytes:
    """Encode exchange and routing key as basic.deliver, return and get-ok carry them."""
    return encode_shortstr(exchange) + encode_shortstr(routing_key)


def decode_publish(payload: bytes) -> tuple[str, str, int]:
    """Read basic.publish. Returns (exchange, routing key, bits: 1 mandatory, 2 immediate).

    Deviation: as in RabbitMQ, here names need not be UTF-8; other octets go out as they came in.
    """
    exchange, at = _short_octets(payload, 6)  # class, method, two reserved octets
    routing_key, at = _short_octets(payload, at)
    if at + 1 != len(payload):
        raise errors.undecodable(payload[4:])
    return (
        exchange.decode("utf-8", "surrogateescape"),
        routing_key.decode("utf-8", "surrogateescape"),
        payload[at],
    )


def decode_settle(payload: bytes) -> tuple[int, int]:
    """Read basic.ack, nack or reject. Returns (delivery tag, bits in the method's order)."""
    if len(payload) != 13:
        raise errors.undecodable(payload[4:])
    tag: int = read_i64_be(payload, 4)
    return tag & 0xFFFFFFFFFFFFFFFF, payload[12]


def write_ack(out: BytesWriter, channel: int, index: int, tag: i64, bits: int) -> None:
    """Append a whole basic.ack or basic.nack frame."""
    out.append(1)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, 13)
    write_i32_be(out, index)
    write_i64_be(out, tag)
    out.append(bits)
    out.append(0xCE)


def write_get_ok(
    out: BytesWriter, channel: int, tag: i64, redelivered: bool, head: bytes, count: int
) -> None:
    """Append a basic.get-ok frame; `head` is `publish_head`, `count` the messages left."""
    out.append(1)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, len(head) + 17)
    write_i32_be(out, BASIC_GET_OK)
    write_i64_be(out, tag)
    out.append(1 if redelivered else 0)
    out.write(head)
    write_i32_be(out, min(count, 0x7FFFFFFF))
    out.append(0xCE)


def write_return(out: BytesWriter, channel: int, code: int, text: str, head: bytes) -> None:
    """Append a basic.return frame; `head` is `publish_head`."""
    reason = encode_shortstr(text)
    out.append(1)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, 6 + len(reason) + len(head))
    write_i32_be(out, BASIC_RETURN)
    write_i16_be(out, code)
    out.write(reason)
    out.write(head)
    out.append(0xCE)


def deliver_head(channel: int, consumer_tag: str, head_bytes: int) -> bytes:
    """Build the part of a basic.deliver frame ahead of the delivery tag.

    `head_bytes` is the length of the `publish_head` that ends the frame: a consumer builds this
    once per address, and each delivery adds tag, redelivered and address.
    """
    tag = encode_shortstr(consumer_tag)
    out = BytesWriter()
    out.append(1)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, 4 + len(tag) + 9 + head_bytes)
    write_i32_be(out, BASIC_DELIVER)
    out.write(tag)
    return out.getvalue()


def close_payload(index: int, code: int, text: str, failed: int) -> bytes:
    """Encode connection.close or channel.close (`index`) for a failed method (0 = none)."""
    reason = errors.cut(text)
    out = BytesWriter()
    write_i32_be(out, index)
    write_i16_be(out, code)
    out.append(len(reason))
    out.write(reason)
    write_i32_be(out, failed)
    return out.getvalue()
