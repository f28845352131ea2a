"""What arguments make a queue do."""

import pytest

from amqpd.core.rules import (
    DROP_HEAD,
    NONE,
    REJECT_PUBLISH,
    REJECT_PUBLISH_DLX,
    Rules,
    priorities_of,
    rules_of,
)
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table


def rules(**arguments: Field) -> Rules:
    """Make rules; underscores stand for dashes."""
    made = rules_of({key.replace("_", "-"): value for key, value in arguments.items()})
    assert made is not None
    return made


@pytest.mark.parametrize(
    "arguments",
    [{}, {"x-queue-type": tables.longstr("classic")}, {"k": tables.long(1)}],
)
def test_most_queues_have_none(arguments: Table) -> None:
    assert rules_of(arguments) is None


def test_what_is_not_asked_for_is_none() -> None:
    made = rules(x_message_ttl=tables.long(5))
    assert made.ttl_ms == 5
    assert (made.expires_ms, made.length_max, made.bytes_max) == (NONE, NONE, NONE)
    assert (made.overflow, made.is_limited, made.single_active) == (DROP_HEAD, False, False)
    assert (made.dead_letter_exchange, made.dead_letter_key) == (None, None)


def test_nothing_is_a_limit() -> None:
    made = rules(x_message_ttl=tables.long(0), x_max_length=tables.long(0))
    assert (made.ttl_ms, made.length_max, made.is_limited) == (0, 0, True)


@pytest.mark.parametrize("key", ["x_max_length", "x_max_length_bytes"])
def test_either_limit_limits(key: str) -> None:
    made = rules(**{key: tables.long(7)})
    assert made.is_limited
    assert 7 in (made.length_max, made.bytes_max) and NONE in (made.length_max, made.bytes_max)


@pytest.mark.parametrize("tag", ["b", "B", "s", "u", "I", "i", "l"])
def test_integers_of_all_widths_are_numbers(tag: str) -> None:
    made = rules(x_expires=Field(tag, 9), x_max_length=Field(tag, 3))
    assert (made.expires_ms, made.length_max) == (9, 3)
    assert priorities_of({"x-max-priority": Field(tag, 4)}) == 4


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("drop-head", DROP_HEAD),
        ("reject-publish", REJECT_PUBLISH),
        ("reject-publish-dlx", REJECT_PUBLISH_DLX),
    ],
)
def test_overflow(text: str, wanted: int) -> None:
    made = rules(x_max_length=tables.long(1), x_overflow=tables.longstr(text))
    assert made.overflow == wanted


def test_an_empty_name_is_the_default_exchange() -> None:
    empty = tables.longstr("")
    made = rules(x_dead_letter_exchange=empty, x_dead_letter_routing_key=empty)
    assert (made.dead_letter_exchange, made.dead_letter_key) == ("", "")


@pytest.mark.parametrize("single", [True, False])
def test_single_active(single: bool) -> None:
    assert rules(x_single_active_consumer=Field("t", single)).single_active is single


@pytest.mark.parametrize("asked, wanted", [(0, 1), (1, 1), (10, 10), (255, 255)])
def test_priorities(asked: int, wanted: int) -> None:
    assert priorities_of({"x-max-priority": tables.long(asked)}) == wanted


def test_no_priorities() -> None:
    assert priorities_of({}) == 0
