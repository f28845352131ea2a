"""`fake_broker`: starts the fake broker in a process of its own and says where it listens."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amqpd.perf.target import Target

PROGRAM = Path(__file__).with_name("fake_broker.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fake_program() -> tuple[str, ...]:
    """The command line of the fake broker, to which options can be added."""
    return (sys.executable, str(PROGRAM))


@pytest.fixture
def fake_broker(fake_program: tuple[str, ...]) -> Iterator[Callable[..., Target]]:
    """A function that starts a fake broker with some options and returns its address."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Target:
        process = subprocess.Popen(
            [*fake_program, *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        running.append(process)
        assert process.stdout is not None
        return Target(port=int(process.stdout.readline()))

    yield start
    for process in running:
        process.terminate()
        process.communicate()
