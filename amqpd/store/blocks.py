"""Blocks: records sealed with a checksum, the unit in which the store's files are read back.

    ┌────────┬─────────┬────────┬─────────┬─────────┐
    │ "AMQB" │ crc32c  │ length │  group  │ records │    big-endian; crc32c covers all behind it
    │   4    │   u32   │  u32   │   u64   │ length  │
    └────────┴─────────┴────────┴─────────┴─────────┘

A file begins with a header of its own:

    ┌────────────┬────────┬──────────┬──────────┐
    │ "AMQPDLOG" │ format │   kind   │  number  │    kind 1: journal segment, 2: page file
    │     8      │  u16   │   u16    │   u64    │
    └────────────┴────────┴──────────┴──────────┘

Rule 1: a block of group n+1 is written only after group n was synced. So a bad block that is
followed by a good one of a later group is damage, and one that is not is a torn write, also where
some later blocks of the last group got to the disk before it.
Rule 2: what comes after the last block of a file is nothing, or zeros from reserving room.

Changing any of this or of a record: raise FORMAT in `volume`, keep reading the old format, and add
a file written by the old code to the fixtures.
"""

from typing import Final

from crc32c import crc32c
from librt.strings import BytesWriter, read_i32_be, read_i64_be, write_i32_be, write_i64_be

from amqpd.store.records import RECORD_HEADER_BYTES, UNFINISHED, write_record
from amqpd.store.volume import FORMAT

MAGIC: Final = b"AMQB"
FILE_MAGIC: Final = b"AMQPDLOG"
FILE_HEADER_BYTES: Final = 20
BLOCK_HEADER_BYTES: Final = 20

SEGMENT: Final = 1
PAGE_FILE: Final = 2


class Damage(Exception):
    """A file of the store is not what was written: which one, where (offset in bytes), and why."""

    def __init__(self, name: str, offset: int, why: str) -> None:
        super().__init__(f"{name}, offset {offset}: {why}")
        self.name: Final = name
        self.offset: Final = offset
        self.why: Final = why


class FutureFormat(Exception):
    """A file was written by a newer version, which alone can read it."""

    def __init__(self, name: str, found: int) -> None:
        super().__init__(
            f"{name} has format {found}, this version knows {FORMAT}: use the newer amqpd"
        )


def file_header(kind: int, number: int) -> bytes:
    """Build the first bytes of a file."""
    numbers = FORMAT.to_bytes(2, "big") + kind.to_bytes(2, "big") + number.to_bytes(8, "big")
    return FILE_MAGIC + numbers


def check_file_header(name: str, data: bytes, kind: int, number: int) -> None:
    """Raise Damage or FutureFormat unless `data` begins with the right header."""
    if data[:8] != FILE_MAGIC or len(data) < FILE_HEADER_BYTES:
        raise Damage(name, 0, "no file header")
    found = int.from_bytes(data[8:10], "big")
    if found > FORMAT:
        raise FutureFormat(name, found)
    if data[10:FILE_HEADER_BYTES] != file_header(kind, number)[10:]:
        raise Damage(name, 0, "the file header belongs to another file")


def seal(records: bytes, group: int) -> bytes:
    """Make a block of records."""
    out = BytesWriter()
    write_i32_be(out, len(records))
    write_i64_be(out, group)
    out.write(records)
    covered = out.getvalue()
    return MAGIC + crc32c(covered).to_bytes(4, "big") + covered


def seal_all(records: bytes, cuts: list[int], group: int) -> bytes:
    """Make blocks of records, which are cut at these places; at least one, that may be empty."""
    if not cuts:
        return seal(records, group)
    if cuts[-1] != len(records):
        cuts.append(len(records))
    parts: list[bytes] = []
    start = 0
    for end in cuts:
        parts.append(seal(records[start:end], group))
        start = end
    return b"".join(parts)


class Block:
    """A good block: its records, its group, and where it lies in its file (bytes)."""

    def __init__(self, records: bytes, group: int, offset: int, end: int) -> None:
        self.records: Final = records
        self.group: Final = group
        self.offset: Final = offset
        self.end: Final = end


def block_at(data: bytes, offset: int) -> Block | None:
    """Return the block at an offset, None if there is no good one."""
    start = offset + BLOCK_HEADER_BYTES
    if start > len(data) or data[offset : offset + 4] != MAGIC:
        return None
    length: int = read_i32_be(data, offset + 8)
    end = start + length
    if length < 0 or end > len(data):
        return None
    crc: int = read_i32_be(data, offset + 4)
    if crc32c(data[offset + 8 : end]) != crc & 0xFFFFFFFF:
        return None
    group: int = read_i64_be(data, offset + 12)
    return Block(data[start:end], group, offset, end)


class Scan:
    """All good blocks of a file, and the stretches that hold none.

    `bad` has (offset, end) of stretches between good blocks: damage. `end` is where good data
    ends; `torn` says whether anything but zeros follows it.
    """

    def __init__(self, data: bytes) -> None:
        self.blocks: list[Block] = []
        self.bad: list[tuple[int, int]] = []
        at = FILE_HEADER_BYTES
        while True:
            block = block_at(data, at)
            if block is None:
                block = _next_block(data, at)
                if block is None:
                    break
                self.bad.append((at, block.offset))
            self.blocks.append(block)
            at = block.end
        self.end: Final = at
        self.torn: Final = len(data) > at and data.count(0, at) != len(data) - at


def filler(size: int, group: int) -> bytes:
    """Make a block of that size (bytes) that says nothing; none if there is no block so small."""
    room = size - BLOCK_HEADER_BYTES
    out = BytesWriter()
    if room >= RECORD_HEADER_BYTES:
        write_record(out, UNFINISHED, bytes(room - RECORD_HEADER_BYTES))
    return seal(out.getvalue(), group) if len(out) == room else b""


def _next_block(data: bytes, at: int) -> Block | None:
    """Find the next good block behind a bad stretch."""
    while True:
        at = data.find(MAGIC, at + 1)
        if at < 0:
            return None
        block = block_at(data, at)
        if block is not None:
            return block
