"""The arguments, headers, keys and properties that random scripts are made of.

Most are sound; a few are wrong on purpose, since refusals are compared as well.
"""

import random
from typing import Final

from interop.wire.tables import Typed

QUEUES: Final = ("~q1", "~q2", "~q3", "~q4")
EXCHANGES: Final = ("~x1", "~x2", "~x3")
SYSTEM_EXCHANGES: Final = ("amq.direct", "amq.topic", "amq.fanout", "amq.headers", "amq.match")
KINDS: Final = ("direct", "topic", "fanout", "headers")
KEYS: Final = ("k", "a.b", "a.b.c", "a", "", "b.a", "long.key.with.words")
PATTERNS: Final = (*KEYS, "#", "*", "a.*", "*.b", "#.c", "a.#", "a.#.c", "*.*", "#.b.#", "..")
TAGS: Final = ("t1", "t2", "t3")
LONG_MS: Final = 3_600_000
SHORT_MS: Final = 20


def queue_arguments(rng: random.Random, features: frozenset[str]) -> dict[str, object]:
    """Optional arguments of a queue, from the features that this script is about."""
    found: dict[str, object] = {}
    if "dead-letter" in features and rng.random() < 0.7:
        found["x-dead-letter-exchange"] = rng.choice(("", "", *EXCHANGES, "amq.fanout"))
        if rng.random() < 0.6:
            found["x-dead-letter-routing-key"] = rng.choice((*QUEUES, "k", "a.b"))
    if "length" in features and rng.random() < 0.7:
        found["x-max-length"] = rng.choice((0, 1, 2, 3, 5))
        if rng.random() < 0.5:
            found["x-overflow"] = rng.choice(("drop-head", "reject-publish", "reject-publish-dlx"))
    if "length" in features and rng.random() < 0.2:
        found["x-max-length-bytes"] = rng.choice((0, 4, 10, 100))
    if "ttl" in features and rng.random() < 0.7:
        found["x-message-ttl"] = rng.choice((0, SHORT_MS, LONG_MS))
    elif rng.random() < 0.05:
        found["x-message-ttl"] = LONG_MS
    if "priority" in features and rng.random() < 0.8:
        found["x-max-priority"] = rng.choice((1, 3, 10, 255))
    if "single" in features and rng.random() < 0.7:
        found["x-single-active-consumer"] = True
    if rng.random() < 0.05:
        found["x-queue-mode"] = rng.choice(("lazy", "default"))
    if rng.random() < 0.05:
        found["x-expires"] = LONG_MS
    if "errors" in features and rng.random() < 0.25:
        found.update(_wrong_argument(rng))
    return found


def _wrong_argument(rng: random.Random) -> dict[str, object]:
    name, values = rng.choice(
        (
            ("x-message-ttl", (-1, "10", 1.5, True, Typed("l", 2**40))),
            ("x-expires", (0, -1, "x", Typed("l", 2**40))),
            ("x-max-length", (-1, "1", Typed("B", 2))),
            ("x-max-length-bytes", (-5, "1", Typed("s", 20))),
            ("x-max-priority", (-1, 256, "3", Typed("B", 5))),
            ("x-overflow", ("nonsense", 1)),
            ("x-dead-letter-exchange", (1, True)),
            ("x-dead-letter-routing-key", ("~q1", 5)),
            ("x-single-active-consumer", ("true", 1)),
            ("x-queue-type", ("classic",)),
            ("x-queue-mode", ("nonsense", 1)),
            ("x-unknown", ("anything", 1, [1, 2], {"a": 1})),
        )
    )
    return {str(name): rng.choice(list(values))}


def header_values(rng: random.Random) -> dict[str, object]:
    """Headers of a message or a binding, few enough names that they meet."""
    names = rng.sample(("h1", "h2", "h3"), rng.randrange(3))
    return {name: _header_value(rng) for name in names}


def _header_value(rng: random.Random) -> object:
    return rng.choice(
        (
            1,
            2,
            "v",
            "w",
            True,
            None,
            1.5,
            Typed("l", 1),
            Typed("s", 1),
            Typed("B", 1),
            Typed("b", -1),
            Typed("u", 2),
            Typed("i", 2),
            Typed("T", 1_700_000_000),
            Typed("D", [2, 314]),
            Typed("f", 0.5),
            b"bin",
            {"nested": {"deep": [1, "a", None]}},
            [1, "two", {"three": 3}],
        )
    )


def binding_arguments(rng: random.Random) -> dict[str, object]:
    """Arguments of a binding to a headers exchange."""
    found = header_values(rng)
    if rng.random() < 0.8:
        found["x-match"] = rng.choice(("all", "any", "all", "any", "all-with-x", "any-with-x"))
    if rng.random() < 0.05:
        found["x-match"] = rng.choice(("some", 1))
    return found


def properties(rng: random.Random, features: frozenset[str]) -> dict[str, object]:
    """Properties of a message."""
    found: dict[str, object] = {}
    if rng.random() < 0.3:
        found["delivery-mode"] = rng.choice((1, 2, 2))
    if "priority" in features or rng.random() < 0.05:
        found["priority"] = rng.choice((0, 1, 2, 3, 9, 200))
    if "ttl" in features and rng.random() < 0.4:
        found["expiration"] = str(rng.choice((0, SHORT_MS, LONG_MS)))
    elif "errors" in features and rng.random() < 0.05:
        found["expiration"] = rng.choice(("abc", "-1", "1.5", "", " 5", "99999999999"))
    if rng.random() < 0.3:
        found["headers"] = header_values(rng)
    if "cc" in features and rng.random() < 0.5:
        headers = dict(header_values(rng))
        # BCC and dead letters: see explained
        names = ("CC",) if "dead-letter" in features else ("CC", "BCC")
        for name in rng.sample(names, rng.randrange(1, len(names) + 1)):
            headers[name] = rng.sample((*QUEUES, "k", "a.b"), rng.randrange(1, 3))
        if "errors" in features and rng.random() < 0.2:
            headers[rng.choice(("CC", "BCC"))] = rng.choice(("~q1", 5))
        found["headers"] = headers
    for name, values in (
        ("content-type", ("text/plain",)),
        ("correlation-id", ("c1", "")),
        ("reply-to", ("~q1", "somewhere")),
        ("message-id", ("m",)),
        ("timestamp", (0, 1_700_000_000)),
        ("type", ("t",)),
        ("app-id", ("app",)),
        ("user-id", ("guest", "guest", "guest", "other")),
        ("content-encoding", ("gzip",)),
        ("cluster-id", ("x",)),
    ):
        if rng.random() < 0.04:
            found[name] = rng.choice(values)
    return found
