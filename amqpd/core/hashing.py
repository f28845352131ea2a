"""Hashes that are the same in every run, and the choice of a bucket that few changes move.

All of it is arithmetic on 32 bits, which 64-bit integers hold whether they are boxed or not.
"""

from typing import Final
from zlib import crc32

from mypy_extensions import i64

STEP: Final = 0x9E3779B9  # 2**32 divided by the golden ratio: walks all 32-bit numbers evenly
_FACTOR: Final = 0x45D9F3B  # spreads every bit of its argument (Mueller's integer hash)
_MASK: Final = 0xFFFFFFFF


def mix(value: i64) -> i64:
    """Return a 32-bit number that looks unrelated to this one; different ones stay different."""
    value = ((value ^ (value >> 16)) * _FACTOR) & _MASK
    value = ((value ^ (value >> 16)) * _FACTOR) & _MASK
    return value ^ (value >> 16)


def hash_of(data: bytes) -> i64:
    """Return a 32-bit hash of octets."""
    return mix(crc32(data))


def jump(hashed: i64, buckets: i64) -> i64:
    """Choose one of up to 2**30 buckets by a 32-bit hash. O(log buckets).

    With one more bucket, only what that one gets moves (Lamping and Veach, "A Fast, Minimal Memory,
    Consistent Hash Algorithm").
    """
    state = hashed
    bucket: i64 = 0
    following: i64 = 0
    while following < buckets:
        bucket = following
        state = (state + STEP) & _MASK
        following = ((bucket + 1) << 32) // (mix(state) + 1)
    return bucket
