"""A broker in a process of its own, and the measurements of it, played by the fake broker."""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from amqpd.perf.command import main
from amqpd.perf.connection import BrokerError
from amqpd.perf.hash import KINDS, hash_text, measure_hash
from amqpd.perf.idle import Idle, measure_idle
from amqpd.perf.machine import (
    allow_open_files,
    describe_machine,
    filesystem,
    resident_bytes,
    written_bytes,
)
from amqpd.perf.spawn import SpawnedAmqpd, answers
from amqpd.perf.start import Start
from amqpd.perf.table import contest
from amqpd.perf.target import Target
from amqpd.perf.topic import build_tree, measure_topic, topic_text


def test_a_spawned_broker_answers_and_leaves_nothing_behind(
    fake_program: tuple[str, ...], tmp_path: Path
) -> None:
    with SpawnedAmqpd(str(tmp_path), fake_program) as amqpd:
        assert contest(amqpd.target).label == "Fake 1.0"
        assert resident_bytes(amqpd.pid) > 0
        assert amqpd.answered_ms > 0
        (amqpd.directory / "data").mkdir()
        (amqpd.directory / "data" / "log").write_bytes(bytes(123))
        assert amqpd.data_bytes() == 123
    assert not answers(amqpd.target)
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "raise SystemExit('port in use')")
    with pytest.raises(BrokerError, match="did not start:\nport in use"):
        SpawnedAmqpd(str(tmp_path), program)
    assert list(tmp_path.iterdir()) == []


def test_something_that_is_no_broker_does_not_answer() -> None:
    assert not answers(Target(port=1))


def test_idle_connections_are_counted_without_the_first_ones(
    fake_program: tuple[str, ...], tmp_path: Path
) -> None:
    with SpawnedAmqpd(str(tmp_path), fake_program) as amqpd:
        measured = measure_idle(amqpd.target, amqpd.pid, 3, settle_s=0.0)
    assert measured.connections == 3
    assert measured.before_bytes > 0


def test_the_cost_of_an_idle_connection() -> None:
    measured = Idle(10, 40_000_000, 40_150_000)
    assert measured.json()["each_bytes"] == 15_000
    assert measured.text() == (
        "10 idle connections with one channel: 15.0 kB each (40.0 to 40.1 MB)"
    )


def test_idle_wants_both_the_address_and_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["idle", "--pid", "1"]) == 1
    assert "go together" in capsys.readouterr().err


def test_the_text_of_a_start() -> None:
    text = Start([250.4, 300.0, 190.0], [44_000_000, 45_000_000, 46_000_000]).text()
    assert text == (
        "start to AMQP answering: 250 ms (median of 3, 190 to 300)\nresident at rest: 45.0 MB"
    )


def test_routing_is_measured_among_three_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure_topic(300)
    assert [each.bindings for each in measured] == [3, 30, 300]
    assert "300 bindings" in topic_text(measured)
    assert main(["topic", "--bindings", "100"]) == 0
    assert "100 bindings" in capsys.readouterr().out


def test_hashing_is_measured() -> None:
    measured = measure_hash(10)
    assert [each.kind for each in measured] == list(KINDS)
    assert all(each.route_us > 0 and each.busiest >= 1 for each in measured)
    assert "x-consistent-hash" in hash_text(measured)
    assert main(["hash", "--queues", "5"]) == 0


def test_the_same_tree_is_built_every_time() -> None:
    (one, keys), (two, same_keys) = build_tree(500), build_tree(500)
    assert keys == same_keys
    for key in keys[:50]:
        found: list[object] = []
        again: list[object] = []
        one.match(key, found)
        two.match(key, again)
        assert found == again


def test_facts_of_the_machine_are_words() -> None:
    facts = describe_machine()
    assert "cores" in facts["machine"]
    assert facts["build"].rpartition(" ")[2] in ("compiled", "interpreted")
    assert all(facts.values())


def test_facts_of_a_process() -> None:
    assert resident_bytes(os.getpid()) > 1_000_000
    assert written_bytes(os.getpid()) >= 0
    assert filesystem(Path("/proc/self")) == "proc"


def test_more_open_files_than_the_system_allows_are_refused() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    if hard != resource.RLIM_INFINITY:
        with pytest.raises(ValueError, match="open files"):
            allow_open_files(hard + 1)


def test_the_table_command_against_two_brokers(
    fake_broker: Callable[..., Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = tmp_path / "numbers.json"
    urls = [f"--url=amqp://127.0.0.1:{fake_broker().port}/" for _ in range(2)]
    words = ["--no-amqpd", "--only", "one-at-a-time", "--rounds", "1", "--seconds", "0.05"]
    assert main(["table", *urls, *words, "--json", str(numbers)]) == 0
    assert "one at a time, persistent, confirmed" in capsys.readouterr().out
    brokers = json.loads(numbers.read_text())["rows"][0]["brokers"]
    assert len(brokers) == 2
    assert all(broker["median"] > 0 for broker in brokers.values())


def test_the_table_command_without_any_broker_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["table", "--no-amqpd"]) == 1
    assert "there must be a --url" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_command_starts_this_amqpd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--only", "confirms,one-at-a-time", "--rounds", "1", "--seconds", "0.1"]
    assert main(["table", "--data-root", str(tmp_path), *words]) == 0
    assert "confirms (200 in flight), every message acked alone" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
