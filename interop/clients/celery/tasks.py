"""The scenarios, with one worker for all."""

# mypy: disable-error-code="import-untyped, import-not-found"

import time
from typing import Any

from celery import group

from interop.clients.celery import app as tasks
from interop.clients.celery.session import WAIT_S, Worker
from interop.kit.check import equal, holds


def task_results(worker: Worker) -> None:
    """Ten results, by the rpc backend: a reply queue of the caller's own."""
    results = [tasks.add.delay(number, 1) for number in range(10)]
    equal([one.get(WAIT_S) for one in results], list(range(1, 11)), "results")


def task_retry(worker: Worker) -> None:
    """Twice again."""
    equal(tasks.third_time.delay().get(WAIT_S), 2, "retries")


def task_later(worker: Worker) -> None:
    """With a countdown, which makes the worker keep it unacknowledged until then."""
    asked = time.time()
    done = tasks.now.apply_async(countdown=1.5).get(WAIT_S)
    holds(done - asked >= 1.5, f"carried out after {done - asked:.2f} s")


def task_chord(worker: Worker) -> None:
    """The rpc backend has no chords: a group, and a task with what it brought."""
    numbers = group(tasks.add.s(number, number) for number in range(5))().get(WAIT_S)
    equal(tasks.total.delay(numbers).get(WAIT_S), 20, "total")


def task_remote_control(worker: Worker) -> None:
    """ping and registered, by the pidbox exchange."""
    answers = worker.app.control.ping(timeout=5.0, limit=1)
    equal([list(one.values()) for one in answers], [[{"ok": "pong"}]], "answers")
    known = worker.app.control.inspect(timeout=5.0, limit=1).registered()
    holds(any("add" in task for names in known.values() for task in names), f"tasks: {known}")


def task_events(worker: Worker) -> None:
    """From the topic exchange of events, by Celery's own receiver."""
    seen: list[str] = []

    def take(event: dict[str, Any]) -> None:
        seen.append(event["type"])
        if event["type"] == "task-succeeded":
            receiver.should_stop = True

    with worker.app.connection_for_read() as connection:
        receiver = worker.app.events.Receiver(connection, handlers={"*": take})
        receiver.on_consume_ready = lambda *_, **__: tasks.add.delay(1, 2)
        receiver.capture(limit=None, timeout=WAIT_S, wakeup=False)
    for kind in ("task-received", "task-started", "task-succeeded"):
        holds(kind in seen, f"no {kind} in {seen}")
