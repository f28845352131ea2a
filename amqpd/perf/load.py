"""One run of the load generator: queues, workers, and the report.

The report's keys: `publish_per_s`, `consume_per_s` or `drain_per_s`, `confirm_ms_p50` and `_p99`,
`latency_ms_p50` and `_p99`, `sent`, `got`. A key that does not apply is left out.
"""

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from amqpd.perf.connection import BrokerError, Connection
from amqpd.perf.consumer import consume
from amqpd.perf.crew import Crew, Result
from amqpd.perf.options import LoadOptions
from amqpd.perf.producer import produce

PATIENCE_S: Final = 300.0

Report = dict[str, float]


def run_load(options: LoadOptions) -> Report:
    """Run one load on queues of its own, which are deleted afterwards.

    Raises BrokerError or OSError if the broker refuses, loses or doubles something, or is silent.
    """
    control = Connection(options.target)
    queues = [options.queue_name(index) for index in range(options.queues)]
    arguments = options.queue_arguments()
    durable = options.persistent or bool(options.type)
    try:
        for queue in queues:
            control.declare(queue, durable, arguments)
        with Crew() as crew:
            report = _drain(options, crew) if options.drain else _flow(options, crew)
    except BaseException:
        with suppress(BrokerError, OSError):  # what went wrong first is what is told
            _clean_up(control, queues)
        raise
    _clean_up(control, queues)
    return report


def _clean_up(control: Connection, queues: Sequence[str]) -> None:
    try:
        for queue in queues:
            control.delete(queue)
    finally:
        control.close()


def _flow(options: LoadOptions, crew: Crew) -> Report:
    """Publish and consume at the same time."""
    within_s = options.seconds + PATIENCE_S
    crew.launch(consume, options, options.consumers)
    crew.launch(produce, options, options.producers)
    crew.signals.start.set()
    produced = crew.collect("producer", options.producers, within_s)
    crew.signals.stop.set()
    consumed = crew.collect("consumer", options.consumers, within_s)
    report: Report = {"publish_per_s": rate(produced)}
    if consumed:
        report["consume_per_s"] = rate(consumed)
    report |= percentiles("confirm", [x for result in produced for x in result.latencies_s])
    report |= percentiles("latency", [x for result in consumed for x in result.latencies_s])
    return report | totals(produced, consumed)


def _drain(options: LoadOptions, crew: Crew) -> Report:
    """Publish first, then consume what waits."""
    within_s = options.seconds + PATIENCE_S
    crew.launch(produce, options, options.producers)
    crew.signals.start.set()
    produced = crew.collect("producer", options.producers, within_s)
    crew.signals.start.clear()
    share = sum(result.messages for result in produced) // options.consumers
    crew.launch(consume, dataclasses.replace(options, count=share), options.consumers)
    crew.signals.start.set()
    consumed = crew.collect("consumer", options.consumers, within_s)
    report: Report = {"publish_per_s": rate(produced), "drain_per_s": rate(consumed)}
    return report | totals(produced, consumed)


def rate(results: Sequence[Result]) -> int:
    """Return messages per second of workers that ran side by side."""
    longest_s = max(result.took_s for result in results)
    return round(sum(result.messages for result in results) / longest_s) if longest_s else 0


def percentiles(name: str, latencies_s: list[float]) -> Report:
    """Return median and 99th percentile in milliseconds, or nothing of nothing."""
    if not latencies_s:
        return {}
    ordered = sorted(latencies_s)
    return {
        f"{name}_ms_p50": round(percentile(ordered, 0.5) * 1e3, 3),
        f"{name}_ms_p99": round(percentile(ordered, 0.99) * 1e3, 3),
    }


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return the value below which `part` (0 to 1) of an ordered, non-empty sequence lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def totals(produced: Sequence[Result], consumed: Sequence[Result]) -> Report:
    """Return how many messages were sent and how many came."""
    return {
        "sent": sum(result.messages for result in produced),
        "got": sum(result.messages for result in consumed),
    }
