"""Options of the fuzz tests: how long, and from which seed on.

    pytest tests/fuzz --fuzz-seconds 300              new seeds for five minutes
    pytest tests/fuzz --fuzz-seconds 0 --fuzz-seed 7  this one alone, as a failure says

Without them, as in the whole suite, the same few seeds run each time.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-seconds", type=float, default=None, help="how long to look for faults")
    group.addoption("--fuzz-seed", type=int, default=None, help="the first seed")


@pytest.fixture
def fuzz_seconds(pytestconfig: pytest.Config) -> float | None:
    """How long to go on with new seeds; None = as many as the suite has."""
    seconds: float | None = pytestconfig.getoption("fuzz_seconds", None)
    return seconds


@pytest.fixture
def fuzz_seed(pytestconfig: pytest.Config) -> int | None:
    """The first seed; None = the suite's."""
    seed: int | None = pytestconfig.getoption("fuzz_seed", None)
    return seed
