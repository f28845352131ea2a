"""One rule asked of a broker: what was expected, what came."""

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from interop.address import Address
from interop.rules.book import Rule
from interop.script.language import show_step
from interop.script.player import Outcome, Player
from interop.wire.connection import Closing, Gone, Refused, Silence

KEEPS: Final = "keeps"  # the broker does what the rule says
DEVIATES: Final = "deviates"  # as RabbitMQ, and neither keeps the rule
FAILS: Final = "fails"  # something else came than was expected
ELSEWHERE: Final = "elsewhere"  # the rule is shown by a test, or a reason says why nothing can


@dataclass
class Verdict:
    """What became of a rule at one broker."""

    rule: Rule
    result: str
    dialogue: list[str] = field(default_factory=list)  # the whole of it if the rule failed


def judge(rule: Rule, address: Address) -> Verdict:
    """Play a rule's script; any line that was not expected, or did not come, fails it."""
    if rule.elsewhere:
        return Verdict(rule, ELSEWHERE)
    try:
        outcomes = _play(rule, address)
    except (OSError, Refused, Silence, Gone, Closing, ValueError) as error:
        return Verdict(rule, FAILS, [f"{type(error).__name__}: {error}"])
    fails = False
    dialogue: list[str] = []
    for expected, outcome in zip(rule.script, outcomes, strict=False):
        dialogue.append(show_step(expected.step))
        lines, is_same = compare(expected.lines, outcome.lines)
        dialogue += lines
        fails = fails or not is_same
    if fails:
        return Verdict(rule, FAILS, dialogue)
    return Verdict(rule, DEVIATES if rule.deviates else KEEPS)


def _play(rule: Rule, address: Address) -> list[Outcome]:
    """Play steps until one brings something else than was expected."""
    player = Player(address, f"interop.{secrets.token_hex(3)}.")
    outcomes = []
    try:
        for expected in rule.script:
            outcomes.append(player.play(expected.step))
            if not compare(expected.lines, outcomes[-1].lines)[1]:
                break
    finally:
        player.close()
    return outcomes


def compare(expected: list[str], seen: list[str]) -> tuple[list[str], bool]:
    """Lines of both, then - those only expected, + those only seen; and whether all are both."""
    lines = []
    left = list(seen)
    missing = []
    for wanted in expected:
        found = next((line for line in left if matches(wanted, line)), None)
        if found is None:
            missing.append(f"  - {wanted}")
        else:
            left.remove(found)
            lines.append(f"    {found}")
    return [*lines, *missing, *(f"  + {line}" for line in left)], not missing and not left


def matches(wanted: str, line: str) -> bool:
    """Whether a line is the wanted one, in which a * stands for anything; ` | ` gives a choice."""
    if " | " in wanted:
        return any(matches(one, line) for one in wanted.split(" | "))
    if "*" not in wanted:
        return wanted == line
    pattern = ".*".join(map(re.escape, wanted.split("*")))
    return re.fullmatch(pattern, line) is not None
