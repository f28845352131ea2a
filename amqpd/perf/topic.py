"""How long does routing take among many topic bindings? Measured in-process, on the broker's tree.

The bindings are those of a fleet of devices, `site.<s>.device.<d>.<metric>`: most are exact, the
others have a `*` or a `#` in one of several places. Each key fits a handful of them. The same keys
are routed among a hundredth and a tenth of the bindings too: the cost must not follow their number.
"""

import random
import statistics
import time
from dataclasses import dataclass
from typing import Final

import amqpd
from amqpd.core.topic import TopicTree
from amqpd.perf.render import columns

SEED: Final = 1
KEYS: Final = 2_000
ROUNDS: Final = 15
SITES: Final = 200
METRICS: Final = ("temperature", "humidity", "power", "status", "alarm")


@dataclass(frozen=True)
class Routing:
    """What one route costs among so many bindings, and how many of them it finds on average."""

    bindings: int
    route_us: float
    found: float


def fleet_pattern(rng: random.Random, devices: int) -> str:
    """Make one binding of the fleet at random."""
    site, device = rng.randrange(SITES), rng.randrange(devices)
    metric = rng.choice(METRICS)
    return rng.choices(
        (
            f"site.{site}.device.{device}.{metric}",
            f"site.{site}.device.{device}.*",
            f"site.{site}.device.{device}.#",
            f"site.*.device.{device}.{metric}",
            f"#.device.{device}.{metric}",
        ),
        weights=(80, 10, 4, 4, 2),
    )[0]


def build_tree(bindings: int) -> tuple[TopicTree, list[str]]:
    """Make a tree with so many bindings. Returns (tree, keys to route)."""
    rng = random.Random(SEED)
    devices = max(1, bindings // SITES)
    tree = TopicTree()
    for index in range(bindings):
        tree.add(fleet_pattern(rng, devices), f"queue-{index}")
    keys = [
        f"site.{rng.randrange(SITES)}.device.{rng.randrange(devices)}.{rng.choice(METRICS)}"
        for _ in range(KEYS)
    ]
    return tree, keys


def measure_routing(bindings: int) -> Routing:
    """Route all keys several times over; the median round counts."""
    tree, keys = build_tree(bindings)
    rounds_us: list[float] = []
    found = 0
    for _ in range(ROUNDS):
        found = 0
        began = time.perf_counter()
        for key in keys:
            values: list[object] = []
            tree.match(key, values)
            found += len(values)
        rounds_us.append((time.perf_counter() - began) * 1e6 / len(keys))
    return Routing(bindings, statistics.median(rounds_us), found / len(keys))


def measure_topic(bindings: int) -> list[Routing]:
    """Measure among a hundredth, a tenth and all of the bindings."""
    return [measure_routing(max(1, bindings // part)) for part in (100, 10, 1)]


def topic_text(routings: list[Routing]) -> str:
    """Write the measurements as a table."""
    head = [f"topic routing ({amqpd.build()})", "us per route", "queues found"]
    rows = [
        [f"{each.bindings:,} bindings", f"{each.route_us:.2f}", f"{each.found:.1f}"]
        for each in routings
    ]
    return columns([head, *rows])
