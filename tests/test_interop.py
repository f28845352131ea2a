"""The interop runner itself, without a broker: clients that behave badly, and what is shown."""

import ast
import asyncio
import json
import os
import re
import socket
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from select import select
from typing import Any

import pytest

from interop import cli, manifest, report, runner, scenarios
from interop.address import parse
from interop.kit import check
from interop.manifest import BadManifest, Client
from interop.probe import Broker, NoBroker, probe
from interop.results import FAIL, PASS, REASON_MAX, SKIP, Answer, Column, Matrix, one_line
from interop.scenarios import CATALOGUE, Scenario

HELLO = '{"client": "fake", "version": "1.0"}'
ONE, TWO, THREE = (Scenario("group", name, "it works", 20.0) for name in ("one", "two", "three"))


def client(folder: Path, script: str, **fields: Any) -> Client:
    """A client that is a Python script."""
    path = folder / "client.py"
    path.write_text(PRELUDE + textwrap.dedent(script), encoding="utf-8")
    plain = Client("fake", "Python", folder, (sys.executable, "{folder}/client.py"))
    return replace(plain, **fields)


PRELUDE = f"""
import json, os, signal, subprocess, sys, threading
asked = sys.argv[1:]
def say(line): print(line, flush=True)
def answer(name, result="pass", **more):
    say(json.dumps(dict(scenario=name, result=result, ms=7, **more)))
def hang(): threading.Event().wait()
def hello(): say('{HELLO}')
"""


def play(fake: Client, *asked: Scenario) -> list[Answer]:
    """Run a client and return its answers."""
    heard: list[Answer] = []
    column = Column(fake.name)
    playing = runner.play(
        fake, "amqp://u:secret@h:1/%2F", "prefix", asked, heard.append, column, grace_s=0
    )
    asyncio.run(playing)
    assert heard == column.answers
    assert [answer.scenario for answer in heard] == [scenario.name for scenario in asked]
    return heard


def results(answers: list[Answer]) -> list[str]:
    """Only the results."""
    return [answer.result for answer in answers]


def test_answers_are_taken_in_order_with_reason_and_time(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        answer("one")
        answer("two", "fail", reason="it did not work")
        answer("three", "skip")
        """,
    )
    assert play(fake, ONE, TWO, THREE) == [
        Answer("one", PASS, "", 7),
        Answer("two", FAIL, "it did not work", 7),
        Answer("three", SKIP, "the client gave no reason", 7),
    ]


def test_a_crash_is_the_failure_of_the_scenario_under_way_and_the_rest_is_played(
    tmp_path: Path,
) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        for name in asked:
            if name == "two":
                sys.exit("out of luck")
            answer(name)
        """,
    )
    answers = play(fake, ONE, TWO, THREE)
    assert results(answers) == [PASS, FAIL, PASS]
    assert answers[1].reason == "the client ended before it answered (exit code 1: out of luck)"


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("sys.exit(0)", "exit code 0"),
        ("print('a\\nb', end='', file=sys.stderr); sys.exit(3)", "exit code 3: b"),
    ],
)
def test_how_a_client_ended_is_told(tmp_path: Path, death: str, how: str) -> None:
    (answer,) = play(client(tmp_path, f"hello(); {death}"), ONE)
    assert answer.result == FAIL
    assert answer.reason == f"the client ended before it answered ({how})"


