"""The catalogue: every scenario's name, time limit, and what must be seen for a pass.

A scenario is said once here, in words that hold for every language; each client plays it in its
own way. Names are what a client answers to. Scenarios stand in groups, in the order in which a
new broker would get them to work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

LIMIT_S: Final = 20.0  # a healthy broker needs milliseconds; a loaded machine gets its time


@dataclass(frozen=True)
class Scenario:
    """One thing that clients do, and what must come of it."""

    group: str
    name: str
    expectation: str
    limit_s: float = LIMIT_S


def select(patterns: Sequence[str]) -> list[Scenario]:
    """The scenarios whose names match any of the shell-style `patterns`; all if there are none.

    Raises ValueError, worded for people, if a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(scenario.name, pattern) for scenario in CATALOGUE):
            raise ValueError(f"no scenario is called {pattern} (see --list)")
    return [
        scenario
        for scenario in CATALOGUE
        if not patterns or any(fnmatchcase(scenario.name, pattern) for pattern in patterns)
    ]


_PATTERNS: Final = (
    Scenario(
        "patterns",
        "hello",
        "A message sent to a queue by its name through the default exchange is delivered to a "
        "consumer with exchange, routing key and body intact, and acknowledging empties the queue.",
    ),
    Scenario(
        "patterns",
        "work-queue",
        "Ten tasks, two consumers with prefetch 1: the one that never acknowledges gets one task "
        "and no more, the other gets the nine that are left.",
    ),
    Scenario(
        "patterns",
        "publish-subscribe",
        "A fanout exchange copies each message to both bound queues, whatever the routing key.",
    ),
    Scenario(
        "patterns",
        "routing",
        "A direct exchange sends a message to the queues bound with exactly its routing key; one "
        "queue may have several keys.",
    ),
    Scenario(
        "patterns",
        "topics",
        "A topic exchange matches * with one word and # with any number of words, none included; "
        "a queue with two matching bindings gets one copy.",
    ),
    Scenario(
        "patterns",
        "headers-exchange",
        "x-match=all wants every header of the binding, x-match=any wants one; values count too.",
    ),
    Scenario(
        "patterns",
        "rpc-reply-queue",
        "A request with reply-to and correlation-id is answered into the caller's own exclusive "
        "queue, three times over.",
    ),
    Scenario(
        "patterns",
        "rpc-direct-reply-to",
        "The same through amq.rabbitmq.reply-to: the server sees a generated reply-to, and the "
        "answer comes to the caller's channel without any queue.",
    ),
)

_RELIABILITY: Final = (
    Scenario(
        "reliability",
        "confirms-single",
        "With confirm.select every publish is confirmed, one at a time; an unroutable one too.",
    ),
    Scenario(
        "reliability",
        "confirms-batch",
        "A hundred publishes in flight are all confirmed, by single or cumulative acks, and all "
        "of them are in the queue in order.",
    ),
    Scenario(
        "reliability",
        "mandatory-return",
        "An unroutable mandatory message comes back (312, NO_ROUTE) with its body, before its "
        "confirm; a routable one is confirmed only.",
    ),
    Scenario(
        "reliability",
        "tx-commit",
        "Publishes and acks in a transaction have no effect before tx.commit and all of it after.",
    ),
    Scenario(
        "reliability",
        "tx-rollback",
        "tx.rollback throws away the publishes and the acks; a delivered message stays unacked "
        "and comes back, redelivered, when the channel closes.",
    ),
    Scenario(
        "reliability",
        "nack-requeue",
        "A nacked message with requeue comes again, first in line and marked as redelivered; "
        "a rejected one without requeue does not.",
    ),
    Scenario(
        "reliability",
        "nack-multiple",
        "Of six unacked messages, nack(4, multiple, no requeue) drops four, nack(6, multiple, "
        "requeue) brings two back in order and marked as redelivered.",
    ),
    Scenario(
        "reliability",
        "unacked-on-close",
        "Messages left unacked by a closed channel are delivered again, in order and marked as "
        "redelivered.",
    ),
    Scenario(
        "reliability",
        "qos-global",
        "qos(3, global) is one window for both consumers of a channel: three deliveries for ten "
        "messages, and one more for each ack.",
    ),
    Scenario(
        "reliability",
        "cancel-notification",
        "When its queue is deleted a consumer is told by basic.cancel with its tag.",
    ),
)

