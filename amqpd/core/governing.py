"""Policies come into effect: which of them a queue or exchange goes by, and what it does then."""

from typing import Final

from amqpd.core.arguments import type_of
from amqpd.core.exchange import Exchange
from amqpd.core.policy import Policies, merged
from amqpd.core.queue import Queue
from amqpd.core.timers import Timed, Timers
from amqpd.wire import tables

QUEUES_PER_TURN: Final = 1000  # looked at when policies change; about two milliseconds


class Governor(Timed):
    """Lets changed policies count for the queues of a vhost, so many a turn.

    A queue that is new meanwhile goes by them from its declaration on; a further change begins
    anew with all.
    """

    def __init__(self, queues: dict[str, Queue], policies: Policies, timers: Timers) -> None:
        super().__init__()
        self._queues: Final = queues
        self._policies: Final = policies
        self._timers: Final = timers
        self._waiting: list[Queue] = []

    def begin(self) -> None:
        """Begin with all queues; the first of them are done at once."""
        self._waiting = list(self._queues.values())
        self._waiting.reverse()
        self.on_deadline(self._timers.now_ms)

    def on_deadline(self, now_ms: int) -> None:
        """See Timed: go on, and again in another turn."""
        for _ in range(min(QUEUES_PER_TURN, len(self._waiting))):
            queue = self._waiting.pop()
            if not queue.is_deleted:
                govern_queue(queue, self._policies)
        if self._waiting:
            self._timers.set(self, self._timers.now_ms + 1)
        else:
            self._timers.clear(self)


def govern_exchange(exchange: Exchange, policies: Policies) -> bool:
    """Let an exchange go by what policies are there. Returns whether its alternate has changed."""
    exchange.policy = policies.for_exchange(exchange.name)
    alternate = exchange.arguments.get("alternate-exchange")
    if alternate is None and exchange.policy is not None:
        alternate = exchange.policy.definition.get("alternate-exchange")
    name = tables.text(alternate) if alternate is not None else None
    if name == exchange.alternate:
        return False
    exchange.alternate = name
    return True


def govern_queue(queue: Queue, policies: Policies) -> None:
    """Let a queue go by what policies are there; nothing is done if these are the same as before.

    O(policies) to find them.
    """
    if policies.is_empty and queue.policy is None and queue.operator_policy is None:
        return
    policy, operator = policies.for_queue(queue.name, type_of(queue.arguments))
    if policy is queue.policy and operator is queue.operator_policy:
        return
    queue.policy, queue.operator_policy = policy, operator
    queue.go_by(merged(queue.arguments, policy, operator))
