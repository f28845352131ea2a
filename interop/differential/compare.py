"""One script on both brokers, and where they part.

Brokers with several processes inside do not always do the same thing twice: two queues that feed
one channel may be a hair's breadth apart. So a difference counts only if it comes every time.
"""

import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from interop.address import Address
from interop.differential.explained import comparable
from interop.script.language import Step
from interop.script.player import Outcome, play_script

_DELIVERY: Final = re.compile(r"< basic\.deliver consumer-tag=(\S+)")


@dataclass(frozen=True)
class Difference:
    """The first step of which not the same came, and what came on both sides."""

    index: int
    ours: list[Outcome]
    theirs: list[Outcome]

    def text(self) -> str:
        """The dialogue with both up to the difference, as people read it."""
        before = [outcome.text() for outcome in self.ours[: self.index]]
        one, other = self.ours[self.index], self.theirs[self.index]
        only_ours = [f"  - {line}" for line in one.lines if line not in other.lines]
        only_theirs = [f"  + {line}" for line in other.lines if line not in one.lines]
        common = [f"    {line}" for line in one.lines if line in other.lines]
        if not only_ours and not only_theirs:
            only_ours = [f"  - {line}" for line in one.lines]
            only_theirs = [f"  + {line}" for line in other.lines]
            common = []
        step = one.text().splitlines()[0]
        return "\n".join([*before, step, *common, *only_ours, *only_theirs])


class Pair:
    """Two brokers that are asked the same."""

    def __init__(self, ours: Address, theirs: Address) -> None:
        self._addresses = (ours, theirs)
        self._threads = ThreadPoolExecutor(2)

    def play(self, steps: Sequence[Step]) -> Difference | None:
        """Play the script once on both, side by side."""
        run = secrets.token_hex(3)
        both = zip(self._addresses, "ab", strict=True)  # it may be one broker
        ours, theirs = self._threads.map(
            lambda one: play_script(one[0], f"dif.{run}{one[1]}.", list(steps)), both
        )
        return first_difference(ours, theirs)

    def differ(self, steps: Sequence[Step], times: int = 3) -> Difference | None:
        """The difference of the script, if there is one `times` times in a row."""
        found = None
        for _ in range(times):
            found = self.play(steps)
            if found is None:
                return None
        return found

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown()


def first_difference(ours: list[Outcome], theirs: list[Outcome]) -> Difference | None:
    """Where two dialogues part, or None if they do not."""
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        mine, others = [*map(comparable, one.lines)], [*map(comparable, other.lines)]
        if mine != others:
            if between_queues(mine, others) or returned_otherwise(one.step, mine, others):
                return None  # tags are not the same from here on: there is nothing to compare
            return Difference(index, ours, theirs)
    return None


def between_queues(one: list[str], other: list[str]) -> bool:
    """Whether the lines differ only in whose deliveries, of two consumers of one channel, were
    first: queues do not wait for each other, and nobody promises anything about it."""
    if sorted(map(_untagged, one)) != sorted(map(_untagged, other)):
        return False
    consumers = {found[1] for line in one if (found := _DELIVERY.search(line))}
    return len(consumers) > 1 and all(
        [line for line in map(_untagged, one) if f"consumer-tag={tag} " in line]
        == [line for line in map(_untagged, other) if f"consumer-tag={tag} " in line]
        for tag in consumers
    )


def returned_otherwise(step: Step, one: list[str], other: list[str]) -> bool:
    """Whether what came back at once, for several consumers, only went to others of them.

    RabbitMQ gives back what each consumer had, in the order of their tags; amqpd gives back all.
    """
    if not (step.name.startswith("basic.recover") or step.fields.get("multiple")):
        return False
    nobody = [[_DELIVERY.sub("", _untagged(line)) for line in lines] for lines in (one, other)]
    return sorted(nobody[0]) == sorted(nobody[1])


def _untagged(line: str) -> str:
    return re.sub(r"delivery-tag=\d+", "", line) if _DELIVERY.search(line) else line
