"""What a queue's arguments make it do beyond keeping messages, as numbers that are quick to ask.

A queue without any such argument has no `Rules` at all, and pays nothing for them.
"""

from typing import Final

from amqpd.core.arguments import QUORUM, text_of, type_of
from amqpd.profile import V3_13, Profile
from amqpd.wire import tables
from amqpd.wire.tables import Table

NONE: Final = -1  # no such rule

DROP_HEAD: Final = 0
REJECT_PUBLISH: Final = 1
REJECT_PUBLISH_DLX: Final = 2

_OVERFLOWS: Final = {
    "drop-head": DROP_HEAD,
    "reject-publish": REJECT_PUBLISH,
    "reject-publish-dlx": REJECT_PUBLISH_DLX,
}
_KEYS: Final = (
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-dead-letter-exchange",
    "x-max-priority",
    "x-single-active-consumer",
    "x-message-deduplication",
)


class Rules:
    """The rules of one queue (RabbitMQ: TTL, length limits, dead letter exchanges, priorities).

    | rule | unit | NONE means |
    |---|---|---|
    | ttl_ms | ms that a message may wait | for ever |
    | expires_ms | ms that the queue may be unused | for ever |
    | length_max | ready messages | any number |
    | bytes_max | body bytes of ready messages | any number |
    | delivery_limit | returns to the queue, of a quorum queue's message | any number |
    """

    def __init__(self, arguments: Table, profile: Profile = V3_13) -> None:
        self.is_quorum: Final = type_of(arguments) == QUORUM
        self.ttl_ms: Final = _integer(arguments, "x-message-ttl")
        self.expires_ms: Final = _integer(arguments, "x-expires")
        self.length_max: Final = _integer(arguments, "x-max-length")
        self.bytes_max: Final = _integer(arguments, "x-max-length-bytes")
        self.is_limited: Final = self.length_max >= 0 or self.bytes_max >= 0
        overflow = _OVERFLOWS.get(text_of(arguments, "x-overflow") or "", DROP_HEAD)
        if self.is_quorum and overflow == REJECT_PUBLISH_DLX:
            overflow = DROP_HEAD  # as RabbitMQ has it
        self.overflow: Final = overflow
        self.dead_letter_exchange: Final = text_of(arguments, "x-dead-letter-exchange")
        self.dead_letter_key: Final = text_of(arguments, "x-dead-letter-routing-key")
        self.delivery_limit: Final = _delivery_limit(arguments, profile) if self.is_quorum else NONE
        self.at_least_once: Final = (
            self.is_quorum
            and self.dead_letter_exchange is not None
            and text_of(arguments, "x-dead-letter-strategy") == "at-least-once"
            and overflow == REJECT_PUBLISH
        )
        single = arguments.get("x-single-active-consumer")
        self.single_active: Final = single is not None and single.value is True


def priorities_of(arguments: Table) -> int:
    """Return the highest priority of a queue, 0 if it has none; a maximum of 0 behaves as 1."""
    highest = _integer(arguments, "x-max-priority")
    return 0 if highest == NONE else max(1, highest)


def rules_of(arguments: Table, profile: Profile = V3_13) -> Rules | None:
    """Return the rules that arguments ask for, None if none; quorum queues always have some."""
    for key in _KEYS:
        if key in arguments:
            return Rules(arguments, profile)
    return Rules(arguments, profile) if type_of(arguments) == QUORUM else None


def _delivery_limit(arguments: Table, profile: Profile) -> int:
    """Return how often a message may come back, NONE for ever.

    What is no number counts as absent. A negative one is no limit since 4.0, and 0 before.
    """
    field = arguments.get("x-delivery-limit")
    number = tables.integer(field) if field is not None else None
    if number is None:
        return profile.delivery_limit
    return number if number >= 0 or profile.delivery_limit != NONE else 0


def _integer(arguments: Table, key: str) -> int:
    field = arguments.get(key)
    number = tables.integer(field) if field is not None else None
    return NONE if number is None else number
