"""What the store must still have after a crash, as plain dictionaries: only what was promised.

A `Copy` is a message in one queue. It must be there if it is *certain* (confirmed or committed)
and nobody asked to settle it, it must not be there once its settle is *safe* (a synced group has
it), and in between both are right. Queues, exchanges and bindings are *asked*, *there*, *leaving*
or *gone*; an -ok moves them on.
"""

from typing import NamedTuple

ASKED = "asked"
THERE = "there"
LEAVING = "leaving"
GONE = "gone"
SAFE = "safe"


COUNT = b"x-delivery-count"


class Thing:
    """A queue, exchange or binding; `number` tells it from others that had the same name."""

    def __init__(
        self, number: int, name: str, durable: bool, ends: "tuple[Thing, ...]" = ()
    ) -> None:
        self.number = number
        self.name = name
        self.durable = durable
        self.state = ASKED
        self.ends = ends  # of a binding: exchange and queue; its name is its key
        self.kind = ""
        self.highest = 0  # priority of a queue
        self.is_quorum = False  # it keeps transient messages too, and counts deliveries
        self.copies: list[Copy] = []

    def is_certain(self) -> bool:
        """Say whether it must survive."""
        return self.durable and self.state == THERE and all(end.is_certain() for end in self.ends)

    def is_possible(self) -> bool:
        """Say whether it may be there after a crash."""
        return self.durable and self.state != GONE and all(end.is_possible() for end in self.ends)


class Posted:
    """A message as it was published."""

    def __init__(
        self,
        body: bytes,
        exchange: str,
        key: str,
        persistent: bool,
        head: bytes,
        priority: int = 0,
    ) -> None:
        self.body = body
        self.exchange = exchange
        self.key = key
        self.persistent = persistent
        self.head = head  # properties as sent
        self.priority = priority
        self.copies: list[Copy] = []

    def is_safe_now(self) -> None:
        """Learn that it was confirmed."""
        for copy in self.copies:
            copy.is_certain = True


class Copy:
    """A message in one queue; `order` is that of arrival."""

    def __init__(self, posted: Posted, queue: Thing, order: int) -> None:
        self.posted = posted
        self.queue = queue
        self.order = order
        self.is_certain = False
        self.settle = ""  # "", ASKED or SAFE
        self.was_delivered = False
        self.may_be_delivered = False  # a crash made the broker forget

    @property
    def place(self) -> tuple[int, int]:
        """Where it is in its queue: the lowest leaves first."""
        return -min(self.posted.priority, self.queue.highest), self.order

    @property
    def is_kept(self) -> bool:
        """Say whether its queue stores it."""
        return self.posted.persistent or self.queue.is_quorum

    def must_be_there(self) -> bool:
        """Say whether a crash may not take it."""
        durable = self.is_kept and self.queue.is_certain()
        return durable and self.is_certain and not self.settle

    def may_be_there(self) -> bool:
        """Say whether it may come back after a crash."""
        return self.is_kept and self.queue.is_possible() and self.settle != SAFE


class Committed:
    """A transaction: all of its publishes and acks, or none."""

    def __init__(self, posted: list[Posted], acked: list[Copy]) -> None:
        self.posted = posted
        self.acked = [copy for copy in acked if copy.must_be_there()]


class Found(NamedTuple):
    """A message that came back."""

    body: bytes
    exchange: str
    key: str
    head: bytes
    redelivered: bool


class Oracle:
    """All of it, and the comparison with what came back."""

    def __init__(self) -> None:
        self.queues: dict[int, Thing] = {}
        self.exchanges: dict[int, Thing] = {}
        self.bindings: dict[int, Thing] = {}
        self.committed: list[Committed] = []

    def compare_things(
        self, queues: dict[int, str], exchanges: dict[int, str], bindings: set[tuple[int, int, str]]
    ) -> None:
        """Compare definitions, by number."""
        for kind, known, found in (
            ("queue", self.queues, queues),
            ("exchange", self.exchanges, exchanges),
        ):
            for thing in known.values():
                if thing.is_certain():
                    assert thing.number in found, f"{kind} {thing.name} is lost"
            for number, name in found.items():
                assert number in known and known[number].name == name, f"{kind} {name} is unknown"
                assert known[number].is_possible(), f"{kind} {name} came back"
        ways = {(b.ends[0].number, b.ends[1].number, b.name): b for b in self.bindings.values()}
        for way, bound in ways.items():
            assert not bound.is_certain() or way in bindings, f"binding {way} is lost"
        for way in bindings:
            alike = [
                b
                for b in self.bindings.values()
                if (b.ends[0].number, b.ends[1].number, b.name) == way
            ]
            assert any(b.is_possible() for b in alike), f"binding {way} came back"

    def compare(self, number: int, found: list[Found], was_clean: bool) -> list[Copy]:
        """Compare what a queue has. Returns its copies."""
        queue = self.queues[number]
        by_body = {copy.posted.body: copy for copy in queue.copies}
        back: list[Copy] = []
        for message in found:
            what = f"{message.body[:10]!r} in {queue.name}"
            copy = by_body.get(message.body)
            assert copy is not None, f"{what} was not published there"
            posted = copy.posted
            assert (message.exchange, message.key) == (posted.exchange, posted.key), what
            counted = queue.is_quorum and COUNT in message.head
            assert counted or message.head == posted.head, f"{what}: other properties"
            assert copy.is_kept, f"{what} is transient"
            assert copy.settle != SAFE, f"{what} was settled"
            assert copy.may_be_there(), f"{what} came back"
            assert message.redelivered or not copy.was_delivered, f"{what} was delivered before"
            if was_clean and message.redelivered:
                known = copy.was_delivered or copy.may_be_delivered
                assert known, f"{what} was never delivered"
            back.append(copy)
        places = [copy.place for copy in back]
        assert len(set(places)) == len(places), f"twice the same in {queue.name}"
        assert places == sorted(places), f"order of {queue.name}: {places}"
        there = {copy.order for copy in back}
        for copy in queue.copies:
            if copy.must_be_there():
                assert copy.order in there, f"{copy.posted.body[:10]!r} in {queue.name} is lost"
        return back

    def compare_commits(self, back: set[Copy]) -> None:
        """Check that each transaction was carried out as a whole or not at all."""
        for commit in self.committed:
            done = [
                copy in back
                for posted in commit.posted
                for copy in posted.copies
                if copy.is_kept and copy.queue.is_certain() and not copy.settle
            ]
            done += [copy not in back for copy in commit.acked if copy.queue.is_certain()]
            assert len(set(done)) <= 1, f"half a transaction: {done}"

    def accept(
        self,
        back: dict[int, list[Copy]],
        exchanges: set[int],
        bindings: set[tuple[int, int, str]],
        crashed: bool,
    ) -> None:
        """Take what came back as what there is from now on."""
        for number, queue in list(self.queues.items()):
            if number not in back:
                del self.queues[number]
                continue
            queue.state = THERE
            queue.copies = back[number]
            for copy in queue.copies:
                copy.is_certain = True
                copy.settle = ""
                copy.may_be_delivered |= crashed
        for number in list(self.exchanges):
            if number not in exchanges:
                del self.exchanges[number]
            else:
                self.exchanges[number].state = THERE
        for key, bound in list(self.bindings.items()):
            way = (bound.ends[0].number, bound.ends[1].number, bound.name)
            if way not in bindings or not bound.is_possible():
                del self.bindings[key]
            else:
                bound.state = THERE
        self.committed = []
