"""Queue arguments: one table, one row per argument that means something.

The texts are those of RabbitMQ, Erlang terms included (RabbitMQ: queues, optional arguments). An
argument that is not in the table is kept and shown but neither checked nor compared.
"""

from typing import Final

from amqpd import errors
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

INTEGER: Final = 0
BOOLEAN: Final = 1
TEXT: Final = 2
NAME: Final = 3  # text, whose type error has a wording of its own

TEN_YEARS_MS: Final = 315360000000

_CLASSIC_TYPE: Final = tables.longstr("classic")


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


CLASSIC: Final[dict[str, Rule]] = {
    "x-queue-type": Rule(TEXT, choices=("classic",), otherwise="\"unsupported queue type '{}'\""),
    "x-expires": Rule(INTEGER, lowest=1, highest=TEN_YEARS_MS),
    "x-message-ttl": Rule(INTEGER, highest=TEN_YEARS_MS),
    "x-dead-letter-exchange": Rule(NAME),
    "x-dead-letter-routing-key": Rule(TEXT),
    "x-max-length": Rule(INTEGER),
    "x-max-length-bytes": Rule(INTEGER),
    "x-max-priority": Rule(INTEGER, highest=255, over="max_value_exceeded"),
    "x-overflow": Rule(
        TEXT,
        choices=("drop-head", "reject-publish", "reject-publish-dlx"),
        otherwise="invalid_overflow",
    ),
    "x-queue-mode": Rule(
        TEXT, choices=("default", "lazy"), otherwise="\"unsupported queue mode '{}'\""
    ),
    "x-queue-version": Rule(INTEGER, lowest=1, highest=2),
    "x-single-active-consumer": Rule(BOOLEAN),
    "x-queue-master-locator": Rule(TEXT),
    "x-queue-leader-locator": Rule(
        TEXT,
        choices=("client-local", "balanced", "random", "least-leaders", "min-masters"),
        otherwise="invalid_queue_locator_arg",
    ),
}


def _fault(rule: Rule, key: str, field: Field) -> str:
    """Return why a value breaks its rule, as an Erlang term; "" if it does not."""
    if rule.kind == INTEGER:
        number = tables.integer(field)
        if number is None:
            return f'"expected integer, got {tables.type_name(field.tag)}"'
        if key == "x-queue-version" and not 1 <= number <= 2:
            return f"\"unsupported queue version '{number}'\""
        if number < 0:
            return f"{{value_negative,{number}}}"
        if number < rule.lowest:
            return f"{{value_zero,{number}}}"
        if rule.highest >= 0 and number > rule.highest:
            return f"{{{rule.over},{number}}}"
        return ""
    wanted = "t" if rule.kind == BOOLEAN else "S"
    if field.tag != wanted:
        return f"{{unacceptable_type,{tables.type_name(field.tag)}}}"
    if rule.choices and tables.text(field) not in rule.choices:
        return rule.otherwise.replace("{}", tables.text(field))
    return ""


def queue_type(arguments: Table) -> str:
    """Return the type of a queue that was declared with these arguments."""
    field = arguments.get("x-queue-type")
    return tables.text(field) if field is not None and field.tag == "S" else "classic"


def check_queue(name: str, vhost: str, arguments: Table) -> None:
    """Raise SoftError 406 for the first argument that breaks its rule."""
    for key, rule in CLASSIC.items():
        field = arguments.get(key)
        if field is None:
            continue
        if rule.kind == NAME and field.tag != "S":
            raise errors.invalid_queue_argument_type(tables.type_name(field.tag), key, name, vhost)
        fault = _fault(rule, key, field)
        if fault:
            raise errors.invalid_argument(key, name, vhost, fault)
    if "x-dead-letter-routing-key" in arguments and "x-dead-letter-exchange" not in arguments:
        raise errors.invalid_argument(
            "x-dead-letter-routing-key", name, vhost, "routing_key_but_no_dlx_defined"
        )


def check_queue_equal(name: str, vhost: str, received: Table, current: Table) -> None:
    """Raise SoftError 406 for the first known argument in which two declares differ."""
    for key in CLASSIC:
        asked, held = received.get(key), current.get(key)
        if key == "x-queue-type":  # absent means classic
            asked, held = asked or _CLASSIC_TYPE, held or _CLASSIC_TYPE
        check_equal(key, "queue", name, vhost, asked, held)


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
