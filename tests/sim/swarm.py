"""The options of one run, drawn from its seed: each leaves some things out and overdoes others."""

import random
from typing import Any

from pamqp import commands

from tests.peers import codec

KINDS = ("direct", "fanout", "topic", "headers")
ROUTING_KEYS = ("a", "b", "a.b", "a.x.b", "")
PATTERNS = ("a.*", "#", "*.b", "a.#.b", "a.b", "b", "")

# How often a client does what, before the seed has its say.
WEIGHTS = {
    "publish": 40,
    "ack": 24,
    "ack_multiple": 6,
    "ack_all": 1,
    "nack": 6,
    "reject": 6,
    "recover": 1.5,
    "consume": 6,
    "cancel": 3,
    "get": 6,
    "qos": 2,
    "window": 2,
    "confirm": 4,
    "tx": 4,
    "commit": 8,
    "rollback": 2,
    "declare": 5,
    "delete": 0.4,
    "purge": 0.6,
    "declare_exchange": 3,
    "delete_exchange": 0.4,
    "bind": 5,
    "unbind": 2,
    "bind_exchange": 4,
    "unbind_exchange": 1,
    "close_channel": 0.6,
    "mistake": 0.2,
    "close": 0.15,
}


class Swarm:
    """What may happen in this run, and how often."""

    def __init__(self, rng: random.Random) -> None:
        self.weights = {
            name: weight * rng.choice((0, 0.5, 1, 1, 1, 3)) for name, weight in WEIGHTS.items()
        }
        for needed in ("publish", "consume", "declare", "ack", "bind", "declare_exchange"):
            self.weights[needed] = self.weights[needed] or WEIGHTS[needed]
        self.is_immediate = rng.random() < 0.3
        self.client_count = rng.randint(1, 5)
        self.channel_count = rng.randint(1, 3)
        self.outbox_bytes = rng.choice((200, 2000, 262144))
        self.batch_max = rng.choice((1, 4, 30))
        self.sync_chance = rng.choice((0.02, 0.1, 0.5))
        self.turn_chance = rng.choice((0.2, 0.5, 1.0))
        self.split_chance = rng.choice((0, 0.1, 0.5))
        self.mix_chance = rng.choice((0, 0.2))  # frames of other channels inside a content
        self.drop_chance = rng.choice((0, 0.002, 0.01))
        self.congest_chance = rng.choice((0, 0.02, 0.1))
        self.alarm_chance = rng.choice((0, 0, 0.01))
        self.slow_reader_chance = rng.choice((0, 0, 0.5))
        self.big_chance = rng.choice((0, 0.02, 0.1))
        self.persistent_chance = rng.choice((0, 0.5, 1))
        self.durable_chance = rng.choice((0, 0.5, 1))
        names = [f"q{count}" for count in range(rng.randint(1, 5))]
        self.queues: dict[str, dict[str, Any]] = {
            name: {
                "durable": rng.random() < self.durable_chance,
                "auto_delete": rng.random() < 0.2,
                "exclusive": False,
            }
            for name in names
        }
        self.exchanges: dict[str, dict[str, Any]] = {}
        exchanges = [f"x{count}" for count in range(rng.randint(1, 4))]
        for name in exchanges:
            alternate = rng.choice([None, None, *exchanges, "missing"])
            self.exchanges[name] = {
                "exchange_type": rng.choice(KINDS),
                "durable": rng.random() < self.durable_chance,
                "auto_delete": rng.random() < 0.2,
                "internal": rng.random() < 0.01,
                "arguments": {} if alternate is None else {"alternate-exchange": alternate},
            }

    def choose(self, rng: random.Random, possible: list[str]) -> str | None:
        """Choose what to do among what makes sense now."""
        weights = [self.weights[name] for name in possible]
        if not any(weights):
            return None
        return rng.choices(possible, weights)[0]

    def key_for(self, rng: random.Random, exchange: str) -> tuple[str, dict[str, Any]]:
        """Choose key and arguments of a binding from an exchange."""
        kind = self.exchanges[exchange]["exchange_type"]
        if kind == "headers":
            wanted = {"h": rng.choice(("1", "2")), "x-match": rng.choice(("all", "any"))}
            return "", wanted if rng.random() < 0.9 else {}
        return rng.choice(PATTERNS if kind == "topic" else ROUTING_KEYS), {}

    def set_up(self) -> list[Any]:
        """Return the commands that make all queues and exchanges that the run knows."""
        made: list[Any] = [
            codec.make(commands.Exchange.Declare, exchange=name, **options)
            for name, options in self.exchanges.items()
        ]
        for name, options in self.queues.items():
            made.append(codec.make(commands.Queue.Declare, queue=name, **options))
        return made
