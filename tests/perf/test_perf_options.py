"""Addresses and options, from text to objects."""

import argparse

import pytest

from amqpd.perf.options import LoadOptions, add_load_options, load_options
from amqpd.perf.target import Target, parse_url


def parsed(*words: str) -> LoadOptions:
    parser = argparse.ArgumentParser()
    add_load_options(parser)
    return load_options(parser.parse_args(words))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("amqp://", Target()),
        ("amqp://localhost", Target(host="localhost")),
        ("amqp://127.0.0.1:5673/", Target(port=5673)),
        ("amqp://me:s%40fe@h:1/v", Target("h", 1, "me", "s@fe", "v")),
        ("amqp://h/%2Fslashed", Target("h", vhost="/slashed")),
        ("amqp://[::1]:5/", Target("::1", 5)),
    ],
)
def test_a_url_names_a_broker(url: str, target: Target) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize("url", ["http://h", "localhost:5672", "amqp://h:port/", "amqps://h"])
def test_another_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=url.partition("/")[0]):
        parse_url(url)


def test_the_defaults_of_the_command_line_are_those_of_the_object() -> None:
    assert parsed("--name", "n") == LoadOptions(name="n")


def test_every_option_of_the_command_line_arrives() -> None:
    words = (
        "--host h --port 1 --user u --password p --vhost v --producers 2 --consumers 3 --queues 4 "
        "--size 50 --seconds 0.5 --count 6 --persistent --confirm 7 --block 8 --ack 9 "
        "--prefetch 10 --rate 11 --type quorum --drain --name n"
    )
    target = Target("h", 1, "u", "p", "v")
    expected = LoadOptions(
        target, 2, 3, 4, 50, 0.5, 6, True, 7, 8, 9, 10, 11, "quorum", True, False, "", "n"
    )  # fmt: skip
    assert parsed(*words.split()) == expected
    assert parsed("--spread").spread
    assert parsed("--arguments", "x=1").arguments == "x=1"


def test_a_url_replaces_the_five_parts() -> None:
    assert parsed("--url", "amqp://h:9/x", "--port", "1").target == Target("h", 9, vhost="x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--producers 0", "producer"),
        ("--queues 0", "queue"),
        ("--rate 5 --size 7", "8 bytes"),
        ("--drain --consumers 0", "consumer"),
        ("--prefetch 10 --ack 50", "acknowledged"),
    ],
)
def test_options_that_contradict_each_other_are_refused(words: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(*words.split())


def test_workers_share_the_queues_in_turn() -> None:
    options = LoadOptions(queues=2, name="n")
    assert [options.queue_name(index) for index in range(3)] == ["n-0", "n-1", "n-0"]
