"""What a transactional channel holds back until commit: publishes, then settlements.

Publishes were checked and routed, and delivery tags looked up, when they arrived, as in RabbitMQ;
commit only carries them out, publishes in order before the settlements (RabbitMQ: semantics, tx).
"""

from typing import Final

from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.core.queue import NACKED, Queue


class HeldPublish:
    """A publish that waits for the commit; `queues` empty and `mandatory`: it will be returned."""

    def __init__(self, queues: list[Queue], message: Message, mandatory: bool) -> None:
        self.queues: Final = queues
        self.message: Final = message
        self.mandatory: Final = mandatory


class HeldSettle:
    """Entries, out of the unacked window already, that the commit settles or requeues."""

    def __init__(
        self, entries: list[Entry], requeue: bool, rejected: bool = False, how: int = NACKED
    ) -> None:
        self.entries: Final = entries
        self.requeue: Final = requeue
        self.rejected: Final = rejected
        self.how: Final = how


class Transaction:
    """The current transaction of a channel; commit and rollback begin the next one."""

    def __init__(self) -> None:
        self.publishes: list[HeldPublish] = []
        self.settles: list[HeldSettle] = []
        self.refused = False  # a full queue refused one of its publishes, at the commit

    def hold(
        self, entries: list[Entry], requeue: bool, rejected: bool = False, how: int = NACKED
    ) -> None:
        """Keep settlements for the commit."""
        self.settles.append(HeldSettle(entries, requeue, rejected, how))

    def entries(self) -> list[Entry]:
        """The entries that are held for the commit."""
        return [entry for held in self.settles for entry in held.entries]

    def take_back(self) -> list[Entry]:
        """Forget the settlements, as rollback does. Returns their entries, unacked again."""
        entries = self.entries()
        self.settles = []
        return entries
