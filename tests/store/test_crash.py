"""Crashes of a broker on a simulated disk: nothing promised is lost, nothing settled comes back.

What a world does is told by its seed alone (see `crash_world`). `--crash-seeds=N` runs N of them,
`--store-seed=S` one. Some short worlds crash in every single operation of the disk.
"""

import pytest

from tests.store.crash_world import World

BATCH = 25
EVERY = (13, 21, 27, 35)  # seeds of worlds that crash everywhere; the first two have pages
PLACES = 200  # operations in which a world of those crashes, at most


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut the seeds into batches, so that a failure is seen early."""
    if "seeds" in metafunc.fixturenames:
        one = metafunc.config.getoption("--store-seed")
        count = metafunc.config.getoption("--crash-seeds")
        batches = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
        if one is not None:
            batches = [range(one, one + 1)]
        ids = [f"{batch.start}-{batch.stop - 1}" for batch in batches]
        metafunc.parametrize("seeds", batches, ids=ids)


def run(seed: int, crash_at: int = 0, kill: bool = False) -> World:
    """Run a world; say how to run it again if it fails."""
    world = World(seed, crash_at, kill)
    try:
        world.run()
    except Exception as error:
        if crash_at:
            call = f"from tests.store.test_crash import run; run({seed}, {crash_at}, {kill})"
            again = f'python -c "{call}"'
        else:
            again = f"python -m pytest tests/store/test_crash.py --store-seed={seed}"
        raise AssertionError(f"{type(error).__name__}: {error}\nagain: {again}") from error
    return world


def test_worlds(seeds: range) -> None:
    for seed in seeds:
        run(seed)


@pytest.mark.parametrize("seed", EVERY)
@pytest.mark.parametrize("kill", [False, True], ids=["power", "kill"])
def test_a_crash_in_every_operation(seed: int, kill: bool) -> None:
    operations = run(seed, 10**9, kill).disk.operations
    for number in range(1, operations + 1, operations // PLACES + 1):
        run(seed, number, kill)


def test_seeds_reach_what_they_are_for() -> None:
    worlds = [run(seed) for seed in range(25)]
    assert sum(world.paged for world in worlds) > 3
