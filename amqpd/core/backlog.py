"""A queue's ready entries in order, the middle of a long queue out of memory.

New entries come in at the end with growing seq; the oldest leaves first. An entry that comes back
(requeue, channel close) returns to its old place: everything that was ever taken had a lower seq
than what is still here, so returned entries form a list of their own, ahead of all.

    _returned | _fresh[_head:] | _pages (on disk) | _tail          oldest ... newest

Rule 1: `_fresh[_head:]` holds entries in growing seq, `_fresh[:_head]` only None; likewise `_tail`.
Rule 2: `_returned` holds entries in falling seq (its end is the oldest), all lower than `_fresh`'s.
Rule 3: `count` and `body_bytes` are the number and the body bytes of all, pages included.
Rule 4: while anything is in `_pages` or `_tail`, `_fresh` is not empty: the next page is read when
the last fresh entry goes, so that taking an entry never waits and never finds a damaged page.
Rule 5: `memory_bytes` is what the entries in memory cost; the journal has the sum of all queues.

Pages are only written while the sum is over the journal's limit, by the queues that hold more than
two pages' worth themselves: a short burst stays in memory, and so do a thousand short queues. What
is known to wait long is paged out at any time.
"""

from collections import deque
from typing import Final

from mypy_extensions import i64

from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.core.ports import Journal, Page

_COMPACT_FROM: Final = 512  # taken places at the front before the list is cut
ENTRY_BYTES: Final = 350  # what an entry costs in memory beside its body (measured)
PAGE_BYTES: Final = 1048576  # of entries in memory that make a page
LEVELS_OF_FULL_PAGES: Final = 8  # with more priorities the pages are smaller: so many levels' worth
PAGES_PER_PUSH: Final = 2  # bounds the time of a push


