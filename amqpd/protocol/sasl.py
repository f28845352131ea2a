"""What a client says to log in: the responses of PLAIN, AMQPLAIN and EXTERNAL (spec 1.4.2.3).

    PLAIN (RFC 4616)   ┌───┬──────┬───┬──────────┐
                       │ 0 │ user │ 0 │ password │    an authorisation identity ahead is refused
                       └───┴──────┴───┴──────────┘
    AMQPLAIN           ┌──────────────────────────┐
                       │ entries of a field table │    LOGIN and PASSWORD, no length ahead
                       └──────────────────────────┘

Names and passwords are octets on the wire; what is not UTF-8 is carried by surrogates and equals
no name that a user can have. Error texts never hold what the client sent: it may be a password.
"""

from amqpd.wire import tables
from amqpd.wire.tables import Field, Malformed


class BadResponse(ValueError):
    """A response that its mechanism cannot read; the session closes without a word, as RabbitMQ."""


def plain(response: bytes) -> tuple[str, str]:
    """Read a PLAIN response. Returns (user, password).

    Raises BadResponse unless it is exactly two parts, each behind a NUL.
    """
    parts = response.split(b"\0")
    if len(parts) != 3 or parts[0]:
        raise BadResponse("response of mechanism PLAIN invalid")
    return _text(parts[1]), _text(parts[2])


def amqplain(response: bytes) -> tuple[str, str]:
    """Read an AMQPLAIN response. Returns (user, password).

    Raises BadResponse unless it is table entries with a string LOGIN and a string PASSWORD.

    Deviation: two binaries are as good as two long strings; RabbitMQ wants one long string.
    """
    try:
        entries = tables.decode_entries(response, 0, len(response))
    except Malformed:
        raise BadResponse("response of mechanism AMQPLAIN is no field table") from None
    return _string(entries.get("LOGIN")), _string(entries.get("PASSWORD"))


def external(certificate_name: str) -> tuple[str, bool]:
    """Log in by what TLS proved; the response does not matter. Returns (user, whether one is).

    Without a verified certificate (name "") the login is refused, not malformed.
    """
    return certificate_name, certificate_name != ""


def _string(field: Field | None) -> str:
    value = None if field is None else field.value
    if not isinstance(value, bytes):
        raise BadResponse("response of mechanism AMQPLAIN lacks a LOGIN or PASSWORD string")
    return _text(value)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
