"""What the store costs: many publishers, many durable queues, and a long queue that waits.

| part | what is measured |
|---|---|
| publishers | 1, 4 and 16 of them with a queue and a consumer each: persistent beside transient |
| queues | one publisher to all of 1,000 durable queues in turn, one consumer of all of them |
| waiting | messages wait in one queue: memory; then kill -9: first delivery, and the whole drain |
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from amqpd.perf.connection import Connection
from amqpd.perf.consumer import consume
from amqpd.perf.crew import Crew
from amqpd.perf.encoding import shortstr
from amqpd.perf.load import PATIENCE_S, Report, rate, run_load
from amqpd.perf.machine import resident_bytes
from amqpd.perf.options import LoadOptions
from amqpd.perf.producer import produce
from amqpd.perf.render import columns, number
from amqpd.perf.spawn import SpawnedAmqpd
from amqpd.perf.target import Target

PUBLISHERS: Final = (1, 4, 16)
QUEUES: Final = 1000
SETTLE_S: Final = 1.0
WAITING_NAME: Final = "waiting"
PARTS: Final = ("publishers", "queues", "waiting")

_GET: Final = (60, 70)
_GET_OK: Final = (60, 71)


@dataclass(frozen=True)
class StoreOptions:
    """How much of everything; `seconds` is of one run."""

    seconds: float = 3.0
    messages: int = 1_000_000
    size: int = 1000
    parts: tuple[str, ...] = PARTS


@dataclass(frozen=True)
class Waiting:
    """What so many waiting messages cost."""

    messages: int
    size: int
    grown_bytes: int
    answered_ms: float
    first_delivery_ms: float
    drain_per_s: int

    def json(self) -> dict[str, object]:
        """All of it under the names of the attributes."""
        return dict(vars(self))

    def text(self) -> str:
        """Say it in three lines."""
        return (
            f"{self.messages:,} messages of {self.size} B wait: {self.grown_bytes / 1e6:+.0f} MB\n"
            f"after kill -9: AMQP answers {self.answered_ms:,.0f} ms after the start, "
            f"the first message comes after {self.first_delivery_ms:,.0f} ms\n"
            f"one consumer takes and acks all of them at {self.drain_per_s:,} msg/s"
        )


Measured = dict[str, object]


def measure_store(amqpd: SpawnedAmqpd, options: StoreOptions) -> tuple[str, Measured]:
    """Measure the chosen parts. Returns (text, JSON).

    Raises BrokerError or OSError if the broker refuses, loses or doubles something.
    """
    texts: list[str] = []
    found: Measured = {}
    if "publishers" in options.parts:
        rows = _publishers(amqpd.target, options.seconds)
        texts.append(columns([["publishers", "persistent", "transient", "ratio"], *rows[0]]))
        found["publishers"] = rows[1]
    if "queues" in options.parts:
        persistent = _slower(run_load(spread_load(amqpd.target, options.seconds)))
        texts.append(f"{QUEUES:,} durable queues, traffic on all: {persistent:,} msg/s persistent")
        found["queues"] = {"count": QUEUES, "per_s": persistent}
    if "waiting" in options.parts:
        waiting = measure_waiting(amqpd, options.messages, options.size)
        texts.append(waiting.text())
        found["waiting"] = waiting.json()
    return "\n\n".join(texts), found


def spread_load(target: Target, seconds: float, queues: int = QUEUES) -> LoadOptions:
    """One publisher to all of so many durable queues, one consumer of all of them."""
    return LoadOptions(
        target,
        queues=queues,
        seconds=seconds,
        persistent=True,
        confirm=2 * queues,
        ack=50,
        spread=True,
    )


def _publishers(target: Target, seconds: float) -> tuple[list[list[str]], list[Measured]]:
    rows: list[list[str]] = []
    found: list[Measured] = []
    for count in PUBLISHERS:
        transient = LoadOptions(
            target,
            producers=count,
            consumers=count,
            queues=count,
            seconds=seconds,
            confirm=1000,
            ack=50,
            prefetch=1000,
        )
        slow = _slower(run_load(replace(transient, persistent=True)))
        fast = _slower(run_load(transient))
        rows.append([str(count), number(slow), number(fast), number(slow / fast)])
        found.append({"publishers": count, "persistent_per_s": slow, "transient_per_s": fast})
    return rows, found


def _slower(report: Report) -> int:
    return int(min(report["publish_per_s"], report["consume_per_s"]))


def measure_waiting(
    amqpd: SpawnedAmqpd, messages: int, size: int, settle_s: float = SETTLE_S
) -> Waiting:
    """Fill a durable queue, kill the broker, and see how the messages come back.

    Raises BrokerError if not all of them do.
    """
    options = LoadOptions(
        amqpd.target,
        size=size,
        count=messages,
        persistent=True,
        confirm=1000,
        ack=50,
        prefetch=1000,
        drain=True,
        name=WAITING_NAME,
    )
    queue = options.queue_name(0)
    _on_channel(amqpd.target, lambda control: control.declare(queue, durable=True))
    before = resident_bytes(amqpd.pid)
    with Crew() as crew:
        crew.launch(produce, options, 1)
        crew.signals.start.set()
        crew.collect("producer", 1, PATIENCE_S)
    time.sleep(settle_s)
    grown = resident_bytes(amqpd.pid) - before
    began = time.perf_counter()
    amqpd.kill_and_restart()
    _on_channel(amqpd.target, lambda control: _get(control, queue))
    first_ms = (time.perf_counter() - began) * 1e3
    with Crew() as crew:
        crew.launch(consume, replace(options, count=messages - 1), 1)
        crew.signals.start.set()
        drained = crew.collect("consumer", 1, PATIENCE_S)
    _on_channel(amqpd.target, lambda control: control.delete(queue))
    return Waiting(messages, size, grown, amqpd.answered_ms, first_ms, rate(drained))


def _get(control: Connection, queue: str) -> None:
    """Take and forget one message. Raises BrokerError if there is none."""
    control.call(_GET, _GET_OK, b"\0\0" + shortstr(queue) + b"\1")


def _on_channel(target: Target, work: Callable[[Connection], None]) -> None:
    control = Connection(target)
    try:
        work(control)
    finally:
        control.close()


def choose_parts(names: str) -> tuple[str, ...]:
    """Return the parts named in a comma-separated list, all of them if it is empty.

    Raises ValueError at a name that is none of them.
    """
    wanted: Sequence[str] = [name.strip() for name in names.split(",")] if names else PARTS
    for name in wanted:
        if name not in PARTS:
            raise ValueError(f"no part {name!r}; there are {', '.join(PARTS)}")
    return tuple(wanted)

