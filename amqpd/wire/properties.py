"""Basic properties, looked at where they lie: a field is decoded only when something asks.

The property flags are bits 15 downwards in this order (spec 4.2.6.1, class basic): content-type,
content-encoding, headers, delivery-mode, priority, correlation-id, reply-to, expiration,
message-id, timestamp, type, user-id, app-id, cluster-id. Values follow in the same order.

All functions take a content (its header frame first, see `frames`) and trust nothing in it: a
property that runs past the header frame raises `Malformed`; the session answers 501.
"""

from typing import Final

from librt.strings import BytesWriter, read_i16_be, read_i32_be, write_i16_be, write_i32_be
from mypy_extensions import i64

from amqpd.wire import tables
from amqpd.wire.frames import FLAGS_AT
from amqpd.wire.tables import Malformed, Table

CONTENT_TYPE: Final = 1 << 15
CONTENT_ENCODING: Final = 1 << 14
HEADERS: Final = 1 << 13
DELIVERY_MODE: Final = 1 << 12
PRIORITY: Final = 1 << 11
CORRELATION_ID: Final = 1 << 10
REPLY_TO: Final = 1 << 9
EXPIRATION: Final = 1 << 8
MESSAGE_ID: Final = 1 << 7
TIMESTAMP: Final = 1 << 6
TYPE: Final = 1 << 5
USER_ID: Final = 1 << 4
APP_ID: Final = 1 << 3
CLUSTER_ID: Final = 1 << 2

# Properties that can come ahead of delivery-mode.
_BEFORE_MODE: Final = CONTENT_TYPE | CONTENT_ENCODING | HEADERS

_MORE_FLAGS: Final = 1

# Flags of the properties that change what a queue does with a message.
QUEUES_ASK: Final = PRIORITY | EXPIRATION

_VALUES_AT: Final = FLAGS_AT + 2
_PERSISTENT: Final = 2
# Width of the properties that have a fixed one; the others but HEADERS are short strings.
_FIXED: Final = {DELIVERY_MODE: 1, PRIORITY: 1, TIMESTAMP: 8}


def flags_of(content: bytes) -> int:
    """Return the property flags of a content."""
    flags: int = read_i16_be(content, FLAGS_AT)
    return flags & 0xFFFF


def is_persistent(content: bytes, flags: int, header_bytes: i64) -> bool:
    """Say whether delivery-mode is 2; absent and any other value mean transient."""
    if not flags & DELIVERY_MODE:
        return False
    if not flags & _BEFORE_MODE:
        at: i64 = _VALUES_AT
    else:
        at = _find(content, flags, DELIVERY_MODE, header_bytes)
    return at < header_bytes - 1 and content[at] == _PERSISTENT


def _find(content: bytes, flags: int, wanted: int, header_bytes: i64) -> i64:
    """Return the offset of a property's value.

    Raises Malformed if the properties ahead of it run past the header frame.
    """
    at: i64 = _VALUES_AT
    end = header_bytes - 1
    flag = CONTENT_TYPE
    while flag > wanted:
        if flags & flag:
            at = _skip(content, at, end, flag)
        flag >>= 1
    return at


def _skip(content: bytes, at: i64, end: i64, flag: int) -> i64:
    """Return the offset just past the value of property `flag` at `at`."""
    if flag == HEADERS:
        if at + 4 > end:
            raise Malformed("headers run past the content header")
        size: int = read_i32_be(content, at)
        after: i64 = at + 4 + (size & 0xFFFFFFFF)
    elif flag in _FIXED:
        after = at + _FIXED[flag]
    else:
        if at >= end:
            raise Malformed("a property runs past the content header")
        after = at + 1 + content[at]
    if after > end:
        raise Malformed("a property runs past the content header")
    return after


def check(content: bytes, header_bytes: i64) -> None:
    """Raise Malformed unless the properties fill the header frame as its flags say.

    The lowest flag would announce more flags, for properties that class basic does not have.
    """
    flags = flags_of(content)
    at: i64 = _VALUES_AT
    if flags & _MORE_FLAGS:
        raise Malformed("properties that do not exist")
    flag = CONTENT_TYPE
    while flag >= CLUSTER_ID:
        if flags & flag:
            at = _skip(content, at, header_bytes - 1, flag)
        flag >>= 1
    if at != header_bytes - 1:
        raise Malformed("octets behind the properties")


def short_text(content: bytes, wanted: int, header_bytes: i64) -> bytes:
    """Return the value of a short-string property that is present, as it came."""
    at = _find(content, flags_of(content), wanted, header_bytes)
    after = _skip(content, at, header_bytes - 1, wanted)
    return content[at + 1 : after]


def octet(content: bytes, wanted: int, header_bytes: i64) -> int:
    """Return the value of a one-octet property that is present (delivery-mode, priority)."""
    at = _find(content, flags_of(content), wanted, header_bytes)
    _skip(content, at, header_bytes - 1, wanted)
    return content[at]


def headers(content: bytes, header_bytes: i64) -> Table:
    """Decode the headers table; empty if there is none."""
    flags = flags_of(content)
    if not flags & HEADERS:
        return {}
    at = _find(content, flags, HEADERS, header_bytes)
    table, _ = tables.decode_table(content, at, header_bytes - 1)
    return table


def span(content: bytes, wanted: int, header_bytes: i64) -> tuple[i64, i64]:
    """Return where the encoded value of a property, which must be present, begins and ends."""
    at = _find(content, flags_of(content), wanted, header_bytes)
    return at, _skip(content, at, header_bytes - 1, wanted)


def with_value(content: bytes, flag: int, encoded: bytes, header_bytes: i64) -> tuple[bytes, i64]:
    """Set a property to an encoded value, whether it is present or not.

    Returns (content, length of its header frame).
    """
    flags = flags_of(content)
    start = _find(content, flags, flag, header_bytes)
    after = _skip(content, start, header_bytes - 1, flag) if flags & flag else start
    return _replaced(content, flags | flag, start, after, encoded, header_bytes)


def without(content: bytes, flag: int, header_bytes: i64) -> tuple[bytes, i64]:
    """Take a property away that is present. Returns (content, length of its header frame)."""
    start, after = span(content, flag, header_bytes)
    return _replaced(content, flags_of(content) & ~flag, start, after, b"", header_bytes)


def _replaced(
    content: bytes, flags: int, start: i64, after: i64, encoded: bytes, header_bytes: i64
) -> tuple[bytes, i64]:
    size: int = header_bytes - 8 - (after - start) + len(encoded)
    out = BytesWriter()
    out.write(content[:3])
    write_i32_be(out, size)
    out.write(content[7:FLAGS_AT])
    write_i16_be(out, flags - 65536 if flags > 32767 else flags)
    out.write(content[_VALUES_AT:start])
    out.write(encoded)
    out.write(content[after:])
    return out.getvalue(), size + 8
