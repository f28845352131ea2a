"""Start the pika client: `python -m interop.clients.pika SCENARIO ...`."""

# mypy: disable-error-code="import-untyped, import-not-found"

import pika

from interop.clients.pika import connections, content, errors, patterns, reliability, topology
from interop.clients.pika.session import play
from interop.kit import harness

if __name__ == "__main__":
    harness.main(
        "pika",
        pika.__version__,
        [patterns, reliability, topology, errors, content, connections],
        {},
        play,
    )
