"""Scripts: their words, their names, and how they are played."""

from collections.abc import Iterator

import pytest

from interop.address import Address, parse
from interop.script.language import BadScript, parse_line, show_said, show_step
from interop.script.language import parse as parse_script
from interop.script.names import Names
from interop.script.player import play_script
from interop.wire.codec import Said
from interop.wire.tables import Typed


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """A broker behind a socket."""
    from tests.peers.embedded import embedded

    with embedded() as broker:
        yield parse(f"amqp://guest:guest@{broker.host}:{broker.port}/")


@pytest.mark.parametrize(
    "line",
    [
        "a1 channel.open",
        "a1 queue.declare queue=~q durable",
        'a1 queue.declare queue="" arguments={"x-a": 3, "n": {"!u": 4}, "b": {"!x": "0f"}}',
        'b12 basic.publish exchange=x routing-key=a.b headers={"a": [1, null]} body="m 1"',
        "a1 basic.ack delivery-tag=first multiple",
        'a1 basic.publish expiration="60000" body=m1',
        "wait ms=5",
        "a drop",
    ],
)
def test_a_step_is_its_line(line: str) -> None:
    assert show_step(parse_line(line)) == line


def test_table_values_have_types() -> None:
    step = parse_line(
        'a1 queue.declare arguments={"a": {"!s": 1}, "b": {"!x": "01"}, "c": {"d": 2}}'
    )
    assert step.said().fields["arguments"] == {
        "a": Typed("s", 1),
        "b": Typed("x", b"\x01"),
        "c": {"d": 2},
    }


@pytest.mark.parametrize(
    "line", ["queue.declare", "a1 queue.dream", "a1 queue.declare =3", 'a1 basic.publish body="']
)
def test_what_is_no_step_is_refused(line: str) -> None:
    with pytest.raises(BadScript):
        parse_line(line)


def test_names_are_of_a_run_and_those_made_up_are_numbered() -> None:
    names = Names("run7.", "/")
    assert names.real({"queue": "~q", "list": ["~a"]}) == {"queue": "run7.q", "list": ["run7.a"]}
    made_up = "amq.gen-" + "x" * 22
    shown = names.shown(Said("queue.declare-ok", {"queue": made_up, "text": "no 'run7.q'"}))
    assert shown.fields == {"queue": "$1", "text": "no '~q'"}
    assert names.real("$1") == made_up
    assert names.real("$9") == "~none"


def test_what_is_heard_is_said_in_the_words_of_scripts() -> None:
    said = Said(
        "basic.deliver",
        {"consumer-tag": "t", "delivery-tag": 1, "redelivered": False, "exchange": ""},
        {"headers": {"a": Typed("l", 5), "b": Typed("I", 5)}},
        b"x",
    )
    assert show_said(said) == (
        'basic.deliver consumer-tag=t delivery-tag=1 headers={"a": {"!l": 5}, "b": 5} body="x"'
    )


SCRIPT = """
# a dead letter, and a mistake
a1 queue.declare queue=~q arguments={"x-max-length": 1, "x-dead-letter-exchange": "", \
"x-dead-letter-routing-key": "~d"}
a1 queue.declare queue=~d
a1 confirm.select
a1 basic.publish routing-key=~q body=m1
a1 basic.publish routing-key=~q body=m2
b1 basic.consume queue=~d consumer-tag=t
b1 basic.ack delivery-tag=first
b1 basic.ack delivery-tag=first
b1 basic.ack delivery-tag=7
a drop
b1 queue.declare queue="" exclusive
b1 queue.delete queue=$1
"""


def test_a_script_shows_all_that_came_of_each_step(address: Address) -> None:
    outcomes = play_script(address, "script.", parse_script(SCRIPT))
    lines = [outcome.lines for outcome in outcomes]
    assert lines[0] == ["a1 < queue.declare-ok queue=~q", "= ~q messages=0 consumers=0"]
    assert lines[3] == ["a1 < confirmed 1", "= ~q messages=1 consumers=0"]
    assert lines[4] == ["a1 < confirmed 2", "= ~d messages=1 consumers=0"]
    assert lines[5][0] == "b1 < basic.consume-ok consumer-tag=t"
    assert '"reason": "maxlen"' in lines[5][1]
    assert lines[7] == ["nothing to settle"]
    assert lines[8][0].startswith("b1 < channel.close reply-code=406")
    assert lines[10] == ["b1 < queue.declare-ok queue=$1", "= $1 messages=0 consumers=0"]
    assert lines[11] == ["b1 < queue.delete-ok", "= $1 404"]


def test_nothing_is_left_behind(address: Address) -> None:
    play_script(address, "script.", parse_script("a1 queue.declare queue=~left durable"))
    (outcome,) = play_script(
        address, "script.", parse_script("a1 queue.declare queue=~left passive")
    )
    assert "404" in outcome.text()


def test_the_end_of_a_connection_is_heard(address: Address) -> None:
    (outcome, again) = play_script(
        address, "script.", parse_script("a1 basic.deliver\na1 queue.declare queue=~q")
    )
    assert any("connection.close" in line for line in outcome.lines)
    assert "declare-ok" in again.text()
