"""Which seeds the simulation runs: 40, `--sim-seeds=N` for more, `--sim-seed=S` for one alone."""

import pytest

SEEDS = 40


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per seed."""
    if "world_seed" not in metafunc.fixturenames:
        return
    alone = metafunc.config.getoption("--sim-seed", None)
    count = max(SEEDS, metafunc.config.getoption("--sim-seeds", 0) or 0)
    seeds = range(count) if alone is None else [alone]
    metafunc.parametrize("world_seed", seeds)
