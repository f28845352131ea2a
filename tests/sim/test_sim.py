"""The whole broker under a simulated life, one run per seed."""

from tests.sim.world import World


def test_nothing_promised_is_broken(world_seed: int) -> None:
    try:
        World(world_seed).run()
    except Exception as error:
        error.add_note(f"replay: python -m pytest tests/sim --sim-seed={world_seed}")
        raise
