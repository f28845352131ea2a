"""Page files: entries in and out, and what of them is settled."""

import random

import pytest

from amqpd.store import blocks, pages
from amqpd.store.pages import PageFile, PageHeader, StoredPage
from amqpd.store.records import Addresses, Corrupt
from tests.store.things import entry


def stored(file: PageFile, count: int, is_old: bool) -> StoredPage:
    return StoredPage(file, 20, 100, count, 0, b"", is_old)


def test_a_page_comes_back() -> None:
    file = PageFile(3, 9, True, 5)
    sent = [entry(5, b"a"), entry(6, b"b", persistent=False), entry(9, b"c")]
    sent[2].redelivered = True
    data = pages.encode_page(9, sent, 0)
    header = PageHeader(data)
    assert (header.queue_id, header.count, header.persistent) == (9, 3, 2)
    assert (header.first_seq, header.last_seq) == (5, 9)
    back = pages.decode_page(data, stored(file, 3, False), Addresses(), 0)
    assert [e.seq for e in back] == [5, 6, 9]
    assert [e.message.content for e in back] == [e.message.content for e in sent]
    assert [e.redelivered for e in back] == [False, False, True]
    assert {e.segment for e in back} == {-3}


def test_of_an_old_page_only_what_is_durable_and_not_settled_comes_back() -> None:
    file = PageFile(3, 9, True, 5)
    data = pages.encode_page(9, [entry(5), entry(6, persistent=False), entry(7), entry(8)], 0)
    file.settle(7)
    file.redelivered[8] = True
    back = pages.decode_page(data, stored(file, 2, True), Addresses(), 0)
    assert [(e.seq, e.redelivered) for e in back] == [(5, False), (8, True)]


def test_a_page_that_makes_no_sense_is_corrupt() -> None:
    data = pages.encode_page(9, [entry(5), entry(6)], 0)
    for length in range(len(data)):
        with pytest.raises(Corrupt):
            pages.decode_page(
                data[:length], stored(PageFile(3, 9, True, 5), 2, False), Addresses(), 0
            )


def test_names_sort_by_number() -> None:
    assert pages.page_file_name(9, 1) < pages.page_file_name(10, 1)
    assert pages.page_file_name(9, 77).startswith(pages.NAME)
    assert len(blocks.file_header(blocks.PAGE_FILE, 9)) == PageFile(9, 1, True, 1).size


@pytest.mark.parametrize("seed", range(20))
def test_settled_ranges_are_what_was_settled(seed: int) -> None:
    rng = random.Random(seed)
    file = PageFile(1, 1, True, 100)
    settled = set(rng.sample(range(100, 400), rng.randrange(1, 300)))
    for seq in settled:
        file.settle(seq)
    assert {seq for seq in range(90 + 10, 500) if file.is_settled(seq)} == settled
    ranges = file.settled_ranges()
    assert {seq for first, last in ranges for seq in range(first, last + 1)} == settled
    for _ in range(50):
        first = rng.randrange(100, 420)
        last = first + rng.randrange(40)
        assert file.any_settled(first, last) == bool(settled & set(range(first, last + 1)))


def test_a_run_to_the_end_of_the_bitmap_is_a_range() -> None:
    file = PageFile(1, 1, True, 0)
    for seq in range(20_000):
        file.settle(seq)
    assert file.settled_ranges()[0] == (0, 19_999)
    assert file.any_settled(0, 10) and not file.any_settled(20_000, 20_010)
