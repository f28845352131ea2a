"""Arguments of queues and consumers: which each type of queue knows, and what they may hold.

The texts are those of RabbitMQ, Erlang terms included (RabbitMQ: queues, optional arguments). What
no type knows is kept and shown but neither checked nor compared; what only another type knows is
refused. `ArgumentRules` has the tables for one profile: RabbitMQ's versions differ a little.
"""

from typing import Final

from amqpd import errors
from amqpd.core.age import age_fault
from amqpd.profile import Profile
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

INTEGER: Final = 0
BOOLEAN: Final = 1
TEXT: Final = 2
NAME: Final = 3  # text, whose type error has a wording of its own
ANYTHING: Final = 4  # known, and so compared, but not checked
VERSION: Final = 5  # an integer of few values
AGE: Final = 6  # text such as 7D

TEN_YEARS_MS: Final = 315360000000

CLASSIC: Final = "classic"
QUORUM: Final = "quorum"
STREAM: Final = "stream"
TYPES: Final = (CLASSIC, QUORUM, STREAM)

_LOCATORS: Final = ("client-local", "balanced", "random", "least-leaders")


class Rule:
    """What one argument may hold: its kind, bounds of an integer, choices of a text."""

    def __init__(
        self,
        kind: int,
        *,
        lowest: int = 0,
        highest: int = -1,
        over: str = "value_too_large",
        choices: tuple[str, ...] = (),
        otherwise: str = "",
    ) -> None:
        self.kind: Final = kind
        self.lowest: Final = lowest
        self.highest: Final = highest
        self.over: Final = over
        self.choices: Final = choices
        self.otherwise: Final = otherwise


Rules = dict[str, Rule]

_TYPE: Final = Rule(TEXT, choices=TYPES, otherwise="\"unsupported queue type '{}'\"")

# In the order in which RabbitMQ checks them.
_ALL: Final[Rules] = {
    "x-expires": Rule(INTEGER, lowest=1, highest=TEN_YEARS_MS),
    "x-message-ttl": Rule(INTEGER, highest=TEN_YEARS_MS),
    "x-dead-letter-exchange": Rule(NAME),
    "x-dead-letter-routing-key": Rule(TEXT),
    "x-dead-letter-strategy": Rule(
        TEXT, choices=("at-most-once", "at-least-once"), otherwise="invalid_dlx_strategy"
    ),
    "x-max-length": Rule(INTEGER),
    "x-max-length-bytes": Rule(INTEGER),
    "x-max-in-memory-length": Rule(INTEGER),
    "x-max-in-memory-bytes": Rule(INTEGER),
    "x-max-priority": Rule(INTEGER, highest=255, over="max_value_exceeded"),
    "x-overflow": Rule(
        TEXT,
        choices=("drop-head", "reject-publish", "reject-publish-dlx"),
        otherwise="invalid_overflow",
    ),
    "x-queue-mode": Rule(
        TEXT, choices=("default", "lazy"), otherwise="\"unsupported queue mode '{}'\""
    ),
    "x-queue-version": Rule(VERSION),
    "x-single-active-consumer": Rule(BOOLEAN),
    "x-queue-type": _TYPE,
    "x-quorum-initial-group-size": Rule(INTEGER, lowest=1),
    "x-max-age": Rule(AGE),
    "x-stream-max-segment-size-bytes": Rule(INTEGER),
    "x-initial-cluster-size": Rule(INTEGER, lowest=1),
    "x-queue-leader-locator": Rule(TEXT, choices=_LOCATORS, otherwise="invalid_queue_locator_arg"),
    "x-queue-master-locator": Rule(TEXT),
    "x-delivery-limit": Rule(ANYTHING),
}
_NEW: Final[Rules] = {
    "x-consumer-timeout": Rule(INTEGER),
    "x-consumer-disconnected-timeout": Rule(INTEGER),
    "x-stream-filter-size-bytes": Rule(INTEGER),
    "x-delayed-retry-type": Rule(ANYTHING),
    "x-delayed-retry-min": Rule(ANYTHING),
    "x-delayed-retry-max": Rule(ANYTHING),
}

