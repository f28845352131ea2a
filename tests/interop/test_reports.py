"""What a run is written as: JUnit XML, a page, a table for a README; and the wire dialogues."""

import asyncio
from pathlib import Path
from xml.etree import ElementTree

import pytest

from interop import summary
from interop.address import parse
from interop.junit import as_junit
from interop.page import as_page
from interop.recorder import LINES_MAX, Dialogue, recording
from interop.report import as_json, render
from interop.results import FAIL, PASS, SKIP, Answer, Column, Matrix
from interop.rules import book
from interop.rules.judge import DEVIATES, FAILS, KEEPS, Verdict
from interop.scenarios import CATALOGUE
from interop.wire.connection import Connection


def matrix() -> Matrix:
    """A run with one of everything."""
    answers = [
        Answer("hello", PASS, "", 3),
        Answer("work-queue", FAIL, "a < b & c", 4),
        Answer("topics", SKIP, "cannot"),
    ]
    found = Matrix("amqp://h/", "Broker <1>", [Column("pika", "1.4", answers)])
    found.dialogues["pika", "work-queue"] = ["1 > 1 queue.declare queue=q"]
    (rule,) = book.parse("== rabbitmq/x MUST\nWords & more.\na1 open")
    found.verdicts = [
        Verdict(rule, KEEPS),
        Verdict(rule, DEVIATES),
        Verdict(rule, FAILS, ["a1 open", "  - wanted", "  + seen"]),
    ]
    return found


def test_junit_counts_and_explains() -> None:
    suites = ElementTree.fromstring(as_junit([matrix(), Matrix("u", "", error="nobody")]))
    counts = [(s.get("tests"), s.get("failures"), s.get("skipped")) for s in suites]
    assert counts == [("3", "1", "1"), ("3", "1", "0"), ("1", "1", "0")]
    failure = suites.find("testsuite/testcase/failure")
    assert failure is not None and failure.get("message") == "a < b & c"
    assert failure.text == "1 > 1 queue.declare queue=q"


def test_the_page_needs_nothing_else_and_escapes() -> None:
    page = as_page([matrix()], date="today")
    assert "Broker &lt;1&gt;" in page and "a &lt; b &amp; c" in page
    assert "<script" not in page and "http" not in page.replace("amqp://", "")
    assert "queue.declare queue=q" in page
    assert page.count("id='") == 2


def test_failed_rules_fail_the_run() -> None:
    found = matrix()
    assert not found.is_green()
    assert "rabbitmq/x" in render(found, list(CATALOGUE))


def test_a_table_is_put_between_the_marks(tmp_path: Path) -> None:
    text = summary.table([as_json([matrix()], date="2026-01-01T00:00:00")])
    assert "| pika 1.4 | 1 of 2 |" in text
    assert "| rules, as expected | 2 of 3 |" in text
    before = f"a\n{summary.BEGIN}\nold\n{summary.END}\nb\n"
    assert summary.put(before, "new") == f"a\n{summary.BEGIN}\nnew\n{summary.END}\nb\n"
    with pytest.raises(ValueError, match="no <!-- interop"):
        summary.put("a", "new")


def test_a_long_dialogue_keeps_its_beginning_and_its_end() -> None:
    dialogue = Dialogue()
    for at in range(LINES_MAX + 50):
        dialogue.note(str(at))
    text = dialogue.text()
    assert (text[0], text[10], text[-1]) == ("0", "... 50 lines ...", str(LINES_MAX + 49))


def test_the_wire_is_heard_in_the_words_of_scripts() -> None:
    from tests.peers.embedded import embedded

    async def talk(url: str) -> list[str]:
        async with recording(parse(url)) as (address, dialogue):

            def client() -> None:
                connection = Connection(address)
                connection.say(1, "channel.open")
                connection.take(1)
                connection.close()

            await asyncio.to_thread(client)
            for _ in range(100):
                if len([line for line in dialogue.lines if line.endswith("end")]) == 2:
                    break
                await asyncio.sleep(0.01)
        return dialogue.text()

    with embedded() as broker:
        lines = asyncio.run(talk(f"amqp://guest:guest@{broker.host}:{broker.port}/"))
    assert lines[0].startswith("1 > protocol-header") and lines[1].startswith(
        "1 < connection.start "
    )
    assert lines[2] == "1 > connection.start-ok"
    assert "1 > 1 channel.open" in lines and "1 < 1 channel.open-ok" in lines
