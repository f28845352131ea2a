"""The rules, read from `*.rules` beside this file.

    == queue/bind/duplicates MUST
    Binding twice is no error.
    a1 queue.declare queue=~q
        a1 < queue.declare-ok queue=~q
        = ~q messages=0 consumers=0
    ...

A rule begins with its name and level. `deviates` after the level says that RabbitMQ does not keep
the rule, and that what is expected is what RabbitMQ does. The lines that follow are: what it says,
the steps of its script, and, indented, what must come of each. A rule without steps has a line
that begins with `shown by` (a test that shows it elsewhere) or `reason` (why nothing can).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from interop.script.language import BadScript, Step, parse_line

FOLDER: Final = Path(__file__).parent
LEVELS: Final = ("MUST", "MUST-NOT", "SHOULD", "MAY")
_ELSEWHERE: Final = ("shown by ", "reason ")


class BadBook(ValueError):
    """A file of rules cannot be read; the text says where."""


@dataclass
class Expected:
    """A step, and the lines that must come of it."""

    step: Step
    lines: list[str] = field(default_factory=list)


@dataclass
class Rule:
    """One named rule."""

    name: str
    level: str
    deviates: bool = False
    words: str = ""
    script: list[Expected] = field(default_factory=list)
    elsewhere: str = ""

    @property
    def group(self) -> str:
        """The first part of the name, two of RabbitMQ's extensions."""
        parts = self.name.split("/")
        return "/".join(parts[: 2 if parts[0] == "rabbitmq" else 1])


def load(folder: Path = FOLDER) -> list[Rule]:
    """All rules of a folder, in the order of files and lines. Raises BadBook."""
    rules: list[Rule] = []
    for path in sorted(folder.glob("*.rules")):
        rules += parse(path.read_text(encoding="utf-8"), path.name)
    names = [rule.name for rule in rules]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadBook(f"more than once: {', '.join(sorted(twice))}")
    return rules


def parse(text: str, where: str = "rules") -> list[Rule]:
    """Read the rules of one file. Raises BadBook."""
    rules: list[Rule] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip() and not line.startswith("#"):
                _take(rules, line)
        except (BadScript, IndexError, ValueError) as error:
            raise BadBook(f"{where}:{number}: {error}") from error
    for rule in rules:
        if bool(rule.script) == bool(rule.elsewhere):
            raise BadBook(f"{where}: {rule.name} needs steps, or `shown by`, or `reason`")
        if not rule.words:
            raise BadBook(f"{where}: {rule.name} does not say what it is")
    return rules


def _take(rules: list[Rule], line: str) -> None:
    if line.startswith("== "):
        words = line.split()
        if (
            len(words) not in (3, 4)
            or words[2] not in LEVELS
            or words[3:] not in ([], ["deviates"])
        ):
            raise ValueError(f"no name and level: {line}")
        rules.append(Rule(words[1], words[2], bool(words[3:])))
        return
    rule = rules[-1]
    if line.startswith("    "):
        rule.script[-1].lines.append(line.strip())
    elif line.startswith(_ELSEWHERE):
        rule.elsewhere = line
    elif is_step(line):
        rule.script.append(Expected(parse_line(line)))
    else:
        rule.words = f"{rule.words} {line}".strip()


def is_step(line: str) -> bool:
    """Whether a line of a rule is a step of its script: it begins with a place."""
    if line.startswith("wait ms="):
        return True
    first = line.partition(" ")[0]
    return first[0].islower() and (len(first) == 1 or first[1:].isdigit())


def select(rules: Sequence[Rule], patterns: Sequence[str]) -> list[Rule]:
    """The rules whose names match one of the patterns; all if there are none."""
    return [
        rule
        for rule in rules
        if not patterns or any(fnmatchcase(rule.name, pattern) for pattern in patterns)
    ]