_OF_CLASSIC: Final = (
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-queue-master-locator",
)
_OF_QUORUM: Final = (
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
)
_OF_STREAM: Final = (
    "x-max-length-bytes",
    "x-queue-type",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
)
_NEW_OF_QUORUM: Final = (
    "x-consumer-timeout",
    "x-consumer-disconnected-timeout",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
)
_NEW_OF_STREAM: Final = ("x-stream-filter-size-bytes",)

# Arguments of consumers.
PRIORITY: Final = "x-priority"
HA_FAILOVER: Final = "x-cancel-on-ha-failover"
CONSUMER_TIMEOUT: Final = "x-consumer-timeout"
_OF_STREAM_CONSUMERS: Final = ("x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered")


def type_of(arguments: Table) -> str:
    """Return the type of queue that arguments ask for; one that is no type counts as classic."""
    field = arguments.get("x-queue-type")
    named = tables.text(field) if field is not None and field.tag == "S" else CLASSIC
    return named if named in TYPES else CLASSIC


def text_of(arguments: Table, key: str) -> str | None:
    """Return the value of an argument that is a text, None if it is absent or is none."""
    field = arguments.get(key)
    return tables.text(field) if field is not None and field.tag == "S" else None


def timeout_of(arguments: Table) -> int:
    """Return the delivery timeout that a queue or consumer has of its own (ms), -1 if none."""
    field = arguments.get(CONSUMER_TIMEOUT)
    timeout_ms = tables.integer(field) if field is not None else None
    return -1 if timeout_ms is None else max(0, timeout_ms)


