"""The broker's clock."""

from time import monotonic_ns
from typing import Final

NS_PER_MS: Final = 1_000_000


def now_ms() -> int:
    """Monotonic milliseconds."""
    return monotonic_ns() // NS_PER_MS
