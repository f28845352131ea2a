"""Numbers that need not be secret: which queue a random exchange takes, seeded by the outside.

A counter that goes through the mixing function of `hashing`: one draw costs no system call.
"""

from typing import Final

from mypy_extensions import i64

from amqpd.core.hashing import STEP, mix
from amqpd.core.ports import Entropy


class Dice:
    """Draws numbers; without an entropy the same ones in every run. Seeded when first used."""

    def __init__(self, entropy: Entropy | None) -> None:
        self._entropy: Final = entropy
        self._state: i64 = -1

    def draw(self, count: i64) -> i64:
        """Return a number from 0 to `count` - 1; `count` is at most 2**31."""
        if self._state < 0:
            octets = self._entropy.token(4) if self._entropy is not None else b"\0"
            self._state = int.from_bytes(octets, "big")
        self._state = (self._state + STEP) & 0xFFFFFFFF
        return mix(self._state) * count >> 32
