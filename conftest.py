"""Which amqpd is tested: says so at the end of every run, and stops at the wrong one.

`make test` runs the suite twice and sets AMQPD_EXPECT_BUILD to "interpreted" or "compiled".
Hypothesis has the same examples in every run, and all the time that it needs: no test fails by
chance or because a machine is busy.
"""

import os

import hypothesis
import pytest

import amqpd

hypothesis.settings.register_profile("amqpd", deadline=None, derandomize=True)
hypothesis.settings.load_profile("amqpd")

BUILD = f"amqpd {amqpd.build()}, from {os.path.dirname(amqpd.__file__)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the build and the place that it was imported from."""
    terminalreporter.write_line(BUILD)


def pytest_configure() -> None:
    """Stop if this is not the build that is to be tested."""
    expected = os.environ.get("AMQPD_EXPECT_BUILD", "")
    if expected and amqpd.build() != expected:
        raise pytest.UsageError(f"the {expected} build is to be tested, and this is {BUILD}")
