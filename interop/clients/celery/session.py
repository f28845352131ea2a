"""One worker for all scenarios, as a process of its own, and what it leaves removed."""

# mypy: disable-error-code="import-untyped, import-not-found"

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from interop.clients.celery.app import NAME, app
from interop.kit.case import Case
from interop.kit.check import Failed, within

WAIT_S: Final = 20.0
START_S: Final = 30.0
_COMMAND: Final = ("-m", "celery", "-A", "interop.clients.celery.app", "worker", "--concurrency=1",
                   "--pool=solo", "--loglevel=ERROR", "-E")  # fmt: skip


class Worker:
    """Celery's worker, and the application. The environment tells it where and how."""

    def __init__(self) -> None:
        self.app: Any = app
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers. Raises Failed if it does not."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, *_COMMAND],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        for _ in range(int(START_S)):
            if self._process.poll() is not None:
                raise Failed(f"the worker ended with exit code {self._process.returncode}")
            if self.app.control.ping(timeout=1.0, limit=1):
                return
        raise Failed(f"the worker did not answer within {START_S:g} s")

    def stop(self) -> None:
        """End the worker, and remove its queues and exchanges."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self.app.connection_for_write() as connection:
            channel = connection.channel()
            channel.queue_delete(f"{NAME}.tasks")
            for exchange in ("tasks", "events", "control.pidbox"):
                channel.exchange_delete(f"{NAME}.{exchange}")
            channel.exchange_delete(f"reply.{NAME}.control.pidbox")


WORKER: Final = Worker()


def play(function: Callable[[Worker], None], case: Case) -> None:
    """Play one scenario within its time limit."""
    with within(case.limit_s):
        WORKER.start()
        function(WORKER)