def test_a_client_that_hangs_is_killed_and_the_rest_is_played(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        for name in asked:
            if name == "two":
                hang()
            answer(name)
        """,
    )
    answers = play(fake, ONE, Scenario("group", "two", "", limit_s=0.1), THREE)
    assert results(answers) == [PASS, FAIL, PASS]
    assert answers[1] == Answer("two", FAIL, "no answer within its 0.1 s; killed", 100)


def test_a_child_that_holds_the_output_open_is_killed_as_well(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        held = os.open(os.environ["HELD"], os.O_WRONLY)
        command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
        subprocess.Popen(command, pass_fds=[held])
        """,
        env={"HELD": str(tmp_path / "held")},
    )
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    try:
        (answer,) = play(fake, Scenario("group", "one", "", limit_s=1.0))
        assert answer.reason == "no answer within its 1 s; killed"
        # Readable without data: the last process that held the other end is gone.
        assert select([reader], [], [], 10)[0] and os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_noise_does_not_matter(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        say("Welcome!")
        say("[1, 2]")
        hello()
        say("")
        print("a warning", file=sys.stderr)
        sys.stderr.write("x" * 500_000)
        answer("one")
        """,
    )
    assert results(play(fake, ONE)) == [PASS]


@pytest.mark.parametrize(
    "line",
    [
        '{"scenario": "two", "result": "pass"}',
        '{"scenario": "one", "result": "great"}',
        '{"scenario": "one"}',
        '{"hello": "again"}',
    ],
)
def test_an_answer_outside_the_protocol_is_a_failure(tmp_path: Path, line: str) -> None:
    fake = client(tmp_path, f"hello()\nif asked[0] == 'one': say({line!r})\nanswer('two')")
    answers = play(fake, ONE, TWO)
    assert results(answers) == [FAIL, PASS]
    assert answers[0].reason.startswith("the client broke the protocol: it answered {")


def test_a_line_without_end_is_a_failure(tmp_path: Path) -> None:
    fake = client(tmp_path, f"hello(); print('x' * {3 * runner.LINE_BYTES_MAX}); hang()")
    assert play(fake, ONE)[0].reason == f"a line of over {runner.LINE_BYTES_MAX} bytes"


def test_a_client_that_cannot_begin_fails_everything_once(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    fake = client(tmp_path, f"open({str(starts)!r}, 'a').write('x'); import no_such_library")
    reason = "did not start: exit code 1: ModuleNotFoundError: No module named 'no_such_library'"
    assert play(fake, ONE, TWO) == [Answer("one", FAIL, reason), Answer("two", FAIL, reason)]
    assert starts.read_text() == "x"


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    fake = client(tmp_path, "", start=(str(tmp_path / "nothing"),))
    assert play(fake, ONE)[0].reason.startswith("did not start: ")


def test_a_client_that_does_not_introduce_itself_is_a_failure(tmp_path: Path) -> None:
    fake = client(tmp_path, "hang()", start_limit_s=0.1)
    assert play(fake, ONE)[0].reason == "did not start: not ready within 0.1 s"
    fake = client(tmp_path, "answer('one')")
    assert play(fake, ONE)[0].reason.startswith("did not start: its first line was {")


def test_slow_failures_in_a_row_end_the_column(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        for name in asked:
            say(json.dumps(dict(scenario=name, result="fail", reason="slow", ms=10_000)))
        """,
    )
    many = [Scenario("group", f"s{number}", "") for number in range(runner.SLOW_MAX + 2)]
    answers = play(fake, *many)
    assert [answer.reason for answer in answers] == [
        *["slow"] * runner.SLOW_MAX,
        *["not tried after 5 slow failures in a row"] * 2,
    ]


def test_the_url_is_in_the_environment_and_not_in_the_arguments(tmp_path: Path) -> None:
    fake = client(
        tmp_path,
        """
        hello()
        seen = [os.environ["INTEROP_URL"], os.environ["INTEROP_PREFIX"], os.environ["OWN"], asked]
        answer("one", "skip", reason=json.dumps(seen))
        """,
        env={"OWN": "{folder}"},
    )
    (answer,) = play(fake, ONE)
    seen = json.loads(answer.reason)
    assert seen == ["amqp://u:secret@h:1/%2F", "prefix", str(tmp_path), ["one"]]


def test_the_python_kit_speaks_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "played.py").write_text(
        "import threading\n"
        "from interop.kit.check import Failed, within\n"
        "def hello(case): assert (case.queue(), case.limit_s) == ('prefix.hello.queue', 20)\n"
        "def work_queue(case): raise Failed('wrong')\n"
        "def routing(case): raise KeyError('x')\n"
        "def topics(case):\n"
        "    with within(0.05): threading.Event().wait()\n"
    )
    script = """
        import played
        from interop.kit import harness
        skips = {"rpc-reply-queue": "why not"}
        harness.main("kit", "2.0", [played], skips, lambda function, case: function(case))
        """
    fake = client(tmp_path, script, env={"PYTHONPATH": "{root}"})
    names = ("hello", "work-queue", "routing", "topics", "rpc-reply-queue", "unheard-of")
    answers = play(fake, *(Scenario("", name, "") for name in names))
    assert [(answer.result, answer.reason) for answer in answers] == [
        (PASS, ""),
        (FAIL, "wrong [played.py:4]"),
        (FAIL, "KeyError: 'x' [played.py:5]"),
        (FAIL, "TimeIsUp: not done within 0.05 s [played.py:7]"),
        (SKIP, "why not"),
        (SKIP, "this client does not do it"),
    ]


