"""What the value of a setting may look like; each kind is a function from text to a typed value.

A parser raises ValueError with the words that follow "expected": "a whole number of seconds". The
same words describe the value in error messages everywhere.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
Parser = Callable[[str], T]

# RabbitMQ (since 3.13) and Kubernetes: K, KB and their kin are powers of 1000, Ki and KiB of 1024.
_SIZE: Final = re.compile(r"([0-9]+)\s*(?:([kmgtp])(i?)b?|b)?", re.IGNORECASE)
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION: Final = re.compile(r"([0-9]+)\s*(ms|s|m|h)?")
_DURATION_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_SWITCHES: Final = {"true": True, "on": True, "false": False, "off": False}
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::([0-9]+))?")

PORT_MAX: Final = 65535


def text(value: str) -> str:
    """Any text."""
    return value


def secret(value: str) -> str:
    """A password in the clear; RabbitMQ's encrypted ones cannot be read here."""
    if value.startswith("encrypted:"):
        raise ValueError("a password in the clear (values encrypted by RabbitMQ cannot be read)")
    return value


def filled(value: str) -> str:
    """Any text but an empty one."""
    if not value:
        raise ValueError("something that is not empty")
    return value


def pattern(value: str) -> str:
    """A regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    return value


def switch(value: str) -> bool:
    """On or off."""
    if value.lower() not in _SWITCHES:
        raise ValueError("true or false")
    return _SWITCHES[value.lower()]


def number(low: int, high: int, unit: str = "") -> Parser[int]:
    """A whole number from `low` to `high`."""
    expected = f"a whole number{' of ' + unit if unit else ''} from {low} to {high}"

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise ValueError(expected)
        return int(value)

    return parse


def bound(low: int, high: int) -> Parser[int]:
    """A whole number from `low` to `high`, or `infinity`, which is 0 for "no limit"."""
    plain = number(low, high)

    def parse(value: str) -> int:
        if value == "infinity":
            return 0
        try:
            return plain(value)
        except ValueError as error:
            raise ValueError(f"{error}, or infinity") from None

    return parse


def ratio(low: float, high: float) -> Parser[float]:
    """A decimal number from `low` to `high`."""

    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]*\.?[0-9]+", value) or not low <= float(value) <= high:
            raise ValueError(f"a decimal number from {low:g} to {high:g}")
        return float(value)

    return parse


def size(low: int, high: int) -> Parser[int]:
    """A number of bytes with an optional unit, from `low` to `high` bytes."""

    def parse(value: str) -> int:
        found = _SIZE.fullmatch(value)
        if found is None:
            raise ValueError("a size such as 131072, 50MB (50,000,000 bytes) or 64MiB")
        prefix = (found[2] or "").lower()
        unit: int = (1024 if found[3] else 1000) ** _POWERS.get(prefix, 0)
        count = int(found[1]) * unit
        if not low <= count <= high:
            raise ValueError(f"a size from {low} to {high} bytes")
        return count

    return parse


def duration_ms(low: int, high: int) -> Parser[int]:
    """A time from `low` to `high` (ms); a bare number is milliseconds."""

    def parse(value: str) -> int:
        found = _DURATION.fullmatch(value)
        if found is None or not low <= int(found[1]) * _DURATION_MS[found[2] or "ms"] <= high:
            raise ValueError(f"a time from {low}ms to {high}ms, such as 500ms, 10s or 5m")
        return int(found[1]) * _DURATION_MS[found[2] or "ms"]

    return parse


def timeout_ms(low: int, high: int) -> Parser[int]:
    """A time from `low` to `high` (ms), or a word of RabbitMQ's for none at all, which is 0."""
    plain = duration_ms(low, high)

    def parse(value: str) -> int:
        if value in ("undefined", "infinity", "false"):
            return 0
        try:
            return plain(value)
        except ValueError as error:
            raise ValueError(f"{error}, or undefined") from None

    return parse


def choice(*words: str) -> Parser[str]:
    """One of `words`."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return parse


def names(value: str) -> tuple[str, ...]:
    """Names separated by commas or spaces."""
    return tuple(word for word in re.split(r"[\s,]+", value) if word)


def address(value: str) -> tuple[str, int]:
    """Where to listen: a port, `host:port` or `[IPv6]:port`.

    Returns (host, port); host "" is every interface, which is what a port alone means.
    """
    host, _, port = value.rpartition(":")
    bracketed = _BRACKETED.fullmatch(value)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2] or ""
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > PORT_MAX:
        raise ValueError("a port, address:port or [IPv6 address]:port, such as 127.0.0.1:5672")
    return interface(host), int(port)


def interface(value: str) -> str:
    """An address of this machine to listen on; `*` is every interface, as "" is."""
    return "" if value == "*" else value.removeprefix("[").removesuffix("]")
