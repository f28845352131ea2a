"""Deadlines: who wants to be called when.

A heap of (deadline, order, target). A target that no longer wants its call says so when it comes
(`Timed.deadline_ms` differs): cancelling costs nothing, and a stale entry is dropped when reached,
or when most entries are stale: what has ended is not kept until its deadline would have come.
"""

from heapq import heapify, heappop, heappush

from mypy_extensions import mypyc_attr

NEVER = -1
_CLEAN_FROM = 256  # entries before stale ones are looked for


@mypyc_attr(allow_interpreted_subclasses=True)
class Timed:
    """Something with at most one deadline (monotonic ms; NEVER = none)."""

    def __init__(self) -> None:
        self.deadline_ms = NEVER

    def on_deadline(self, now_ms: int) -> None:
        """Do what was to be done at the deadline; it may set the next one."""
        raise NotImplementedError


class Timers:
    """All deadlines of a broker, earliest first; equal ones in the order they were set."""

    def __init__(self) -> None:
        self.now_ms = 0  # of the call into the broker that is being handled
        self.wall_offset_ms = 0  # wall clock minus monotonic
        self._heap: list[tuple[int, int, Timed]] = []
        self._order = 0
        self._clean_at = _CLEAN_FROM  # entries

    def set(self, target: Timed, deadline_ms: int) -> None:
        """Set the one deadline of `target`, instead of any it had."""
        target.deadline_ms = deadline_ms
        self._order += 1
        if len(self._heap) >= self._clean_at:
            self._clean()
        heappush(self._heap, (deadline_ms, self._order, target))

    def _clean(self) -> None:
        """Drop the stale entries, and do so again when as many as are left have come."""
        self._heap = [entry for entry in self._heap if entry[2].deadline_ms == entry[0]]
        heapify(self._heap)
        self._clean_at = max(_CLEAN_FROM, 2 * len(self._heap))

    def clear(self, target: Timed) -> None:
        """Take back the deadline of `target`."""
        target.deadline_ms = NEVER

    def next_ms(self) -> int:
        """Return the earliest deadline; NEVER if there is none."""
        while self._heap:
            deadline_ms, _, target = self._heap[0]
            if target.deadline_ms == deadline_ms:
                return deadline_ms
            heappop(self._heap)
        return NEVER

    def run(self, now_ms: int) -> None:
        """Call all targets whose deadline has come."""
        while self._heap and self._heap[0][0] <= now_ms:
            deadline_ms, _, target = heappop(self._heap)
            if target.deadline_ms == deadline_ms:
                target.deadline_ms = NEVER
                target.on_deadline(now_ms)