class Backlog:
    """Ready entries, oldest first. `push`, `pop` and `peek` are O(1) amortised."""

    def __init__(
        self,
        journal: Journal,
        queue_id: int,
        durable: bool,
        level: int = 0,
        page_bytes: int = PAGE_BYTES,
        waits_long: bool = False,
    ) -> None:
        self._waits_long: Final = waits_long
        self._level: Final = level  # among those of a queue with priorities
        self._page_bytes: Final[i64] = page_bytes
        self._journal: Final = journal
        self._queue_id: Final = queue_id
        self._durable: Final = durable
        self.count: i64 = 0
        self.body_bytes: i64 = 0
        self.memory_bytes: i64 = 0
        self._fresh: list[Entry | None] = []
        self._head: i64 = 0
        self._returned: list[Entry] = []
        self._pages: deque[Page] = deque()
        self._tail: list[Entry] = []
        self._tail_bytes: i64 = 0
        self._is_long = False  # something is in _pages or _tail

    # -- in ---------------------------------------------------------------------------------------

    def push(self, entry: Entry) -> None:
        """Add an entry that has a higher seq than all before."""
        body_bytes = entry.message.body_bytes
        self.count += 1
        self.body_bytes += body_bytes
        journal = self._journal
        self.memory_bytes += body_bytes + ENTRY_BYTES
        journal.waiting_bytes += body_bytes + ENTRY_BYTES
        if self._is_long:
            self._tail.append(entry)
            self._tail_bytes += body_bytes + ENTRY_BYTES
            if self._tail_bytes >= 2 * self._page_bytes:
                self._page_out()
            return
        self._fresh.append(entry)
        if self.memory_bytes > 2 * self._page_bytes and journal.waiting_bytes_max:
            if journal.waiting_bytes > journal.waiting_bytes_max or self._waits_long:
                self._lengthen()

    def _lengthen(self) -> None:
        """Become a long queue: keep a page's worth at the head, make the rest the tail.

        Entries that came from a page stay as well: a second page of them would be the only place
        that has them, and a page is safe only with the group after its own (see the store).
        """
        kept: i64 = self._head
        kept_bytes: i64 = 0
        end: i64 = len(self._fresh)
        while kept < end:
            entry = self._fresh[kept]
            assert entry is not None
            if kept_bytes >= self._page_bytes and entry.segment >= 0:
                break
            kept_bytes += entry.message.body_bytes + ENTRY_BYTES
            kept += 1
        for entry in self._fresh[kept:]:
            assert entry is not None
            self._tail.append(entry)
            self._tail_bytes += entry.message.body_bytes + ENTRY_BYTES
        del self._fresh[kept:]
        self._is_long = len(self._tail) > 0
        self._page_out()

    def _page_out(self) -> None:
        """Write pages from the front of the tail, at most a few at a time."""
        for _ in range(PAGES_PER_PUSH):
            if self._tail_bytes < self._page_bytes or len(self._fresh) == self._head:
                return
            taken: i64 = 0
            taken_bytes: i64 = 0
            while taken_bytes < self._page_bytes:
                taken_bytes += self._tail[taken].message.body_bytes + ENTRY_BYTES
                taken += 1
            entries = self._tail[:taken]
            del self._tail[:taken]
            self._tail_bytes -= taken_bytes
            self._forget(taken_bytes)
            self._pages.append(
                self._journal.page_out(self._queue_id, self._durable, entries, self._level)
            )

    def _forget(self, memory_bytes: i64) -> None:
        self.memory_bytes -= memory_bytes
        self._journal.waiting_bytes -= memory_bytes

    # -- out --------------------------------------------------------------------------------------

    def pop(self) -> Entry:
        """Take the oldest entry; there must be one."""
        self.count -= 1
        if self._returned:
            oldest = self._returned.pop()
            self._left(oldest)
            return oldest
        head = self._head
        entry = self._fresh[head]
        assert entry is not None
        self._fresh[head] = None
        head += 1
        if head >= _COMPACT_FROM and head * 2 >= len(self._fresh):
            del self._fresh[:head]
            head = 0
        self._head = head
        self._left(entry)
        if self._is_long and head == len(self._fresh):
            self._refill()
        return entry

    def _left(self, entry: Entry) -> None:
        body_bytes = entry.message.body_bytes
        self.body_bytes -= body_bytes
        self.memory_bytes -= body_bytes + ENTRY_BYTES
        self._journal.waiting_bytes -= body_bytes + ENTRY_BYTES

    def _refill(self) -> None:
        """Make the next page, or else the tail, the fresh entries."""
        self._fresh = []
        self._head = 0
        while self._pages and not self._fresh:
            page = self._pages.popleft()
            entries = self._journal.page_in(page)
            self.count -= page.count - len(entries)
            self.body_bytes -= page.body_bytes
            for entry in entries:
                body_bytes = entry.message.body_bytes
                self.body_bytes += body_bytes
                self.memory_bytes += body_bytes + ENTRY_BYTES
                self._journal.waiting_bytes += body_bytes + ENTRY_BYTES
                self._fresh.append(entry)
        if not self._fresh:
            self._fresh.extend(self._tail)
            self._tail = []
            self._tail_bytes = 0
        self._is_long = len(self._pages) > 0 or len(self._tail) > 0

    def peek(self) -> Entry:
        """Return the oldest entry without taking it; there must be one."""
        if self._returned:
            return self._returned[-1]
        entry = self._fresh[self._head]
        assert entry is not None
        return entry

    def next_expiry_ms(self) -> i64:
        """When the entry that is next expires (monotonic ms; 0 = never, or there is none)."""
        return self.peek().expires_ms if self.count > 0 else 0

    def pop_expired(self, now_ms: i64) -> Entry | None:
        """Take the entry that is next if its time is over."""
        if self.count > 0:
            expires_ms = self.peek().expires_ms
            if expires_ms and expires_ms <= now_ms:
                return self.pop()
        return None

    # -- back -------------------------------------------------------------------------------------

    def restore(self, entries: list[Entry]) -> None:
        """Put entries back to their old places. O(k log k + returned) for k entries."""
        for entry in entries:
            body_bytes = entry.message.body_bytes
            self.body_bytes += body_bytes
            self.memory_bytes += body_bytes + ENTRY_BYTES
            self._journal.waiting_bytes += body_bytes + ENTRY_BYTES
        self.count += len(entries)
        if len(entries) == 1:
            self._insert(entries[0])
            return
        merged = self._returned + entries
        merged.sort(key=_seq_of, reverse=True)
        self._returned = merged

    def _insert(self, entry: Entry) -> None:
        """Put one entry into `_returned` by binary search."""
        low, high = 0, len(self._returned)
        while low < high:
            middle = (low + high) // 2
            if self._returned[middle].seq > entry.seq:
                low = middle + 1
            else:
                high = middle
        self._returned.insert(low, entry)

    def level_of(self, message: Message) -> int:
        """Return which of the queue's levels a message belongs to; higher ones leave first."""
        return 0

    def level_of_page(self, page: Page) -> int:
        """Return which of the queue's levels a page belongs to."""
        return 0

    def adopt(self, level: int, before: list[Entry], pages: list[Page], after: list[Entry]) -> None:
        """Take over what recovery found of a level, in order; that must be empty."""
        assert self.count == 0
        for page in pages:
            self._pages.append(page)
            self.count += page.count
            self.body_bytes += page.body_bytes
        self._tail = after
        self._is_long = True
        for entry in after:
            self._tail_bytes += entry.message.body_bytes + ENTRY_BYTES
        self.restore(before + after)
        self._fresh.extend(before)
        self._returned = []
        if not self._fresh:
            self._refill()
        self._is_long = len(self._pages) > 0 or len(self._tail) > 0

    # -- all --------------------------------------------------------------------------------------

    def in_memory(self) -> list[Entry]:
        """The entries that are in memory, oldest first."""
        entries = self._returned[::-1]
        for entry in self._fresh[self._head :]:
            assert entry is not None
            entries.append(entry)
        return entries + self._tail

    def pages(self) -> list[Page]:
        """What is out of memory."""
        return list(self._pages)

    def clear(self) -> tuple[list[Entry], list[Page]]:
        """Take everything: the entries in memory and the pages."""
        entries, pages = self.in_memory(), list(self._pages)
        self._forget(self.memory_bytes)
        self._fresh = []
        self._head = 0
        self._returned = []
        self._pages.clear()
        self._tail = []
        self._tail_bytes = 0
        self._is_long = False
        self.count = 0
        self.body_bytes = 0
        return entries, pages

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        assert not any(self._fresh[: self._head])
        entries = self.in_memory()
        paged = sum([page.count for page in self._pages])
        assert len(entries) + paged == self.count
        in_pages = sum([page.body_bytes for page in self._pages])
        in_memory = sum([entry.message.body_bytes for entry in entries])
        assert in_memory + in_pages == self.body_bytes
        assert in_memory + len(entries) * ENTRY_BYTES == self.memory_bytes
        for older, newer in zip(entries, entries[1:], strict=False):
            assert older.seq < newer.seq
        assert self._is_long == (len(self._pages) > 0 or len(self._tail) > 0)
        if self._is_long:
            assert len(self._fresh) > self._head


