"""amqpd: an AMQP 0-9-1 broker that RabbitMQ clients use unchanged.

The map, in the order of the rows; a module imports from lower rows or from its own package only.

| row | place | what it owns |
|---|---|---|
| 0 | `errors`, `limits` | reply codes and texts; every bound, with unit and precedent |
| 1 | `wire` | bytes and frames, methods, properties, tables |
| 2 | `protocol`, `core`, `auth` | one peer's conversation; what messaging means; users |
| 3 | `session`, `store` | AMQP methods to core calls; journal, pages, records |
| 3 | `directory` | users, vhosts, permissions, policies: every change of them |
| 4 | `broker` | all of it wired: the only door that the outside uses |
| 5 | `server`, `management` | sockets, TLS, timers, signals; the HTTP API |
| 6 | `config`, `cli`, `__main__`, `perf`, `testing` | settings, the command line, tools |

Rows 0-4 are pure (no clock, no sockets, no files, no randomness) and are compiled by mypyc as one
unit where a C compiler is at hand; `build()` says what this installation is.

The names below are for embedders. They load on first use, so that `import amqpd` costs nothing.
"""

import importlib
from typing import Final

__version__: Final = "0.1.0"

_HOMES: Final[dict[str, str]] = {
    "Broker": "amqpd.broker",
    "Limits": "amqpd.limits",
    "Peer": "amqpd.session.peer",
    "Users": "amqpd.auth",
    "Entropy": "amqpd.core.ports",
    "Journal": "amqpd.core.ports",
    "MemoryJournal": "amqpd.core.ports",
    "Settings": "amqpd.server.settings",
    "run": "amqpd.server.run",
}

__all__ = ["__version__", "build", *_HOMES]  # noqa: PLE0604 (plain strings, all of them)


def build() -> str:
    """How rows 0-4 run in this installation: "compiled" or "interpreted"."""
    origin = importlib.import_module("amqpd.limits").__file__ or ""
    return "interpreted" if origin.endswith(".py") else "compiled"


def __getattr__(name: str) -> object:
    """Load a public name from the module that owns it (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'amqpd' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
