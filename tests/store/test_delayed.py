"""Delayed messages through crashes: none is lost, none comes twice, none comes early.

`Delays` is a broker on a simulated disk, called below the protocol: a message is *promised* when
the group with its position is on the disk. What becomes due piles up in one durable queue.
"""

import random
from typing import Any

import pytest

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.delayed_exchange import DelayedExchange
from amqpd.core.exchange import Binding
from amqpd.core.message import Message, make_address
from amqpd.core.vhost import VHost
from amqpd.limits import Limits
from amqpd.store.journal import StoreJournal
from amqpd.store.recovery import Recovery
from amqpd.store.restore import mend
from amqpd.wire import properties, tables
from amqpd.wire.frames import largest_frame
from tests.peers import codec
from tests.peers.memory import RecordingLog, SeededEntropy
from tests.store.sim_disk import Crashed, SimDisk

START_WALL_MS = 1_700_000_000_000
BODY = random.Random(0).randbytes(40_000)


def message(body: bytes, delay_ms: int, mode: int = 2) -> Message:
    """Make a message with a delay."""
    head = codec.encode_properties({"delivery_mode": mode, "headers": {"x-delay": delay_ms}})
    content = codec.content_frames(1, head, body, 131072)
    header_bytes = int.from_bytes(content[3:7], "big") + codec.OVERHEAD
    largest = largest_frame(content, header_bytes)
    address = make_address("x", "k")
    return Message(address, content, header_bytes, len(body), largest, 1, mode == 2)


def body_of(entry: Any) -> bytes:
    """The body of an entry."""
    found: Message = entry.message
    start = int(found.header_bytes) + 7
    return found.content[start : start + int(found.body_bytes)]


class Delays:
    """See the module. `due` has when each message is due (wall clock), by number."""

    def __init__(self, disk: SimDisk, delayed_max: int = 16, **bounds: int) -> None:
        self.disk = disk
        self.bounds = {"segment_bytes": 60_000, "waiting_bytes_max": 40_000, "slack_bytes": 10_000}
        self.bounds |= bounds
        self.delayed_max = delayed_max
        self.wall_ms = START_WALL_MS
        self.now_ms = 5_000_000
        self.number = 0
        self.due: dict[int, int] = {}
        self.waiting: list[tuple[int, int]] = []  # (position, number) not promised yet
        self.promised: set[int] = set()
        self.transient: set[int] = set()
        self.flight: Any = None
        self.start()

    def start(self) -> None:
        """Start a broker as a server does; a new process has another monotonic clock."""
        self.now_ms = 1_000 + self.now_ms // 3
        self.log = RecordingLog()
        journal = StoreJournal(self.disk, self.log, **self.bounds)
        journal.delayed_max = self.delayed_max
        entropy = SeededEntropy()
        self.broker = Broker(
            Limits(), Users(entropy), journal, entropy, self.now_ms, self.log, self.wall_ms
        )
        found = Recovery(self.disk).read()
        assert not found.damage
        mend(found, self.disk)
        self.broker.restore(found)
        self.flush()
        self.broker.validate()

    def declare(self) -> None:
        """Make the exchange, the queue and the binding."""
        arguments = {"x-delayed-type": tables.longstr("fanout")}
        self.vhost.declare_exchange(
            "x",
            "x-delayed-message",
            durable=True,
            auto_delete=False,
            internal=False,
            arguments=arguments,
        )
        self.vhost.declare_queue("q", durable=True, owner=0, auto_delete=False, arguments={})
        self.vhost.bind(Binding(self.exchange, "", {}, queue=self.vhost.queues["q"]))
        self.flush()

    @property
    def vhost(self) -> VHost:
        """The vhost that all is in."""
        return self.broker.vhosts["/"]

    @property
    def exchange(self) -> DelayedExchange:
        """The exchange."""
        exchange = self.vhost.exchanges["x"]
        assert isinstance(exchange, DelayedExchange)
        return exchange

    def take(self) -> None:
        """Let a group gather and start."""
        if self.flight is None:
            self.flight = self.broker.take_group()

    def land(self) -> None:
        """Run the group that is on its way."""
        group = self.flight
        if group is None:
            return
        group.run(self.disk, True)
        self.flight = None
        self.broker.group_done(group, self.now_ms)
        self.promised |= {n for position, n in self.waiting if position <= group.position}
        self.waiting = [pair for pair in self.waiting if pair[0] > group.position]

    def flush(self) -> None:
        """Run groups until there is none."""
        self.land()
        self.take()
        while self.flight is not None:
            self.land()
            self.broker.end_turn(self.now_ms)
            self.take()

    def publish(self, delay_ms: int, size: int = 0, mode: int = 2) -> int:
        """Publish a message. Returns its number."""
        self.number += 1
        self.due[self.number] = self.wall_ms + delay_ms
        made = message(b"%08d:" % self.number + BODY[:size], delay_ms, mode)
        headers = properties.headers(made.content, made.header_bytes)
        queues, _ = self.vhost.route("x", ["k"], headers, made.content, made.header_bytes)
        position = self.vhost.publish(queues, made)
        if mode == 2:
            self.waiting.append((position, self.number))
        else:
            self.transient.add(self.number)
        return self.number

    def pass_time(self, ms: int) -> None:
        """Let time pass, deadline by deadline."""
        until = self.now_ms + ms
        steps = 0
        while 0 <= self.broker.next_deadline_ms() <= until:
            self.set_time(max(self.now_ms, self.broker.next_deadline_ms()))
            self.broker.due(self.now_ms)
            steps += 1
            if steps % 10 == 0:  # syncs take a while, but they end
                self.land()
                self.broker.end_turn(self.now_ms)
                self.take()
        self.set_time(until)

    def set_time(self, now_ms: int) -> None:
        """Move both clocks."""
        self.wall_ms += now_ms - self.now_ms
        self.now_ms = now_ms

    def arrived(self) -> list[int]:
        """The numbers of the messages in the queue, taken out of it."""
        queue = self.vhost.queues["q"]
        numbers = []
        while (entry := queue.take(True)) is not None:
            body = body_of(entry)
            numbers.append(int(body[:8]))
            assert body[9:] == BODY[: len(body) - 9]
        return numbers

    def stop(self) -> None:
        """Stop in good order."""
        self.flush()
        self.broker.stop_store()
        self.flush()

    def healthy(self) -> None:
        """Assert that nothing went wrong in the broker."""
        self.broker.validate()
        failures = [fields for _, _, fields in self.log.events if "trace" in fields]
        assert not failures, failures[0]["trace"]


