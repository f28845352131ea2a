"""The crowd of quiet clients: its bytes, its reader, and the three phases at the fake broker."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pamqp import commands, header
from pamqp.frame import marshal, unmarshal

from amqpd.perf.command import main
from amqpd.perf.connection import BrokerError
from amqpd.perf.encoding import HEARTBEAT_FRAME, take_shortstr
from amqpd.perf.fairness import Phase, fairness_text
from amqpd.perf.quiet import Crowd, CrowdReport, DeliveryReader, reply_to_request, request
from amqpd.perf.target import Target

DELIVER = marshal(commands.Basic.Deliver("c", 1, False, "", "q"), 1)


def content_of(frames: bytes) -> bytes:
    """What follows the basic.publish frame."""
    return frames[unmarshal(frames)[0] :]


def read_properties(frames: bytes) -> tuple[str, commands.Basic.Properties]:
    """Decode a publish and its header with pamqp. Returns (routing key, properties)."""
    size, _, published = unmarshal(frames)
    _, _, properties = unmarshal(frames[size:])
    assert isinstance(published, commands.Basic.Publish)
    assert isinstance(properties, header.ContentHeader)
    return published.routing_key, properties.properties


def test_a_request_says_where_the_reply_goes() -> None:
    key, properties = read_properties(request("requests", "my replies", "7"))
    assert key == "requests"
    assert (properties.reply_to, properties.correlation_id) == ("my replies", "7")


def test_a_reply_goes_where_the_request_says() -> None:
    headers = DeliveryReader().receive(DELIVER + content_of(request("requests", "mine", "7")))
    key, properties = read_properties(reply_to_request(headers[0]))
    assert (key, properties.correlation_id) == ("mine", "7")


def test_deliveries_are_read_whole_byte_by_byte_and_with_a_tail() -> None:
    one = DELIVER + content_of(request("q", "r", "1")) + HEARTBEAT_FRAME
    two = DELIVER + content_of(request("q", "r", "2"))
    stream = one + two + DELIVER[:5]
    for step in (len(stream), 1, 13):
        reader = DeliveryReader()
        found = [
            take_shortstr(head, 14)[0]
            for at in range(0, len(stream), step)
            for head in reader.receive(stream[at : at + step])
        ]
        assert found == ["1", "2"]


def test_a_close_is_told_in_the_brokers_words() -> None:
    closing = marshal(commands.Connection.Close(320, "enough", 0, 0), 0)
    with pytest.raises(BrokerError, match="320: enough"):
        DeliveryReader().receive(closing)


def test_a_crowd_gets_an_answer_to_every_request(fake_broker: Callable[..., Target]) -> None:
    looks = iter([False] * 5 + [True] * 100)
    with Crowd(fake_broker(), 5, 0.01, "crowd") as crowd:
        report = crowd.run(lambda: next(looks))
    assert len(report.latencies_s) >= 5
    assert report.unanswered == 0


def test_a_crowd_notices_that_the_broker_is_gone(
    fake_broker: Callable[..., Target],
) -> None:
    with pytest.raises(BrokerError, match="no one may enter"):
        Crowd(fake_broker("--refuse"), 1, 0.01, "crowd")


def test_phases_are_a_table() -> None:
    seen = CrowdReport([0.001] * 99 + [0.5], unanswered=2, longest_silence_s=1.0)
    text = fairness_text({"amqpd": [Phase("beside a flood", seen, 1_000_000)]})
    assert text.splitlines()[2].split()[4:] == [
        "100", "1.00", "500.00", "500.00", "2", "1000", "1,000,000"
    ]  # fmt: skip


def test_the_command_runs_the_three_phases(
    fake_broker: Callable[..., Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, numbers = f"amqp://127.0.0.1:{fake_broker().port}/", tmp_path / "numbers.json"
    words = "--no-amqpd --clients 3 --interval 0.02 --seconds 0.1 --messages 500".split()
    assert main(["fairness", "--url", url, "--json", str(numbers), *words]) == 0
    phases = json.loads(numbers.read_text())["brokers"]["Fake 1.0"]
    assert [phase["phase"] for phase in phases] == [
        "alone",
        "beside a flood",
        "beside a drain of 500",
    ]
    assert all(phase["unanswered"] == 0 for phase in phases)
    assert "Fake 1.0, beside a flood" in capsys.readouterr().out
