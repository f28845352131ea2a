"""The options of one load, as an object and on the command line."""

import argparse
import os
import struct
from dataclasses import dataclass, field

from amqpd.perf.encoding import longstr, shortstr
from amqpd.perf.target import Target, parse_url


@dataclass(frozen=True)
class LoadOptions:
    """What one run of the load generator does. The command line's help explains each."""

    target: Target = Target()
    producers: int = 1
    consumers: int = 1
    queues: int = 1
    size: int = 100
    seconds: float = 5.0
    count: int = 0
    persistent: bool = False
    confirm: int = 0
    block: int = 50
    ack: int = 0
    prefetch: int = 0
    rate: int = 0
    type: str = ""
    drain: bool = False
    spread: bool = False
    arguments: str = ""
    name: str = field(default_factory=lambda: f"load-{os.getpid()}")

    def __post_init__(self) -> None:
        """Raise ValueError, with words for a user, at options that contradict each other."""
        if self.producers < 1 or self.queues < 1 or self.consumers < 0:
            raise ValueError("there must be a producer and a queue")
        if self.rate and self.size < 8:
            raise ValueError("--rate writes a stamp of 8 bytes: --size must be at least 8")
        if self.drain and not self.consumers:
            raise ValueError("--drain needs a consumer")
        if self.spread and 0 < self.confirm < self.queues:
            raise ValueError("--spread writes a message to every queue: --confirm must allow it")
        if self.spread and (self.rate or self.drain):
            raise ValueError("--spread goes with neither --rate nor --drain")
        if 0 < self.prefetch < self.ack:
            raise ValueError("with --prefetch below --ack nothing would ever be acknowledged")

    def queue_arguments(self) -> bytes:
        """Encode the inside of the table that queues are declared with."""
        kind = f"x-queue-type={self.type}" if self.type else ""
        return encode_arguments(",".join(part for part in (kind, self.arguments) if part))

    def queue_name(self, index: int) -> str:
        """Name the queue of the worker with this index."""
        width = len(str(self.queues - 1))  # names of one length, for messages of one length
        return f"{self.name}-{index % self.queues:0{width}d}"

    def published_queues(self, index: int) -> list[str]:
        """Name the queues that the producer with this index publishes to, in turn."""
        if not self.spread:
            return [self.queue_name(index)]
        return [self.queue_name(queue) for queue in range(self.queues)]

    def consumed_queues(self, index: int) -> list[str]:
        """Name the queues that the consumer with this index takes from."""
        if not self.spread:
            return [self.queue_name(index)]
        return [self.queue_name(queue) for queue in range(index, self.queues, self.consumers)]


def encode_arguments(given: str) -> bytes:
    """Encode NAME=VALUE,... as the inside of a table: numbers, true and false, else texts.

    Raises ValueError if a part has no `=`.
    """
    out = b""
    for part in given.split(",") if given else []:
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not NAME=VALUE")
        if value.isdecimal():
            encoded = b"l" + struct.pack(">q", int(value))
        elif value in ("true", "false"):
            encoded = b"t" + bytes([value == "true"])
        else:
            encoded = b"S" + longstr(value.encode())
        out += shortstr(name) + encoded
    return out


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of one load to a command line."""
    option = parser.add_argument
    option("--url", help="amqp://user:password@host:port/vhost, instead of the next five")
    option("--host", default="127.0.0.1")
    option("--port", type=int, default=5672)
    option("--user", default="guest")
    option("--password", default="guest")
    option("--vhost", default="/")
    option("--producers", type=int, default=1)
    option("--consumers", type=int, default=1)
    option("--queues", type=int, default=1)
    option("--size", type=int, default=100, help="body bytes (at least 8 with --rate)")
    option("--seconds", type=float, default=5.0)
    option("--count", type=int, default=0, help="messages in all, instead of --seconds")
    option("--persistent", action="store_true", help="durable queue, delivery_mode 2")
    option("--confirm", type=int, default=0, help="confirms on, at most this many in flight")
    option("--block", type=int, default=50, help="messages written at once")
    option("--ack", type=int, default=0, help="0 auto-ack, 1 each alone, N every N with multiple")
    option("--prefetch", type=int, default=0)
    option("--rate", type=int, default=0, help="messages/s of each producer, stamped for latency")
    option("--type", default="", help="x-queue-type")
    option("--arguments", default="", metavar="NAME=VALUE,...", help="of the queues")
    option("--drain", action="store_true", help="publish --count first, then consume them")
    option("--spread", action="store_true", help="each producer to all queues, each shared out")
    option("--name", default=f"load-{os.getpid()}", help="prefix of the queues' names")


def load_options(args: argparse.Namespace) -> LoadOptions:
    """Make the options of one load from a parsed command line. Raises ValueError as above."""
    target = Target(args.host, args.port, args.user, args.password, args.vhost)
    return LoadOptions(
        target=parse_url(args.url) if args.url else target,
        producers=args.producers,
        consumers=args.consumers,
        queues=args.queues,
        size=args.size,
        seconds=args.seconds,
        count=args.count,
        persistent=args.persistent,
        confirm=args.confirm,
        block=args.block,
        ack=args.ack,
        prefetch=args.prefetch,
        rate=args.rate,
        type=args.type,
        drain=args.drain,
        spread=args.spread,
        arguments=args.arguments,
        name=args.name,
    )
