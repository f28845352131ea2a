"""The seams: what a subclass must bring, and the journal that keeps nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from amqpd.core.ports import NO_POSITION, Entropy, Journal, Log, MemoryJournal, Page
from tests.core.fakes import FakeJournal, make_entry, make_message

APPENDS: dict[str, Callable[[Any], int]] = {
    "published": lambda journal: journal.published(make_message(), [1], [1]),
    "queue_declared": lambda journal: journal.queue_declared(1, "/", "q", False, {}),
    "queue_deleted": lambda journal: journal.queue_deleted(1),
    "exchange_declared": lambda journal: journal.exchange_declared(
        "/", "x", "direct", False, False, {}
    ),
    "exchange_deleted": lambda journal: journal.exchange_deleted("/", "x"),
    "bound": lambda journal: journal.bound("/", "x", True, "q", "k", {}),
    "unbound": lambda journal: journal.unbound("/", "x", True, "q", "k", {}),
}

each_append = pytest.mark.parametrize("append", APPENDS.values(), ids=APPENDS.keys())


def test_entropy_comes_from_outside() -> None:
    with pytest.raises(NotImplementedError):
        Entropy().token(4)


def test_a_log_may_ignore_everything() -> None:
    Log().event("info", "something", {"connection": "c"})


@each_append
def test_a_journal_has_to_bring_every_append(append: Callable[[Any], int]) -> None:
    journal = Journal(is_immediate=False)
    assert journal.position == NO_POSITION == 0
    assert not journal.is_immediate
    with pytest.raises(NotImplementedError):
        append(journal)


@each_append
def test_each_append_to_memory_has_a_position(append: Callable[[Any], int]) -> None:
    journal = MemoryJournal()
    assert journal.is_immediate
    assert journal.position == NO_POSITION
    assert append(journal) == journal.position == 1
    assert append(journal) == journal.position == 2


@each_append
def test_the_fake_keeps_each_append(append: Callable[[Any], int]) -> None:
    journal = FakeJournal()
    assert append(journal) == journal.position == 1
    assert len(journal.facts) == 1


KEEPS: dict[str, Callable[[Any], object]] = {
    "settled": lambda journal: journal.settled(1, make_entry(1)),
    "page_out": lambda journal: journal.page_out(1, True, [make_entry(1)], 0),
    "page_in": lambda journal: journal.page_in(Page(1, 1)),
    "page_dropped": lambda journal: journal.page_dropped(1, Page(1, 1)),
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS.keys())
def test_a_journal_that_keeps_entries_has_to_bring_more(keep: Callable[[Any], object]) -> None:
    """Nothing asks it of one that gives entries no segment and has no limit of waiting bytes."""
    journal = MemoryJournal()
    assert journal.segment == 0
    assert (journal.waiting_bytes, journal.waiting_bytes_max) == (0, 0)
    with pytest.raises(NotImplementedError):
        keep(journal)


def test_a_journal_need_not_know_of_groups_and_of_queues_that_go() -> None:
    journal = Journal(is_immediate=False)
    journal.begin()
    journal.queue_gone(1)
    journal.end()
    assert journal.position == NO_POSITION


def test_a_page_knows_how_much_it_holds() -> None:
    page = Page(3, 400)
    assert (page.count, page.body_bytes) == (3, 400)
