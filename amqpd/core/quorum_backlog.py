"""What waits in a quorum queue: what came back, then what is new, and dead letters without a way.

    _returns (first in, first out)  |  _fresh: a backlog, or one for each priority in use

Entries that come back wait ahead of all others in the order in which they came back, whatever their
seq (RabbitMQ: quorum queues, repeated requeues). Dead letters that must not be lost (dead letter
strategy at-least-once) and could not be placed are in `unplaced`: neither ready nor unacked.

Rule 1: `count`, `body_bytes` and `memory_bytes` are the sums of `_returns` and `_fresh`; what is
`unplaced` counts in none of them. Rule 2: what is in `_returns` was in `_fresh` before, so all of
it is older than the pages of `_fresh`.
"""

from collections import deque
from typing import Final

from mypy_extensions import i64

from amqpd.core.backlog import ENTRY_BYTES, Backlog, PriorityBacklog
from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.core.ports import Journal, Page
from amqpd.wire import properties

_LEVEL_MAX: Final = 31
_LEVEL_WITHOUT: Final = 4  # of a message that has no priority
_NORMAL_MAX: Final = 4  # of two levels, the lower has 0-4
_HIGH_IN_A_ROW: Final = 2  # of two levels, before one of the lower has its turn


class LevelBacklog(PriorityBacklog):
    """Messages of 32 priorities, the highest first (RabbitMQ 4.3: quorum queues)."""

    def __init__(self, journal: Journal, queue_id: int) -> None:
        super().__init__(journal, queue_id, True, _LEVEL_MAX)

    def level_of(self, message: Message) -> int:
        """See PriorityBacklog."""
        if not properties.flags_of(message.content) & properties.PRIORITY:
            return _LEVEL_WITHOUT
        return min(int(message.priority), _LEVEL_MAX)


class TwoLevelBacklog(PriorityBacklog):
    """Messages of priority 5 and above, and the others, two to one (RabbitMQ 4.0: quorum)."""

    def __init__(self, journal: Journal, queue_id: int) -> None:
        super().__init__(journal, queue_id, True, 1)
        self._high_count = 0  # taken since the last of the others

    def level_of(self, message: Message) -> int:
        """See PriorityBacklog."""
        return 1 if message.priority > _NORMAL_MAX else 0

    def _next(self) -> Backlog:
        ready = [level for level in self.levels if level.count > 0]
        if len(ready) > 1 and self._high_count >= _HIGH_IN_A_ROW:
            return ready[1]
        return ready[0]

    def peek(self) -> Entry:
        """See Backlog."""
        return self._next().peek()

    def pop(self) -> Entry:
        """See Backlog."""
        entry = self._next().pop()
        self._sum()
        is_high = entry.message.priority > _NORMAL_MAX
        self._high_count = self._high_count + 1 if is_high else 0
        return entry


class QuorumBacklog(Backlog):
    """Ready entries of a quorum queue; `levels` is how many priorities they have."""

    def __init__(self, journal: Journal, queue_id: int, levels: int) -> None:
        super().__init__(journal, queue_id, True)
        self._inner: Final = _fresh_of(journal, queue_id, levels)
        self._returns: deque[Entry] = deque()
        self._returns_bytes: i64 = 0
        self.unplaced: dict[int, Entry] = {}  # by seq

    def _sum(self) -> None:
        inner = self._inner
        count: i64 = len(self._returns)
        self.count = inner.count + count
        self.body_bytes = inner.body_bytes + self._returns_bytes
        self.memory_bytes = inner.memory_bytes + self._returns_bytes + count * ENTRY_BYTES

    def push(self, entry: Entry) -> None:
        """See Backlog."""
        self._inner.push(entry)
        self._sum()

    def pop(self) -> Entry:
        """See Backlog."""
        if self._returns:
            entry = self._returns.popleft()
            body_bytes = entry.message.body_bytes
            self._returns_bytes -= body_bytes
            self._journal.waiting_bytes -= body_bytes + ENTRY_BYTES
        else:
            entry = self._inner.pop()
        self._sum()
        return entry

    def peek(self) -> Entry:
        """See Backlog."""
        return self._returns[0] if self._returns else self._inner.peek()

    def restore(self, entries: list[Entry]) -> None:
        """Put entries that came back behind those that did before."""
        for entry in entries:
            body_bytes = entry.message.body_bytes
            self._returns.append(entry)
            self._returns_bytes += body_bytes
            self._journal.waiting_bytes += body_bytes + ENTRY_BYTES
        self._sum()

    def level_of(self, message: Message) -> int:
        """See Backlog."""
        return self._inner.level_of(message)

    def level_of_page(self, page: Page) -> int:
        """See Backlog."""
        return self._inner.level_of_page(page)

    def adopt(self, level: int, before: list[Entry], pages: list[Page], after: list[Entry]) -> None:
        """See Backlog. What came back before the restart is in its place by age."""
        self._inner.adopt(level, before, pages, after)
        self._sum()

    def in_memory(self) -> list[Entry]:
        """See Backlog; with what is unplaced, which the store must not lose sight of either."""
        unplaced = list(self.unplaced.values())
        return unplaced + list(self._returns) + self._inner.in_memory()

    def clear(self) -> tuple[list[Entry], list[Page]]:
        """See Backlog."""
        entries = list(self.unplaced.values()) + list(self._returns)
        self._journal.waiting_bytes -= self._returns_bytes + len(self._returns) * ENTRY_BYTES
        self.unplaced = {}
        self._returns.clear()
        self._returns_bytes = 0
        fresh, pages = self._inner.clear()
        self._sum()
        return entries + fresh, pages

    def validate(self) -> None:
        """See Backlog."""
        self._inner.validate()
        assert self.count == self._inner.count + len(self._returns)
        returned = sum([int(entry.message.body_bytes) for entry in self._returns])
        assert self.body_bytes == self._inner.body_bytes + returned


def _fresh_of(journal: Journal, queue_id: int, levels: int) -> Backlog:
    if levels <= 1:
        return Backlog(journal, queue_id, True)
    if levels == 2:
        return TwoLevelBacklog(journal, queue_id)
    return LevelBacklog(journal, queue_id)
