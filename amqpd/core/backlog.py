"""A queue's ready entries in order.

New entries come in at the end with growing seq; the oldest leaves first. An entry that comes back
(requeue, channel close) returns to its old place: everything that was ever taken had a lower seq
than what is still in `_fresh`, so returned entries form a list of their own, ahead of it.

Rule 1: `_fresh[_head:]` holds entries in growing seq, `_fresh[:_head]` only None.
Rule 2: `_returned` holds entries in falling seq (its end is the oldest), all lower than `_fresh`'s.
Rule 3: `count` and `body_bytes` are the number and the body bytes of both.
"""

from mypy_extensions import i64

from amqpd.core.consumer import Entry

_COMPACT_FROM = 512  # taken places at the front before the list is cut


class Backlog:
    """Ready entries, oldest first. `push`, `pop` and `peek` are O(1) amortised."""

    def __init__(self) -> None:
        self.count: i64 = 0
        self.body_bytes: i64 = 0
        self._fresh: list[Entry | None] = []
        self._head: i64 = 0
        self._returned: list[Entry] = []

    def push(self, entry: Entry) -> None:
        """Add an entry that has a higher seq than all before."""
        self._fresh.append(entry)
        self.count += 1
        self.body_bytes += entry.message.body_bytes

    def pop(self) -> Entry:
        """Take the oldest entry; there must be one."""
        self.count -= 1
        if self._returned:
            oldest = self._returned.pop()
            self.body_bytes -= oldest.message.body_bytes
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
        self.body_bytes -= entry.message.body_bytes
        return entry

    def peek(self) -> Entry:
        """Return the oldest entry without taking it; there must be one."""
        if self._returned:
            return self._returned[-1]
        entry = self._fresh[self._head]
        assert entry is not None
        return entry

    def restore(self, entries: list[Entry]) -> None:
        """Put entries back to their old places. O(k log k + returned) for k entries."""
        for entry in entries:
            self.body_bytes += entry.message.body_bytes
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

    def clear(self) -> list[Entry]:
        """Take all entries, oldest first."""
        entries = self._returned[::-1]
        for entry in self._fresh[self._head :]:
            assert entry is not None
            entries.append(entry)
        self._fresh = []
        self._head = 0
        self._returned = []
        self.count = 0
        self.body_bytes = 0
        return entries

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        entries = self._returned[::-1]
        for place, entry in enumerate(self._fresh):
            if place < self._head:
                assert entry is None
            else:
                assert entry is not None
                entries.append(entry)
        assert len(entries) == self.count
        assert sum([entry.message.body_bytes for entry in entries]) == self.body_bytes
        for older, newer in zip(entries, entries[1:], strict=False):
            assert older.seq < newer.seq


def _seq_of(entry: Entry) -> int:
    return entry.seq
