"""What a policy's definition may hold, with RabbitMQ's words for what it may not.

Values come as JSON has them. The words are those of `rabbitmqctl set_policy` and of the HTTP API,
where they stand behind "Validation failed"; in them a value is written as an Erlang term.
"""

from typing import Final

from amqpd.core import policy
from amqpd.core.age import age_fault
from amqpd.core.policy import Policy
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

INTEGER: Final = 0
TEXT: Final = 1
ANYTHING: Final = 2

_UNLIMITED: Final = -(1 << 63)
_I64_MAX: Final = (1 << 63) - 1


class _Rule:
    """What the value of one key may be."""

    def __init__(
        self,
        kind: int,
        called: str,
        *,
        lowest: int = 0,
        highest: int = -1,
        choices: tuple[str, ...] = (),
        operator: bool = False,
    ) -> None:
        self.kind: Final = kind
        self.called: Final = called
        self.lowest: Final = lowest
        self.highest: Final = highest
        self.choices: Final = choices
        self.operator: Final = operator  # operator policies may have it as well

    def allows(self, value: object) -> bool:
        """Say whether a value is one."""
        if self.kind == INTEGER:
            if not isinstance(value, int) or isinstance(value, bool):
                return False
            highest = self.highest if self.highest >= 0 else _I64_MAX
            return self.lowest <= value <= highest
        if self.kind == TEXT:
            return isinstance(value, str) and (not self.choices or value in self.choices)
        return True


RULES: Final[dict[str, _Rule]] = {
    "alternate-exchange": _Rule(TEXT, "alternate exchange name"),
    "consumer-timeout": _Rule(INTEGER, "consumer timeout"),
    "consumer-disconnected-timeout": _Rule(INTEGER, "consumer disconnected timeout"),
    "dead-letter-exchange": _Rule(TEXT, "dead letter exchange name"),
    "dead-letter-routing-key": _Rule(TEXT, "dead letter routing key"),
    "dead-letter-strategy": _Rule(
        TEXT, "dead letter strategy", choices=("at-most-once", "at-least-once")
    ),
    "message-ttl": _Rule(INTEGER, "message TTL", operator=True),
    "expires": _Rule(INTEGER, "queue expiry", lowest=1, operator=True),
    "max-length": _Rule(INTEGER, "maximum length", operator=True),
    "max-length-bytes": _Rule(INTEGER, "maximum length in bytes", operator=True),
    "max-in-memory-length": _Rule(INTEGER, "maximum memory in bytes", operator=True),
    "max-in-memory-bytes": _Rule(INTEGER, "maximum memory in bytes", operator=True),
    "queue-mode": _Rule(TEXT, "queue-mode value", choices=("default", "lazy")),
    "queue-version": _Rule(INTEGER, "queue-version value", lowest=1, highest=2, operator=True),
    "overflow": _Rule(
        TEXT,
        "overflow value",
        choices=("drop-head", "reject-publish", "reject-publish-dlx"),
        operator=True,
    ),
    "delivery-limit": _Rule(INTEGER, "delivery limit", lowest=_UNLIMITED, operator=True),
    "max-age": _Rule(TEXT, "max age"),
    "queue-leader-locator": _Rule(
        TEXT,
        "queue leader locator value",
        choices=("client-local", "balanced", "random", "least-leaders"),
    ),
    "initial-cluster-size": _Rule(INTEGER, "cluster size"),
    "target-group-size": _Rule(INTEGER, "target group size", operator=True),
    "stream-max-segment-size-bytes": _Rule(INTEGER, "segment size", highest=3_000_000_000),
    "stream-filter-size-bytes": _Rule(
        INTEGER, "filter size. Valid range is 16-255", lowest=16, highest=255
    ),
    "delayed-retry-type": _Rule(TEXT, "delayed retry type"),
    "delayed-retry-min": _Rule(INTEGER, "delayed retry minimum"),
    "delayed-retry-max": _Rule(INTEGER, "delayed retry maximum"),
    # Taken and without effect: mirroring is no matter of one node, federation is a plugin.
    "queue-master-locator": _Rule(TEXT, "queue master locator"),
    "ha-mode": _Rule(TEXT, "ha-mode", operator=True),
    "ha-params": _Rule(ANYTHING, "", operator=True),
    "ha-sync-mode": _Rule(TEXT, "ha-sync-mode", operator=True),
    "ha-sync-batch-size": _Rule(INTEGER, "ha-sync-batch-size", operator=True),
    "ha-promote-on-shutdown": _Rule(TEXT, "ha-promote-on-shutdown", operator=True),
    "ha-promote-on-failure": _Rule(TEXT, "ha-promote-on-failure", operator=True),
    "federation-upstream": _Rule(TEXT, "federation upstream"),
    "federation-upstream-set": _Rule(TEXT, "federation upstream set"),
    "federation-upstream-pattern": _Rule(TEXT, "federation upstream pattern"),
}