_TOPOLOGY: Final = (
    Scenario(
        "topology",
        "basic-get",
        "basic.get returns messages in order with the count of those left, then get-empty.",
    ),
    Scenario(
        "topology",
        "server-named-queue",
        "Declaring a queue without a name gets a new name from the broker each time, starting "
        "with amq., and the queue works under it.",
    ),
    Scenario(
        "topology",
        "exclusive-queue",
        "An exclusive queue is refused to another connection with 405, and gone when its own "
        "connection has closed.",
    ),
    Scenario(
        "topology",
        "purge-delete-counts",
        "Declare, purge and delete tell how many messages there were; consumers are counted too.",
    ),
    Scenario(
        "topology",
        "exchange-to-exchange",
        "A message crosses from one exchange to another by an exchange binding, and no more "
        "after the binding is removed.",
    ),
    Scenario(
        "topology",
        "alternate-exchange",
        "What an exchange cannot route goes to its alternate-exchange, and only that.",
    ),
)

_ERRORS: Final = (
    Scenario(
        "errors",
        "passive-declare-missing",
        "Passive declare of a missing queue, and of a missing exchange, closes the channel with "
        "404; the connection goes on.",
    ),
    Scenario(
        "errors",
        "precondition-failed",
        "Redeclaring a durable queue as transient closes the channel with 406 and RabbitMQ's text: "
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'Q' in vhost 'V': "
        "received 'false' but current is 'true'.",
    ),
    Scenario(
        "errors",
        "publish-missing-exchange",
        "Publishing to an exchange that does not exist closes the channel with 404.",
    ),
    Scenario(
        "errors",
        "unknown-delivery-tag",
        "Acknowledging a delivery tag twice closes the channel with 406.",
    ),
    Scenario(
        "errors",
        "reserved-name",
        "Declaring a queue or exchange of one's own under amq. closes the channel with 403.",
    ),
    Scenario(
        "errors",
        "internal-exchange",
        "Publishing to an exchange declared as internal closes the channel with 403.",
    ),
    Scenario(
        "errors",
        "duplicate-consumer-tag",
        "A second consumer with the same tag on one channel closes the connection with 530.",
    ),
    Scenario(
        "errors",
        "wrong-password",
        "A wrong password is refused with 403, and the client says that it was the login.",
    ),
    Scenario(
        "errors",
        "missing-vhost",
        "Opening a virtual host that does not exist closes the connection with 530.",
    ),
)

_CONTENT: Final = (
    Scenario(
        "content",
        "properties",
        "Every basic property that the client can set arrives as it was sent.",
    ),
    Scenario(
        "content",
        "header-types",
        "Header values of every type that the client can send arrive with type and value: "
        "bool, integers of all widths, floats, decimal, text, binary, timestamp, void, nested "
        "array and table.",
    ),
    Scenario(
        "content",
        "empty-message",
        "A message without a body is delivered as one, and so is the next one with a body.",
    ),
    Scenario(
        "content",
        "large-message",
        "A body of 16 MiB (many frames) arrives whole.",
        60.0,
    ),
    Scenario(
        "content",
        "unicode-names",
        "Queue, exchange, routing key and consumer tag may be any UTF-8.",
    ),
)

_CONNECTIONS: Final = (
    Scenario(
        "connections",
        "many-channels",
        "Two hundred channels of one connection are open at once and each does its work.",
        40.0,
    ),
    Scenario(
        "connections",
        "heartbeats",
        "A connection with a heartbeat of one second, left idle for longer than three of them, "
        "is still open and usable.",
        30.0,
    ),
)

_TASKS: Final = (
    Scenario(
        "tasks",
        "task-results",
        "Ten tasks are carried out by a worker of the framework, and their results come back.",
        60.0,
    ),
    Scenario(
        "tasks",
        "task-retry",
        "A task that fails twice is tried again by the framework, and succeeds at the third time.",
        60.0,
    ),
    Scenario(
        "tasks",
        "task-later",
        "A task with a time in the future is not carried out before it.",
        60.0,
    ),
    Scenario(
        "tasks",
        "task-chord",
        "A group of tasks is carried out, and then one more with all of their results.",
        60.0,
    ),
    Scenario(
        "tasks",
        "task-remote-control",
        "Workers answer to ping and tell which tasks they know, by broadcast and reply queue.",
        60.0,
    ),
    Scenario(
        "tasks",
        "task-events",
        "What workers do is told by events: a task is received, started and succeeded.",
        60.0,
    ),
)

CATALOGUE: Final = (
    *_PATTERNS,
    *_RELIABILITY,
    *_TOPOLOGY,
    *_ERRORS,
    *_CONTENT,
    *_CONNECTIONS,
    *_TASKS,
)
