"""The log: one line per event whatever is in it, levels, JSON, and files that are moved away."""

import io
import json

import pytest

from amqpd.server.logs import Logs, plain
from amqpd.server.settings import LogSettings
from amqpd.server.startup import StartupError

TEXT = LogSettings()


def logged(settings=TEXT, event=("info", "hello", {})):
    stream = io.StringIO()
    Logs(settings, stream).event(*event)
    return stream.getvalue()


def test_a_line_has_time_level_event_and_fields():
    line = logged(event=("info", "connection accepted", {"connection": "a -> b", "n": 1}))
    time, rest = line.split(" ", 1)
    assert rest == '[info] connection accepted connection="a -> b" n=1\n'
    assert time.endswith("Z") and time[10] == "T"


def test_json_is_one_object_a_line():
    line = logged(LogSettings(format="json"), ("warning", "x\n", {"user": "é\n", "n": 1}))
    assert line.count("\n") == 1
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {"level": "warning", "event": "x\n", "user": "é\n", "n": 1}
    assert line.startswith('{"timestamp"')


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "evil", ["a\nb", "a\r\nb", "\x1b[2J", "a\u2028b", "\x00", "\udcff", "\x85"]
)
def test_no_value_can_forge_a_line_or_drive_a_terminal(form, evil):
    line = logged(LogSettings(format=form), ("info", "e", {"user": evil}))
    assert line.endswith("\n") and len(line.splitlines()) <= (1 if form == "text" else 2)
    if form == "text":
        assert line[:-1].isprintable()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("word", "word"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("é", "é"),
        (12, "12"),
        (True, "True"),
        ("tab\t", '"tab\\t"'),
    ],
)
def test_values_are_words_or_quoted(value, written):
    assert plain(value) == written


def test_a_trace_follows_its_line():
    text = logged(event=("error", "unexpected exception", {"trace": "Traceback\n  x\n", "a": 1}))
    assert text.splitlines()[1:] == ["Traceback", "  x"]
    assert text.splitlines()[0].endswith("unexpected exception a=1")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical", "none"])
def test_what_is_below_the_level_is_not_written(level):
    order = ["debug", "info", "warning", "error"]
    stream = io.StringIO()
    logs = Logs(LogSettings(level=level), stream)
    for each in order:
        logs.event(each, "e", {})
    expected = order[order.index(level) :] if level in order else []
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == [
        f"[{each}]" for each in expected
    ]


def test_fields_with_names_of_our_own_are_kept():
    line = logged(event=("info", "e", {"event": 1, "level": 2, "timestamp": 3}))
    assert line.endswith("[info] e event_=1 level_=2 timestamp_=3\n")


def test_a_file_that_is_moved_away_is_made_again(tmp_path):
    path = tmp_path / "amqpd.log"
    logs = Logs(LogSettings(file=str(path)))
    logs.event("info", "first", {})
    path.rename(tmp_path / "old.log")
    logs.event("info", "second", {})
    logs.reopen()
    logs.event("info", "third", {})
    logs.close()
    old = (tmp_path / "old.log").read_text()
    assert "first" in old and "second" in old and "third" not in old
    assert path.read_text().count("\n") == 1


def test_a_file_that_cannot_be_made_again_is_written_on(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    logs = Logs(LogSettings(file=str(folder / "amqpd.log")))
    folder.rename(tmp_path / "elsewhere")
    logs.reopen()
    logs.event("info", "still written", {})
    logs.close()
    text = (tmp_path / "elsewhere/amqpd.log").read_text()
    assert "cannot write the log" in text and "still written" in text


def test_a_file_is_appended_to(tmp_path):
    path = tmp_path / "amqpd.log"
    path.write_text("before\n")
    logs = Logs(LogSettings(file=str(path)))
    logs.event("info", "after", {})
    logs.close()
    assert path.read_text().startswith("before\n")


@pytest.mark.parametrize(
    "settings",
    [LogSettings(level="loud"), LogSettings(format="xml"), LogSettings(file="/nowhere/a.log")],
)
def test_what_cannot_be_is_one_clear_line(settings):
    with pytest.raises(StartupError) as refused:
        Logs(settings)
    assert "\n" not in str(refused.value)


def test_a_reader_that_is_gone_stops_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    Logs(LogSettings(), Gone()).event("info", "e", {})
    closed = io.StringIO()
    closed.close()
    Logs(LogSettings(), closed).event("info", "e", {})


def test_a_stream_of_few_letters_gets_escapes():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    Logs(LogSettings(), stream).event("info", "e", {"user": "é"})
    assert raw.getvalue().endswith(b"user=\\xe9\n")