# Known up to RabbitMQ 3.13.
MIRRORING: Final = (
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-sync-batch-size",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
)


def fault_of(value: object, *, operator: bool, mirrors: bool = True) -> str:
    """Say what is wrong with a whole policy, as the value of its parameter; "" if nothing is."""
    if not isinstance(value, dict):
        return f"{erlang(value)} is no policy"
    apply_to = value.get("apply-to", policy.ALL)
    if apply_to not in policy.APPLY_TO:
        return (
            f"apply-to '{apply_to}' unrecognised; should be one of: 'queues', 'classic_queues', "
            " 'quorum_queues', 'streams', 'exchanges', or 'all'"
        )
    priority = value.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        return f"priority should be a number, actually was {erlang(priority)}"
    if not isinstance(value.get("pattern"), str):
        return f"pattern should be a binary but was {erlang(value.get('pattern'))}"
    for key in value:
        if key not in ("apply-to", "priority", "pattern", "definition"):
            return f"Unrecognised terms [{{{erlang(key)},{erlang(value[key])}}}] in policy"
    return definition_fault(value.get("definition"), operator=operator, mirrors=mirrors)


def definition_fault(definition: object, *, operator: bool, mirrors: bool = True) -> str:
    """Say what is wrong with a definition; "" if nothing is. With `mirrors` ha-* is known."""
    if not isinstance(definition, dict):
        return f"definition must be a dictionary: {erlang(definition)}"
    if not definition:
        return "no policy provided"
    unknown: list[str] = []
    for key, value in definition.items():
        rule = RULES.get(key)
        if rule is None or (operator and not rule.operator) or (key in MIRRORING and not mirrors):
            unknown.append(f"{{{erlang(key)},{erlang(value)}}}")
        elif not rule.allows(value):
            return f"{erlang(value)} is not a valid {rule.called}"
        elif key == "max-age" and age_fault(str(value)):
            return f"{erlang(value)} is not a valid {rule.called}"
    if unknown:
        return f"[{','.join(unknown)}] are not recognised policy settings"
    return ""


def policy_of(name: str, value: object) -> Policy:
    """Make a policy of its parameter's value, which is sound."""
    assert isinstance(value, dict)
    priority, definition = value.get("priority", 0), value["definition"]
    assert isinstance(priority, int) and isinstance(definition, dict)
    return Policy(
        name,
        str(value["pattern"]),
        str(value.get("apply-to", policy.ALL)),
        priority,
        fields_of(definition),
    )


def fields_of(values: dict[str, object]) -> Table:
    """Make a field table of a JSON object, as RabbitMQ does of arguments in definitions."""
    return {str(key): field_of(value) for key, value in values.items()}


def field_of(value: object) -> Field:
    """Make a field of a JSON value. O(size), and as deep as JSON's parser lets it be.

    Raises ValueError for an integer of more than 64 bits.
    """
    if value is None:
        return Field("V", None)
    if isinstance(value, bool):
        return tables.boolean(value)
    if isinstance(value, int):
        if not _UNLIMITED <= value <= _I64_MAX:
            raise ValueError(f"{value} has more than 64 bits")
        return tables.long(value)
    if isinstance(value, float):
        return Field("d", value)
    if isinstance(value, str):
        return tables.longstr(value)
    if isinstance(value, list):
        return tables.array([field_of(item) for item in value])
    assert isinstance(value, dict)
    return tables.table(fields_of(value))


def erlang(value: object) -> str:
    """Write a JSON value as the Erlang term that RabbitMQ's texts show."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'<<"{escaped}">>'
    if isinstance(value, list):
        return "[" + ",".join([erlang(item) for item in value]) + "]"
    if isinstance(value, dict):
        pairs = [f"{erlang(key)} => {erlang(item)}" for key, item in value.items()]
        return "#{" + ",".join(pairs) + "}"
    return str(value)
