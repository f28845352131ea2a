"""What a delayed message exchange keeps: messages in the order in which they are due.

    new message ─► due before `_limit_ms`? ─ yes ─► heap ─► due: on to the exchange's own routing
                        │ no                          ▲
                        ▼               few messages: loaded
                    a bucket ─────► its time is near ─┤
                        ▲              many messages: filed anew, into buckets of finer levels
                        └─────────────────────────────┘

The heap is small, so that any number of messages costs little memory: buckets (`delay_bucket`) are
durable queues that page out. As long as there are few messages there are no buckets, and the limit
is never reached. When the heap is too long, what is due last in it goes to buckets, and the limit
down to it. The longer a message has to wait, the wider its bucket: a sixteenth to an eighth of that
time, so that there are at most seventeen buckets of each width (a power of two), whatever comes. A
bucket is opened some time ahead, earlier the more is in it: if that is little, its messages go to
the heap and stay entries of the bucket; if not, they are published again to finer buckets, a 32nd
as wide at most. A bucket of one millisecond is loaded piece by piece.

Rule 1: what is in a bucket that is not being opened is due at or after `_limit_ms`. Rule 2: every
move is one step of the journal, and what has been filed anew moves on only when that step is safe
(of two steps that are not, the second may outlive a power loss alone): a message is never lost and
never doubled by a crash. Rule 3: times are wall clock wherever they outlive the process (buckets,
records) and monotonic in the heap and for deadlines. Rule 4: each call does a bounded amount of
work, and sets a deadline for the rest.

Deviation: where the plugin looks at an alternate exchange when a delayed message comes, and again
when it is due, it is looked at here when it is due. Transient messages do not survive a restart.
A delay that is no number is none, where the plugin closes the connection.
"""

from heapq import heappop, heappush
from typing import Final

from mypy_extensions import i64

from amqpd import errors
from amqpd.core.consumer import Entry
from amqpd.core.deadletter import headers_of
from amqpd.core.delay import delay_of, send_on
from amqpd.core.delay_bucket import NEAR, DelayBucket, Filer, level_and_index
from amqpd.core.exchange import Exchange, Home
from amqpd.core.message import Message
from amqpd.core.queue import Queue
from amqpd.core.rules import Rules
from amqpd.core.timers import NEVER, Timed

HEAP_BYTES_MAX: Final = 16777216  # of bodies; large messages leave it sooner
PER_STEP: Final = 256  # messages that one call moves
STEP_BYTES_MAX: Final = 1048576  # of bodies that one call moves
LEAD_MS: Final = 2000  # a bucket is opened so long ahead of its time
LEAD_PER_MS: Final = 40  # messages more make it a millisecond longer
WIDTH_BITS: Final = 3  # a bucket is at most the time that is left, divided by 2 to this power
FINER_BITS: Final = 5  # what is filed anew goes to buckets narrower by at least this
LEVEL_MAX: Final = 40
SAFE_MS: Final = 5  # between looks at whether a step of the journal is safe
RETRY_MS: Final = 1000  # the store has failed: nothing moves any more

_FAR_MS: Final = 1 << 62


class _Tick(Timed):
    """The one deadline of a line."""

    def __init__(self, line: "DelayLine") -> None:
        super().__init__()
        self._line: Final = line

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        self._line.step(now_ms)


class _Intake(Queue):
    """What an exchange routes delayed messages to: each publish is taken by a bucket instead."""

    def __init__(self, line: "DelayLine", home: Home, exchange: Exchange) -> None:
        super().__init__(
            home.journal,
            0,
            exchange.vhost,
            "",
            durable=False,
            owner=0,
            auto_delete=False,
            arguments={},
        )
        self.is_hidden = True
        self.is_holding = True
        self.rules = Rules({})  # or no publish would ask for its `taker`
        self._line: Final = line

    def taker(self, message: Message) -> Queue | None:
        """See Queue."""
        return self if self.is_deleted else self._line.bucket_now(message)


