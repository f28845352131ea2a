"""A journal whose syncs come late, and the state that a recovery would read from it."""

from collections import defaultdict
from typing import Any

from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.core.ports import Journal
from amqpd.wire.frames import body_of
from amqpd.wire.tables import Table, text

Fact = tuple[Any, ...]


def number_of(body: bytes) -> int:
    """Return the number that a simulated message bears at the start of its body."""
    return int(body[:8])


def plain(arguments: Table) -> tuple[tuple[str, str], ...]:
    """Return arguments as the simulation's clients made them: all are texts."""
    return tuple(sorted((name, text(field)) for name, field in arguments.items()))


class LateJournal(Journal):
    """Keeps all facts in order; a fact's position is its place, counted from 1.

    `last` has the position of the latest fact about each thing: ("queue", name),
    ("exchange", name), ("binding", source, to queue, destination, key, arguments),
    ("message", number) and ("settled", queue id, seq).
    """

    def __init__(self, *, is_immediate: bool) -> None:
        super().__init__(is_immediate=is_immediate)
        self.facts: list[Fact] = []
        self.segment = 1
        self.synced = 0
        self.last: defaultdict[Fact, int] = defaultdict(int)
        self.names: dict[int, str] = {}  # of queues, by id
        self.ids: dict[str, int] = {}  # the latest id of a name

    def _append(self, fact: Fact, *about: Fact) -> int:
        self.facts.append(fact)
        self.position = len(self.facts)
        for thing in about:
            self.last[thing] = self.position
        return self.position

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """See Journal."""
        assert message.persistent and queue_ids and len(queue_ids) == len(seqs)
        number = number_of(body_of(message.content, message.header_bytes))
        entries = list(zip(queue_ids, seqs, strict=True))
        return self._append(("published", number, entries), ("message", number))

    def settled(self, queue_id: int, entry: Entry) -> None:
        """See Journal."""
        seq = int(entry.seq)
        self._append(("settled", queue_id, [seq]), ("settled", queue_id, seq))

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """See Journal."""
        assert queue_id not in self.names, "a queue id is used twice"
        self.names[queue_id] = name
        self.ids[name] = queue_id
        return self._append(("queue", queue_id, name, auto_delete), ("queue", name))

    def queue_deleted(self, queue_id: int) -> int:
        """See Journal."""
        return self._append(("no queue", queue_id), ("queue", self.names[queue_id]))

    def exchange_declared(
        self,
        vhost: str,
        name: str,
        kind: str,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> int:
        """See Journal."""
        return self._append(
            ("exchange", name, kind, auto_delete, internal, plain(arguments)),
            ("exchange", name),
        )

    def exchange_deleted(self, vhost: str, name: str) -> int:
        """See Journal."""
        return self._append(("no exchange", name), ("exchange", name))

    def bound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        row = (source, to_queue, destination, key, plain(arguments))
        return self._append(("binding", *row), ("binding", *row))

    def unbound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        row = (source, to_queue, destination, key, plain(arguments))
        return self._append(("no binding", *row), ("binding", *row))


class Recovered:
    """What a log says when it is read from its start, up to some position."""

    def __init__(self, facts: list[Fact]) -> None:
        self.queues: dict[int, str] = {}
        self.entries: dict[int, dict[int, int]] = {}  # queue id → seq → message number
        self.exchanges: dict[str, Fact] = {}
        self.bindings: set[Fact] = set()
        for fact in facts:
            self._read(fact)

    def _read(self, fact: Fact) -> None:
        kind, rest = fact[0], fact[1:]
        if kind == "published":
            number, entries = rest
            for queue_id, seq in entries:
                assert seq not in self.entries[queue_id], "a seq is used twice"
                self.entries[queue_id][seq] = number
        elif kind == "settled":
            if rest[0] in self.entries:  # what was out when its queue went may be settled later
                for seq in rest[1]:
                    del self.entries[rest[0]][seq]  # exactly once, and only what was published
        elif kind == "queue":
            assert rest[1] not in self.queues.values(), "a queue is declared twice"
            self.queues[rest[0]] = rest[1]
            self.entries[rest[0]] = {}
        elif kind == "no queue":
            name = self.queues.pop(rest[0])
            del self.entries[rest[0]]
            self.bindings = {row for row in self.bindings if row[1:3] != (True, name)}
        elif kind == "exchange":
            assert rest[0] not in self.exchanges, "an exchange is declared twice"
            self.exchanges[rest[0]] = rest
        elif kind == "no exchange":
            del self.exchanges[rest[0]]
            self.bindings = {
                row for row in self.bindings if rest[0] != row[0] and row[1:3] != (False, rest[0])
            }
        elif kind == "binding":
            assert rest not in self.bindings, "a binding is made twice"
            self.bindings.add(rest)
        else:
            assert kind == "no binding"
            self.bindings.remove(rest)

    def contents(self) -> dict[str, dict[int, int]]:
        """Message numbers by queue name and seq."""
        return {name: self.entries[queue_id] for queue_id, name in self.queues.items()}
