"""Records of the journal: one durable fact each, and its bytes.

    ┌──────┬────────┬─────────┐
    │ kind │ length │ payload │    big-endian
    │  u8  │  u32   │ length  │
    └──────┴────────┴─────────┘

| kind | payload |
|---|---|
| PUBLISHED | count u16, then queue u32 and seq u64 each; then a message as below |
| SETTLED | queue u32, first seq u64, last seq u64: these left for good |
| REDELIVERED | the same: these were delivered before (written at a clean stop) |
| DEFINED | a field table: something durable was made or removed (see `journal`) |
| SNAPSHOT | nothing: forget all definitions, the following ones are complete |
| SNAPSHOT_END | nothing: they were |
| EXPIRES | queue u32, seq u64, wall clock u64 (ms): when an entry just published expires |
| PAGE_SETTLED | page file u32, first seq u64, last seq u64: the snapshot of a page file |
| CLEAN | nothing: the broker stopped in good order |
| PAGE_FILE | page file u32, queue u64, bytes u64: so much of it is safe; since the last group |
| PAGE_FILE_GONE | page file u32, 0, 0: nothing of it is needed any more |
| OLDEST_SEGMENT | segment u32, 0, 0: none before it is needed any more |
| RETURNED | queue u32, seq u64, `Entry.counts` u64: an entry of a quorum queue came back |
| UNFINISHED | zeros: fills the room of blocks that were never written to their end |

A message, in PUBLISHED and in pages:

    ┌───────┬─────────┬──────────────┬──────────┬─────────────┬─────────┐
    │ flags │ channel │ header bytes │ exchange │ routing key │ content │
    │  u8   │   u16   │     u32      │ shortstr │  shortstr   │   ...   │
    └───────┴─────────┴──────────────┴──────────┴─────────────┴─────────┘

Flags: 1 persistent, 2 redelivered, 4 a dead letter that this broker made. Content is what the
publisher sent, frames and all.
"""

from typing import Final

from librt.strings import (
    BytesWriter,
    read_i16_be,
    read_i32_be,
    read_i64_be,
    write_i32_be,
    write_i64_be,
)
from mypy_extensions import i64

from amqpd.core.message import Address, Message
from amqpd.wire.frames import FLAGS_AT, largest_frame

PUBLISHED: Final = 1
SETTLED: Final = 2
REDELIVERED: Final = 3
DEFINED: Final = 4
SNAPSHOT: Final = 5
SNAPSHOT_END: Final = 6
PAGE_SETTLED: Final = 7
CLEAN: Final = 8
EXPIRES: Final = 9
PAGE_FILE: Final = 10
PAGE_FILE_GONE: Final = 11
OLDEST_SEGMENT: Final = 12
UNFINISHED: Final = 13
RETURNED: Final = 16

RECORD_HEADER_BYTES: Final = 5
_MESSAGE_BYTES_MIN: Final = 7 + 2 + FLAGS_AT + 2

_PERSISTENT: Final = 1
_REDELIVERED: Final = 2
_DIED: Final = 4


class Corrupt(Exception):
    """A record that passed its checksum does not make sense: a fault of this program, or worse."""


def write_record(out: BytesWriter, kind: int, payload: bytes) -> None:
    """Append a record."""
    out.append(kind)
    write_i32_be(out, len(payload))
    out.write(payload)


def write_range(out: BytesWriter, kind: int, owner: int, first: i64, last: i64) -> None:
    """Append a record that is a number and a range, or three numbers."""
    out.append(kind)
    write_i32_be(out, 20)
    write_i32_be(out, owner)
    write_i64_be(out, first)
    write_i64_be(out, last)


def decode_range(payload: bytes) -> tuple[int, int, int]:
    """Return the three numbers, as in (queue or page file, first seq, last seq)."""
    if len(payload) != 20:
        raise Corrupt("a range of the wrong length")
    owner: int = read_i32_be(payload, 0)
    first: int = read_i64_be(payload, 4)
    last: int = read_i64_be(payload, 12)
    return owner, first, last


def write_message(out: BytesWriter, message: Message, redelivered: bool) -> None:
    """Append a message, without any length around it."""
    flags = (1 if message.persistent else 0) | (2 if redelivered else 0)
    out.append(flags | 4 if message.died else flags)
    channel: int = message.channel
    out.append(channel >> 8)
    out.append(channel & 255)
    header_bytes: int = message.header_bytes
    write_i32_be(out, header_bytes)
    encoded = message.address.encoded
    out.write(encoded)  # ends with a frame end octet, which is kept: one write less to assemble
    out.write(message.content)


def message_bytes(message: Message) -> int:
    """Return how many bytes `write_message` appends."""
    return 7 + len(message.address.encoded) + len(message.content)


class Addresses:
    """Makes one Address of alike bytes, so that recovered messages share them."""

    def __init__(self) -> None:
        self._known: dict[bytes, Address] = {}

    def of(self, encoded: bytes) -> Address:
        """Return the address whose short strings these are."""
        address = self._known.get(encoded)
        if address is None:
            split = 1 + encoded[0]
            exchange = encoded[1:split].decode("utf-8", "surrogateescape")
            routing_key = encoded[split + 1 : -1].decode("utf-8", "surrogateescape")
            address = Address(exchange, routing_key, encoded)
            if len(self._known) > 10000:
                self._known.clear()
            self._known[encoded] = address
        return address


def decode_message(data: bytes, at: i64, end: i64, addresses: Addresses) -> tuple[Message, bool]:
    """Read a message that fills `data` from `at` to `end`. Returns (message, redelivered).

    Raises Corrupt if it does not fit.
    """
    if end - at < _MESSAGE_BYTES_MIN:
        raise Corrupt("a message that is too short")
    flags = data[at]
    channel: int = read_i16_be(data, at + 1)
    header_bytes: i64 = int(read_i32_be(data, at + 3))
    start = at + 7
    split = start + 1 + data[start]
    if split >= end:
        raise Corrupt("an exchange name that runs past its message")
    after: i64 = split + 2 + data[split]
    if after + header_bytes > end or header_bytes < FLAGS_AT + 3:
        raise Corrupt("a content header that runs past its message")
    content = data[after:end]
    body_bytes: i64 = read_i64_be(content, 11)
    try:
        largest = largest_frame(content, header_bytes)
    except IndexError:
        raise Corrupt("a body frame that runs past its message") from None
    message = Message(
        addresses.of(data[start:after]),
        content,
        header_bytes,
        body_bytes,
        largest,
        channel & 0xFFFF,
        flags & _PERSISTENT != 0,
    )
    message.died = flags & _DIED != 0
    try:
        message.read_properties()
    except ValueError:
        raise Corrupt("properties that nobody could have published") from None
    return message, flags & _REDELIVERED != 0


def write_published(
    out: BytesWriter, message: Message, redelivered: bool, queue_ids: list[int], seqs: list[int]
) -> None:
    """Append a PUBLISHED record."""
    count = len(queue_ids)
    out.append(PUBLISHED)
    write_i32_be(out, 2 + 12 * count + message_bytes(message))
    out.append(count >> 8)
    out.append(count & 255)
    place = 0
    for queue_id in queue_ids:
        write_i32_be(out, queue_id)
        write_i64_be(out, seqs[place])
        place += 1
    write_message(out, message, redelivered)
