"""Where delayed messages wait: a queue for those that are due in a stretch of time.

A bucket of level n covers 2**n ms, from a multiple of that on (wall clock); its messages are in the
order in which they came, and page out as those of any queue; `first_ms` is when the first of them
is due, at the earliest. The *near* bucket covers all that is
not in another one; its messages are in memory, in the heap of their `DelayLine`.
"""

from typing import Final

from mypy_extensions import i64

from amqpd.core.backlog import Backlog
from amqpd.core.consumer import Entry
from amqpd.core.exchange import Exchange, Home
from amqpd.core.message import Message
from amqpd.core.part import Part
from amqpd.core.ports import NO_POSITION

NEAR: Final = -1  # the level of the near bucket
PAGE_BYTES: Final = 262144  # small pages: there may be a hundred buckets

_NEAR_PART: Final = "near"


class Filer:
    """Who has the buckets of an exchange."""

    def file(self, bucket: "DelayBucket", message: Message) -> None:
        """Put a message, whose publish to the bucket was just appended, where it waits."""
        raise NotImplementedError

    def recovered(self, bucket: "DelayBucket") -> None:
        """Learn that recovery has filled a bucket's backlog."""
        raise NotImplementedError


class DelayBucket(Part):
    """See the module. `in_heap` are its entries that the line has in its heap, by seq."""

    def __init__(
        self,
        home: Home,
        exchange: Exchange,
        filer: Filer,
        level: int,
        index: int,
        queue_id: int = 0,
    ) -> None:
        part = _NEAR_PART if level == NEAR else f"{level}:{index}"
        super().__init__(home, exchange, part, queue_id)
        self._filer: Final = filer
        self.level: Final = level
        self.index: Final = index
        # wall clock; until something is in it: when it ends
        self.first_ms: int = (index + 1 << level) if level != NEAR else 0
        self.refiled_position = NO_POSITION  # of the latest message that came from another bucket
        self.in_heap: dict[int, Entry] = {}

    def _make_backlog(self) -> Backlog:
        return Backlog(self._journal, self.id, self.durable, 0, PAGE_BYTES, waits_long=True)

    @property
    def live_count(self) -> int:
        """How many messages it has, wherever they are."""
        return int(self.backlog.count) + len(self.in_heap)

    def accept(self, message: Message) -> None:
        """See Queue."""
        self._filer.file(self, message)

    def adopted(self) -> None:
        """See Queue."""
        self._filer.recovered(self)

    def new_entry(self, message: Message, due_ms: i64) -> Entry:
        """Make the next entry, whose publish was just appended; due in monotonic ms."""
        entry = Entry(message, self.next_seq)
        self.next_seq += 1
        entry.expires_ms = max(1, due_ms)
        if self.durable and message.persistent:
            entry.segment = self._journal.segment
            self._journal.expires(self.id, entry)
        return entry

    def leave(self, entry: Entry) -> None:
        """Let an entry leave for good that is not in the backlog any more."""
        self.in_heap.pop(int(entry.seq), None)
        self._journal_settled(entry)

    def entries_in_memory(self) -> list[Entry]:
        """See Queue."""
        return [*self.in_heap.values(), *self.backlog.in_memory()]

    def drop(self) -> None:
        """See Part."""
        for entry in list(self.in_heap.values()):
            self.leave(entry)
        super().drop()


def level_and_index(part: str) -> tuple[int, int]:
    """Return the level and index of the bucket that is this part of its exchange."""
    if part == _NEAR_PART:
        return NEAR, 0
    level, index = part.split(":")
    return int(level), int(index)