class DelayLine(Filer):
    """See the module. `count` is how many messages wait, `intake` where they come in."""

    def __init__(self, home: Home, exchange: Exchange) -> None:
        self.count = 0
        self.intake: Final = _Intake(self, home, exchange)
        self._home: Final = home
        self._timers: Final = home.timers
        self._exchange: Final = exchange
        self._tick: Final = _Tick(self)
        self._heap_max: Final = home.journal.delayed_max  # room for a bucket is below half of it
        self._due_ms: i64 = 0  # monotonic, of the message that is being filed
        self._heap: list[tuple[int, int, Entry, DelayBucket]] = []  # (due, order, ...)
        self._heap_bytes: i64 = 0
        self._order = 0
        self._near: DelayBucket | None = None
        self._buckets: dict[int, DelayBucket] = {}  # that are not opened yet, by queue id
        self._places: dict[tuple[int, int], DelayBucket] = {}  # those of them that take messages
        self._opening: DelayBucket | None = None
        self._is_loading = False  # what is being opened goes to the heap, not to finer buckets
        self._limit_ms = _FAR_MS  # wall clock

    # -- in ---------------------------------------------------------------------------------------

    def bucket_now(self, message: Message) -> DelayBucket:
        """Return the bucket for a message that comes now."""
        self._due_ms = self._timers.now_ms + delay_of(headers_of(message))
        return self._bucket_for(self._due_ms, LEVEL_MAX)

    def _bucket_for(self, due_ms: i64, level_max: int) -> DelayBucket:
        """Return the bucket for what is due then (monotonic ms), of such a level at most."""
        wall_ms = int(due_ms) + self._timers.wall_offset_ms
        if wall_ms < self._limit_ms:
            if self._near is None:
                self._near = DelayBucket(self._home, self._exchange, self, NEAR, 0)
            return self._near
        left_ms = max(int(due_ms) - self._timers.now_ms, 1)
        level = max(min(left_ms.bit_length() - 1 - WIDTH_BITS, level_max), 0)
        place = (level, wall_ms >> level)
        bucket = self._places.get(place)
        if bucket is None:
            bucket = DelayBucket(self._home, self._exchange, self, level, place[1])
            self._places[place] = bucket
            self._buckets[bucket.id] = bucket
        return bucket

    def file(self, bucket: DelayBucket, message: Message) -> None:
        """See Filer; the bucket is the one that was asked for last."""
        entry = bucket.new_entry(message, self._due_ms)
        self.count += 1
        if bucket.level == NEAR:
            self._push(bucket, entry)
            self._wake(self._timers.now_ms if self._is_over() else int(entry.expires_ms))
        else:
            bucket.backlog.push(entry)
            wall_ms = int(entry.expires_ms) + self._timers.wall_offset_ms
            bucket.first_ms = min(bucket.first_ms, wall_ms)
            self._wake(self._opens_ms(bucket))

    def _push(self, bucket: DelayBucket, entry: Entry) -> None:
        self._order += 1
        bucket.in_heap[int(entry.seq)] = entry
        self._heap_bytes += entry.message.body_bytes
        heappush(self._heap, (int(entry.expires_ms), self._order, entry, bucket))

    def _load(self, bucket: DelayBucket, entry: Entry) -> None:
        """Put an entry into the heap that came from the backlog.

        One without a time was cut off from it by a crash, before its publish was safe: it goes.
        """
        if entry.expires_ms:
            self._push(bucket, entry)
        else:
            self._leave(entry, bucket)

    def restored(self, part: str, queue_id: int) -> DelayBucket:
        """Make a bucket again; `recovered` comes when it is filled.

        There may be two for the same time: one had been opened, and the other came after it.
        """
        level, index = level_and_index(part)
        bucket = DelayBucket(self._home, self._exchange, self, level, index, queue_id)
        if level == NEAR:
            self._near = bucket
        else:
            self._places[level, index] = bucket
            self._buckets[bucket.id] = bucket
            bucket.first_ms = index << level
            self._limit_ms = min(self._limit_ms, bucket.first_ms)
        return bucket

    def recovered(self, bucket: DelayBucket) -> None:
        """See Filer."""
        self.count += int(bucket.backlog.count)
        if bucket.level == NEAR:
            while bucket.backlog.count > 0:
                self._load(bucket, bucket.backlog.pop())
        self._wake(self._timers.now_ms)

    # -- when -------------------------------------------------------------------------------------

    def _wake(self, when_ms: int) -> None:
        """Have `step` called by then."""
        current_ms = self._tick.deadline_ms
        if current_ms == NEVER or when_ms < current_ms:
            self._timers.set(self._tick, when_ms)

    def _is_over(self) -> bool:
        """Whether the heap is too long, and has a part that can go."""
        length = len(self._heap)
        return length > self._heap_max or (length > 1 and self._heap_bytes > HEAP_BYTES_MAX)

    def _has_room(self) -> bool:
        return len(self._heap) <= self._heap_max // 2 and self._heap_bytes <= HEAP_BYTES_MAX // 2

    def _first_bucket(self) -> DelayBucket | None:
        """Return the bucket to be opened next."""
        first: DelayBucket | None = None
        for bucket in self._buckets.values():
            if first is None or bucket.first_ms < first.first_ms:
                first = bucket
        return first

    def _opens_ms(self, bucket: DelayBucket) -> int:
        """When a bucket is to be opened (monotonic ms): the earlier the more is in it."""
        lead_ms = LEAD_MS + int(bucket.backlog.count) // LEAD_PER_MS
        return bucket.first_ms - self._timers.wall_offset_ms - lead_ms

    def _next_ms(self, now_ms: int) -> int:
        """When there is something to do next (monotonic ms)."""
        if self._is_over():
            return now_ms + 1
        if self._opening is not None and (not self._is_loading or self._has_room()):
            return now_ms + 1
        next_ms = max(self._heap[0][0], now_ms + 1) if self._heap else _FAR_MS
        first = self._first_bucket()
        if self._opening is None and first is not None:
            opens_ms = self._opens_ms(first)
            if opens_ms <= now_ms:  # it waits for room in the heap, or else for its time
                opens_ms = first.first_ms - self._timers.wall_offset_ms
            soonest_ms = now_ms + 1 if self._is_safe(first) else now_ms + SAFE_MS
            next_ms = min(next_ms, max(opens_ms, soonest_ms))
        return next_ms

    def step(self, now_ms: int) -> None:
        """Do what there is to do now, a bounded piece of it, and set the next deadline."""
        journal = self._home.journal
        journal.begin()
        try:
            self._send_due(now_ms)
            if self._is_over():
                self._spill()
            else:
                self._open(now_ms)
        except errors.HardError:
            self._wake(now_ms + RETRY_MS)
            return
        finally:
            journal.end()
        next_ms = self._next_ms(now_ms) if not self.intake.is_deleted else _FAR_MS
        if next_ms < _FAR_MS:
            self._wake(next_ms)

    # -- out --------------------------------------------------------------------------------------

    def _send_due(self, now_ms: int) -> None:
        """Send on what is due. What the store does not take stays."""
        sent = 0
        sent_bytes: i64 = 0
        while self._heap and self._heap[0][0] <= now_ms:
            if sent == PER_STEP or sent_bytes > STEP_BYTES_MAX:
                return
            place = heappop(self._heap)
            try:
                send_on(self._home, self._exchange.name, place[2].message)
            except errors.HardError:
                heappush(self._heap, place)
                raise
            sent += 1
            sent_bytes += place[2].message.body_bytes
            self._left_heap(place[2], place[3])

    def _left_heap(self, entry: Entry, bucket: DelayBucket) -> None:
        """Let an entry leave for good that is not in the heap any more."""
        self._heap_bytes -= entry.message.body_bytes
        self._leave(entry, bucket)
        if bucket.level != NEAR and bucket is not self._opening and bucket.live_count == 0:
            bucket.drop()

    def _leave(self, entry: Entry, bucket: DelayBucket) -> None:
        self.count -= 1
        bucket.leave(entry)

    def _refile(self, entry: Entry, bucket: DelayBucket) -> None:
        """Publish an entry again, into the bucket that is right by now; it leaves the old one."""
        message = entry.message
        self._due_ms = entry.expires_ms
        level_max = LEVEL_MAX if bucket.level == NEAR else bucket.level - FINER_BITS
        to = self._bucket_for(self._due_ms, level_max)
        if to.durable and message.persistent:
            self._home.journal.published(message, [to.id], [int(to.next_seq)])
        self.file(to, message)
        to.refiled_position = self._home.journal.position

    def _spill(self) -> None:
        """Put what is due last in the heap into buckets, and lower the limit to it."""
        self._heap.sort()  # a sorted list is a heap
        count = max(1, min(PER_STEP, len(self._heap) - self._heap_max // 2, len(self._heap) // 2))
        moved_bytes: i64 = 0
        for place in range(len(self._heap) - 1, len(self._heap) - count - 1, -1):
            moved_bytes += self._heap[place][2].message.body_bytes
        first_ms = self._heap[-count][0] + self._timers.wall_offset_ms
        self._limit_ms = min(self._limit_ms, first_ms)
        for _ in range(count):
            last = self._heap.pop()
            try:
                self._refile(last[2], last[3])
            except errors.HardError:
                heappush(self._heap, last)
                raise
            self._left_heap(last[2], last[3])

    def _open(self, now_ms: int) -> None:
        """Open the next bucket if it is time, or go on with the one that is open."""
        if self._opening is None:
            first = self._first_bucket()
            if first is None or not self._may_open(first, now_ms):
                return
            del self._buckets[first.id]
            if self._places.get((first.level, first.index)) is first:
                del self._places[first.level, first.index]
            self._opening = first
            self._is_loading = first.level == 0 or first.backlog.count <= self._heap_max // 2
            self._limit_ms = first.first_ms
        if self._is_loading:
            self._raise_limit()
        self._empty(self._opening)

    def _may_open(self, bucket: DelayBucket, now_ms: int) -> bool:
        if not self._is_safe(bucket):
            return False
        first_ms = bucket.first_ms - self._timers.wall_offset_ms
        return first_ms <= now_ms or (self._opens_ms(bucket) <= now_ms and self._has_room())

    def _is_safe(self, bucket: DelayBucket) -> bool:
        """Whether all that was filed anew into a bucket is on the disk."""
        journal = self._home.journal
        return journal.is_immediate or bucket.refiled_position <= journal.safe_position

    def _raise_limit(self) -> None:
        """Let the heap take all that is due before the first bucket."""
        first = self._first_bucket()
        self._limit_ms = first.first_ms if first is not None else _FAR_MS

    def _empty(self, bucket: DelayBucket) -> None:
        """Move a piece of the bucket that is open."""
        moved = 0
        moved_bytes: i64 = 0
        while bucket.backlog.count > 0:
            if moved == PER_STEP or moved_bytes > STEP_BYTES_MAX:
                return
            if self._is_loading and not self._has_room():
                return
            entry = bucket.backlog.pop()
            moved += 1
            moved_bytes += entry.message.body_bytes
            wall_ms = int(entry.expires_ms) + self._timers.wall_offset_ms
            if self._is_loading or wall_ms < self._limit_ms:  # or it is overdue, or has no time
                self._load(bucket, entry)
                continue
            try:
                self._refile(entry, bucket)
            except errors.HardError:
                bucket.backlog.restore([entry])
                raise
            self._leave(entry, bucket)
        self._opening = None
        self._raise_limit()
        if bucket.live_count == 0:
            bucket.drop()

    # -- end --------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Forget all messages: the exchange is gone."""
        self._timers.clear(self._tick)
        self.intake.is_deleted = True
        for part in list(self._home.parts.values()):
            if isinstance(part, DelayBucket) and part.exchange == self._exchange.name:
                part.drop()
        self._heap.clear()
        self._buckets.clear()
        self._places.clear()
        self.count = 0

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        total = 0
        in_heap = 0
        for part in self._home.parts.values():
            if isinstance(part, DelayBucket) and part.exchange == self._exchange.name:
                part.backlog.validate()
                total += part.live_count
                in_heap += len(part.in_heap)
                is_waiting = part.id in self._buckets
                assert is_waiting or part.live_count or part in (self._near, self._opening)
                assert is_waiting or part is self._opening or part.backlog.count == 0
                assert not is_waiting or part.first_ms >= self._limit_ms
        assert total == self.count
        assert in_heap == len(self._heap)
        assert self._heap_bytes == sum([int(place[2].message.body_bytes) for place in self._heap])
        assert not self.count or self._tick.deadline_ms != NEVER