def test_the_matrix_shows_cells_and_reasons() -> None:
    matrix = Matrix("amqp://guest@h:5672/", "Broker 1.0")
    matrix.columns = [
        Column("alpha", "1.2", [Answer("one", PASS), Answer("two", FAIL, "broken")]),
        Column("be", "", [Answer("one", SKIP, "cannot"), Answer("two", SKIP, "cannot")]),
    ]
    assert report.render(matrix, [ONE, TWO, THREE], absent={"gamma": "needs node"}) == (
        "Broker 1.0 at amqp://guest@h:5672/\n"
        "\n"
        "         alpha  be\n"
        "  group:\n"
        "  one    ok     skip\n"
        "  two    FAIL   skip\n"
        "  three  -      -\n"
        "\n"
        "  Failures:\n"
        "  alpha: two\n"
        "      broken\n"
        "\n"
        "  Skipped:\n"
        "  be: one, two\n"
        "      cannot\n"
        "  gamma did not run: needs node\n"
        "\n"
        "  1 passed, 1 failed, 2 skipped (alpha 1.2, be)\n"
    )
    assert not matrix.is_green()


def test_a_broker_that_does_not_answer_is_shown_as_a_failure() -> None:
    matrix = Matrix("amqp://guest@h:5672/", "", error="no broker answers")
    assert "FAIL  no broker answers" in report.render(matrix, [ONE])
    assert not matrix.is_green()


def test_colours_do_not_move_the_columns() -> None:
    matrix = Matrix("url", "b", [Column("c", "", [Answer("one", PASS), Answer("two", FAIL, "r")])])
    coloured = report.render(matrix, [ONE, TWO], colour=True)
    assert "\x1b[1;31mFAIL\x1b[0m" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert plain.split() == report.render(matrix, [ONE, TWO]).split()


def test_json_has_every_answer() -> None:
    matrix = Matrix("url", "B 1", [Column("c", "2", [Answer("one", PASS, "", 3)])])
    answer = {"scenario": "one", "result": "pass", "reason": "", "ms": 3, "dialogue": []}
    fake = {"client": "c", "version": "2", "answers": [answer]}
    broker = {"url": "url", "broker": "B 1", "name": "B 1", "error": "", "clients": [fake]}
    broker["rules"] = []
    assert report.as_json([matrix], date="today") == {"date": "today", "brokers": [broker]}


def test_reasons_are_one_line_and_bounded() -> None:
    assert one_line("a\n  b\tc ") == "a b c"
    assert len(one_line("x" * 10_000)) == REASON_MAX


def test_scenario_names_are_unique_and_grouped() -> None:
    names = [scenario.name for scenario in CATALOGUE]
    assert len(set(names)) == len(names) >= 38
    groups = [scenario.group for scenario in CATALOGUE]
    assert len(set(groups)) == 1 + sum(a != b for a, b in zip(groups, groups[1:], strict=False))


def test_scenarios_are_selected_by_name_and_pattern() -> None:
    assert scenarios.select([]) == list(CATALOGUE)
    assert [scenario.name for scenario in scenarios.select(["tx-*", "hello"])] == [
        "hello",
        "tx-commit",
        "tx-rollback",
    ]
    with pytest.raises(ValueError, match="no scenario is called nothing"):
        scenarios.select(["hello", "nothing"])


@pytest.mark.parametrize(
    "folder", [manifest.CLIENTS / name for name in ("aiopika", "kombu", "pika", "pyamqp")]
)
def test_every_scenario_is_played_or_has_a_reason_to_be_skipped(folder: Path) -> None:
    loaded = manifest.load(folder)
    assert loaded.name == folder.name and loaded.start[-1] == f"interop.clients.{folder.name}"
    asked = [scenario for scenario in CATALOGUE if loaded.plays(scenario.group)]
    names = {scenario.name.replace("-", "_") for scenario in asked}
    functions: set[str] = set()
    skips: set[str] = set()
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name == "__main__.py":
            constants = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
            skips = {str(text).replace("-", "_") for text in constants} & names
        elif path.name not in ("session.py", "batch.py"):
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            found = {node.name for node in tree.body if isinstance(node, kinds)}
            functions |= {name for name in found if not name.startswith("_")}
    assert functions <= names
    assert functions.isdisjoint(skips)
    assert functions | skips == names
    assert folder.name != "pika" or not skips


