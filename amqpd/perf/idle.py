"""How much memory does a broker spend on a connection that does nothing?"""

import time
from dataclasses import dataclass
from typing import Final

from amqpd.perf.connection import Connection
from amqpd.perf.machine import allow_open_files, resident_bytes
from amqpd.perf.target import Target

WARM_UP_CONNECTIONS: Final = 20
SETTLE_S: Final = 1.0
SPARE_FILES: Final = 100


@dataclass(frozen=True)
class Idle:
    """The resident memory of a broker before and after so many connections were opened."""

    connections: int
    before_bytes: int
    after_bytes: int

    @property
    def each_bytes(self) -> float:
        """What one connection with one channel costs."""
        return (self.after_bytes - self.before_bytes) / self.connections

    def json(self) -> dict[str, object]:
        """The two sizes and the cost of one connection."""
        return {
            "connections": self.connections,
            "before_bytes": self.before_bytes,
            "after_bytes": self.after_bytes,
            "each_bytes": round(self.each_bytes),
        }

    def text(self) -> str:
        """Say it in one line."""
        return (
            f"{self.connections} idle connections with one channel: "
            f"{self.each_bytes / 1e3:.1f} kB each "
            f"({self.before_bytes / 1e6:.1f} to {self.after_bytes / 1e6:.1f} MB)"
        )


def measure_idle(target: Target, pid: int, connections: int, settle_s: float = SETTLE_S) -> Idle:
    """Open connections to the broker that is process `pid` and watch its resident memory.

    A few connections come first and stay open, so that what the first one loads is not counted.
    Raises ValueError if the system does not allow that many sockets.
    """
    allow_open_files(connections + WARM_UP_CONNECTIONS + SPARE_FILES)
    opened: list[Connection] = []
    try:
        opened += [Connection(target) for _ in range(WARM_UP_CONNECTIONS)]
        time.sleep(settle_s)
        before = resident_bytes(pid)
        opened += [Connection(target) for _ in range(connections)]
        time.sleep(settle_s)
        return Idle(connections, before, resident_bytes(pid))
    finally:
        for connection in opened:
            connection.close()
