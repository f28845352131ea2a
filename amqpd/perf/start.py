"""How long does an amqpd take from nothing to answering AMQP, and what does it weigh at rest?"""

import statistics
import time
from dataclasses import dataclass
from typing import Final

from amqpd.perf.machine import resident_bytes
from amqpd.perf.spawn import SpawnedAmqpd

SETTLE_S: Final = 1.0


@dataclass(frozen=True)
class Start:
    """The times of several starts, in ms and in order, and the resident memory after each."""

    answered_ms: list[float]
    resident_bytes: list[int]

    def json(self) -> dict[str, object]:
        """Medians and all values."""
        return {
            "start_ms": round(statistics.median(self.answered_ms), 1),
            "rss_mb": round(statistics.median(self.resident_bytes) / 1e6, 1),
            "start_ms_all": [round(value, 1) for value in self.answered_ms],
            "rss_mb_all": [round(value / 1e6, 1) for value in self.resident_bytes],
        }

    def text(self) -> str:
        """Say it in two lines."""
        low, high = min(self.answered_ms), max(self.answered_ms)
        return (
            f"start to AMQP answering: {statistics.median(self.answered_ms):.0f} ms "
            f"(median of {len(self.answered_ms)}, {low:.0f} to {high:.0f})\n"
            f"resident at rest: {statistics.median(self.resident_bytes) / 1e6:.1f} MB"
        )


def measure_start(rounds: int) -> Start:
    """Start an amqpd on an empty directory again and again.

    The first start is not counted: it may have to write the byte code that an installation has.
    """
    with SpawnedAmqpd():
        pass
    answered_ms: list[float] = []
    resident: list[int] = []
    for _ in range(rounds):
        with SpawnedAmqpd() as amqpd:
            answered_ms.append(amqpd.answered_ms)
            time.sleep(SETTLE_S)
            resident.append(resident_bytes(amqpd.pid))
    return Start(answered_ms, resident)
