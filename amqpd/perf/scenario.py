"""The rows of the comparison: what is done, for how long, and what of it is shown.

One publisher, one consumer, one queue in all of them. `on_disk` marks a row that promises
durability.
"""

from dataclasses import dataclass, replace
from typing import Final

from amqpd.perf.load import Report
from amqpd.perf.options import LoadOptions
from amqpd.perf.target import Target

DRAIN_COUNT: Final = 300_000
DRAIN_COUNT_QUICK: Final = 60_000


@dataclass(frozen=True)
class Pace:
    """How long and how often everything runs, and the rest between two runs."""

    seconds: float = 3.0
    rounds: int = 3
    quick: bool = False
    rest_s: float = 0.5


@dataclass(frozen=True)
class Measure:
    """One number out of a run's report: the smallest of those under `keys`."""

    unit: str
    keys: tuple[str, ...]
    lower_is_better: bool = False

    def of(self, report: Report) -> float:
        """Take the number out of a report."""
        return min(report[key] for key in self.keys)


_THROUGHPUT: Final = Measure("msg/s", ("publish_per_s", "consume_per_s"))


@dataclass(frozen=True)
class Scenario:
    """One load and the numbers that are shown of it."""

    name: str
    title: str
    load: LoadOptions
    measures: tuple[Measure, ...] = (_THROUGHPUT,)

    @property
    def on_disk(self) -> bool:
        """Whether what is measured includes a promise that the message survives a crash."""
        return self.load.persistent

    def options(self, target: Target, pace: Pace) -> LoadOptions:
        """Make the options of one run against one broker."""
        count = self.load.count and (DRAIN_COUNT_QUICK if pace.quick else DRAIN_COUNT)
        return replace(self.load, target=target, seconds=pace.seconds, count=count)


SCENARIOS: Final = (
    Scenario("transient", "transient, auto-ack, 100 B", LoadOptions()),
    Scenario("small", "the same, 16 B", LoadOptions(size=16)),
    Scenario(
        "confirms",
        "confirms (200 in flight), every message acked alone",
        LoadOptions(confirm=200, ack=1, prefetch=100),
    ),
    Scenario(
        "persistent",
        "persistent, confirms (1000 in flight), acks by 50",
        LoadOptions(persistent=True, confirm=1000, ack=50, prefetch=1000),
    ),
    Scenario(
        "persistent-1k",
        "the same, 1000 B",
        LoadOptions(size=1000, persistent=True, confirm=1000, ack=50, prefetch=1000),
    ),
    Scenario(
        "one-at-a-time",
        "one at a time, persistent, confirmed",
        LoadOptions(persistent=True, confirm=1, ack=1),
        (Measure("round trips/s", ("publish_per_s",)),),
    ),
    Scenario(
        "drain",
        "drain of waiting persistent messages",
        LoadOptions(persistent=True, confirm=1000, drain=True, count=DRAIN_COUNT),
        (Measure("msg/s", ("drain_per_s",)),),
    ),
    Scenario(
        "latency",
        "end to end at 10,000 msg/s, persistent",
        LoadOptions(persistent=True, confirm=200, ack=1, prefetch=100, rate=10_000),
        (
            Measure("ms, median", ("latency_ms_p50",), lower_is_better=True),
            Measure("ms, 99 %", ("latency_ms_p99",), lower_is_better=True),
        ),
    ),
)


def choose(names: str) -> tuple[Scenario, ...]:
    """Return the scenarios named in a comma-separated list, all of them if it is empty.

    Raises ValueError at a name that is none of them.
    """
    if not names:
        return SCENARIOS
    known = {scenario.name: scenario for scenario in SCENARIOS}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise ValueError(f"no scenario {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in wanted)
