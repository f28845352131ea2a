"""Page files: the waiting middle of long queues, and which of it has been settled.

A page is one block (see `blocks`) whose records are:

    ┌──────────┬───────┬────────────┬──────────┬───────────┬──────────┬────────────────┐
    │ queue id │ count │ persistent │  level   │ first seq │ last seq │ count × entry  │
    │   u32    │  u32  │    u32     │   u32    │    u64    │   u64    │                │
    └──────────┴───────┴────────────┴──────────┴───────────┴──────────┴────────────────┘

    an entry:   seq u64, when it expires u64, length u32, message

When it expires is wall clock (ms, 0 = never) in the lower 44 bits; above them is how often it came
back to a quorum queue.

and a file is a row of pages of one level of one queue (a queue without priorities has one, 0; a
page of format 1 may have the priority of its first message there, which counts as the level of the
queue that it belongs to). Rule 1: a file goes when none of its entries is live.
Rule 2: `settled` has a bit for each seq from the file's first on; the journal has the same as
SETTLED records, and the snapshot of a segment repeats it, so that a file is never rewritten.
Rule 3: entries read from a file bear its negated number as `segment`.
"""

from typing import Final

from librt.strings import BytesWriter, read_i32_be, read_i64_be, write_i32_be, write_i64_be
from mypy_extensions import i64

from amqpd.core.consumer import Entry
from amqpd.core.ports import Page
from amqpd.store import blocks, records
from amqpd.store.records import Addresses, Corrupt, decode_message, message_bytes, write_message

PAGE_HEADER_BYTES: Final = 32
_ENTRY_HEADER_BYTES: Final = 20
_EXPIRES_BITS: Final = 44
PAGE_FILE_BYTES: Final = 33554432  # a file takes no more pages from here on

NAME: Final = "page-"


def page_file_name(number: int, queue_id: int) -> str:
    """Name a page file."""
    return f"{NAME}{number:010d}-{queue_id}"


class PageFile:
    """One page file: how long it is, what of it is live, and who has been settled."""

    def __init__(
        self, number: int, queue_id: int, durable: bool, first_seq: int, level: int = 0
    ) -> None:
        self.number: Final = number
        self.queue_id: Final = queue_id
        self.durable: Final = durable
        self.name: Final = page_file_name(number, queue_id)
        self.first_seq: Final = first_seq
        self.level: Final = level  # of the queue's priorities
        self.last_seq = first_seq
        self.size = blocks.FILE_HEADER_BYTES
        self.live: i64 = 0
        self.is_taking = False  # pages go to it; a file from before a restart takes none
        self.is_damaged = False
        self.told_bytes = 0  # how long it is as the journal has it; nothing of that may be missing
        self.redelivered: dict[int, bool] = {}  # seqs that were delivered before a restart
        self.counts: dict[int, int] = {}  # by seq: `Entry.counts` of what came back since
        self.all_redelivered = False  # it is not known which, so they all count as delivered
        self._settled = bytearray()

    def told(self) -> tuple[int, int, int, int]:
        """Return the record that says how long it is, as its kind and three numbers."""
        return records.PAGE_FILE, self.number, self.queue_id, self.told_bytes

    def settle(self, seq: i64) -> None:
        """Note that an entry of this file left for good."""
        if self.counts:
            self.counts.pop(int(seq), None)
        place = seq - self.first_seq
        octet = place >> 3
        missing = octet + 1 - len(self._settled)
        if missing > 0:
            self._settled.extend(bytes(missing + 1024))
        self._settled[octet] |= 1 << (place & 7)

    def is_settled(self, seq: i64) -> bool:
        """Say whether an entry of this file left for good."""
        place = seq - self.first_seq
        octet = place >> 3
        return octet < len(self._settled) and self._settled[octet] & (1 << (place & 7)) != 0

    def any_settled(self, first: i64, last: i64) -> bool:
        """Say whether anything from seq `first` to `last` left for good."""
        at = (first - self.first_seq) >> 3
        until: i64 = min(((last - self.first_seq) >> 3) + 1, len(self._settled))
        if at >= until or self._settled.count(0, at, until) == until - at:
            return False
        for seq in range(first, last + 1):
            if self.is_settled(seq):
                return True
        return False

    def settled_ranges(self) -> list[tuple[int, int]]:
        """Return the settled seqs as (first, last) ranges."""
        ranges: list[tuple[int, int]] = []
        first: i64 = -1
        for octet, bits in enumerate(bytes(self._settled)):
            if (bits == 0 and first < 0) or (bits == 255 and first >= 0):
                continue
            for bit in range(8):
                seq: i64 = self.first_seq + octet * 8 + bit
                if bits >> bit & 1:
                    if first < 0:
                        first = seq
                elif first >= 0:
                    ranges.append((int(first), int(seq - 1)))
                    first = -1
        if first >= 0:
            ranges.append((int(first), int(self.first_seq + len(self._settled) * 8 - 1)))
        return ranges


