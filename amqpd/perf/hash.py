"""How long does a route take by exchanges that choose one of many queues? Measured in-process.

Each routing key is another one, as where such exchanges spread work over queues; a direct exchange
with as many queues is measured beside them.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Final

import amqpd
from amqpd.core.exchange import Binding
from amqpd.core.ports import MemoryJournal
from amqpd.core.vhost import QueueIds, VHost
from amqpd.perf.render import columns

KINDS: Final = ("x-consistent-hash", "x-modulus-hash", "x-random", "direct")
KEYS: Final = 20_000
ROUNDS: Final = 7


@dataclass(frozen=True)
class Choice:
    """What one route costs by an exchange type, and how uneven the busiest queue makes it."""

    kind: str
    queues: int
    route_us: float
    busiest: float  # messages of the fullest queue, as a multiple of its share


def measure_kind(kind: str, queues: int) -> Choice:
    """Route all keys several times over; the median round counts."""
    vhost = VHost("/", MemoryJournal(), QueueIds())
    vhost.declare_exchange(
        "x", kind, durable=False, auto_delete=False, internal=False, arguments={}
    )
    for number in range(queues):
        name = str(number)
        vhost.declare_queue(name, durable=False, owner=0, auto_delete=False, arguments={})
        key = name if kind == "direct" else "1"
        vhost.bind(Binding(vhost.exchanges["x"], key, {}, queue=vhost.queues[name]))
    keys = [str(n % queues if kind == "direct" else n) for n in range(KEYS)]
    rounds_us: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for key in keys:
            vhost.route("x", [key], {})
        rounds_us.append((time.perf_counter() - began) * 1e6 / KEYS)
    hits: dict[str, int] = {}
    for key in keys:
        for queue in vhost.route("x", [key], {})[0]:
            hits[queue.name] = hits.get(queue.name, 0) + 1
    return Choice(kind, queues, statistics.median(rounds_us), max(hits.values()) * queues / KEYS)


def measure_hash(queues: int) -> list[Choice]:
    """Measure each of the types."""
    return [measure_kind(kind, queues) for kind in KINDS]


def hash_text(choices: list[Choice]) -> str:
    """Write the measurements as a table."""
    head = [f"one of {choices[0].queues} queues ({amqpd.build()})", "us per route", "fullest queue"]
    rows = [[each.kind, f"{each.route_us:.2f}", f"{each.busiest:.2f} x"] for each in choices]
    return columns([head, *rows])
