"""Start the py-amqp client: `python -m interop.clients.pyamqp SCENARIO ...`."""

# mypy: disable-error-code="import-untyped, import-not-found"

import amqp

from interop.clients.pyamqp import connections, content, errors, patterns, reliability, topology
from interop.clients.pyamqp.session import play
from interop.kit import harness

if __name__ == "__main__":
    harness.main(
        "pyamqp",
        amqp.__version__,
        [patterns, reliability, topology, errors, content, connections],
        {
            "nack-multiple": "py-amqp has no basic.nack for consumers",
            "internal-exchange": "py-amqp cannot declare an internal exchange",
        },
        play,
    )
