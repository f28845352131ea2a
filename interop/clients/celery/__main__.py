"""Start the Celery client: `python -m interop.clients.celery SCENARIO ...`."""

# mypy: disable-error-code="import-untyped, import-not-found"

import os

os.environ["INTEROP_APP"] = f"{os.environ.get('INTEROP_PREFIX', 'interop')}.celery"

import celery  # noqa: E402

from interop.clients.celery import tasks  # noqa: E402
from interop.clients.celery.session import WORKER, play  # noqa: E402
from interop.kit import harness  # noqa: E402

if __name__ == "__main__":
    try:
        harness.main("celery", celery.__version__, [tasks], {}, play)
    finally:
        WORKER.stop()
