"""Policies: definitions for many queues and exchanges at once, by a pattern on their names.

Of the policies that fit a queue or exchange the one with the highest priority counts, and of the
operator policies the same; of equals the one that was set first (RabbitMQ: policies; which of them
is left open there). A policy with a key that a queue's type does not know leaves that queue alone.

`merged` makes one table of what a declare said and what the two policies say, in the terms of
queue arguments; what works by arguments so works by policies without knowing of them.

| key | the argument and a policy | a policy and an operator policy |
|---|---|---|
| message-ttl, expires, max-length, max-length-bytes | the lower | the lower |
| delivery-limit | the lower; negative is no limit and loses | the same |
| overflow | the argument; the policy of a quorum queue | the operator's |
| all others | the argument | the operator's |
"""

import re
from typing import Final

from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

ALL: Final = "all"
QUEUES: Final = "queues"
EXCHANGES: Final = "exchanges"
APPLY_TO: Final = (QUEUES, "classic_queues", "quorum_queues", "streams", EXCHANGES, ALL)
# What `apply-to` calls the queues of a type.
_TYPE_NAMES: Final = {
    "classic": "classic_queues",
    "quorum": "quorum_queues",
    "stream": "streams",
}

_LOWER: Final = (
    "message-ttl",
    "expires",
    "max-length",
    "max-length-bytes",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "consumer-timeout",
)
DELIVERY_LIMIT: Final = "delivery-limit"

# Policies with one of these keys leave the queues of a type alone.
_NOT_OF_TYPE: Final = {
    "classic": (
        "max-age",
        "stream-max-segment-size-bytes",
        "initial-cluster-size",
        DELIVERY_LIMIT,
        "dead-letter-strategy",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "target-group-size",
    ),
    "quorum": (
        "max-priority",
        "queue-mode",
        "ha-mode",
        "ha-params",
        "ha-sync-mode",
        "ha-promote-on-shutdown",
        "ha-promote-on-failure",
        "queue-master-locator",
        "max-age",
        "stream-max-segment-size-bytes",
        "initial-cluster-size",
    ),
    "stream": (
        "expires",
        "message-ttl",
        "dead-letter-exchange",
        "dead-letter-routing-key",
        "dead-letter-strategy",
        "max-length",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "max-priority",
        "overflow",
        "queue-mode",
        DELIVERY_LIMIT,
        "ha-mode",
        "ha-params",
        "ha-sync-mode",
        "ha-promote-on-shutdown",
        "ha-promote-on-failure",
        "queue-master-locator",
        "target-group-size",
    ),
}


class Policy:
    """A policy or operator policy of one vhost; `definition` has its keys as policies name them."""

    def __init__(
        self, name: str, pattern: str, apply_to: str, priority: int, definition: Table
    ) -> None:
        self.name: Final = name
        self.pattern: Final = pattern
        self.apply_to: Final = apply_to
        self.priority: Final = priority
        self.definition: Final = definition
        self._expression: Final = re.compile(pattern, re.ASCII)

    def fits_exchange(self, name: str) -> bool:
        """Say whether it is about an exchange of this name."""
        if self.apply_to != ALL and self.apply_to != EXCHANGES:
            return False
        return self._expression.search(name) is not None

    def fits_queue(self, name: str, kind: str) -> bool:
        """Say whether it is about a queue of this name and type."""
        if self.apply_to not in (ALL, QUEUES) and self.apply_to != _TYPE_NAMES.get(kind):
            return False
        for key in _NOT_OF_TYPE.get(kind, ()):
            if key in self.definition:
                return False
        return self._expression.search(name) is not None


class Policies:
    """The policies of one vhost; `operator` are those that only restrict."""

    def __init__(self) -> None:
        self._of_users: Final[dict[str, Policy]] = {}
        self._of_operators: Final[dict[str, Policy]] = {}
        self._users_first: list[Policy] = []  # highest priority first
        self._operators_first: list[Policy] = []
        self.is_empty = True

    def get(self, name: str, *, operator: bool) -> Policy | None:
        """Return a policy by name."""
        return (self._of_operators if operator else self._of_users).get(name)

    def put(self, policy: Policy, *, operator: bool) -> None:
        """Add a policy, or replace the one of its name."""
        (self._of_operators if operator else self._of_users)[policy.name] = policy
        self._sort()

    def drop(self, name: str, *, operator: bool) -> None:
        """Forget a policy."""
        (self._of_operators if operator else self._of_users).pop(name, None)
        self._sort()

    def _sort(self) -> None:
        self._users_first = sorted(self._of_users.values(), key=_lowest_last)
        self._operators_first = sorted(self._of_operators.values(), key=_lowest_last)
        self.is_empty = not self._of_users and not self._of_operators

    def for_queue(self, name: str, kind: str) -> "tuple[Policy | None, Policy | None]":
        """Return (policy, operator policy) of a queue."""
        return (
            _first_for_queue(self._users_first, name, kind),
            _first_for_queue(self._operators_first, name, kind),
        )

    def for_exchange(self, name: str) -> Policy | None:
        """Return the policy of an exchange."""
        for policy in self._users_first:
            if policy.fits_exchange(name):
                return policy
        return None


def _lowest_last(policy: Policy) -> int:
    return -policy.priority


def _first_for_queue(policies: list[Policy], name: str, kind: str) -> Policy | None:
    for policy in policies:
        if policy.fits_queue(name, kind):
            return policy
    return None


def effective_definition(policy: Policy | None, operator: Policy | None) -> Table:
    """Return what the two say together, in the terms of policies."""
    if operator is None:
        return policy.definition if policy is not None else {}
    if policy is None:
        return operator.definition
    together = dict(policy.definition)
    for key, field in operator.definition.items():
        other = together.get(key)
        together[key] = (
            field if other is None or key == "overflow" else _stricter(key, other, field)
        )
    return together


def merged(arguments: Table, policy: Policy | None, operator: Policy | None) -> Table:
    """Return the arguments that a queue goes by: its own, and what policies add to them."""
    if policy is None and operator is None:
        return arguments
    together = dict(arguments)
    kind = arguments.get("x-queue-type")
    is_quorum = kind is not None and kind.tag == "S" and tables.text(kind) == "quorum"
    for key, field in effective_definition(policy, operator).items():
        name = f"x-{key}"
        own = together.get(name)
        if own is None or (key == "overflow" and is_quorum):
            together[name] = field
        elif key in _LOWER or key == DELIVERY_LIMIT:
            together[name] = _stricter(key, own, field)
    return together


def _stricter(key: str, one: Field, other: Field) -> Field:
    """Return the lower of two numbers; of anything else the other."""
    first, second = tables.integer(one), tables.integer(other)
    if first is None or second is None or (key not in _LOWER and key != DELIVERY_LIMIT):
        return other
    if key == DELIVERY_LIMIT and (first < 0 or second < 0):
        return one if first > second else other
    return one if first < second else other
