"""A broker as a process of its own, on a data directory that outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMPLETE = "Server startup complete"
PATIENCE_S = 30


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """This process's environment for a child that imports the same amqpd."""
    path = os.pathsep.join(filter(None, sys.path))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AMQPD_")}
    return {**ours, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def command(*words: str) -> list[str]:
    """The words that start the program."""
    return [sys.executable, "-m", "amqpd", *words]


class BrokerProcess:
    """`python -m amqpd` on a directory; `log` grows over all its lives."""

    def __init__(
        self,
        data_dir: Path,
        log: Path,
        *settings: str,
        wrapper: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        words = command("--port", str(self.port), "--data-dir", str(data_dir))
        for setting in settings:
            words += ["--set", setting]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*wrapper, *words],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**environment(), **(environ or {})},
                cwd=log.parent,
            )

    def said(self) -> str:
        """What this process has logged."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", "replace")

    def wait_for(self, words: str, patience_s: float = PATIENCE_S) -> bool:
        """Wait until it says so; False if it ends before."""
        until = time.monotonic() + patience_s
        while words not in self.said():
            if self.process.poll() is not None:
                return words in self.said()
            assert time.monotonic() < until, f"no {words!r} in {patience_s} s:\n{self.said()}"
            time.sleep(0.02)
        return True

    def is_up(self) -> bool:
        """Wait for the end of its start; False if it ended instead."""
        return self.wait_for(COMPLETE)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def ended_within(self, seconds: float) -> bool:
        """Wait so long for it to end by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