def write_manifest(folder: Path, text: str) -> Client:
    """Write a client.toml and load it."""
    folder.mkdir(exist_ok=True)
    (folder / "client.toml").write_text(textwrap.dedent(text), encoding="utf-8")
    return manifest.load(folder, cache=folder / "cache")


def test_a_manifest_is_read_and_its_paths_are_filled_in(tmp_path: Path) -> None:
    loaded = write_manifest(
        tmp_path,
        """
        name = "js"
        language = "JavaScript"
        start = ["node", "{folder}/main.js", "{cache}", "{python}"]
        start_limit_s = 60
        [command]
        needs = ["sh"]
        ready = "{cache}/lib"
        install = [["sh", "-c", "mkdir lib"]]
        [env]
        NODE_PATH = "{cache}/lib"
        """,
    )
    cache = tmp_path / "cache" / "js"
    assert loaded.command() == ["node", f"{tmp_path}/main.js", str(cache), sys.executable]
    assert loaded.start_limit_s == 60
    assert loaded.install == (("sh", "-c", "mkdir lib"),)
    assert loaded.missing() == "not installed (python -m interop install js)"
    (cache / "lib").mkdir(parents=True)
    assert loaded.missing() == ""


def test_a_client_whose_toolchain_is_missing_says_which(tmp_path: Path) -> None:
    fake = client(tmp_path, "", needs=("sh", "no-such-program"))
    assert fake.missing() == "needs no-such-program, which is not on this machine"


def test_a_library_of_this_interpreter_is_used(tmp_path: Path) -> None:
    here = client(tmp_path, "", imports=("json",))
    assert (here.python(), here.missing()) == (sys.executable, "")
    absent = client(tmp_path, "", imports=("no_such_library",), cache=tmp_path)
    assert absent.python() == str(tmp_path / "python" / "bin" / "python")
    assert absent.missing() == "not installed (python -m interop install fake)"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "client.toml"),
        ("language = 'C'\nstart = ['x']", "name must be a text"),
        ("name = 'x'\nlanguage = 'C'\nstart = 'x'", "start must be a list of texts"),
        ("name = 'x'\nlanguage = 'C'\nstart = []", "start must be a list of texts"),
        ("name = 'x'\nlanguage = 'C'\nstart = ['x']\npython = 1", "python must be a table"),
        ("name = 'x'\nlanguage = 'C'\nstart = ['x']\nstart_limit_s = 'x'", "number of seconds"),
    ],
)
def test_a_bad_manifest_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadManifest, match=complaint) as refused:
        write_manifest(tmp_path, text)
    assert str(tmp_path) in str(refused.value)


def test_urls_are_read_and_shown_without_the_password() -> None:
    address = parse("amqps://us%40r:p%2Fw@[::1]:1234/a%2Fb")
    assert (address.host, address.port, address.user) == ("::1", 1234, "us@r")
    assert (address.password, address.vhost, address.tls) == ("p/w", "a/b", True)
    assert address.url() == "amqps://us%40r:p%2Fw@[::1]:1234/a%2Fb"
    assert address.shown() == "amqps://us%40r@[::1]:1234/a%2Fb"
    assert parse("amqp://") == parse("amqp://guest:guest@127.0.0.1:5672/")
    assert parse("amqp://h/").url() == "amqp://guest:guest@h:5672/%2F"
    assert parse("amqps://h").port == 5671
    with pytest.raises(ValueError, match="not an AMQP URL"):
        parse("http://h/")


@pytest.mark.parametrize(
    ("seen", "expected", "is_same"),
    [
        (1, 1, True),
        (True, 1, False),
        (1, 1.0, False),
        (b"x", bytearray(b"x"), True),
        (b"x", "x", False),
        (Decimal("1.5"), Decimal("1.50"), True),
        (datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), True),
        (None, None, True),
        (None, 0, False),
        ([1, [True]], [1, [True]], True),
        ([1, [True]], [1, [1]], False),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ((1, 2), [1, 2], True),
    ],
)
def test_sameness_is_that_of_field_tables(seen: object, expected: object, is_same: bool) -> None:
    assert check.same(seen, expected) is is_same


