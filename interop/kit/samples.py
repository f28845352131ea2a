"""The data that scenarios send. Clients leave out what their library cannot express."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

# Queue → the patterns it is bound with.
TOPIC_BINDINGS: Final = {
    "orange": ("*.orange.*",),
    "rabbits": ("*.*.rabbit", "lazy.#"),
    "all": ("#",),
    "first": ("quick.#",),
    "middle": ("#.orange.#",),
}

# Routing key → the queues it reaches, worked out by hand from the table above.
TOPIC_MESSAGES: Final = {
    "quick.orange.rabbit": ("orange", "rabbits", "all", "first", "middle"),
    "lazy.orange.elephant": ("orange", "rabbits", "all", "middle"),
    "lazy.pink.rabbit": ("rabbits", "all"),
    "quick.brown.fox": ("all", "first"),
    "quick": ("all", "first"),
    "lazy": ("rabbits", "all"),
    "orange": ("all", "middle"),
    "quick.orange.new.rabbit": ("all", "first", "middle"),
    "": ("all",),
}

# Queue → its binding's arguments.
HEADER_BINDINGS: Final[dict[str, dict[str, Any]]] = {
    "all": {"x-match": "all", "format": "pdf", "pages": 7},
    "any": {"x-match": "any", "format": "pdf", "pages": 7},
}

# A message's headers, and the queues it reaches.
HEADER_MESSAGES: Final[tuple[tuple[dict[str, Any], tuple[str, ...]], ...]] = (
    ({"format": "pdf", "pages": 7}, ("all", "any")),
    ({"format": "pdf", "pages": 7, "more": True}, ("all", "any")),
    ({"format": "pdf", "pages": 8}, ("any",)),
    ({"pages": 7}, ("any",)),
    ({"format": "zip"}, ()),
    ({}, ()),
)

DIRECT_BINDINGS: Final = {"errors": ("error",), "everything": ("info", "warning", "error")}
DIRECT_MESSAGES: Final = {
    "error": ("errors", "everything"),
    "warning": ("everything",),
    "info": ("everything",),
    "Error": (),
    "debug": (),
}

SENT_AT: Final = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)

# Basic properties by the names of the specification; timestamp, user-id (which must be the
# login's) and headers are the client's business.
PROPERTIES: Final[dict[str, object]] = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "delivery_mode": 2,
    "priority": 5,
    "correlation_id": "correlation-1",
    "reply_to": "reply.queue",
    "expiration": "60000",
    "message_id": "message-1",
    "type": "interop.sample",
    "app_id": "interop",
}

# One value per type and edge of AMQP's field table, as Python has them.
HEADER_VALUES: Final[dict[str, object]] = {
    "true": True,
    "false": False,
    "zero": 0,
    "byte": 127,
    "byte-negative": -128,
    "short": 32767,
    "short-negative": -32768,
    "unsigned-short": 65535,
    "int": 2**31 - 1,
    "int-negative": -(2**31),
    "unsigned-int": 2**32 - 1,
    "long": 2**63 - 1,
    "long-negative": -(2**63),
    "float": -2.25,
    "decimal": Decimal("3.14"),
    "text": "text",
    "text-empty": "",
    "text-unicode": "żółw 🐢",
    "text-long": "x" * 1000,
    "binary": bytes(range(256)),
    "timestamp": SENT_AT,
    "void": None,
    "array": [1, "two", True, None, [3, []], {"four": 4}],
    "array-empty": [],
    "table": {"one": 1, "nested": {"two": [2, "zwei"], "none": None}},
    "table-empty": {},
}

UNICODE: Final = "zażółć-gęślą-日本語-🐇"
LARGE_BYTES: Final = 16 * 1024 * 1024


def large_body() -> bytes:
    """16 MiB in which no two frames are alike, so that a lost or swapped one shows."""
    return random.Random(16).randbytes(LARGE_BYTES)
