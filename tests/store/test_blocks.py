"""Blocks: what is sealed comes back whole, and nothing else is taken for it."""

import pytest

from amqpd.store import blocks
from amqpd.store.blocks import Damage, FutureFormat, Scan, block_at, check_file_header, file_header
from amqpd.store.volume import FORMAT

HEADER = file_header(blocks.SEGMENT, 7)


def test_a_block_comes_back() -> None:
    sealed = blocks.seal(b"records", 12)
    block = block_at(b"xx" + sealed + b"yy", 2)
    assert block is not None
    assert (block.records, block.group) == (b"records", 12)
    assert (block.offset, block.end) == (2, 2 + len(sealed))


def test_a_block_may_be_empty() -> None:
    block = block_at(blocks.seal(b"", 1), 0)
    assert block is not None and block.records == b""


@pytest.mark.parametrize("place", range(len(blocks.seal(b"abc", 1))))
def test_any_flipped_bit_spoils_a_block(place: int) -> None:
    sealed = blocks.seal(b"abc", 1)
    for bit in range(8):
        bad = bytearray(sealed)
        bad[place] ^= 1 << bit
        assert block_at(bytes(bad), 0) is None


def test_a_block_that_is_cut_short_is_none() -> None:
    sealed = blocks.seal(b"abc", 1)
    for length in range(len(sealed)):
        assert block_at(sealed[:length], 0) is None


def test_a_scan_finds_all_blocks_up_to_reserved_room() -> None:
    data = HEADER + blocks.seal(b"a", 1) + blocks.seal(b"b", 2)
    scan = Scan(data + bytes(100))
    assert [block.records for block in scan.blocks] == [b"a", b"b"]
    assert (scan.bad, scan.end, scan.torn) == ([], len(data), False)


def test_a_scan_goes_on_behind_damage() -> None:
    first, second = blocks.seal(b"a", 1), bytearray(blocks.seal(b"b", 2))
    second[-1] ^= 1
    scan = Scan(HEADER + first + second + blocks.seal(b"c", 3))
    start = len(HEADER) + len(first)
    assert [block.records for block in scan.blocks] == [b"a", b"c"]
    assert scan.bad == [(start, start + len(second))]


def test_a_scan_says_what_is_torn() -> None:
    data = HEADER + blocks.seal(b"a", 1)
    scan = Scan(data + blocks.seal(b"b", 2)[:-1])
    assert (scan.end, scan.torn) == (len(data), True)


def test_a_file_header_belongs_to_one_file() -> None:
    check_file_header("f", HEADER + b"more", blocks.SEGMENT, 7)
    with pytest.raises(Damage, match="f, offset 0: the file header belongs to another file"):
        check_file_header("f", HEADER, blocks.SEGMENT, 8)
    with pytest.raises(Damage, match="another file"):
        check_file_header("f", HEADER, blocks.PAGE_FILE, 7)
    with pytest.raises(Damage, match="no file header"):
        check_file_header("f", HEADER[:-1], blocks.SEGMENT, 7)


def test_a_format_from_the_future_is_named() -> None:
    header = HEADER[:8] + (FORMAT + 1).to_bytes(2, "big") + HEADER[10:]
    with pytest.raises(FutureFormat, match=f"f has format {FORMAT + 1}"):
        check_file_header("f", header, blocks.SEGMENT, 7)


@pytest.mark.parametrize("size", [20, 25, 26, 1000])
def test_a_filler_fills_any_room_that_blocks_had(size: int) -> None:
    data = blocks.filler(size, 7)
    block = block_at(data, 0)
    assert len(data) == size and block is not None and block.group == 7


@pytest.mark.parametrize("size", [0, 19, 21, 24])
def test_there_is_no_filler_where_no_block_was(size: int) -> None:
    assert blocks.filler(size, 7) == b""
