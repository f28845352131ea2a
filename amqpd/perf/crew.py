"""The processes of one load: started together, released together, heard one by one.

A worker gets ready (connects, declares, encodes), says so, and waits for the start. It ends with
one `Result`; if it cannot, with the reason, and then the whole run fails with that reason at once.
"""

import multiprocessing
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from typing import Final

from amqpd.perf.connection import BrokerError
from amqpd.perf.options import LoadOptions

READY_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.5


@dataclass(frozen=True)
class Result:
    """What one worker did: messages, the seconds they took, and latencies in seconds.

    A failed worker's result says why in `failure`.
    """

    role: str
    messages: int = 0
    took_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failure: str = ""


class Signals:
    """What a worker and its crew tell each other.

    `start` releases the workers, `stop` says that nothing more will be published.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self.start = context.Event()
        self.stop = context.Event()
        self._ready = context.Semaphore(0)
        self.results: multiprocessing.Queue[Result] = context.Queue()

    def ready(self) -> None:
        """Tell the crew that this worker waits for the start."""
        self._ready.release()

    def someone_ready(self, within_s: float) -> bool:
        """Wait until one more worker is ready."""
        return self._ready.acquire(timeout=within_s)


Role = Callable[[LoadOptions, int, Signals], Result]


class Crew:
    """The workers of one run. Use as a context manager: leaving it ends those that still run."""

    def __init__(self) -> None:
        self.signals: Final = Signals()
        self._workers: list[ForkProcess] = []
        self._heard: list[Result] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.join(0 if worker.exitcode is not None else 1)
            if worker.is_alive():
                worker.kill()
                worker.join()
        self.signals.results.close()

    def launch(self, role: Role, options: LoadOptions, count: int) -> None:
        """Start `count` workers and wait until all of them are ready.

        Raises BrokerError with a worker's reason if one fails.
        """
        context = multiprocessing.get_context("fork")
        for index in range(count):
            work = (role, options, index, self.signals)
            worker = context.Process(target=_work, args=work, daemon=True)
            worker.start()
            self._workers.append(worker)
        deadline = time.monotonic() + READY_TIMEOUT_S
        for _ in range(count):
            while not self.signals.someone_ready(POLL_S):
                self._hear(0.0)
                if time.monotonic() > deadline:
                    raise BrokerError("a worker did not get ready")

    def collect(self, role: str, count: int, within_s: float) -> list[Result]:
        """Wait for the results of `count` workers of a role.

        Raises BrokerError with a worker's reason if one fails, or if the time is up.
        """
        deadline = time.monotonic() + within_s
        while len(found := [result for result in self._heard if result.role == role]) < count:
            self._hear(POLL_S)
            if time.monotonic() > deadline:
                raise BrokerError(f"no result of a {role} within {within_s:.0f} s")
        return found

    def finished(self, role: str) -> int:
        """Count the workers of a role whose result is in, without waiting."""
        self._hear(0.0)
        return sum(result.role == role for result in self._heard)

    def _hear(self, within_s: float) -> None:
        try:
            result = self.signals.results.get(timeout=within_s)
        except queue.Empty:
            for worker in self._workers:
                if worker.exitcode:
                    raise BrokerError(f"a worker ended with code {worker.exitcode}") from None
            return
        if result.failure:
            raise BrokerError(result.failure)
        self._heard.append(result)


def _work(role: Role, options: LoadOptions, index: int, signals: Signals) -> None:
    try:
        signals.results.put(role(options, index, signals))
    except (BrokerError, OSError, ValueError) as error:
        signals.results.put(Result("failed", failure=f"{role.__name__}: {error}"))
    except KeyboardInterrupt:
        pass
