"""The comparison: every scenario against every broker in alternation, medians, ratios.

Rule 1. Within a round all brokers run the same scenario one after the other, and the order turns
from round to round, so that whatever else the machine does hits all of them.

Rule 2. A failed run is shown as failed; it is not repeated until it works.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from amqpd.perf.connection import BrokerError, Connection, identify
from amqpd.perf.load import Report, run_load
from amqpd.perf.machine import written_bytes
from amqpd.perf.options import LoadOptions
from amqpd.perf.scenario import Measure, Pace, Scenario
from amqpd.perf.spawn import SpawnedAmqpd
from amqpd.perf.target import Target

DURABLE_AT_LEAST_BYTES: Final = 1 << 16
NOT_DURABLE: Final = (
    "amqpd wrote nothing to its data directory: it keeps persistent messages in memory, "
    "and its rows marked 'disk' promise less than the others' do"
)


@dataclass(frozen=True)
class Contestant:
    """One broker of the comparison. `amqpd` is set if it was started here."""

    label: str
    target: Target
    server_properties: dict[str, object]
    amqpd: SpawnedAmqpd | None = None


@dataclass
class Cell:
    """What one broker did in one row: a value per good round, a reason per failed one."""

    values: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """The median of the good rounds, None if there is none."""
        return statistics.median(self.values) if self.values else None

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a part of their median."""
        median = self.median
        return (max(self.values) - min(self.values)) / median if median else 0.0


@dataclass
class Row:
    """One line of the table: a scenario's measure, and a cell per contestant in their order."""

    scenario: Scenario
    measure: Measure
    cells: list[Cell]

    def ratio(self, index: int) -> float | None:
        """Return how many times better the first contestant is than the one at `index`."""
        ours, theirs = self.cells[0].median, self.cells[index].median
        if not ours or not theirs:
            return None
        return theirs / ours if self.measure.lower_is_better else ours / theirs


def contest(target: Target, label: str = "", amqpd: SpawnedAmqpd | None = None) -> Contestant:
    """Ask a broker who it is. Raises BrokerError or OSError if it does not let us in."""
    connection = Connection(target)
    properties = connection.server_properties
    connection.close()
    return Contestant(label or identify(properties), target, properties, amqpd)


def distinguish(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Add the port to the label of brokers that would otherwise look the same."""
    labels = [contestant.label for contestant in contestants]
    return [
        replace(each, label=f"{each.label} :{each.target.port}")
        if labels.count(each.label) > 1
        else each
        for each in contestants
    ]


class Comparison:
    """All rows, and notes about what a reader must know; empty until `measure` is called."""

    def __init__(
        self,
        contestants: Sequence[Contestant],
        pace: Pace,
        run: Callable[[LoadOptions], Report] = run_load,
    ) -> None:
        self.contestants: Final = distinguish(contestants)
        self.pace: Final = pace
        self.rows: Final[list[Row]] = []
        self.notes: Final[list[str]] = []
        self._run = run
        self._most_written_bytes = -1

    def measure(self, scenarios: Sequence[Scenario]) -> None:
        """Run every scenario against every contestant, round by round."""
        for scenario in scenarios:
            cells = [[Cell() for _ in scenario.measures] for _ in self.contestants]
            for round_index in range(self.pace.rounds):
                for step in range(len(self.contestants)):
                    index = (step + round_index) % len(self.contestants)
                    self._progress(scenario, round_index, index)
                    self._measure_once(scenario, self.contestants[index], cells[index])
                    time.sleep(self.pace.rest_s)
            for position, measure in enumerate(scenario.measures):
                row = Row(scenario, measure, [of_broker[position] for of_broker in cells])
                self.rows.append(row)
        if 0 <= self._most_written_bytes < DURABLE_AT_LEAST_BYTES:
            self._note(NOT_DURABLE)

    def _measure_once(self, scenario: Scenario, contestant: Contestant, cells: list[Cell]) -> None:
        """Do one run and put its numbers, or its failure, into the cells of its measures."""
        amqpd = contestant.amqpd
        written = written_bytes(amqpd.pid) if amqpd else 0
        try:
            report = self._run(scenario.options(contestant.target, self.pace))
        except (BrokerError, OSError, ValueError) as error:
            for cell in cells:
                cell.failures.append(str(error))
            return
        for cell, measure in zip(cells, scenario.measures, strict=True):
            cell.values.append(measure.of(report))
        if report["got"] < report["sent"]:
            self._note(
                f"{contestant.label}, {scenario.name}: {report['sent'] - report['got']:.0f} of "
                f"{report['sent']:.0f} messages did not come before half a second of silence"
            )
        if amqpd and scenario.on_disk:
            grown = max(written_bytes(amqpd.pid) - written, amqpd.data_bytes())
            self._most_written_bytes = max(self._most_written_bytes, grown)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _progress(self, scenario: Scenario, round_index: int, index: int) -> None:
        if sys.stderr.isatty():
            label = self.contestants[index].label
            text = f"{scenario.name}, round {round_index + 1} of {self.pace.rounds}, {label}"
            print(f"\r\x1b[K{text}\r", end="", file=sys.stderr, flush=True)
