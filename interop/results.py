"""What a run found: an answer per scenario, a column per client, a matrix per broker."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from interop.rules.judge import FAILS, Verdict

PASS: Final = "pass"  # the client saw all that the catalogue says must be seen
FAIL: Final = "fail"  # it did not, or it crashed, or its time was up; `reason` says which
SKIP: Final = "skip"  # the client cannot do this; `reason` says why
RESULTS: Final = (PASS, FAIL, SKIP)
REASON_MAX: Final = 400  # characters; enough for an AMQP reply text and where it happened


@dataclass(frozen=True)
class Answer:
    """One client's word on one scenario."""

    scenario: str
    result: str
    reason: str = ""
    ms: int = 0


@dataclass
class Column:
    """All answers of one client at one broker."""

    client: str
    version: str = ""
    answers: list[Answer] = field(default_factory=list)

    def answer(self, scenario: str) -> Answer | None:
        """The answer to `scenario`, or None if it was not asked."""
        for answer in self.answers:
            if answer.scenario == scenario:
                return answer
        return None


@dataclass
class Matrix:
    """All columns of one broker. `error` is set, and no column there, if none answered."""

    url: str
    broker: str
    columns: list[Column] = field(default_factory=list)
    error: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    name: str = ""  # what people call it, if its own word is not enough
    dialogues: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What reports call the broker."""
        return self.name or self.broker or self.url

    def dialogue(self, client: str, scenario: str) -> list[str]:
        """What was said on the wire when a scenario that had failed was played once more."""
        return self.dialogues.get((client, scenario), [])

    def answers(self) -> Iterable[Answer]:
        """All answers, column by column."""
        for column in self.columns:
            yield from column.answers

    def count(self, result: str) -> int:
        """How many answers have this result."""
        return sum(1 for answer in self.answers() if answer.result == result)

    def is_green(self) -> bool:
        """Whether the broker was there and nothing failed."""
        rules_kept = all(verdict.result != FAILS for verdict in self.verdicts)
        return not self.error and self.count(FAIL) == 0 and rules_kept


def one_line(text: str) -> str:
    """`text` on one line, cut to REASON_MAX characters."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_MAX else line[: REASON_MAX - 3] + "..."
