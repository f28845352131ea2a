"""A broker that is killed at any moment keeps every promise that it made."""

import logging
from pathlib import Path

import pytest

from amqpd.server.failpoints import FAILPOINTS
from tests.crash.rounds import Crashes

pytest.importorskip("pika")

ROUNDS = 20


@pytest.mark.slow
def test_what_was_promised_survives_kill_9(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rounds = request.config.getoption("--crash-rounds", ROUNDS)
    seed = request.config.getoption("--crash-seed", 1)
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # a broker that goes is no news here
    crashes = Crashes(tmp_path, seed)
    crashes.run(rounds)
    ledger = crashes.ledger
    print(f"seed {seed}, {rounds} rounds: {ledger.counts}, killed by {crashes.hits}")
    assert not ledger.faults, f"--crash-seed={seed}: " + "\n".join(ledger.faults[:20])
    for kind in ("confirmed", "delivered", "transactions", "definitions", "audits"):
        assert ledger.counts.get(kind), f"no {kind}"
    if rounds >= ROUNDS:
        assert [name for name in FAILPOINTS if not crashes.hits[name]] == []