def test_order_and_time_are_kept_across_spills() -> None:
    rng = random.Random(1)
    delays = Delays(SimDisk())
    delays.declare()
    for scale in (50, 5_000, 500_000, 4_000_000_000):
        for _ in range(150):
            delays.publish(rng.randint(1, scale), rng.choice((0, 0, 5_000)))
    delays.flush()
    assert delays.exchange.messages_delayed == 600
    late = 0
    seen: list[int] = []
    while len(seen) < 600:
        delays.broker.validate()
        before = delays.wall_ms
        delays.pass_time(max(1, delays.broker.next_deadline_ms() - delays.now_ms))
        delays.flush()
        for number in delays.arrived():
            assert before < delays.due[number] + 50 and delays.due[number] <= delays.wall_ms
            late = max(late, delays.wall_ms - delays.due[number])
            seen.append(number)
    assert late <= 25, "a message came late, though what was moved is synced in 5 ms"
    assert sorted(seen) == list(range(1, 601))
    assert [delays.due[n] for n in seen] == sorted(delays.due.values())
    assert delays.exchange.messages_delayed == 0
    delays.flush()
    assert len(delays.vhost.parts) <= 1  # the near one
    delays.healthy()


def test_where_the_heap_is_long_enough_nothing_is_late() -> None:
    rng = random.Random(2)
    delays = Delays(SimDisk(), 1000)
    delays.declare()
    for _ in range(900):
        delays.publish(rng.randint(1, 5_000))
    while delays.exchange.messages_delayed:
        delays.pass_time(1)
        for number in delays.arrived():
            assert delays.due[number] == delays.wall_ms
    delays.healthy()


def test_what_waits_survives_a_clean_stop_and_counts_on() -> None:
    delays = Delays(SimDisk())
    delays.declare()
    numbers = [delays.publish(ms) for ms in range(100, 10_000, 100)]
    gone = delays.publish(60_000, mode=1)
    delays.stop()
    delays.wall_ms += 5_000
    delays.start()
    assert delays.exchange.messages_delayed == len(numbers)
    delays.pass_time(10)
    first = delays.arrived()
    assert sorted(first) == [n for n in numbers if delays.due[n] <= delays.wall_ms]
    delays.pass_time(100_000)
    rest = delays.arrived()
    assert sorted(first + rest) == numbers and gone not in rest
    delays.healthy()


