"""Comparisons that say what was wrong, refusals that were expected, and time limits."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Final

SHOWN_MAX: Final = 120  # characters of a value in a reason
WAIT_S: Final = 10.0  # for anything that must come; milliseconds on a healthy machine
TIDY_S: Final = 5.0  # for cleaning up, after the scenario's own time
AGAIN_S: Final = 1.0  # until the limit strikes again, if a library swallowed the first


class Failed(Exception):
    """What was seen is not what must be seen; the text says both."""


class TimeIsUp(Exception):
    """The scenario's time limit has passed."""


class Patience:
    """How long to wait for something: `left` is the time to give to the library's next wait."""

    def __init__(self, what: str, limit_s: float = WAIT_S) -> None:
        self._what = what
        self._limit_s = limit_s
        self._until = time.monotonic() + limit_s

    def left(self) -> float:
        """The time left (s). Raises Failed if there is none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise Failed(f"waited {self._limit_s:g} s for {self._what}")
        return left


def equal(seen: object, expected: object, what: str) -> None:
    """Raise Failed unless `seen` is `expected`, as `same` defines it."""
    if not same(seen, expected):
        raise Failed(f"{what}: {_difference(seen, expected)}")


def holds(fact: bool, what: str) -> None:
    """Raise Failed unless `fact` holds; `what` says what was seen instead."""
    if not fact:
        raise Failed(what)


def same(seen: object, expected: object) -> bool:
    """Whether two values are the same to AMQP: a bool is no integer, an integer no float, bytes
    no text, at any depth; naive times are UTC."""
    if isinstance(expected, Mapping):
        return (
            isinstance(seen, Mapping)
            and seen.keys() == expected.keys()
            and all(same(seen[key], value) for key, value in expected.items())
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(seen, list | tuple)
            and len(seen) == len(expected)
            and all(same(one, other) for one, other in zip(seen, expected, strict=True))
        )
    if isinstance(expected, datetime) and isinstance(seen, datetime):
        return _utc(seen) == _utc(expected)
    return _kind(seen) is _kind(expected) and seen == expected


def shown(value: object) -> str:
    """`value` as it appears in a reason: its repr, cut."""
    text = repr(value)
    if len(text) <= SHOWN_MAX:
        return text
    size = f" ({len(value)} in all)" if isinstance(value, bytes | str | Sequence) else ""
    return f"{text[:SHOWN_MAX]}...{size}"


def inequivalent_durable(queue: str, vhost: str) -> str:
    """The text that the scenario precondition-failed asks for."""
    return (
        f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '{vhost}': "
        "received 'false' but current is 'true'"
    )


def refusal(code: int, seen: int | None, text: str) -> str:
    """Check the reply code of a refusal; returns its text, for those who check that too."""
    if seen != code:
        raise Failed(f"expected the broker to refuse with {code}, it said {seen} {text}".rstrip())
    return text


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Raise TimeIsUp in the main thread when the block takes longer than `limit_s`.

    It interrupts a library that waits for a socket; asyncio clients use asyncio.timeout.
    """

    def strike(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp(f"not done within {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tidy(close: Callable[[], None]) -> None:
    """Clean up, within TIDY_S. Trouble there is not the scenario's, which has its result."""
    try:
        with within(TIDY_S):
            close()
    except Exception as error:
        untidy(error)


def untidy(error: Exception) -> None:
    """Tell of trouble in cleaning up."""
    print(f"could not clean up: {error!r}", file=sys.stderr, flush=True)


def _difference(seen: object, expected: object) -> str:
    """Where two values differ: of long lists the place, else both values."""
    whole = f"expected {shown(expected)}, got {shown(seen)}"
    if not (isinstance(seen, list) and isinstance(expected, list)) or "..." not in whole:
        return whole
    for index, (one, other) in enumerate(zip(seen, expected, strict=False)):
        if not same(one, other):
            return f"item {index}: expected {shown(other)}, got {shown(one)}"
    return f"expected {len(expected)} items, got {len(seen)}"


def _utc(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _kind(value: object) -> type:
    """The type that counts: libraries have subclasses of int and str of their own."""
    for kind in (bool, int, float, str, datetime):
        if isinstance(value, kind):
            return kind
    return bytes if isinstance(value, bytes | bytearray | memoryview) else type(value)
