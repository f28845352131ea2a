"""The unacked window of a channel: deliveries that wait for their ack, by growing delivery tag.

Tags are given out in order and mostly come back in order, so a list with a moving head serves:
the place of a tag is guessed from its distance to the first one, and searched only where a
clean-up has moved places together.

Rule 1: `_entries[_head:]` is in growing tag order, `None` where one was settled; `_tags` the same.
Rule 2: at least half of the places from `_head` on are in use, or they are few.
"""

from mypy_extensions import i64

from amqpd.core.consumer import Entry

_CLEAN_FROM = 256  # places before holes are looked at


class Unacked:
    """Outstanding deliveries of one channel. `add` and `take` are O(1) amortised."""

    def __init__(self) -> None:
        self.count: i64 = 0
        self._entries: list[Entry | None] = []
        self._tags: list[int] = []
        self._head: i64 = 0

    def add(self, entry: Entry) -> None:
        """Add a delivery whose `tag` is higher than all before."""
        self._entries.append(entry)
        self._tags.append(entry.tag)
        self.count += 1

    def _place(self, tag: int) -> i64:
        """Return the place of an outstanding tag, -1 if it is not outstanding."""
        head = self._head
        end: i64 = len(self._tags)
        if head == end or tag > self._tags[end - 1]:  # which may be higher than 64 bits can say
            return -1
        place: i64 = head + (tag - self._tags[head])
        if place < head:
            return -1
        if place >= end or self._tags[place] != tag:
            place = self._search(tag, head, min(place, end))
        if place < 0 or self._entries[place] is None:
            return -1
        return place

    def _search(self, tag: int, low: i64, high: i64) -> i64:
        end: i64 = len(self._tags)
        while low < high:
            middle = (low + high) // 2
            if self._tags[middle] < tag:
                low = middle + 1
            else:
                high = middle
        return low if low < end and self._tags[low] == tag else -1

    def take(self, tag: int) -> Entry | None:
        """Take one delivery out; None if the tag is not outstanding."""
        place = self._place(tag)
        if place < 0:
            return None
        entry = self._entries[place]
        self._entries[place] = None
        self.count -= 1
        if place == self._head:
            self._advance()
        elif self.count * 2 < len(self._tags) - self._head and len(self._tags) > _CLEAN_FROM:
            self._clean()
        return entry

    def take_through(self, tag: int) -> list[Entry] | None:
        """Take all deliveries up to and including `tag` (0 = all).

        None if `tag` itself is not outstanding, as RabbitMQ has it; nothing is taken then.
        """
        if tag == 0:
            return self.take_all()
        place = self._place(tag)
        if place < 0:
            return None
        taken = [entry for entry in self._entries[self._head : place + 1] if entry is not None]
        self.count -= len(taken)
        for settled in range(self._head, place + 1):
            self._entries[settled] = None
        self._head = place
        self._advance()
        return taken

    def oldest(self) -> Entry | None:
        """Return the delivery with the lowest tag, None if there is none."""
        return self._entries[self._head] if self.count else None

    def all(self) -> list[Entry]:
        """Return all deliveries, in the order of their tags."""
        return [entry for entry in self._entries if entry is not None]

    def take_all(self) -> list[Entry]:
        """Take all deliveries, in the order of their tags."""
        taken = [entry for entry in self._entries if entry is not None]
        self._entries = []
        self._tags = []
        self._head = 0
        self.count = 0
        return taken

    def put_back(self, entries: list[Entry]) -> None:
        """Make deliveries outstanding again that were taken out, at their old places."""
        outstanding = self.take_all() + entries
        outstanding.sort(key=_tag_of)
        for entry in outstanding:
            self.add(entry)

    def _advance(self) -> None:
        """Move the head over settled places, and drop them when they are many."""
        head = self._head
        end: i64 = len(self._entries)
        while head < end and self._entries[head] is None:
            head += 1
        if head == end:
            self._entries.clear()
            self._tags.clear()
            head = 0
        elif head > _CLEAN_FROM and head * 2 > end:
            del self._entries[:head]
            del self._tags[:head]
            head = 0
        self._head = head

    def _clean(self) -> None:
        """Close the holes that acks out of order have left."""
        kept = [entry for entry in self._entries if entry is not None]
        self._entries = list(kept)
        self._tags = [int(entry.tag) for entry in kept]
        self._head = 0

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        assert len(self._entries) == len(self._tags)
        tags = [int(entry.tag) for entry in self._entries if entry is not None]
        assert len(tags) == self.count
        assert tags == sorted(tags)
        assert not any(self._entries[: self._head])


def _tag_of(entry: Entry) -> int:
    return entry.tag