class PriorityBacklog(Backlog):
    """Ready entries by priority: a backlog for each in use, the highest leaves first.

    `count`, `body_bytes` and `memory_bytes` are the sums of all. Messages without a priority have
    0, those above the queue's maximum have that (RabbitMQ: priority queues). Each level has pages
    and page files of its own.
    """

    def __init__(self, journal: Journal, queue_id: int, durable: bool, highest: int) -> None:
        super().__init__(journal, queue_id, durable)
        self._highest: Final = highest
        self.levels: list[Backlog] = []  # by falling priority, beside `_priorities`
        self._priorities: list[int] = []

    def level_of(self, message: Message) -> int:
        """Return which of the levels a message belongs to; higher ones leave first."""
        return min(int(message.priority), self._highest)

    def _backlog_of(self, priority: int) -> Backlog:
        at = 0
        while at < len(self._priorities) and self._priorities[at] > priority:
            at += 1
        if at == len(self._priorities) or self._priorities[at] != priority:
            self._priorities.insert(at, priority)
            page_bytes = (
                PAGE_BYTES * LEVELS_OF_FULL_PAGES // max(LEVELS_OF_FULL_PAGES, self._highest + 1)
            )
            self.levels.insert(
                at, Backlog(self._journal, self._queue_id, self._durable, priority, page_bytes)
            )
        return self.levels[at]

    def _sum(self) -> None:
        self.count = 0
        self.body_bytes = 0
        self.memory_bytes = 0
        for level in self.levels:
            self.count += level.count
            self.body_bytes += level.body_bytes
            self.memory_bytes += level.memory_bytes

    def push(self, entry: Entry) -> None:
        """See Backlog."""
        self._backlog_of(self.level_of(entry.message)).push(entry)
        self._sum()

    def pop(self) -> Entry:
        """See Backlog."""
        for level in self.levels:
            if level.count > 0:
                entry = level.pop()
                self._sum()
                return entry
        raise AssertionError("an empty backlog was asked for an entry")

    def peek(self) -> Entry:
        """See Backlog."""
        for level in self.levels:
            if level.count > 0:
                return level.peek()
        raise AssertionError("an empty backlog was asked for an entry")

    def restore(self, entries: list[Entry]) -> None:
        """See Backlog."""
        for entry in entries:
            self._backlog_of(self.level_of(entry.message)).restore([entry])
        self._sum()

    def level_of_page(self, page: Page) -> int:
        """See Backlog."""
        return min(page.level, self._highest)

    def adopt(self, level: int, before: list[Entry], pages: list[Page], after: list[Entry]) -> None:
        """See Backlog."""
        self._backlog_of(level).adopt(level, before, pages, after)
        self._sum()

    def in_memory(self) -> list[Entry]:
        """See Backlog."""
        return [entry for level in self.levels for entry in level.in_memory()]

    def pages(self) -> list[Page]:
        """See Backlog."""
        return [page for level in self.levels for page in level.pages()]

    def clear(self) -> tuple[list[Entry], list[Page]]:
        """See Backlog."""
        entries: list[Entry] = []
        pages: list[Page] = []
        for level in self.levels:
            some_entries, some_pages = level.clear()
            entries.extend(some_entries)
            pages.extend(some_pages)
        self._sum()
        return entries, pages

    def validate(self) -> None:
        """See Backlog."""
        for level in self.levels:
            level.validate()
        assert self.count == sum([int(level.count) for level in self.levels])
        assert self._priorities == sorted(self._priorities, reverse=True)


def _seq_of(entry: Entry) -> int:
    return entry.seq
