"""What was promised for every message and every name, and what came of it.

A message counts per queue. Its states follow what the client can know: `confirmed` when the broker
said so, `ack_sent` as soon as an ack may have reached it, `settled` when the broker promised that
(tx.commit-ok, a clean stop). An epoch is one life of the broker.

| class | a message that |
|---|---|
| lost | was promised and not acked, and is not there |
| duplicated | came again without the redelivered flag |
| unexpected | was never published, rolled back, acked for good, transient from an earlier epoch, |
|   | changed on its way, or out of its order |
| torn | is half of a transaction of which the other half is missing |
"""

import threading
from dataclasses import dataclass, field

Key = tuple[str, str]  # queue, message id


@dataclass
class Sent:
    """One message in one queue."""

    body_bytes: int
    epoch: int
    persistent: bool
    confirmed: bool = False
    ack_epoch: int = 0  # in which an ack may have been sent, 0 = none
    settled: bool = False  # the ack was promised to last
    rolled_back: bool = False
    deliveries: int = 0
    last_epoch: int = 0  # of a delivery


@dataclass
class Transaction:
    """Publishes and acks of which all or none are there once the broker is back."""

    epoch: int
    published: list[Key] = field(default_factory=list)
    acked: list[Key] = field(default_factory=list)


def body_of(name: str, size: int) -> bytes:
    """The body that a message of this name has."""
    word = f"{name}|".encode()
    return (word * (size // len(word) + 1))[:size]


class Ledger:
    """Everything that clients did and saw; used from all their threads."""

    def __init__(self) -> None:
        self.epoch = 0
        self.sent: dict[Key, Sent] = {}
        self.doubtful: list[Transaction] = []
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, what: str, by: int = 1) -> None:
        """Add to the figures that a run ends with."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + by

    def fault(self, kind: str, what: str) -> None:
        """Take down a broken promise."""
        with self._lock:
            self.faults.append(f"{kind}: {what} (epoch {self.epoch})")
        self.count(kind)

    def publishing(self, keys: list[Key], body_bytes: int, persistent: bool) -> None:
        """A message is about to be sent."""
        with self._lock:
            for key in keys:
                self.sent[key] = Sent(body_bytes, self.epoch, persistent)
        self.count("published", len(keys))

    def confirmed(self, keys: list[Key]) -> None:
        """The broker promised a message."""
        for key in keys:
            self.sent[key].confirmed = True
        self.count("confirmed", len(keys))

    def acking(self, keys: list[Key]) -> None:
        """Acks are about to be sent."""
        for key in keys:
            self.sent[key].ack_epoch = self.epoch
        self.count("acked", len(keys))

    def committing(self, transaction: Transaction) -> None:
        """A commit is about to be sent."""
        for key in transaction.published:
            self.sent[key].rolled_back = False
        with self._lock:
            self.doubtful.append(transaction)

    def committed(self, transaction: Transaction) -> None:
        """The broker promised all of a transaction."""
        with self._lock:
            self.doubtful.remove(transaction)
        for key in transaction.published:
            self.sent[key].confirmed = True
        for key in transaction.acked:
            self.sent[key].settled = True
        self.count("transactions")

    def delivered(self, queue: str, name: str, body: bytes, redelivered: bool) -> None:
        """A delivery came."""
        key = (queue, name)
        sent = self.sent.get(key)
        self.count("delivered")
        if sent is None:
            self.fault("unexpected", f"{key} was never published, or is finished")
            return
        if body != body_of(name, sent.body_bytes):
            self.fault("unexpected", f"{key} has another body")
        if sent.rolled_back:
            self.fault("unexpected", f"{key} was rolled back")
        if sent.settled or sent.ack_epoch == self.epoch:
            self.fault("unexpected", f"{key} was acked for good")
        if not sent.persistent and sent.epoch != self.epoch:
            self.fault("unexpected", f"{key} is transient and from epoch {sent.epoch}")
        if sent.deliveries and not redelivered:
            self.fault("duplicated", f"{key} was delivered in epoch {sent.last_epoch}")
        sent.deliveries += 1
        sent.last_epoch = self.epoch

    def audit(self) -> None:
        """Judge after all that is there was delivered in this epoch."""
        unsure = {key for tx in self.doubtful for key in (*tx.published, *tx.acked)}
        for key, sent in self.sent.items():
            promised = sent.confirmed and sent.persistent and not sent.settled
            is_there = sent.last_epoch == self.epoch
            if promised and not is_there and not sent.ack_epoch and key not in unsure:
                self.fault("lost", f"{key} of epoch {sent.epoch}, {sent.deliveries} deliveries")
                sent.settled = True  # told once
        for transaction in self.doubtful:
            self._audit_transaction(transaction)
        self.doubtful = []

    def _audit_transaction(self, transaction: Transaction) -> None:
        published = {self.sent[key].deliveries > 0 for key in transaction.published}
        kept = {self.sent[key].last_epoch > transaction.epoch for key in transaction.acked}
        outcomes = published | {not stayed for stayed in kept}
        self.count("transactions in doubt")
        if len(outcomes) > 1:
            self.fault("torn", f"{transaction}")
        for key in transaction.acked if True in outcomes else ():
            self.sent[key].settled = True
        for key in transaction.published if False in outcomes else ():
            self.sent[key].rolled_back = True

    def finished(self) -> None:
        """A clean stop after all was acked: nothing of before may come again."""
        self.sent = {}
