"""The differential test: its scripts, its shrinking, and a run against RabbitMQ where there is one.

AMQPD_DIFFERENTIAL=200     so many scripts beside an installed RabbitMQ, which takes minutes
"""

import os
from collections.abc import Iterator, Sequence

import pytest

from interop.address import parse
from interop.brokers import missing
from interop.differential.command import main
from interop.differential.compare import Pair, first_difference
from interop.differential.explained import comparable
from interop.differential.generate import FEATURES, generate
from interop.differential.shrink import shrink
from interop.script.language import Step, parse_line, show_step
from interop.script.player import Outcome

COUNT = int(os.environ.get("AMQPD_DIFFERENTIAL", "0"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """amqpd behind a socket."""
    from tests.peers.embedded import embedded

    with embedded() as broker:
        yield f"amqp://guest:guest@{broker.host}:{broker.port}/"


def test_a_seed_is_a_script() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_scripts_survive_being_written_down() -> None:
    for seed in range(200):
        for step in generate(seed):
            assert show_step(parse_line(show_step(step))) == show_step(step)


def test_scripts_are_about_everything() -> None:
    names = {step.name for seed in range(300) for step in generate(seed)}
    assert len(FEATURES) > 10
    assert names >= {
        "basic.nack", "basic.recover", "basic.qos", "exchange.bind", "queue.unbind", "tx.rollback",
        "confirm.select", "queue.purge", "drop", "connection.close", "wait",
    }  # fmt: skip


def test_a_script_shrinks_to_what_matters() -> None:
    script = [
        parse_line(line)
        for line in (
            "a1 queue.declare queue=~a durable",
            "a1 queue.declare queue=~b",
            "a1 queue.purge queue=~a",
            'a1 queue.declare queue=~c durable arguments={"x": 1, "y": 2}',
            "a1 queue.purge queue=~b",
            "a1 queue.purge queue=~c",
        )
    ]

    def differs(steps: Sequence[Step]) -> int | None:
        for index, step in enumerate(steps):
            arguments = step.fields.get("arguments")
            if isinstance(arguments, dict) and "y" in arguments:
                if any(before.fields["queue"] == "~b" for before in steps[:index]):
                    return index
        return None

    assert [show_step(step) for step in shrink(script, differs)] == [
        "a1 queue.declare queue=~b",
        'a1 queue.declare queue=~c arguments={"y": 2}',
    ]


def test_the_first_difference_is_shown_with_what_led_there() -> None:
    step = parse_line("a1 basic.get queue=~q")
    same = Outcome(step, ["a1 < basic.get-empty"])
    found = first_difference([same, Outcome(step, ["one"])], [same, Outcome(step, ["other"])])
    assert found is not None and found.index == 1
    assert found.text().splitlines()[-2:] == ["  - one", "  + other"]
    assert first_difference([same], [same]) is None


def test_what_has_a_reason_is_not_compared() -> None:
    line = 'headers={"a": 1, "x-last-death-queue": "~q", "z": 2}'
    assert comparable(line) == 'headers={"a": 1, "z": 2}'


def test_a_broker_does_not_differ_from_itself(url: str) -> None:
    pair = Pair(parse(url), parse(url))
    try:
        for seed in range(12):
            difference = pair.play(generate(seed))
            assert difference is None, f"seed {seed}\n{difference and difference.text()}"
    finally:
        pair.close()


def test_the_command_says_how_much_it_has_compared(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", url, "--against", url, "--count", "3"]) == 0
    assert "3 scripts (seeds 1 to 3)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(not COUNT, reason="AMQPD_DIFFERENTIAL says how many scripts; it is not set")
@pytest.mark.skipif(bool(missing("rabbitmq")), reason=missing("rabbitmq") or "installed")
def test_amqpd_is_rabbitmq_to_its_clients(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--url", url, "--count", str(COUNT)])
    assert code == 0, capsys.readouterr().out
