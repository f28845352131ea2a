"""The store's measurements, on a broker of this installation and in small."""

from pathlib import Path

import pytest

from amqpd.perf.command import main
from amqpd.perf.options import LoadOptions
from amqpd.perf.spawn import THIS_AMQPD, SpawnedAmqpd
from amqpd.perf.store import PARTS, Waiting, choose_parts, measure_waiting


def test_what_waits_is_there_after_a_kill_and_is_drained(tmp_path: Path) -> None:
    with SpawnedAmqpd(str(tmp_path)) as amqpd:
        measured = measure_waiting(amqpd, 500, 100, settle_s=0)
    assert (measured.messages, measured.size) == (500, 100)
    assert measured.first_delivery_ms > measured.answered_ms > 0
    assert measured.drain_per_s > 0


def test_a_message_that_is_lost_fails_the_measurement(tmp_path: Path) -> None:
    """Without a durable directory nothing is there after the kill."""
    with SpawnedAmqpd(str(tmp_path), (*THIS_AMQPD, "--memory")) as amqpd:
        with pytest.raises(Exception, match="closed with 404|unexpected"):
            measure_waiting(amqpd, 10, 100, settle_s=0)


def test_the_text_of_what_waits() -> None:
    lines = Waiting(1000, 100, 5_000_000, 130.2, 1_131.0, 250_000).text().splitlines()
    assert lines == [
        "1,000 messages of 100 B wait: +5 MB",
        "after kill -9: AMQP answers 130 ms after the start, "
        "the first message comes after 1,131 ms",
        "one consumer takes and acks all of them at 250,000 msg/s",
    ]


def test_parts_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_parts("") == PARTS
    assert choose_parts("queues, waiting") == ("queues", "waiting")
    assert main(["store", "--only", "nothing"]) == 1
    assert "no part 'nothing'; there are publishers, queues, waiting" in capsys.readouterr().err


def test_a_spread_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="--confirm must allow it"):
        LoadOptions(queues=100, confirm=50, spread=True)
    with pytest.raises(ValueError, match="neither --rate nor --drain"):
        LoadOptions(queues=2, rate=5, spread=True)


def test_a_spread_shares_the_queues_out() -> None:
    options = LoadOptions(queues=12, consumers=5, spread=True, name="n")
    assert options.published_queues(0) == [f"n-{index:02d}" for index in range(12)]
    assert options.consumed_queues(1) == ["n-01", "n-06", "n-11"]
