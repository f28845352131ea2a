"""What queues with rules have waiting is the same after a restart, clean or not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.message import Message, make_address
from amqpd.core.ports import Entropy, Log
from amqpd.core.queue import Queue
from amqpd.core.vhost import VHost
from amqpd.limits import Limits
from amqpd.store.disk import PosixDisk
from amqpd.store.journal import StoreJournal
from amqpd.store.recovery import Recovery
from amqpd.store.restore import mend
from amqpd.wire import tables
from tests.core.fakes import FakeConsumer
from tests.peers import codec

START_WALL_MS = 1_700_000_000_000


class _Entropy(Entropy):
    def token(self, count: int) -> bytes:
        """See Entropy."""
        return bytes(count)


class Station:
    """A broker on a data directory, restarted at will; each time with a monotonic clock anew."""

    def __init__(self, path: Path, waiting_bytes_max: int | None = None) -> None:
        self._path = str(path)
        self._options = (
            {} if waiting_bytes_max is None else {"waiting_bytes_max": waiting_bytes_max}
        )
        self.wall_ms = START_WALL_MS
        self.now_ms = 1_000_000
        self.broker: Broker
        self._start()

    def _start(self) -> None:
        self._disk = PosixDisk(self._path)
        journal = StoreJournal(self._disk, Log(), **self._options)
        entropy = _Entropy()
        users = Users(entropy)
        self.broker = Broker(Limits(), users, journal, entropy, self.now_ms, wall_ms=self.wall_ms)
        found = Recovery(self._disk).read()
        assert not found.damage
        mend(found, self._disk)
        self.broker.restore(found)
        self.write()

    @property
    def vhost(self) -> VHost:
        """The vhost that all is in."""
        return self.broker.vhosts["/"]

    def write(self) -> None:
        """Write all that has gathered."""
        while (group := self.broker.take_group()) is not None:
            group.run(self._disk, False)
            self.broker.group_done(group, self.now_ms)

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.wall_ms += ms
        self.now_ms += ms
        self.broker.due(self.now_ms)

    def restart(self, *, clean: bool = True, away_ms: int = 0) -> None:
        """Stop, stay away for a time, and start again."""
        if clean:
            self.broker.stop_store()
        self.write()
        self._disk.close()
        self.wall_ms += away_ms
        self.now_ms = 7_000
        self._start()
        self.broker.validate()

    def close(self) -> None:
        """Let go of the directory."""
        self._disk.close()

    def declare(self, name: str, **arguments: int | str | bool) -> Queue:
        """Declare a durable queue; underscores in arguments stand for dashes."""
        data = codec.encode_table({key.replace("_", "-"): v for key, v in arguments.items()})
        table, _ = tables.decode_table(data, 0, len(data))
        self.vhost.declare_queue(name, durable=True, owner=0, auto_delete=False, arguments=table)
        return self.queue(name)

    def queue(self, name: str) -> Queue:
        """The queue of that name."""
        return self.vhost.queues[name]

    def publish(self, *queues: str, body: bytes = b"1", **properties: Any) -> None:
        """Publish a persistent message to these queues."""
        self._publish(queues, body, True, {"delivery_mode": 2, **properties})

    def publish_transient(self, *queues: str, body: bytes = b"1") -> None:
        """Publish a transient message to these queues."""
        self._publish(queues, body, False, {})

    def _publish(
        self, queues: tuple[str, ...], body: bytes, persistent: bool, properties: dict[str, Any]
    ) -> None:
        raw = codec.encode_properties(properties)
        content = codec.content_frames(1, raw, body, 1 << 20)
        header_bytes = len(codec.content_frames(1, raw, b"", 1 << 20))
        address = make_address("x", "k")
        message = Message(address, content, header_bytes, len(body), len(body) + 8, 1, persistent)
        message.read_properties()
        self.vhost.publish([self.queue(name) for name in queues], message)

    def bodies(self, name: str) -> list[bytes]:
        """Take all that is ready in a queue. Returns the first octets of the bodies."""
        found = []
        while (entry := self.queue(name).take(True)) is not None:
            start = int(entry.message.header_bytes) + 7
            body = entry.message.content[start : start + int(entry.message.body_bytes)]
            found.append(body.split(b" ")[0])
        return found


@pytest.fixture(params=["clean", "crash"])
def restart(request: pytest.FixtureRequest) -> Callable[..., None]:
    """How a station is restarted."""
    return lambda station, **options: station.restart(clean=request.param == "clean", **options)


@pytest.fixture
def station(tmp_path: Path) -> Any:
    """A broker on an empty data directory."""
    made = Station(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def long_station(tmp_path: Path) -> Any:
    """One whose long queues are on pages."""
    made = Station(tmp_path / "data", waiting_bytes_max=1)
    yield made
    made.close()


def ready(station: Station, name: str) -> int:
    """How many are ready."""
    return int(station.queue(name).backlog.count)


def test_deadlines_go_on(station: Station, restart: Any) -> None:
    station.declare("q", x_message_ttl=1000)
    station.publish("q")
    station.advance(300)
    restart(station, away_ms=300)
    station.advance(399)
    assert ready(station, "q") == 1
    station.advance(1)
    assert ready(station, "q") == 0


def test_what_expired_meanwhile_leaves_at_once(station: Station, restart: Any) -> None:
    station.declare("dead")
    station.declare("q", x_dead_letter_exchange="", x_dead_letter_routing_key="dead")
    station.publish("q", body=b"1", expiration="1000")
    station.publish("q", body=b"2")
    restart(station, away_ms=1000)
    station.advance(1)
    assert station.bodies("dead") == [b"1"]
    assert station.bodies("q") == [b"2"]
    restart(station)
    assert (station.bodies("dead"), station.bodies("q")) == ([], [])


def test_what_was_delivered_keeps_its_deadline(station: Station, restart: Any) -> None:
    queue = station.declare("q", x_message_ttl=1000)
    consumer = FakeConsumer()
    queue.add_consumer(consumer)
    queue.resume(consumer)
    station.publish("q")
    assert len(consumer.taken) == 1
    restart(station)
    assert ready(station, "q") == 1
    station.advance(1000)
    assert ready(station, "q") == 0


def test_priorities_stay(station: Station, restart: Any) -> None:
    station.declare("q", x_max_priority=5)
    for priority in (1, 9, 5, 0, 3):
        station.publish("q", body=str(priority).encode(), priority=priority)
    restart(station)
    station.publish("q", body=b"4", priority=4)
    assert station.bodies("q") == [b"9", b"5", b"4", b"3", b"1", b"0"]


def test_dead_letters_stay(station: Station, restart: Any) -> None:
    station.declare("dead")
    limits: dict[str, Any] = {"x_max_length": 2}
    station.declare("q", x_dead_letter_exchange="", x_dead_letter_routing_key="dead", **limits)
    for number in range(5):
        station.publish("q", body=str(number).encode())
    restart(station)
    assert station.bodies("dead") == [b"0", b"1", b"2"]
    assert station.bodies("q") == [b"3", b"4"]


def test_a_dead_letter_into_a_queue_of_the_same_publish(station: Station, restart: Any) -> None:
    """The place that it takes there is not that of the message that drove it out."""
    station.declare("both")
    station.declare(
        "q", x_max_length=1, x_dead_letter_exchange="", x_dead_letter_routing_key="both"
    )
    for number in range(4):
        station.publish("q", "both", body=str(number).encode())
    wanted = [b"0", b"1", b"0", b"2", b"1", b"3", b"2"]
    queue = station.queue("both")
    first = queue.take(False)
    assert first is not None
    queue.settle(first)
    restart(station)
    assert station.bodies("both") == wanted[1:]
    assert station.bodies("q") == [b"3"]
    restart(station)
    assert (ready(station, "both"), ready(station, "q")) == (0, 0)


def test_an_unused_queue_has_its_time_anew(station: Station, restart: Any) -> None:
    station.declare("q", x_expires=1000)
    station.advance(900)
    restart(station, away_ms=5000)
    station.advance(999)
    assert "q" in station.vhost.queues
    station.advance(1)
    assert "q" not in station.vhost.queues
    restart(station)
    assert "q" not in station.vhost.queues


def test_deadlines_on_pages_go_on(long_station: Station, restart: Any) -> None:
    station = long_station
    station.declare("q", x_message_ttl=1000)
    for number in range(60):
        station.publish("q", body=str(number).encode() + b" " * 100_000)
        station.advance(10)
    assert ready(station, "q") == 60
    restart(station)
    assert ready(station, "q") == 60
    station.advance(500)
    assert ready(station, "q") == 60 - 11
    assert station.bodies("q") == [str(number).encode() for number in range(11, 60)]


@pytest.mark.parametrize("taken", [0, 25])
def test_priorities_on_pages_stay(long_station: Station, restart: Any, taken: int) -> None:
    station = long_station
    station.declare("q", x_max_priority=3)
    wanted: list[tuple[int, int]] = []
    for number in range(150):
        priority = number * 7 % 5
        station.publish("q", body=str(number).encode() + b" " * 100_000, priority=priority)
        wanted.append((-min(priority, 3), number))
    wanted.sort()
    for _ in range(taken):
        assert station.queue("q").take(True) is not None
    restart(station)
    assert station.bodies("q") == [str(number).encode() for _, number in wanted[taken:]]
    restart(station)
    assert ready(station, "q") == 0