def test_a_deleted_exchange_leaves_nothing() -> None:
    disk = SimDisk()
    delays = Delays(disk)
    delays.declare()
    rng = random.Random(3)
    for _ in range(200):
        delays.publish(rng.randint(100_000, 1_000_000), 20_000)
        delays.pass_time(1)
    delays.flush()
    assert len(delays.vhost.parts) > 1
    assert any(name.startswith("page-") for name in disk.names())
    delays.vhost.delete_exchange("x", False)
    delays.flush()
    delays.flush()
    assert not delays.vhost.parts
    assert not [name for name in disk.names() if name.startswith("page-")]
    delays.start()
    assert not delays.vhost.parts and "x" not in delays.vhost.exchanges


def test_ten_thousand_messages_in_little_memory() -> None:
    delays = Delays(SimDisk(), 64, segment_bytes=1_000_000, waiting_bytes_max=100_000)
    delays.declare()
    rng = random.Random(5)
    for _ in range(1_000):
        for _ in range(10):
            delays.publish(rng.randint(1_000_000, 100_000_000), 300)
        delays.pass_time(1)
        delays.flush()
    delays.pass_time(1_000)
    in_memory = sum(len(part.entries_in_memory()) for part in delays.vhost.parts.values())
    assert delays.exchange.messages_delayed == 10_000
    assert in_memory < 64 + 3 * 262_144 / 650 * len(delays.vhost.parts)
    assert len(delays.vhost.parts) < 120


class Story:
    """What a seed does with delayed messages, in several lives."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.disk = SimDisk()
        self.delays = Delays(self.disk, rng.choice((2, 8, 40)))
        self.scale = rng.choice((20, 2_000, 200_000, 50_000_000))
        self.size = rng.choice((0, 300, 20_000))
        self.delays.declare()

    def run(self) -> None:
        """Live all lives, then let all time pass."""
        for _ in range(self.rng.choice((1, 2, 4))):
            self.live()
        delays = self.delays
        for _ in range(20):
            delays.pass_time(self.scale // 5 + 1_000)
            delays.flush()
        delays.healthy()
        arrived = delays.arrived()
        assert len(set(arrived)) == len(arrived), "a message came twice"
        lost = delays.promised - set(arrived)
        assert not lost, f"lost: {sorted(lost)[:5]}"
        assert delays.exchange.messages_delayed == 0

    def live(self) -> None:
        """Live one life, to its crash or its end."""
        rng, delays = self.rng, self.delays
        try:
            for _ in range(rng.choice((20, 100))):
                self.step()
            ending = rng.choice(("power", "power", "kill", "clean"))
            if ending == "clean":
                delays.stop()
            elif delays.flight is not None:
                operations = len(delays.flight.operations)
                self.disk.crash_at = self.disk.operations + rng.randint(1, operations + 1)
                delays.land()
        except Crashed:
            ending = "power"
        if ending == "power":
            self.disk.crash(rng)
        elif ending == "kill":
            self.disk.kill()
        delays.flight, delays.waiting = None, []
        delays.wall_ms += rng.choice((0, 1_000, self.scale))
        delays.start()

    def step(self) -> None:
        """Publish, or let time pass, or let a group be written."""
        rng, delays = self.rng, self.delays
        for _ in range(rng.choice((0, 1, 1, 10))):
            mode = 2 if rng.random() < 0.9 else 1
            delays.publish(rng.randint(1, self.scale), rng.randint(0, self.size), mode)
        if rng.random() < 0.3:
            delays.pass_time(rng.randint(0, self.scale // 10 + 1))
        delays.broker.end_turn(delays.now_ms)
        if rng.random() < 0.4:
            delays.take()
        if rng.random() < 0.3:
            delays.land()
        if rng.random() < 0.1:
            delays.healthy()
        queue = delays.vhost.queues["q"]
        for entry in queue.backlog.in_memory()[-3:]:
            assert delays.due[int(body_of(entry)[:8])] <= delays.wall_ms, "a message came early"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run as many seeds as crashes are asked for."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--crash-seeds")))


def test_a_story_with_crashes(seed: int) -> None:
    Story(seed).run()