class StoredPage(Page):
    """A page of a file. `data` has its block until it is written; `is_old`: from before a restart.

    Of an old page only the persistent entries that are not settled count.
    """

    def __init__(
        self,
        file: PageFile,
        offset: int,
        length: int,
        count: int,
        body_bytes: int,
        data: bytes,
        is_old: bool,
        level: int = 0,
    ) -> None:
        super().__init__(count, body_bytes, level)
        self.file: Final = file
        self.offset: Final = offset
        self.length: Final = length
        self.data = data
        self.last_seq = 0
        self.group = 0  # that wrote it
        self.is_old: Final = is_old


def encode_page(queue_id: int, entries: list[Entry], wall_offset_ms: int, level: int = 0) -> bytes:
    """Encode a page of a level; the offset makes wall clock of monotonic ms."""
    out = BytesWriter()
    write_i32_be(out, queue_id)
    write_i32_be(out, len(entries))
    write_i32_be(out, sum([1 for entry in entries if entry.message.persistent]))
    write_i32_be(out, level)
    write_i64_be(out, entries[0].seq)
    write_i64_be(out, entries[-1].seq)
    for entry in entries:
        write_i64_be(out, entry.seq)
        expires_ms: i64 = entry.expires_ms + wall_offset_ms if entry.expires_ms else 0
        if entry.counts:
            acquired: i64 = entry.acquired()
            expires_ms |= acquired << _EXPIRES_BITS
        write_i64_be(out, expires_ms)
        write_i32_be(out, message_bytes(entry.message))
        write_message(out, entry.message, entry.redelivered)
    return out.getvalue()


class PageHeader:
    """What the head of a page says of it."""

    def __init__(self, records: bytes) -> None:
        if len(records) < PAGE_HEADER_BYTES:
            raise Corrupt("a page that is too short")
        self.queue_id: Final[int] = read_i32_be(records, 0)
        self.count: Final[int] = read_i32_be(records, 4)
        self.persistent: Final[int] = read_i32_be(records, 8)
        self.level: Final[int] = read_i32_be(records, 12)
        self.first_seq: Final[int] = read_i64_be(records, 16)
        self.last_seq: Final[int] = read_i64_be(records, 24)

    def is_plausible(self, queue_id: int, previous_seq: int) -> bool:
        """Say whether a page of this queue behind that seq can have this head."""
        counts = 0 <= self.persistent <= self.count and self.count > 0
        seqs = previous_seq < self.first_seq and self.count <= self.last_seq - self.first_seq + 1
        return self.queue_id == queue_id and counts and seqs


def seqs_of(records: bytes) -> list[int]:
    """Return the seqs of a page's entries. Raises Corrupt if it makes no sense."""
    seqs: list[int] = []
    at: i64 = PAGE_HEADER_BYTES
    for _ in range(PageHeader(records).count):
        if at + _ENTRY_HEADER_BYTES > len(records):
            raise Corrupt("a page that ends early")
        seqs.append(int(read_i64_be(records, at)))
        length: int = read_i32_be(records, at + 16)
        if length < 0:
            raise Corrupt("an entry that runs past its page")
        at += _ENTRY_HEADER_BYTES + length
    return seqs


def decode_page(
    records: bytes, page: StoredPage, addresses: Addresses, wall_offset_ms: int
) -> list[Entry]:
    """Return the entries of a page that count. Raises Corrupt if it makes no sense."""
    header = PageHeader(records)
    entries: list[Entry] = []
    at: i64 = PAGE_HEADER_BYTES
    end: i64 = len(records)
    for _ in range(header.count):
        if at + _ENTRY_HEADER_BYTES > end:
            raise Corrupt("a page that ends early")
        seq: i64 = read_i64_be(records, at)
        expires_wall_ms: i64 = read_i64_be(records, at + 8)
        acquired = expires_wall_ms >> _EXPIRES_BITS
        expires_wall_ms &= (1 << _EXPIRES_BITS) - 1
        length: int = read_i32_be(records, at + 16)
        start = at + _ENTRY_HEADER_BYTES
        at = start + length
        if length < 0 or at > end:
            raise Corrupt("an entry that runs past its page")
        message, redelivered = decode_message(records, start, at, addresses)
        if page.is_old and (not message.persistent or page.file.is_settled(seq)):
            continue
        entry = Entry(message, seq)
        file = page.file
        entry.redelivered = redelivered or file.all_redelivered or seq in file.redelivered
        entry.segment = -page.file.number
        if acquired:
            entry.count(int(acquired), 0)
        if file.counts and seq in file.counts:
            entry.counts = file.counts[seq]
            entry.redelivered = True
        if expires_wall_ms:
            entry.expires_ms = max(1, expires_wall_ms - wall_offset_ms)
        entries.append(entry)
    return entries
