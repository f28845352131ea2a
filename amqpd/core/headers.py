"""Does a message's header table fit the arguments of a binding? (spec 3.1.3.4)

The argument `x-match` says how: `all` (the default) and `any` look at the arguments whose names do
not begin with `x-`, `all-with-x` and `any-with-x` at all of them, `x-match` always excepted. With
nothing left to look at, `all` fits every message and `any` none.

A void argument asks only whether the header is there. Otherwise the values must be the same,
whatever their widths: integers and timestamps of all tags compare as integers, float and double as
floats, long string and binary as bytes; no other two types are ever equal (1 is not 1.0 nor true).
Arrays and tables are equal if their fields are, tags included.

Deviation: RabbitMQ up to 3.12 takes 1 and 1.0 for equal, and from 3.13 on compares timestamps in
other units; both are taken for mistakes there.
"""

from typing import Final

from amqpd import errors
from amqpd.wire import tables
from amqpd.wire.tables import Decimal, Field, Table

_ANY: Final = ("any", "any-with-x")
_WITH_X: Final = ("all-with-x", "any-with-x")
_MODES: Final = ("all", "any", "all-with-x", "any-with-x")

# Tags that hold the same kind of value; a tag that is not here is of a kind of its own.
_KINDS: Final = {
    "I": "integer",
    "i": "integer",
    "l": "integer",
    "L": "integer",
    "s": "integer",
    "u": "integer",
    "b": "integer",
    "B": "integer",
    "T": "integer",
    "f": "float",
    "d": "float",
    "S": "bytes",
    "x": "bytes",
}


class _Wanted:
    """One argument of a binding: the header that it names, and the value that it must have."""

    def __init__(self, name: str, field: Field) -> None:
        self.name: Final = name
        self.field: Final = field
        self.kind: Final = _KINDS.get(field.tag, field.tag)
        self.presence_only: Final = field.tag == "V"

    def accepts(self, header: Field) -> bool:
        """Say whether a header of this name has the right value."""
        if self.presence_only:
            return True
        if header.tag != self.field.tag and _KINDS.get(header.tag) != self.kind:
            return False
        return header.value == self.field.value


class HeadersMatch:
    """A binding's arguments, ready to be held against messages."""

    def __init__(self, needs_all: bool, wanted: list[_Wanted]) -> None:
        self._needs_all: Final = needs_all
        self._wanted: Final = wanted

    def matches(self, headers: Table | None) -> bool:
        """Say whether a message with these headers passes; None stands for no headers.

        O(arguments).
        """
        needs_all = self._needs_all
        if headers is None:
            return needs_all and not self._wanted
        for wanted in self._wanted:
            header = headers.get(wanted.name)
            if (header is not None and wanted.accepts(header)) != needs_all:
                return not needs_all
        return needs_all


def compile_match(arguments: Table) -> HeadersMatch:
    """Make a binding's arguments ready for matching.

    Raises SoftError 406 if `x-match` is not one of its four values.
    """
    mode = _mode(arguments)
    with_x = mode in _WITH_X
    wanted = [
        _Wanted(name, field)
        for name, field in arguments.items()
        if name != "x-match" and (with_x or not name.startswith("x-"))
    ]
    return HeadersMatch(mode not in _ANY, wanted)


def _mode(arguments: Table) -> str:
    field = arguments.get("x-match")
    if field is None:
        return "all"
    if field.tag != "S":
        raise errors.precondition_failed(
            f"Invalid x-match field type {tables.type_name(field.tag)} (value {_term(field)});"
            " expected longstr"
        )
    mode = tables.text(field)
    if mode not in _MODES:
        raise errors.precondition_failed(
            f"Invalid x-match field value {_term(field)};"
            " expected all, any, all-with-x, or any-with-x"
        )
    return mode


def _term(field: Field) -> str:
    """Write a value as Erlang does.

    Deviation: what is in an array or table is left out, and a float is written as Python does.
    """
    value = field.value
    if isinstance(value, bytes):
        return errors.octets(value)
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{{{value.scale},{value.unscaled}}}"
    if isinstance(value, dict) or isinstance(value, list):
        return "[...]" if value else "[]"
    return str(value)
