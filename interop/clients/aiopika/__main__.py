"""Start the aio-pika client: `python -m interop.clients.aiopika SCENARIO ...`."""

# mypy: disable-error-code="import-untyped, import-not-found"

from importlib.metadata import version

from interop.clients.aiopika import connections, content, errors, patterns, reliability, topology
from interop.clients.aiopika.session import play
from interop.kit import harness

if __name__ == "__main__":
    harness.main(
        "aiopika",
        version("aio-pika"),
        [patterns, reliability, topology, errors, content, connections],
        {"unicode-names": "pamqp, its codec, refuses names outside ASCII before they are sent"},
        play,
    )