def test_a_difference_names_the_place() -> None:
    with pytest.raises(check.Failed, match=r"^x: expected 1, got 2$"):
        check.equal(2, 1, "x")
    with pytest.raises(check.Failed, match=r"^x: item 70: expected 70, got 0$"):
        check.equal([*range(70), 0], list(range(71)), "x")
    with pytest.raises(check.Failed, match=r"^x: expected 71 items, got 70$"):
        check.equal(list(range(70)), list(range(71)), "x")


@contextmanager
def introducing(reply: bytes) -> Iterator[str]:
    """Listen on loopback, answer each protocol header with `reply`; gives the URL."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(8)
                peer.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"amqp://guest:secret@127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def start_frame(table: bytes) -> bytes:
    """A connection.start with these server properties."""
    fields = b"\x00\x09" + len(table).to_bytes(4, "big") + table
    payload = b"\x00\x0a\x00\x0a" + fields + b"\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US"
    return b"\x01\x00\x00" + len(payload).to_bytes(4, "big") + payload + b"\xce"


INTRODUCTION = start_frame(
    b"\x0ccapabilitiesF\x00\x00\x00\x07\x04nackt\x01"
    b"\x03oddV\x04longl\x00\x00\x00\x00\x00\x00\x00\x01"
    b"\x07productS\x00\x00\x00\x06Tester\x07versionS\x00\x00\x00\x037.5"
)


def test_a_broker_is_known_by_its_introduction() -> None:
    with introducing(INTRODUCTION) as url:
        assert probe(parse(url)) == Broker("Tester", "7.5")
    with introducing(start_frame(b"\x01x?")) as url:
        assert str(probe(parse(url))) == "unknown broker"


@pytest.mark.parametrize("reply", [b"", b"AMQP\x00\x01\x00\x00", b"HTTP/1.1 400 Bad Request\r\n"])
def test_what_is_no_amqp_broker_is_refused(reply: bytes) -> None:
    with introducing(reply) as url, pytest.raises(NoBroker, match=r"no AMQP 0-9-1 broker at"):
        probe(parse(url))


def run(tmp_path: Path, url: str, result: str, *words: str) -> int:
    """The command line with one fake client."""
    folder = tmp_path / "clients" / "fake"
    folder.mkdir(parents=True)
    client(folder, f"hello()\nfor name in asked: answer(name, {result!r}, reason='because')")
    (folder / "client.toml").write_text(
        "name = 'fake'\nlanguage = 'Python'\nstart = ['{python}', '{folder}/client.py']\n"
    )
    return cli.main(["--url", url, *words], tmp_path / "clients")


def test_a_green_run_exits_with_0_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    with introducing(INTRODUCTION) as url:
        assert run(tmp_path, url, "pass", "--scenario", "hello", "--json", str(file)) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Tester 7.5 at amqp://guest@127.0.0.1:")
    assert "hello  ok" in shown
    assert "secret" not in shown + file.read_text()
    broker = json.loads(file.read_text())["brokers"][0]
    assert [answer["scenario"] for answer in broker["clients"][0]["answers"]] == ["hello"]


def test_a_failure_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with introducing(INTRODUCTION) as url:
        assert run(tmp_path, url, "fail", "--scenario", "tx-*") == 1
    assert "fake: tx-commit, tx-rollback\n      because" in capsys.readouterr().out


def test_one_matrix_per_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with introducing(INTRODUCTION) as one, introducing(b"") as two:
        assert run(tmp_path, one, "pass", "--scenario", "hello", "--url", two) == 1
    shown = capsys.readouterr().out
    assert "1 passed" in shown and "FAIL  no AMQP 0-9-1 broker" in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--client", "nobody"], "no client is called nobody (there are aiopika, "),
        (["--scenario", "nothing"], "no scenario is called nothing"),
        (["--url", "redis://h"], "not an AMQP URL"),
    ],
)
def test_a_question_without_sense_exits_with_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert complaint in capsys.readouterr().err


def test_the_list_names_scenarios_and_clients(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--list"]) == 0
    shown = capsys.readouterr().out
    for scenario in CATALOGUE:
        assert f"    {scenario.name} (within" in shown
    assert "    pika (Python): " in shown
