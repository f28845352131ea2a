"""What a queue's arguments make it do beyond keeping messages, as numbers that are quick to ask.

A queue without any such argument has no `Rules` at all, and pays nothing for them.
"""

from typing import Final

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
)


class Rules:
    """The rules of one queue (RabbitMQ: TTL, length limits, dead letter exchanges, priorities).

    | rule | unit | NONE means |
    |---|---|---|
    | ttl_ms | ms that a message may wait | for ever |
    | expires_ms | ms that the queue may be unused | for ever |
    | length_max | ready messages | any number |
    | bytes_max | body bytes of ready messages | any number |
    """

    def __init__(self, arguments: Table) -> None:
        self.ttl_ms: Final = _integer(arguments, "x-message-ttl")
        self.expires_ms: Final = _integer(arguments, "x-expires")
        self.length_max: Final = _integer(arguments, "x-max-length")
        self.bytes_max: Final = _integer(arguments, "x-max-length-bytes")
        self.is_limited: Final = self.length_max >= 0 or self.bytes_max >= 0
        self.overflow: Final = _OVERFLOWS.get(_text(arguments, "x-overflow") or "", DROP_HEAD)
        self.dead_letter_exchange: Final = _text(arguments, "x-dead-letter-exchange")
        self.dead_letter_key: Final = _text(arguments, "x-dead-letter-routing-key")
        single = arguments.get("x-single-active-consumer")
        self.single_active: Final = single is not None and single.value is True


def priorities_of(arguments: Table) -> int:
    """Return the highest priority of a queue, 0 if it has none; a maximum of 0 behaves as 1."""
    highest = _integer(arguments, "x-max-priority")
    return 0 if highest == NONE else max(1, highest)


def rules_of(arguments: Table) -> Rules | None:
    """Return the rules that arguments ask for, None if none."""
    for key in _KEYS:
        if key in arguments:
            return Rules(arguments)
    return None


def _integer(arguments: Table, key: str) -> int:
    field = arguments.get(key)
    number = tables.integer(field) if field is not None else None
    return NONE if number is None else number


def _text(arguments: Table, key: str) -> str | None:
    field = arguments.get(key)
    return tables.text(field) if field is not None and field.tag == "S" else None
