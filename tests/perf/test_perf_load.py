"""Whole runs against the fake broker."""

import json
from collections.abc import Callable

import pytest

from amqpd.perf.command import main
from amqpd.perf.connection import BrokerError, Connection, identify
from amqpd.perf.crew import Crew, Result, Signals
from amqpd.perf.load import percentiles, rate, run_load
from amqpd.perf.options import LoadOptions
from amqpd.perf.target import Target

Fake = Callable[..., Target]


def test_rate_is_all_messages_over_the_longest_time() -> None:
    assert rate([Result("producer", 100, 2.0), Result("producer", 300, 4.0)]) == 100
    assert rate([Result("producer")]) == 0


def test_percentiles_are_in_milliseconds_and_of_nothing_nothing() -> None:
    values = [k / 1000 for k in range(100, 0, -1)]
    assert percentiles("x", values) == {"x_ms_p50": 51.0, "x_ms_p99": 100.0}
    assert percentiles("x", []) == {}


def test_a_broker_says_who_it_is(fake_broker: Fake) -> None:
    connection = Connection(fake_broker())
    assert identify(connection.server_properties) == "Fake 1.0"
    connection.close()


@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(count=1000),
        LoadOptions(count=500, size=0),
        LoadOptions(count=1000, confirm=200, ack=1),
        LoadOptions(count=500, confirm=1, ack=1, block=1, persistent=True),
        LoadOptions(count=1000, producers=2, consumers=2, queues=2, confirm=100, ack=50),
        LoadOptions(count=1000, confirm=100, ack=50, drain=True),
        LoadOptions(count=1000, queues=20, consumers=2, confirm=50, ack=50, spread=True),
    ],
    ids=["transient", "empty", "confirms", "one at a time", "two of each", "drain", "spread"],
)
def test_all_that_is_sent_comes(fake_broker: Fake, options: LoadOptions) -> None:
    target = fake_broker()
    report = run_load(LoadOptions(**{**vars(options), "target": target}))
    assert report["sent"] == report["got"] == options.count
    assert report["publish_per_s"] > 0
    assert report["drain_per_s" if options.drain else "consume_per_s"] > 0
    assert ("confirm_ms_p50" in report) == bool(options.confirm and not options.drain)


def test_a_run_at_a_rate_reports_latencies(fake_broker: Fake) -> None:
    report = run_load(LoadOptions(fake_broker(), count=50, rate=1000, ack=1, confirm=10))
    assert report["got"] == 50
    assert "latency_ms_p50" in report
    assert "confirm_ms_p50" not in report


def test_without_a_consumer_only_publishing_is_reported(fake_broker: Fake) -> None:
    report = run_load(LoadOptions(fake_broker(), count=100, consumers=0))
    assert "consume_per_s" not in report
    assert (report["sent"], report["got"]) == (100, 0)


def test_a_run_by_time_ends(fake_broker: Fake) -> None:
    report = run_load(LoadOptions(fake_broker(), seconds=0.05, confirm=50))
    assert report["sent"] == report["got"] > 0


def test_a_lost_message_ends_the_run(fake_broker: Fake) -> None:
    with pytest.raises(BrokerError, match="consume: delivery tag"):
        run_load(LoadOptions(fake_broker("--skip-tag", "100"), count=1000, confirm=100))


def test_a_refusal_is_told_in_the_brokers_words(fake_broker: Fake) -> None:
    with pytest.raises(BrokerError, match="closed with 320: no one may enter"):
        run_load(LoadOptions(fake_broker("--refuse"), count=10))


def failing(options: LoadOptions, index: int, signals: Signals) -> Result:
    """A role that cannot even begin."""
    raise OSError("no such luck")


def dying(options: LoadOptions, index: int, signals: Signals) -> Result:
    """A role whose process ends without a word."""
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("role", "reason"), [(failing, "failing: no such luck"), (dying, "ended with code 3")]
)
def test_a_worker_that_fails_fails_the_run_at_once(
    role: Callable[[LoadOptions, int, Signals], Result], reason: str
) -> None:
    with Crew() as crew, pytest.raises(BrokerError, match=reason):
        crew.launch(role, LoadOptions(), 1)


def test_the_command_prints_one_json_object(
    fake_broker: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(fake_broker().port)
    assert main(["load", "--port", port, "--count", "100", "--confirm", "50"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == [
        "publish_per_s",
        "consume_per_s",
        "confirm_ms_p50",
        "confirm_ms_p99",
        "sent",
        "got",
    ]


def test_a_broker_that_is_not_there_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["load", "--port", "1", "--count", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("amqpd perf: ")
    assert captured.err.count("\n") == 1
