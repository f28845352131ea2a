"""The application that the worker and the scenarios share; the environment says where and how."""

# mypy: disable-error-code="import-untyped, import-not-found, untyped-decorator"

import os
import time
from typing import Any

from celery import Celery

NAME = os.environ.get("INTEROP_APP", "interop.celery")

app: Any = Celery(NAME, broker=os.environ.get("INTEROP_URL", ""), backend="rpc://")
app.conf.update(
    task_default_queue=f"{NAME}.tasks",
    task_default_exchange=f"{NAME}.tasks",
    control_exchange=f"{NAME}.control",
    event_exchange=f"{NAME}.events",
    event_queue_prefix=f"{NAME}.event",
    result_persistent=False,
    worker_send_task_events=True,
    task_send_sent_event=True,
    task_track_started=True,
    broker_connection_retry_on_startup=False,
    worker_hijack_root_logger=False,
)


@app.task
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


@app.task
def total(numbers: list[int]) -> int:
    """Add what a group has brought."""
    return sum(numbers)


@app.task
def now() -> float:
    """When it was carried out (s)."""
    return time.time()


@app.task(bind=True, max_retries=5)
def third_time(self: Any) -> int:
    """Fail twice, and be tried again."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return int(self.request.retries)
