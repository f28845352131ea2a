"""The process: its first lines, its signals, its exit code."""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys

import pika
import pytest

from amqpd.server.process import (
    YOUNG_MAX,
    allow_many_sockets,
    collect_less_often,
    give_memory_back,
)
from amqpd.server.run import COMPLETE, loop_factory
from amqpd.server.startup import StartupError

PROGRAM = """
import sys
from amqpd.server.run import run
from amqpd.server.settings import *
sys.exit(run(Settings(**eval(sys.argv[1]))))
"""
FREE = "listeners=(Listener('127.0.0.1', 0),)"


class Process:
    """A server in a process of its own, read line by line."""

    def __init__(self, settings: str):
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, f"dict({settings})"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> str:
        for line in self.popen.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"ended without {words!r}: {self.lines}, {self.popen.stderr.read()}")

    @property
    def port(self) -> int:
        (line,) = [line for line in self.lines if "listening on" in line]
        return int(line.split("listening on ")[1].split()[0].rpartition(":")[2])

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end. Returns the exit code and standard error."""
        rest, complaints = self.popen.communicate(timeout=30)
        self.lines += rest.splitlines(keepends=True)
        return self.popen.returncode, complaints


@pytest.fixture
def start():
    """Starts servers, and leaves none behind."""
    started: list[Process] = []

    def begin(settings: str = FREE) -> Process:
        started.append(Process(settings))
        return started[-1]

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.communicate()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_first_lines_say_what_a_person_needs(start, loop, tmp_path):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    process = start(f"{FREE}, loop='{loop}', data_dir='{tmp_path}/somewhere', in_memory=False")
    process.read_until(COMPLETE)
    text = "".join(process.lines)
    assert "amqpd 0." in process.lines[0]
    assert f"loop={loop}" in text
    assert "build=interpreted" in text or "build=compiled" in text
    assert 'login: guest/guest from="loopback only"' in text
    assert "listening on 127.0.0.1:" in text
    assert "data_dir=" in text and "somewhere" in text
    assert COMPLETE in process.lines[-1]
    process.signal(signal.SIGTERM)
    assert process.end() == (0, "")


def test_json_lines_are_json_from_the_first_on(start):
    process = start(f"{FREE}, log=LogSettings(format='json')")
    process.read_until(COMPLETE)
    assert all(json.loads(line)["level"] == "info" for line in process.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_clients_are_told(start, number):
    process = start()
    process.read_until(COMPLETE)
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", process.port))
    process.signal(number)
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        connection.process_data_events(time_limit=None)
    assert process.end() == (0, "")
    assert "stopped" in process.lines[-1]


def test_a_second_signal_waits_no_longer(start):
    process = start(f"{FREE}, sockets=SocketSettings(shutdown_ms=3_600_000)")
    process.read_until(COMPLETE)
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", process.port))
    process.signal(signal.SIGTERM)
    process.read_until("stopping")  # the client never answers: nothing reads it
    process.signal(signal.SIGTERM)
    assert process.end() == (0, "")
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connection.process_data_events(time_limit=None)


def test_sighup_opens_the_log_anew(start, tmp_path):
    path = tmp_path / "amqpd.log"
    os.mkfifo(path)  # opening one end waits for the other
    process = start(f"{FREE}, log=LogSettings(file={str(path)!r})")
    with open(path) as old:
        while COMPLETE not in old.readline():
            pass
        path.rename(tmp_path / "old.log")
        os.mkfifo(path)
        process.signal(signal.SIGHUP)
        with open(path) as new:
            assert old.read() == ""
            process.signal(signal.SIGTERM)
            assert "stopped" in new.read()
    assert process.end() == (0, "")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("listeners=(Listener('127.0.0.1', {port}),)", "address already in use"),
        ("listeners=(Listener('no.such.host.invalid', 0),)", "cannot listen on"),
        ("listeners=(Listener(tls=True),), tls=TlsSettings('/no.pem')", "cannot read /no.pem"),
        ("loop='twisted'", "the loop is auto, uvloop or asyncio"),
        ("log=LogSettings(level='loud')", "a log level is one of"),
        ("log=LogSettings(file='/nowhere/at/all.log')", "cannot write the log"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_1(start, settings, words):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(settings.format(port=taken.getsockname()[1]))
        code, complaints = process.end()
    assert code == 1
    assert complaints.startswith("amqpd: ") and words in complaints
    assert complaints.count("\n") == 1


def test_the_loop_is_the_one_that_is_wanted():
    assert loop_factory("asyncio") is asyncio.new_event_loop
    with pytest.raises(StartupError):
        loop_factory("other")


def test_without_uvloop_auto_is_asyncio_and_uvloop_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory("auto") is asyncio.new_event_loop
    with pytest.raises(StartupError):
        loop_factory("uvloop")


def test_tuning_the_process_does_what_it_says():
    import resource

    before, limits = gc.get_threshold(), resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        collect_less_often()
        assert gc.get_threshold()[0] == YOUNG_MAX and gc.get_freeze_count() > 0
        allow_many_sockets()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limits[1]
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    give_memory_back()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_kept_memory_can_be_given_back():
    program = """
from amqpd.server.process import give_memory_back, keep_freed_memory
from amqpd.server.watermark import resident_bytes
keep_freed_memory()
blocks = [bytes([1]) * 200_000 for _ in range(500)]
pins = blocks[::50]
del blocks
before = resident_bytes()
give_memory_back()
print(before - resident_bytes())
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(found.stdout) > 50_000_000
