"""Hashes and buckets: even, and the same as ever."""

from collections import Counter

import pytest

from amqpd.core.dice import Dice
from amqpd.core.hashing import hash_of, jump, mix
from amqpd.core.ports import Entropy


def test_hashes_stay_as_they_are() -> None:
    """Where messages go must not change with a release."""
    assert [int(hash_of(data)) for data in (b"", b"a", b"key-1")] == HASHES
    assert [int(jump(hash_of(b"key-%d" % n), 10)) for n in range(12)] == BUCKETS


HASHES = [0, 1459942458, 4285854739]
BUCKETS = [6, 8, 1, 6, 2, 9, 5, 2, 6, 9, 2, 3]


def test_mixing_loses_nothing() -> None:
    values = {int(mix(n)) for n in range(20_000)}
    assert len(values) == 20_000
    assert min(values) >= 0 and max(values) < 1 << 32


@pytest.mark.parametrize("pattern", [b"%d", b"key-%d", b"order.%08d.created", b"%032x"])
@pytest.mark.parametrize("buckets", [2, 10])
def test_keys_are_spread_evenly(pattern: bytes, buckets: int) -> None:
    keys = 100_000
    count = Counter(int(jump(hash_of(pattern % n), buckets)) for n in range(keys))
    share = keys / buckets
    assert sorted(count) == list(range(buckets))
    for hit in count.values():
        assert abs(hit - share) <= 0.05 * share, count


@pytest.mark.parametrize("buckets", [1, 2, 9, 99])
def test_one_bucket_more_takes_its_share_and_moves_nothing_else(buckets: int) -> None:
    keys = 20_000
    moved = 0
    for n in range(keys):
        hashed = hash_of(b"%d" % n)
        before, after = jump(hashed, buckets), jump(hashed, buckets + 1)
        if before != after:
            assert after == buckets
            moved += 1
    share = keys / (buckets + 1)
    assert abs(moved - share) <= 0.25 * share


def test_many_buckets_are_chosen_fast_and_within_bounds() -> None:
    chosen = [int(jump(hash_of(b"%d" % n), 1 << 30)) for n in range(1000)]
    assert min(chosen) >= 0 and max(chosen) < 1 << 30
    assert len(set(chosen)) > 990


class Fixed(Entropy):
    """Octets that were chosen."""

    def __init__(self, octet: int) -> None:
        super().__init__()
        self.octet = octet
        self.calls = 0

    def token(self, count: int) -> bytes:
        """See Entropy."""
        self.calls += 1
        return bytes((self.octet,)) * count


def test_dice_are_even_and_ask_for_entropy_once() -> None:
    entropy = Fixed(7)
    dice = Dice(entropy)
    assert entropy.calls == 0
    count = Counter(int(dice.draw(7)) for _ in range(70_000))
    assert entropy.calls == 1
    assert sorted(count) == list(range(7))
    assert all(abs(hit - 10_000) < 500 for hit in count.values())


def test_dice_fall_by_their_seed() -> None:
    def draws(dice: Dice) -> list[int]:
        return [int(dice.draw(1000)) for _ in range(20)]

    assert draws(Dice(Fixed(1))) == draws(Dice(Fixed(1))) != draws(Dice(Fixed(2)))
    assert draws(Dice(None)) == draws(Dice(None))
    assert Dice(None).draw(1) == 0
