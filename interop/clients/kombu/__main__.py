"""Start the kombu client: `python -m interop.clients.kombu SCENARIO ...`."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

import kombu

from interop.clients.kombu import connections, content, errors, patterns, reliability, topology
from interop.clients.kombu.session import play
from interop.kit import harness

SKIPS = {
    "confirms-batch": "kombu has one publish in flight at a time",
    "tx-commit": "kombu has no transactions",
    "tx-rollback": "kombu has no transactions",
    "nack-multiple": "kombu has no basic.nack",
    "internal-exchange": "kombu cannot declare an internal exchange",
}

if __name__ == "__main__":
    harness.main(
        "kombu",
        kombu.__version__,
        [patterns, reliability, topology, errors, content, connections],
        SKIPS,
        play,
    )
