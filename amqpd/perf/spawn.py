"""An amqpd of this installation, in a process of its own, on an empty data directory."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from amqpd.perf.connection import BrokerError
from amqpd.perf.encoding import PROTOCOL_HEADER
from amqpd.perf.target import Target

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0
ASK_AGAIN_S: Final = 0.001
THIS_AMQPD: Final = (sys.executable, "-m", "amqpd", "serve")
LOG_LINES_SHOWN: Final = 10

_ROOT: Final = Path(__file__).resolve().parents[2]


class SpawnedAmqpd:
    """A running broker. Use as a context manager: leaving it stops it and removes its data.

    `answered_ms` is the time from starting the process until AMQP answered. Raises BrokerError if
    that does not happen, with the last lines of the broker's output.
    """

    def __init__(self, data_root: str | None = None, program: Sequence[str] = THIS_AMQPD) -> None:
        self.directory: Final = Path(tempfile.mkdtemp(prefix="amqpd-perf-", dir=data_root))
        self.target: Final = Target(port=free_port())
        self._output = self.directory / "output"
        self._command = [*program, "--bind", self.target.host, "--port", str(self.target.port)]
        self._command += ["--data-dir", str(self.directory / "data")]
        self.answered_ms = self._start()

    def _start(self) -> float:
        """Start the process. Returns the time until AMQP answered (ms)."""
        began = time.perf_counter()
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
            )
        try:
            self._wait_for_answer(began + START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return (time.perf_counter() - began) * 1e3

    def __enter__(self) -> "SpawnedAmqpd":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._process.pid

    def kill_and_restart(self) -> None:
        """End it as a crash does, and start it again on the same directory and port."""
        self._process.kill()
        self._process.wait()
        self.answered_ms = self._start()

    def stop(self) -> None:
        """End the process, gently first, and remove its directory."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def data_bytes(self) -> int:
        """Return the size of the files in the data directory."""
        files = (self.directory / "data").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def _wait_for_answer(self, deadline: float) -> None:
        while not answers(self.target):
            if self._process.poll() is not None:
                raise BrokerError(f"amqpd did not start:\n{self._last_lines()}")
            if time.perf_counter() > deadline:
                raise BrokerError(f"amqpd does not answer:\n{self._last_lines()}")
            time.sleep(ASK_AGAIN_S)

    def _last_lines(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])


def answers(target: Target) -> bool:
    """Ask whether something on that port replies to the protocol header with a method frame."""
    try:
        with socket.create_connection((target.host, target.port), START_TIMEOUT_S) as asked:
            asked.sendall(PROTOCOL_HEADER)
            return asked.recv(1) == b"\x01"
    except OSError:
        return False


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Let the child import this very amqpd, and keep its byte code as an installed one has it."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{_ROOT}{os.pathsep}{inherited}" if inherited else str(_ROOT)
    return environment
