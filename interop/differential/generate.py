"""A seed to a script: which features it mixes, and its steps.

Each script is about a few features only (swarm testing), so that rare combinations get room, and
its steps are drawn blindly: what they meet depends on what came before, and mistakes are welcome.
"""

import random
from collections.abc import Callable
from typing import Final

from interop.differential import values
from interop.differential.values import EXCHANGES, KEYS, PATTERNS, QUEUES, SHORT_MS, TAGS
from interop.script.language import Step

FEATURES: Final = (
    "alternate",
    "cc",
    "confirm",
    "dead-letter",
    "errors",
    "exchanges",
    "exclusive",
    "fatal",
    "headers",
    "length",
    "priority",
    "qos",
    "reply-to",
    "server-named",
    "single",
    "ttl",
    "tx",
)
STEPS_MIN: Final = 12
STEPS_MAX: Final = 45

Fields = dict[str, object]


def generate(seed: int) -> list[Step]:
    """The script of a seed."""
    return _Author(random.Random(seed)).write()


class _Author:
    """Draws steps. `rng` is the only source of chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        features = set(rng.sample(FEATURES, rng.randrange(1, 7)))
        if "ttl" in features:
            features.discard("priority")  # see explained
        self._features = frozenset(features)
        self._message = 0
        self._kinds: dict[str, str] = {}
        rng.random()  # room for one more choice without a change of all scripts
        self._places = ["a1", "a1", "a2", "b1"][: rng.randrange(2, 5)]
        self._draws = self._weights()

    def write(self) -> list[Step]:
        """The steps: some topology first, then anything."""
        steps = [self._step(self._declare_queue) for _ in range(self._rng.randrange(1, 4))]
        if "tx" in self._features:
            steps = [Step("a", 1, "queue.declare", {"queue": queue}) for queue in QUEUES]
        if self._features & {"exchanges", "headers", "alternate", "dead-letter"}:
            steps += [self._step(self._declare_exchange) for _ in range(self._rng.randrange(1, 3))]
            steps += [self._step(self._bind) for _ in range(self._rng.randrange(1, 4))]
        names = list(self._draws)
        weights = list(self._draws.values())
        for _ in range(self._rng.randrange(STEPS_MIN, STEPS_MAX)):
            (draw,) = self._rng.choices(names, weights)
            steps.append(self._step(draw))
            if "ttl" in self._features and steps[-1].name not in ("basic.qos", "queue.bind"):
                steps.append(Step("", 0, "wait", {"ms": SHORT_MS + 15}))
        return steps

    def _step(self, draw: Callable[[], tuple[str, Fields]]) -> Step:
        name, fields = draw()
        place = self._rng.choice(self._places)
        channel = 0 if name in ("drop", "connection.close") else int(place[1])
        kept = {key: value for key, value in fields.items() if value is not False}
        return Step(place[0], channel, name, kept)

    def _weights(self) -> dict[Callable[[], tuple[str, Fields]], float]:
        has = self._features.__contains__
        return {
            self._publish: 14,
            self._get: 4,
            self._consume: 4,
            self._cancel: 1,
            self._ack: 5,
            self._nack: 3,
            self._reject: 2,
            self._recover: 0.6,
            self._qos: 3 if has("qos") else 0,
            self._declare_queue: 1.5,
            self._declare_exchange: 2 if has("exchanges") else 0.2,
            self._bind: 3 if has("exchanges") or has("headers") else 0.5,
            self._unbind: 1 if has("exchanges") or has("headers") else 0.2,
            self._bind_exchange: 2 if has("exchanges") else 0,
            self._unbind_exchange: 0.7 if has("exchanges") else 0,
            self._delete_queue: 0 if has("tx") else 0.6,  # see explained
            self._delete_exchange: 0.6 if has("exchanges") or has("alternate") else 0.1,
            self._purge: 0.5,
            self._select: 2 if has("confirm") or has("tx") else 0,
            self._tx: 4 if has("tx") else 0,
            self._reply: 4 if has("reply-to") else 0,
            self._close: 0.6,
            self._mistake: 2 if has("errors") else 0.1,
            self._fatal: 0.7 if has("fatal") else 0,
        }

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _queue(self) -> str:
        if "server-named" in self._features and self._chance(0.3):
            return self._rng.choice(("$1", "$2", ""))
        return self._rng.choice(QUEUES[: 2 if len(self._features) < 3 else 4])

    def _exchange(self) -> str:
        return self._rng.choice((*EXCHANGES, *EXCHANGES, self._rng.choice(values.SYSTEM_EXCHANGES)))

    # topology

    def _declare_queue(self) -> tuple[str, Fields]:
        name = "" if "server-named" in self._features and self._chance(0.4) else self._queue()
        if name.startswith("$"):
            name = "~q1"
        return "queue.declare", {
            "queue": name,
            "passive": self._chance(0.08),
            "durable": self._chance(0.4),
            "exclusive": "exclusive" in self._features and self._chance(0.5),
            "auto-delete": self._chance(0.15),
            "no-wait": self._chance(0.05),
            "arguments": values.queue_arguments(self._rng, self._features) or False,
        }

    def _declare_exchange(self) -> tuple[str, Fields]:
        exchange = self._rng.choice(EXCHANGES)
        kind = self._kinds.setdefault(exchange, self._rng.choice(values.KINDS))
        if "headers" in self._features:
            kind = "headers"
        if "errors" in self._features and self._chance(0.1):
            kind = self._rng.choice(values.KINDS)
        arguments: Fields = {}
        if "alternate" in self._features and self._chance(0.7):
            arguments["alternate-exchange"] = self._rng.choice((*EXCHANGES, "amq.fanout"))
        if "errors" in self._features and self._chance(0.1):
            arguments["alternate-exchange"] = 5
        return "exchange.declare", {
            "exchange": exchange,
            "type": kind,
            "passive": self._chance(0.05),
            "durable": self._chance(0.2),
            "auto-delete": self._chance(0.15),
            "internal": self._chance(0.06),
            "arguments": arguments or False,
        }

    def _key(self, exchange: str) -> tuple[str, Fields]:
        kind = "headers" if exchange in ("amq.headers", "amq.match") else self._kinds.get(exchange)
        arguments = values.binding_arguments(self._rng) if kind == "headers" else {}
        if self._chance(0.05):
            arguments = {**arguments, "more": 1}
        return self._rng.choice(PATTERNS if self._chance(0.7) else KEYS), arguments

    def _bind(self) -> tuple[str, Fields]:
        exchange = self._exchange()
        key, arguments = self._key(exchange)
        return "queue.bind", {
            "queue": self._queue(),
            "exchange": exchange,
            "routing-key": key,
            "arguments": arguments or False,
        }

    def _unbind(self) -> tuple[str, Fields]:
        return "queue.unbind", self._bind()[1]

    def _bind_exchange(self) -> tuple[str, Fields]:
        source = self._exchange()
        key, arguments = self._key(source)
        return "exchange.bind", {
            "destination": self._rng.choice(EXCHANGES),
            "source": source,
            "routing-key": key,
            "arguments": arguments or False,
        }

    def _unbind_exchange(self) -> tuple[str, Fields]:
        return "exchange.unbind", self._bind_exchange()[1]

    def _delete_queue(self) -> tuple[str, Fields]:
        return "queue.delete", {
            "queue": self._queue(),
            "if-unused": self._chance(0.3),
            "if-empty": self._chance(0.3),
        }

    def _delete_exchange(self) -> tuple[str, Fields]:
        return "exchange.delete", {
            "exchange": self._rng.choice(EXCHANGES),
            "if-unused": self._chance(0.3),
        }

    def _purge(self) -> tuple[str, Fields]:
        return "queue.purge", {"queue": self._queue()}

    # messages

    def _publish(self) -> tuple[str, Fields]:
        self._message += 1
        uses_exchange = self._features & {"exchanges", "headers", "alternate"}
        exchange = self._exchange() if uses_exchange and self._chance(0.6) else ""
        key = self._rng.choice(KEYS) if exchange else self._queue()
        body = f"m{self._message}" + self._rng.choice(("", "", "", "-longer-body"))
        return "basic.publish", {
            "exchange": exchange or False,
            "routing-key": key,
            "mandatory": self._chance(0.2),
            **values.properties(self._rng, self._features),
            "body": body if self._chance(0.97) else "",
        }

    def _get(self) -> tuple[str, Fields]:
        takes = "qos" in self._features or self._chance(0.3)  # see explained
        return "basic.get", {"queue": self._queue(), "no-ack": takes}

    def _consume(self) -> tuple[str, Fields]:
        arguments = {"x-priority": self._rng.choice((-1, 1, 5))} if self._chance(0.12) else {}
        return "basic.consume", {
            "queue": self._queue(),
            "consumer-tag": self._rng.choice(TAGS) if self._chance(0.7) else False,
            "no-ack": "a2" not in self._places and self._chance(0.25),  # see explained
            "exclusive": self._chance(0.06),
            "no-local": self._chance(0.05),
            "arguments": arguments or False,
        }

    def _cancel(self) -> tuple[str, Fields]:
        return "basic.cancel", {"consumer-tag": self._rng.choice(TAGS)}

    def _tag(self) -> object:
        if "errors" in self._features and self._chance(0.1):
            return self._rng.choice((0, 1, 2, 3, 50))
        return "first" if self._chance(0.6) else "last"

    def _ack(self) -> tuple[str, Fields]:
        return "basic.ack", {"delivery-tag": self._tag(), "multiple": self._chance(0.2)}

    def _nack(self) -> tuple[str, Fields]:
        return "basic.nack", {
            "delivery-tag": self._tag(),
            "multiple": self._chance(0.3),
            "requeue": self._chance(0.5),
        }

    def _reject(self) -> tuple[str, Fields]:
        return "basic.reject", {"delivery-tag": self._tag(), "requeue": self._chance(0.4)}

    def _recover(self) -> tuple[str, Fields]:
        asks_for_less = "errors" in self._features and self._chance(0.2)
        name = self._rng.choice(("basic.recover", "basic.recover", "basic.recover-async"))
        return name, {"requeue": not asks_for_less}

    def _qos(self) -> tuple[str, Fields]:
        return "basic.qos", {
            "prefetch-count": self._rng.choice((0, 1, 2, 3, 10)),
            "global": self._chance(0.35),
            "prefetch-size": 1 if "errors" in self._features and self._chance(0.05) else 0,
        }

    def _select(self) -> tuple[str, Fields]:
        both = [f"{name}.select" for name in ("confirm", "tx") if name in self._features]
        return self._rng.choice(both), {}

    def _tx(self) -> tuple[str, Fields]:
        return self._rng.choice(("tx.commit", "tx.commit", "tx.rollback")), {}

    def _reply(self) -> tuple[str, Fields]:
        choice = self._rng.randrange(4)
        if choice == 0:
            return "basic.consume", {
                "queue": "amq.rabbitmq.reply-to",
                "no-ack": self._chance(0.95),
                "consumer-tag": "r" if self._chance(0.3) else False,
            }
        if choice == 1:
            return "basic.publish", {
                "routing-key": self._rng.choice(QUEUES),
                "reply-to": "amq.rabbitmq.reply-to",
                "correlation-id": "c",
                "body": "request",
            }
        if choice == 2:
            return "queue.declare", {
                "queue": self._rng.choice(("amq.rabbitmq.reply-to", "$1", "$2")),
                "passive": True,
            }
        self._message += 1
        return "basic.publish", {
            "routing-key": self._rng.choice(("$1", "$2", "$3", "amq.rabbitmq.reply-to")),
            "mandatory": self._chance(0.5),
            "body": f"reply-{self._message}",
        }

    # ends and errors

    def _close(self) -> tuple[str, Fields]:
        name = self._rng.choice(("channel.close", "channel.close", "connection.close", "drop"))
        return name, {} if name == "drop" else {"reply-code": 200}

    def _mistake(self) -> tuple[str, Fields]:
        mistakes: tuple[tuple[str, Fields], ...] = (
            ("queue.declare", {"queue": "amq.mine"}),
            ("exchange.declare", {"exchange": "amq.mine", "type": "direct"}),
            ("exchange.declare", {"exchange": "", "type": "direct"}),
            ("exchange.declare", {"exchange": "amq.direct", "type": "direct", "durable": True}),
            ("exchange.declare", {"exchange": "amq.direct", "type": "fanout", "durable": True}),
            ("exchange.declare", {"exchange": "~none", "type": "direct", "passive": True}),
            ("exchange.delete", {"exchange": "amq.direct"}),
            ("exchange.delete", {"exchange": ""}),
            ("exchange.bind", {"destination": "", "source": "amq.direct", "routing-key": "k"}),
            ("exchange.bind", {"destination": "~x1", "source": "", "routing-key": "k"}),
            ("exchange.unbind", {"destination": "~x1", "source": "~none", "routing-key": "k"}),
            ("queue.bind", {"queue": "~q1", "exchange": "", "routing-key": "~q1"}),
            ("queue.unbind", {"queue": "~q1", "exchange": "", "routing-key": "~q1"}),
            ("queue.bind", {"queue": "~none", "exchange": "amq.direct", "routing-key": "k"}),
            ("queue.bind", {"queue": "~q1", "exchange": "~none", "routing-key": "k"}),
            ("queue.delete", {"queue": "~none"}),
            ("queue.purge", {"queue": "~none"}),
            ("basic.get", {"queue": "~none"}),
            ("basic.consume", {"queue": "~none"}),
            ("basic.publish", {"exchange": "~none", "routing-key": "k", "body": "lost"}),
            ("basic.publish", {"routing-key": "~q1", "immediate": True, "body": "now"}),
            ("basic.ack", {"delivery-tag": 77}),
            ("basic.nack", {"delivery-tag": 77, "requeue": True}),
            ("basic.reject", {"delivery-tag": 77, "requeue": True}),
            ("basic.cancel", {"consumer-tag": "nobody"}),
            ("channel.flow", {"active": False}),
            ("channel.flow", {"active": True}),
            ("tx.commit", {}),
            ("tx.rollback", {}),
            ("confirm.select", {}),
            ("tx.select", {}),
        )
        return self._rng.choice(mistakes)

    def _fatal(self) -> tuple[str, Fields]:
        mistakes: tuple[tuple[str, Fields], ...] = (
            ("channel.open", {}),
            ("basic.deliver", {}),
            ("queue.declare-ok", {}),
            ("connection.open", {"virtual-host": "/"}),
            ("access.request", {"realm": "/data"}),
        )
        return self._rng.choice(mistakes)
