"""Rule × result, as text."""

from collections.abc import Sequence
from typing import Final

from interop.rules.judge import DEVIATES, ELSEWHERE, FAILS, KEEPS, Verdict

_WORDS: Final = {KEEPS: "ok", DEVIATES: "as RabbitMQ", FAILS: "FAIL", ELSEWHERE: "-"}


def render(title: str, verdicts: Sequence[Verdict]) -> str:
    """One broker's table: the rules by group, then the dialogue of each that failed."""
    width = max((len(verdict.rule.name) for verdict in verdicts), default=0)
    lines = [title, ""]
    for verdict in verdicts:
        rule = verdict.rule
        words = rule.elsewhere if verdict.result == ELSEWHERE else rule.words
        lines.append(
            f"  {rule.name:<{width}}  {rule.level:<8}  {_WORDS[verdict.result]:<11}  {words}"
        )
    for verdict in verdicts:
        if verdict.result == FAILS:
            lines += ["", f"  {verdict.rule.name} fails (- expected, + seen):"]
            lines += [f"      {line}" for line in verdict.dialogue]
    return "\n".join([*lines, "", f"  {summary(verdicts)}", ""])


def summary(verdicts: Sequence[Verdict]) -> str:
    """The counts, in words."""
    count = {result: sum(v.result == result for v in verdicts) for result in _WORDS}
    return (
        f"{len(verdicts)} rules: {count[KEEPS]} kept, {count[DEVIATES]} deviate as in RabbitMQ, "
        f"{count[FAILS]} failed, {count[ELSEWHERE]} shown elsewhere or with a reason"
    )
