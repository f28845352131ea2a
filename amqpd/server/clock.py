"""The broker's clocks."""

from time import monotonic_ns, time_ns
from typing import Final

NS_PER_MS: Final = 1_000_000


def now_ms() -> int:
    """Monotonic milliseconds."""
    return monotonic_ns() // NS_PER_MS


def wall_ms() -> int:
    """Milliseconds since 1970, for what must mean the same after a restart."""
    return time_ns() // NS_PER_MS
