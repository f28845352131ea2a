"""The conformance index: its names, its scripts, and that amqpd keeps all of it."""

from collections.abc import Iterator

import pytest

from interop.address import Address, parse
from interop.rules import book
from interop.rules.book import BadBook, Rule
from interop.rules.judge import DEVIATES, ELSEWHERE, FAILS, KEEPS, compare, judge, matches
from interop.rules.table import render, summary

RULES = book.load()


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """amqpd behind a socket."""
    from tests.peers.embedded import embedded

    with embedded() as broker:
        yield parse(f"amqp://guest:guest@{broker.host}:{broker.port}/")


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_amqpd_keeps(rule: Rule, address: Address) -> None:
    verdict = judge(rule, address)
    assert verdict.result != FAILS, "\n".join(verdict.dialogue)


def test_there_are_some_three_hundred() -> None:
    assert len(RULES) > 300
    assert sum(not rule.name.startswith(("rabbitmq/", "protocol/")) for rule in RULES) >= 103


def test_a_rule_that_is_not_kept_shows_the_dialogue(address: Address) -> None:
    (rule,) = book.parse(
        "== rabbitmq/x MUST\nWords.\na1 queue.declare queue=~q passive\n    a1 < queue.declare-ok"
    )
    verdict = judge(rule, address)
    assert verdict.result == FAILS
    assert verdict.dialogue[1] == "  - a1 < queue.declare-ok"
    assert verdict.dialogue[2].startswith("  + a1 < channel.close reply-code=404")
    assert "rabbitmq/x fails" in render("broker", [verdict])
    assert summary([verdict]).startswith("1 rules: 0 kept")


def test_deviations_and_rules_that_are_shown_elsewhere(address: Address) -> None:
    rules = book.parse(
        "== a MUST deviates\nWords.\na1 open\n== b MAY\nMore\nwords.\nreason there is one"
    )
    assert [judge(rule, address).result for rule in rules] == [DEVIATES, ELSEWHERE]
    assert rules[1].words == "More words."
    assert KEEPS not in {DEVIATES, ELSEWHERE}


@pytest.mark.parametrize(
    "text",
    [
        "== a\nWords.\na1 open",
        "== a MUST\nWords.",
        "== a MUST\na1 open",
        "== a MUST\nWords.\na1 queue.dream",
        "a1 open",
    ],
)
def test_a_bad_book_is_refused(text: str) -> None:
    with pytest.raises(BadBook):
        book.parse(text)


@pytest.mark.parametrize(
    ("wanted", "line", "is_same"),
    [
        ("a b", "a b", True),
        ("a *", "a b c", True),
        ("a *c", "a b c", True),
        ("a *d", "a b c", False),
        ("x | a *", "a b", True),
        ("x | y", "a b", False),
    ],
)
def test_a_star_stands_for_anything(wanted: str, line: str, is_same: bool) -> None:
    assert matches(wanted, line) is is_same


def test_lines_may_come_in_any_order() -> None:
    assert compare(["a", "b"], ["b", "a"]) == (["    a", "    b"], True)
    assert compare(["a"], []) == (["  - a"], False)
    assert compare([], ["a"]) == (["  + a"], False)
