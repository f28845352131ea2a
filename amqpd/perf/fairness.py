"""What do quiet connections notice of a greedy one?

Three phases on one broker, each with the same crowd of RPC clients: alone; beside a publisher and a
consumer that move messages as fast as they can; beside one consumer that drains a long queue. All
processes share the machine, so on few cores part of the latency is the scheduler's: compare with
the phase alone, and with another broker in the same run.

The crowd goes on between the phases too, unmeasured: a connection that misses its heartbeats is
closed.
"""

import os
import time
from dataclasses import dataclass, replace
from typing import Final

from amqpd.perf.connection import Connection
from amqpd.perf.consumer import consume
from amqpd.perf.crew import Crew
from amqpd.perf.load import PATIENCE_S, percentile, rate
from amqpd.perf.machine import allow_open_files
from amqpd.perf.options import LoadOptions
from amqpd.perf.producer import produce
from amqpd.perf.quiet import Crowd, CrowdReport
from amqpd.perf.render import columns
from amqpd.perf.target import Target

SPARE_FILES: Final = 100


@dataclass(frozen=True)
class FairnessOptions:
    """How big the crowd is, how long it looks, and how many messages wait for the drain."""

    clients: int = 200
    interval_s: float = 0.25
    seconds: float = 5.0
    messages: int = 1_000_000


@dataclass(frozen=True)
class Phase:
    """What the crowd saw in one phase, and what the greedy ones did in it (messages/s)."""

    name: str
    seen: CrowdReport
    greedy_per_s: int

    def percentile_ms(self, part: float) -> float:
        """Return a percentile of the crowd's latencies, 0 if there are none."""
        ordered = sorted(self.seen.latencies_s)
        return percentile(ordered, part) * 1e3 if ordered else 0.0

    def json(self) -> dict[str, object]:
        """All numbers of the phase."""
        return {
            "phase": self.name,
            "requests": len(self.seen.latencies_s),
            "unanswered": self.seen.unanswered,
            "rpc_ms_p50": round(self.percentile_ms(0.5), 3),
            "rpc_ms_p99": round(self.percentile_ms(0.99), 3),
            "rpc_ms_max": round(self.percentile_ms(1.0), 3),
            "longest_silence_ms": round(self.seen.longest_silence_s * 1e3, 1),
            "greedy_per_s": self.greedy_per_s,
        }


def measure_fairness(target: Target, options: FairnessOptions) -> list[Phase]:
    """Run the three phases. Raises BrokerError or OSError if the broker closes a connection."""
    allow_open_files(options.clients + SPARE_FILES)
    name = f"fairness-{os.getpid()}"
    greedy = LoadOptions(target=target, seconds=options.seconds, name=name)
    control = Connection(target)
    control.declare(greedy.queue_name(0))
    try:
        with Crowd(target, options.clients, options.interval_s, name) as crowd:
            return [_alone(crowd, options), _flood(crowd, greedy), _drain(crowd, greedy, options)]
    finally:
        control.delete(greedy.queue_name(0))
        control.close()


def _alone(crowd: Crowd, options: FairnessOptions) -> Phase:
    ends = time.monotonic() + options.seconds
    return Phase("alone", crowd.run(lambda: time.monotonic() >= ends), 0)


def _flood(crowd: Crowd, greedy: LoadOptions) -> Phase:
    """Watch while one publisher and one consumer do their worst."""
    with Crew() as crew:
        crew.launch(consume, greedy, 1)
        crew.launch(produce, greedy, 1)
        crew.signals.start.set()
        seen = crowd.run(lambda: crew.finished("producer") > 0)
        crew.signals.stop.set()
        crowd.run(lambda: crew.finished("consumer") > 0)
        consumed = crew.collect("consumer", 1, PATIENCE_S)
    return Phase("beside a flood", seen, rate(consumed))


def _drain(crowd: Crowd, greedy: LoadOptions, options: FairnessOptions) -> Phase:
    """Fill the queue, then watch while one consumer empties it."""
    load = replace(greedy, count=options.messages, confirm=1000, drain=True)
    with Crew() as crew:
        crew.launch(produce, load, 1)
        crew.signals.start.set()
        crowd.run(lambda: crew.finished("producer") > 0)
        (produced,) = crew.collect("producer", 1, PATIENCE_S)
        crew.signals.start.clear()
        crew.launch(consume, replace(load, count=produced.messages, confirm=0), 1)
        crew.signals.start.set()
        seen = crowd.run(lambda: crew.finished("consumer") > 0)
        consumed = crew.collect("consumer", 1, PATIENCE_S)
    return Phase(f"beside a drain of {produced.messages:,}", seen, rate(consumed))


def fairness_text(measured: dict[str, list[Phase]]) -> str:
    """Write the phases of each broker as a table."""
    head = [
        "",
        "requests",
        "p50 ms",
        "p99 ms",
        "max ms",
        "unanswered",
        "silence ms",
        "greedy msg/s",
    ]
    rows = [
        [
            f"{label}, {phase.name}",
            f"{len(phase.seen.latencies_s):,}",
            f"{phase.percentile_ms(0.5):.2f}",
            f"{phase.percentile_ms(0.99):.2f}",
            f"{phase.percentile_ms(1.0):.2f}",
            str(phase.seen.unanswered),
            f"{phase.seen.longest_silence_s * 1e3:.0f}",
            f"{phase.greedy_per_s:,}",
        ]
        for label, phases in measured.items()
        for phase in phases
    ]
    return columns([head, *rows])
