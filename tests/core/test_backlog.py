"""The backlog: examples, and any sequence of steps beside a sorted list."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from amqpd.core.backlog import PAGE_BYTES, Backlog, PriorityBacklog
from amqpd.core.consumer import Entry
from tests.core.fakes import FakeJournal, FakePage, make_entry


def filled(count: int) -> tuple[Backlog, list[Entry]]:
    """Make a backlog of entries with seqs from 1."""
    backlog = Backlog(FakeJournal(), 7, True)
    entries = [make_entry(seq) for seq in range(1, count + 1)]
    for entry in entries:
        backlog.push(entry)
    return backlog, entries


def drain(backlog: Backlog) -> list[int]:
    """Take everything, one by one."""
    seqs = []
    while backlog.count:
        assert backlog.peek().seq == backlog.peek().seq
        seqs.append(int(backlog.pop().seq))
        backlog.validate()
    return seqs


def test_a_new_backlog_is_empty() -> None:
    backlog = Backlog(FakeJournal(), 7, True)
    assert (backlog.count, backlog.body_bytes) == (0, 0)
    assert backlog.clear() == ([], [])
    backlog.validate()


def test_first_in_first_out() -> None:
    backlog, _ = filled(5)
    assert drain(backlog) == [1, 2, 3, 4, 5]


def test_peek_shows_what_pop_takes() -> None:
    backlog, entries = filled(2)
    assert backlog.peek() is entries[0]
    assert backlog.pop() is entries[0]
    assert backlog.peek() is entries[1]


def test_body_bytes_follow_what_comes_and_goes() -> None:
    backlog = Backlog(FakeJournal(), 7, True)
    for seq, size in enumerate((10, 20, 40), 1):
        backlog.push(make_entry(seq, size))
    assert backlog.body_bytes == 70
    taken = backlog.pop()
    assert backlog.body_bytes == 60
    backlog.restore([taken])
    assert backlog.body_bytes == 70
    backlog.clear()
    assert backlog.body_bytes == 0


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 2, 1], [2, 3, 1]])
def test_what_comes_back_one_by_one_takes_its_old_place(order: list[int]) -> None:
    backlog, entries = filled(5)
    for _ in range(3):
        backlog.pop()
    for seq in order:
        backlog.restore([entries[seq - 1]])
        backlog.validate()
    assert drain(backlog) == [1, 2, 3, 4, 5]


def test_what_comes_back_together_takes_its_old_place() -> None:
    backlog, entries = filled(6)
    for _ in range(5):
        backlog.pop()
    backlog.restore([entries[3]])
    backlog.restore([entries[4], entries[0], entries[2]])
    backlog.validate()
    assert drain(backlog) == [1, 3, 4, 5, 6]


def test_what_never_was_in_it_may_come_back_too() -> None:
    """An entry that a consumer got at once is in the backlog for the first time when requeued."""
    backlog = Backlog(FakeJournal(), 7, True)
    backlog.restore([make_entry(4)])
    backlog.push(make_entry(6))
    backlog.restore([make_entry(5)])
    assert drain(backlog) == [4, 5, 6]


def test_clear_takes_all_oldest_first() -> None:
    backlog, entries = filled(4)
    backlog.pop()
    backlog.pop()
    backlog.restore([entries[1]])
    assert [entry.seq for entry in backlog.clear()[0]] == [2, 3, 4]
    assert backlog.count == 0
    backlog.push(make_entry(9))
    assert drain(backlog) == [9]


def test_a_long_run_does_not_keep_what_was_taken() -> None:
    """The list in front of the head is cut; a queue that is never empty stays small."""
    backlog, _ = filled(10)
    for seq in range(11, 20_000):
        backlog.push(make_entry(seq))
        assert backlog.pop().seq == seq - 10
    backlog.validate()
    assert backlog.count == 10
    assert len(backlog._fresh) < 2_000


def test_taking_from_an_empty_backlog_is_a_mistake_of_the_caller() -> None:
    with pytest.raises((IndexError, AssertionError)):
        Backlog(FakeJournal(), 7, True).pop()
    with pytest.raises((IndexError, AssertionError)):
        Backlog(FakeJournal(), 7, True).peek()


class Steps(RuleBasedStateMachine):
    """A backlog beside a sorted list."""

    body_bytes = 0  # of each entry, beside a few that differ
    waiting_bytes_max = 0

    def __init__(self) -> None:
        super().__init__()
        self.journal = FakeJournal(waiting_bytes_max=self.waiting_bytes_max)
        self.backlog = Backlog(self.journal, 7, True)
        self.model: list[int] = []
        self.out: dict[int, Entry] = {}
        self.last = 0

    @rule(count=st.integers(1, 400))
    def push(self, count: int) -> None:
        for _ in range(count):
            self.last += 1
            self.backlog.push(make_entry(self.last, self.body_bytes + self.last % 7))
            self.model.append(self.last)

    @rule()
    def hand_out_at_once(self) -> None:
        """As a queue does when nothing waits and a consumer is ready."""
        if not self.model:
            self.last += 1
            self.out[self.last] = make_entry(self.last, self.body_bytes + self.last % 7)

    @rule(count=st.integers(1, 700))
    def pop(self, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            entry = self.backlog.pop()
            assert entry.seq == self.model.pop(0)
            self.out[int(entry.seq)] = entry

    @precondition(lambda self: self.out)
    @rule(data=st.data(), together=st.booleans())
    def restore(self, data: st.DataObject, together: bool) -> None:
        seqs = data.draw(st.lists(st.sampled_from(sorted(self.out)), unique=True, max_size=8))
        entries = [self.out.pop(seq) for seq in seqs]
        for group in [entries] if together else [[entry] for entry in entries]:
            if group:
                self.backlog.restore(group)
        self.model = sorted(self.model + seqs)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        if self.out:
            del self.out[data.draw(st.sampled_from(sorted(self.out)))]

    @rule()
    def clear(self) -> None:
        entries, pages = self.backlog.clear()
        for page in pages:
            entries += self.journal.page_in(page)
        assert sorted(int(entry.seq) for entry in entries) == self.model
        self.model = []

    @invariant()
    def agrees(self) -> None:
        self.backlog.validate()
        assert self.backlog.count == len(self.model)
        assert self.backlog.body_bytes == sum(self.body_bytes + seq % 7 for seq in self.model)
        assert self.journal.waiting_bytes == self.backlog.memory_bytes
        if self.model:
            assert self.backlog.peek().seq == self.model[0]


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class PagedSteps(Steps):
    """The same with entries so large that the middle is on pages most of the time."""

    body_bytes = 300_000
    waiting_bytes_max = 1


TestPagedSteps = PagedSteps.TestCase
TestPagedSteps.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def long_backlog(count: int) -> tuple[FakeJournal, Backlog]:
    """Make a backlog of entries of half a page each, the middle of it on pages."""
    journal = FakeJournal(waiting_bytes_max=1)
    backlog = Backlog(journal, 7, True)
    for seq in range(1, count + 1):
        backlog.push(make_entry(seq, PAGE_BYTES // 2))
    backlog.validate()
    return journal, backlog


def test_a_long_queue_keeps_little_in_memory() -> None:
    journal, backlog = long_backlog(1000)
    assert backlog.count == 1000
    assert backlog.memory_bytes < 5 * PAGE_BYTES
    assert journal.waiting_bytes == backlog.memory_bytes
    assert drain(backlog) == list(range(1, 1001))
    assert journal.waiting_bytes == 0


def test_a_damaged_page_is_left_out_and_no_longer_counted() -> None:
    journal, backlog = long_backlog(100)
    page = backlog._pages[1]
    assert isinstance(page, FakePage)
    page.is_damaged = True
    lost = {int(entry.seq) for entry in page.entries}
    assert drain(backlog) == [seq for seq in range(1, 101) if seq not in lost]
    assert (backlog.count, backlog.body_bytes, journal.waiting_bytes) == (0, 0, 0)


def test_what_recovery_found_is_taken_over_in_order() -> None:
    for before, after in ((0, 0), (3, 0), (0, 2), (3, 2)):
        backlog = Backlog(FakeJournal(), 7, True)
        pages = [FakePage([make_entry(seq) for seq in range(10, 14)])]
        backlog.adopt(
            0,
            [make_entry(seq) for seq in range(1, before + 1)],
            list(pages),
            [make_entry(seq) for seq in range(20, 20 + after)],
        )
        backlog.validate()
        wanted = [*range(1, before + 1), *range(10, 14), *range(20, 20 + after)]
        assert drain(backlog) == wanted


# -- priorities ------------------------------------------------------------------------------------

HIGHEST = 3


def urgent_entry(seq: int, body_bytes: int, priority: int) -> Entry:
    """Make an entry with a priority."""
    entry = make_entry(seq, body_bytes)
    entry.message.priority = priority
    return entry


class PrioritySteps(RuleBasedStateMachine):
    """A backlog with priorities beside a list sorted by them."""

    body_bytes = 0
    waiting_bytes_max = 0

    def __init__(self) -> None:
        super().__init__()
        self.journal = FakeJournal(waiting_bytes_max=self.waiting_bytes_max)
        self.backlog = PriorityBacklog(self.journal, 7, True, HIGHEST)
        self.model: list[tuple[int, int]] = []  # (place, lower is earlier; seq)
        self.out: list[Entry] = []
        self.last = 0

    def place(self, entry: Entry) -> tuple[int, int]:
        """Where an entry belongs."""
        return -min(int(entry.message.priority), HIGHEST), int(entry.seq)

    @rule(priorities=st.lists(st.integers(0, HIGHEST + 2), min_size=1, max_size=5))
    def push(self, priorities: list[int]) -> None:
        for priority in priorities * 5:
            self.last += 1
            entry = urgent_entry(self.last, self.body_bytes + self.last % 7, priority)
            self.backlog.push(entry)
            self.model.append(self.place(entry))
        self.model.sort()

    @rule(count=st.integers(1, 40))
    def pop(self, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            entry = self.backlog.pop()
            assert self.place(entry) == self.model.pop(0)
            self.out.append(entry)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.out), unique_by=id, max_size=8))
        self.out = [entry for entry in self.out if entry not in chosen]
        self.backlog.restore(chosen)
        self.model = sorted(self.model + [self.place(entry) for entry in chosen])

    @rule()
    def clear(self) -> None:
        entries, pages = self.backlog.clear()
        for page in pages:
            entries += self.journal.page_in(page)
        assert sorted(self.place(entry) for entry in entries) == self.model
        self.model = []

    @rule()
    def recover(self) -> None:
        """As after a restart: nothing is out, pages and entries are in order of their seqs."""
        entries, pages = self.backlog.clear()
        entries += self.out
        self.model = sorted(self.model + [self.place(entry) for entry in self.out])
        self.out = []
        pages.sort(key=lambda page: page.first_seq)
        entries.sort(key=lambda entry: entry.seq)
        self.backlog = PriorityBacklog(self.journal, 7, True, HIGHEST)
        for level in range(HIGHEST + 1):
            own_pages = [page for page in pages if self.backlog.level_of_page(page) == level]
            own = [entry for entry in entries if self.backlog.level_of(entry.message) == level]
            first = own_pages[0].first_seq if own_pages else self.last + 1
            before = [entry for entry in own if entry.seq < first]
            self.backlog.adopt(level, before, own_pages, own[len(before) :])

    @invariant()
    def agrees(self) -> None:
        self.backlog.validate()
        assert self.backlog.count == len(self.model)
        assert self.backlog.body_bytes == sum(self.body_bytes + seq % 7 for _, seq in self.model)
        assert self.journal.waiting_bytes == self.backlog.memory_bytes
        if self.model:
            assert self.place(self.backlog.peek()) == self.model[0]


TestPrioritySteps = PrioritySteps.TestCase
TestPrioritySteps.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class PagedPrioritySteps(PrioritySteps):
    """The same with entries so large that priorities are on pages most of the time."""

    body_bytes = 500_000
    waiting_bytes_max = 1


TestPagedPrioritySteps = PagedPrioritySteps.TestCase
TestPagedPrioritySteps.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_only_the_next_entry_can_expire() -> None:
    backlog = PriorityBacklog(FakeJournal(), 7, True, HIGHEST)
    assert backlog.next_expiry_ms() == 0
    assert backlog.pop_expired(100) is None
    low, high = urgent_entry(1, 1, 0), urgent_entry(2, 1, 3)
    low.expires_ms, high.expires_ms = 10, 20
    backlog.push(low)
    assert backlog.next_expiry_ms() == 10
    backlog.push(high)
    assert backlog.next_expiry_ms() == 20
    assert backlog.pop_expired(19) is None
    assert backlog.pop_expired(20) is high
    assert backlog.pop_expired(20) is low
    assert backlog.pop_expired(20) is None
    backlog.validate()
