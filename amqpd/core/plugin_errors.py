"""Reply texts of the exchange types that are plugins in RabbitMQ, as those word them."""

from typing import Final

from amqpd.errors import PRECONDITION_FAILED, SoftError
from amqpd.wire.tables import Field

_LENGTH: Final = "x-recent-history-length"
_ESCAPES: Final = {
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    27: b"\\e",
    34: b'\\"',
    92: b"\\\\",
    127: b"\\d",
}


def erlang_binary(text: str) -> str:
    """Write a text as Erlang writes a binary: quoted, if all of it can be printed."""
    octets = text.encode("utf-8", "surrogateescape")
    shown = b""
    for octet in octets:
        if octet in _ESCAPES:
            shown += _ESCAPES[octet]
        elif octet < 32 or 127 <= octet < 160:
            return f"<<{','.join([str(each) for each in octets])}>>"
        else:
            shown += bytes((octet,))
    quoted = shown.decode("utf-8", "surrogateescape")
    return f'<<"{quoted}">>' if quoted else "<<>>"


def weight_too_low() -> SoftError:
    """A binding of a consistent hash exchange with a weight below 1."""
    return SoftError(PRECONDITION_FAILED, "The binding key must be greater than 0")


def weight_invalid(key: str) -> SoftError:
    """A binding of a consistent hash exchange whose key is no integer."""
    return SoftError(
        PRECONDITION_FAILED, f"The binding key must be an integer: {erlang_binary(key)}"
    )


def hash_sources_exclusive() -> SoftError:
    """A consistent hash exchange that is to hash both a header and a property."""
    return SoftError(PRECONDITION_FAILED, "hash-header and hash-property are mutually exclusive")


def unsupported_hash_property(name: str) -> SoftError:
    """A consistent hash exchange that is to hash a property that it cannot."""
    return SoftError(PRECONDITION_FAILED, f"Unsupported property: {name}")


def binding_key_not_empty(key: str) -> SoftError:
    """A binding of a local random exchange with a key."""
    return SoftError(PRECONDITION_FAILED, f"Non empty binding '{key}' key not permitted")


def queue_type_not_valid(queue_type: str) -> SoftError:
    """A local random exchange bound to a queue that is not a classic one."""
    return SoftError(
        PRECONDITION_FAILED,
        f"Queue type rabbit_{queue_type}_queue not valid for this exchange type",
    )


def destination_not_found() -> SoftError:
    """A local random exchange bound to an exchange."""
    return SoftError(PRECONDITION_FAILED, "Destination not found")


def no_delayed_type() -> SoftError:
    """A delayed message exchange that is not told a type to route by."""
    return SoftError(
        PRECONDITION_FAILED,
        "Invalid argument, 'x-delayed-type' must be an existing exchange type",
    )


def invalid_history_length(field: Field) -> SoftError:
    """A recent history exchange that is to remember no number of messages."""
    value = field.value
    if isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, bytes):
        shown = erlang_binary(value.decode("utf-8", "surrogateescape"))
    else:
        shown = "undefined" if value is None else str(value)
    return SoftError(
        PRECONDITION_FAILED,
        f"Invalid argument {shown}, '{_LENGTH}' must be a positive integer",
    )


def invalid_cache_size() -> SoftError:
    """A deduplicating exchange that is not told how much to remember."""
    return SoftError(
        PRECONDITION_FAILED,
        "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
    )


def invalid_cache_ttl() -> SoftError:
    """A deduplicating exchange that is to remember for no time."""
    return SoftError(
        PRECONDITION_FAILED, "Invalid argument, 'x-cache-ttl' must be an integer greater than 0"
    )


def invalid_cache_persistence() -> SoftError:
    """A deduplicating exchange that is to remember in an unknown place."""
    return SoftError(
        PRECONDITION_FAILED,
        "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'",
    )


def no_jms_exchange(kind: str) -> SoftError:
    """A declare of the exchange type of RabbitMQ's JMS plugin."""
    return SoftError(
        PRECONDITION_FAILED,
        f"exchange type '{kind}' is not supported: JMS selectors are not evaluated here",
    )