class ArgumentRules:
    """What the queues and consumers of one RabbitMQ version may be told."""

    def __init__(self, profile: Profile) -> None:
        self._versions: Final = profile.queue_versions
        classic, quorum, stream = list(_OF_CLASSIC), list(_OF_QUORUM), list(_OF_STREAM)
        rules = dict(_ALL)
        consumer = [PRIORITY]
        stream_consumer = list(_OF_STREAM_CONSUMERS)
        if profile.classic_leader_locator:
            classic.append("x-queue-leader-locator")
        if not profile.checks_queue_mode:
            rules["x-queue-mode"] = Rule(ANYTHING)
        if profile.newest_quorum:
            rules |= _NEW
            quorum += _NEW_OF_QUORUM
            stream += _NEW_OF_STREAM
        self._rules: Final[dict[str, Rules]] = {}
        for name, known in ((CLASSIC, classic), (QUORUM, quorum), (STREAM, stream)):
            self._rules[name] = {key: rule for key, rule in rules.items() if key in known}
        self._compared: Final = {CLASSIC: classic, QUORUM: quorum, STREAM: stream}
        self._everything: Final = set(rules)
        quorum_consumer = list(consumer)
        if profile.ha_failover:
            consumer.append(HA_FAILOVER)
        if profile.newest_quorum:
            quorum_consumer.append(CONSUMER_TIMEOUT)
        self._consumer: Final[dict[str, list[str]]] = {
            CLASSIC: consumer,
            QUORUM: quorum_consumer,
            STREAM: stream_consumer,
        }

    # -- queues ----------------------------------------------------------------------------------

    def check_queue(self, name: str, vhost: str, arguments: Table) -> None:
        """Raise SoftError 406 for the first argument that breaks its rule."""
        target = arguments.get("x-dead-letter-exchange")
        if target is not None and target.tag != "S":
            key, kind = "x-dead-letter-exchange", tables.type_name(target.tag)
            raise errors.invalid_queue_argument_type(kind, key, name, vhost)
        self._check(_TYPE, "x-queue-type", name, vhost, arguments)
        queue_type = type_of(arguments)
        known = self._rules[queue_type]
        for key, rule in known.items():
            self._check(rule, key, name, vhost, arguments)
            if key == "x-dead-letter-routing-key" and key in arguments and target is None:
                raise errors.invalid_argument(key, name, vhost, "routing_key_but_no_dlx_defined")
        for key in arguments:
            if key not in known and key in self._everything:
                raise errors.argument_of_other_type(key, name, vhost, queue_type)

    def _check(self, rule: Rule, key: str, name: str, vhost: str, arguments: Table) -> None:
        field = arguments.get(key)
        if field is not None:
            fault = self._fault(rule, field)
            if fault:
                raise errors.invalid_argument(key, name, vhost, fault)

    def _fault(self, rule: Rule, field: Field) -> str:
        """Return why a value breaks its rule, as an Erlang term; "" if it does not."""
        kind = rule.kind
        if kind == ANYTHING:
            return ""
        if kind == INTEGER or kind == VERSION:
            number = tables.integer(field)
            if number is None:
                return f'"expected integer, got {tables.type_name(field.tag)}"'
            if number < 0:
                return f"{{value_negative,{number}}}"
            if kind == VERSION:
                return "" if number in self._versions else _unsupported_version(number)
            if number < rule.lowest:
                return f"{{value_zero,{number}}}"
            if rule.highest >= 0 and number > rule.highest:
                return f"{{{rule.over},{number}}}"
            return ""
        wanted = "t" if kind == BOOLEAN else "S"
        if field.tag != wanted:
            return f"{{unacceptable_type,{tables.type_name(field.tag)}}}"
        if kind == AGE:
            return age_fault(tables.text(field))
        if rule.choices and tables.text(field) not in rule.choices:
            return rule.otherwise.replace("{}", tables.text(field))
        return ""

    def check_queue_equal(self, name: str, vhost: str, received: Table, current: Table) -> None:
        """Raise SoftError 406 for the first argument known to the queue that differs."""
        for key in self._compared[type_of(current)]:
            asked, held = received.get(key), current.get(key)
            if key == "x-queue-type" and _is_classic(asked) and _is_classic(held):
                continue  # absent is the same
            check_equal(key, "queue", name, vhost, asked, held)

    # -- consumers -------------------------------------------------------------------------------

    def check_consumer(self, name: str, vhost: str, queue_type: str, arguments: Table) -> None:
        """Raise SoftError 406 for the first argument of a consumer that breaks its rule."""
        known = self._consumer[queue_type]
        for key in known:
            field = arguments.get(key)
            if field is None:
                continue
            fault = ""
            if key == HA_FAILOVER:
                fault = self._fault(Rule(BOOLEAN), field)
            elif key == CONSUMER_TIMEOUT:
                fault = self._fault(Rule(INTEGER), field)
            elif key == PRIORITY and tables.integer(field) is None:
                fault = f'"expected integer, got {tables.type_name(field.tag)}"'
            if fault:
                raise errors.invalid_argument(key, name, vhost, fault)
        for key in arguments:
            if key not in known and any([key in others for others in self._consumer.values()]):
                raise errors.argument_of_other_type(key, name, vhost, queue_type)


def _unsupported_version(number: int) -> str:
    return f"\"unsupported queue version '{number}'\""


def _is_classic(field: Field | None) -> bool:
    return field is None or (field.tag == "S" and tables.text(field) == CLASSIC)


def check_equal(
    key: str, kind: str, name: str, vhost: str, asked: Field | None, held: Field | None
) -> None:
    """Raise SoftError 406 if an argument differs between a declare and what exists."""
    if asked is None and held is None:
        return
    if asked is None:
        assert held is not None
        raise errors.inequivalent(key, kind, name, vhost, "none", _described(held))
    if held is None:
        raise errors.inequivalent(key, kind, name, vhost, _described(asked), "none")
    if _class_of(asked) != _class_of(held) or asked.value != held.value:
        raise errors.inequivalent(key, kind, name, vhost, f"'{_shown(asked)}'", f"'{_shown(held)}'")


def _class_of(field: Field) -> str:
    """All integer tags are alike, both floats, and long strings and binaries."""
    if tables.integer(field) is not None:
        return "l"
    if field.tag == "f":
        return "d"
    return "S" if field.tag == "x" else field.tag


def _shown(field: Field) -> str:
    if field.tag == "S" or field.tag == "x":
        return tables.text(field)
    if field.tag == "t":
        return "true" if field.value else "false"
    return str(field.value)


def _described(field: Field) -> str:
    return f"the value '{_shown(field)}' of type '{tables.type_name(field.tag)}'"
