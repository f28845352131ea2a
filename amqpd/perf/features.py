"""What the features of queues cost: loads on queues that use them, and a million messages leaving.

Messages that expire at once wait behind one that expires later, so all of them leave in one go; a
client asks for the length of the queue meanwhile, and how long it waits at most is shown too.
"""

import struct
import time
from dataclasses import dataclass
from typing import Final

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Entropy, MemoryJournal
from amqpd.limits import Limits
from amqpd.perf.connection import Connection
from amqpd.perf.encoding import DELIVERY_MODE, HEADER, body_frames, frame, publish, shortstr
from amqpd.perf.load import run_load
from amqpd.perf.options import LoadOptions, encode_arguments
from amqpd.perf.render import columns, number
from amqpd.perf.target import Target

EXPIRATION: Final = 0x0100
HEAD_WAITS_MS: Final = 20_000  # longer than publishing takes
BLOCK: Final = 500
POLICY_QUEUES: Final = 10_000
SLOW_S: Final = 0.002  # an answer that comes later waited for messages that left
PATIENCE_S: Final = 300.0
LOADS: Final = (
    ("no feature", "", False),
    ("10 priorities", "x-max-priority=10", False),
    ("single active consumer", "x-single-active-consumer=true", False),
    ("quorum, persistent", "x-queue-type=quorum", True),
    ("classic, persistent", "x-queue-type=classic", True),
)
FULL: Final = "x-max-length=10000"


@dataclass(frozen=True)
class Leaving:
    """So many messages left a queue: how long that took, and how long a client waited meanwhile."""

    messages: int
    took_s: float
    longest_wait_ms: float

    def text(self, what: str) -> str:
        """Say it in a line."""
        rate = number(self.messages / self.took_s)
        return (
            f"{self.messages:,} messages {what} in {self.took_s:.2f} s ({rate} msg/s), "
            f"another client waits {self.longest_wait_ms:.0f} ms at most"
        )


class _Zeros(Entropy):
    """Good enough where nothing is secret."""

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return bytes(count)


def measure_features(
    target: Target, seconds: float, messages: int
) -> tuple[str, dict[str, object]]:
    """Measure everything. Returns (text, JSON). Raises BrokerError or OSError."""
    rows = [["one publisher, one consumer, confirms, acks by 50", "msg/s"]]
    found: dict[str, object] = {}
    for title, arguments, persistent in LOADS:
        rate = _load(target, seconds, arguments, persistent)
        rows.append([title, number(rate)])
        found[title] = rate
    full = LoadOptions(target, consumers=0, seconds=seconds, confirm=1000, arguments=FULL)
    found["at its length limit"] = run_load(full)["publish_per_s"]
    rows.append([f"at its length limit ({FULL}), no consumer", number(full_rate(found))])
    expired = measure_leaving(target, messages, dead_letters=False)
    moved = measure_leaving(target, messages, dead_letters=True)
    policy_ms = measure_policy(POLICY_QUEUES)
    found |= {"expired": vars(expired), "dead_letters": vars(moved), "policy_ms": policy_ms}
    lines = [
        columns(rows),
        "",
        expired.text("expire"),
        moved.text("are dead-lettered"),
        f"a policy for {POLICY_QUEUES:,} queues takes effect in {policy_ms:.0f} ms",
    ]
    return "\n".join(lines), found


def full_rate(found: dict[str, object]) -> float:
    """Return what a queue at its length limit takes."""
    rate = found["at its length limit"]
    assert isinstance(rate, int | float)
    return float(rate)


def _load(target: Target, seconds: float, arguments: str, persistent: bool) -> float:
    report = run_load(
        LoadOptions(
            target,
            seconds=seconds,
            persistent=persistent,
            confirm=1000,
            ack=50,
            prefetch=1000,
            arguments=arguments,
        )
    )
    return min(report["publish_per_s"], report["consume_per_s"])


def expiring(queue: str, expiration_ms: int, body: bytes, frame_max: int) -> bytes:
    """Build a publish of a transient message with a time to live."""
    flags = DELIVERY_MODE | EXPIRATION
    header = struct.pack(">HHQHB", 60, 0, len(body), flags, 1) + shortstr(str(expiration_ms))
    return publish(queue) + frame(HEADER, 1, header) + body_frames(body, frame_max)


def measure_leaving(target: Target, messages: int, *, dead_letters: bool) -> Leaving:
    """Let messages expire, into nothing or into another queue, and watch."""
    control = Connection(target)
    source, watched = "features-source", "features-watched"
    arguments = f"x-dead-letter-exchange=,x-dead-letter-routing-key={watched}"
    control.declare(watched)
    control.declare(source, arguments=encode_arguments(arguments if dead_letters else ""))
    body = bytes(100)
    began = time.perf_counter()
    first = expiring(source, HEAD_WAITS_MS, body, control.frame_max)
    control.socket.sendall(first + expiring(source, 1, body, control.frame_max) * (BLOCK - 1))
    block = expiring(source, 1, body, control.frame_max) * BLOCK
    for _ in range(messages // BLOCK - 1):
        control.socket.sendall(block)
    count = messages // BLOCK * BLOCK
    waiting = control.length(source)
    assert waiting == count, f"{waiting} of {count} wait: publishing takes too long"
    time.sleep(max(0.0, began + HEAD_WAITS_MS / 1000 - time.perf_counter() - 0.05))
    began = time.perf_counter()
    longest, left = 0.0, count
    while left or (dead_letters and control.length(watched) < count):
        asked = time.perf_counter()
        was_full = left == count
        left = control.length(source)
        if left < count or time.perf_counter() - asked > SLOW_S:
            longest = max(longest, time.perf_counter() - asked)
        elif was_full:
            began = time.perf_counter()  # not yet
        assert asked < began + PATIENCE_S, "they do not leave"
    took = time.perf_counter() - began
    control.delete(source)
    control.delete(watched)
    control.close()
    return Leaving(count, took, longest * 1e3)


def measure_policy(queues: int) -> float:
    """Set a policy that fits all of so many queues, in-process. Returns the time (ms).

    It comes into effect in pieces, one a turn; the turns follow each other here.
    """
    broker = Broker(Limits(), Users(_Zeros()), MemoryJournal(), _Zeros(), 0)
    vhost = broker.vhosts.get("/") or broker.add_vhost("/")
    for index in range(queues):
        vhost.declare_queue(f"q{index}", durable=True, owner=0, auto_delete=False, arguments={})
    began = time.perf_counter()
    broker.directory(0).set_policy("/", "limit", "^q", {"max-length": 1000}, apply_to="queues")
    while not all(queue.rules is not None for queue in vhost.queues.values()):
        broker.due(broker.next_deadline_ms())
    took_ms = (time.perf_counter() - began) * 1e3
    return took_ms
