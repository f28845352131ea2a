"""Disks that are full, fail, or hold what they should not: what a real broker does then."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amqpd.store.blocks import Scan
from tests.crash.clients import AsyncClient
from tests.crash.ledger import Ledger
from tests.crash.process import BrokerProcess, command, environment

pika = pytest.importorskip("pika")
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker  # noqa: E402

DISK_MB = 200
PATIENCE_S = 30
SMALL = "store.segment_bytes=1MiB"
PERSISTENT = pika.BasicProperties(delivery_mode=2)
COUNT = 200

pytestmark = pytest.mark.slow


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "mount"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    try:
        made = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts brokers that are gone when the test is over."""
    started: list[BrokerProcess] = []

    def start(data: Path, *settings: str, **more: Any) -> BrokerProcess:
        started.append(BrokerProcess(data, tmp_path / "log", *settings, **more))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def connect(broker: BrokerProcess) -> Any:
    """A connection of pika's."""
    where = pika.ConnectionParameters("127.0.0.1", broker.port, heartbeat=0)
    return pika.BlockingConnection(where)


def ballast(place: Path, free_bytes: int) -> Path:
    """Fill a file system but for so many bytes."""
    path = place / "ballast"
    with path.open("wb") as file:
        left = shutil.disk_usage(place).free - free_bytes
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))
    return path


class OneByOne(AsyncClient):
    """Publishes the next message when the last is confirmed, until nothing comes any more."""

    confirmed = 0
    why = ""
    silence_s = 2.0

    def __init__(self, port: int, queue: str, size: int, most: int) -> None:
        super().__init__(port, Ledger(), 0, "one by one")
        self.queue = queue
        self.size = size
        self.most = most

    def begin(self) -> None:
        """See AsyncClient."""
        self.connection.add_on_close_callback(self._ended)
        self.channel.confirm_delivery(self._confirmed)
        self._publish()

    def _ended(self, _: Any, reason: Exception) -> None:
        self.why = str(reason)

    def _publish(self) -> None:
        body = f"{self.confirmed}|".encode() + bytes(self.size)
        self.channel.basic_publish("", self.queue, body, PERSISTENT)
        seen = self.confirmed
        self.connection.ioloop.call_later(self.silence_s, lambda: self._look(seen))

    def _look(self, seen: int) -> None:
        if self.confirmed == seen and self.connection.is_open:
            self.connection.close()

    def _confirmed(self, frame: Any) -> None:
        assert frame.method.NAME == "Basic.Ack"
        self.confirmed += 1
        assert self.confirmed < self.most, "it never ends"
        self._publish()


class Pressing(AsyncClient):
    """Publishes as fast as it is confirmed until it is told that the disk is short, then waits.

    It is all callbacks: a publish that blocks could not hear that the connection is blocked.
    """

    window = 20

    def __init__(self, port: int, most: int) -> None:
        super().__init__(port, Ledger(), 0, "pressing")
        self.most = most
        self.sent = 0
        self.confirmed = 0
        self.states: list[str] = []
        self.was_blocked = threading.Event()
        self._is_last = False

    def begin(self) -> None:
        """See AsyncClient."""
        self.connection.add_on_connection_blocked_callback(self._blocked)
        self.connection.add_on_connection_unblocked_callback(self._unblocked)
        self.channel.confirm_delivery(self._confirmed)
        for _ in range(self.window):
            self._publish()

    def finish(self) -> None:
        """Publish one more, and close when everything is confirmed; from any thread."""
        self.connection.ioloop.add_callback_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_last = True
        self._publish()

    def _publish(self) -> None:
        body = f"{self.sent}|".encode() + bytes(100000)
        self.channel.basic_publish("", "q", body, PERSISTENT)
        self.sent += 1

    def _blocked(self, *_: Any) -> None:
        self.states.append("blocked")
        self.was_blocked.set()

    def _unblocked(self, *_: Any) -> None:
        self.states.append("unblocked")

    def _confirmed(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        self.confirmed = tag if frame.method.multiple else max(self.confirmed, tag)
        if self._is_last and self.confirmed == self.sent:
            self.connection.close()
        while not self.states and self.sent < min(self.most, self.confirmed + self.window):
            self._publish()

    def ended_well(self) -> bool:
        """Say whether it was blocked and unblocked, and all was confirmed; waits for its end.

        What is consumed makes room, so it may be blocked and unblocked more than once.
        """
        self.join(PATIENCE_S)
        pairs = ["blocked", "unblocked"] * (len(self.states) // 2)
        return not self.is_alive() and self.confirmed == self.sent and self.states == pairs


def pressing(running: BrokerProcess, most: int) -> Pressing:
    """Declare the queue, and publish until the disk is short."""
    with connect(running) as connection:
        connection.channel().queue_declare("q", durable=True)
    publisher = Pressing(running.port, most)
    publisher.start()
    assert publisher.was_blocked.wait(PATIENCE_S), "the disk is full and nobody was told to wait"
    return publisher


def publish_all(broker: BrokerProcess, queue: str, size: int, most: int = 100000) -> int:
    """Publish numbered messages one by one while they are confirmed. Returns how many were."""
    client = OneByOne(broker.port, queue, size, most)
    client.work()
    return client.confirmed


def is_refused(broker: BrokerProcess, queue: str) -> bool:
    """Say whether a publish is answered by the error of a store that failed."""
    client = OneByOne(broker.port, queue, 10, 2)
    client.work()
    assert client.confirmed == 0
    return "541" in client.why and "message store has failed" in client.why


def numbers_in(channel: Any, queue: str) -> list[int]:
    """Take and ack all messages of a queue."""
    found = []
    while True:
        method, _, body = channel.basic_get(queue)
        if method is None:
            return found
        found.append(int(body.partition(b"|")[0]))
        channel.basic_ack(method.delivery_tag)


def test_publishers_wait_while_the_disk_is_nearly_full(mount: Path, broker: Any) -> None:
    running = broker(mount / "data", SMALL, "memory_monitor_interval=50ms")
    assert running.is_up(), running.said()
    filling = ballast(mount, 70_000_000)
    publisher = pressing(running, 2000)
    assert shutil.disk_usage(mount).free > 20_000_000
    assert "disk is short, publishers wait" in running.said()
    with connect(running) as consumer:
        taken = numbers_in(consumer.channel(), "q")
        assert len(taken) > 50 and taken == list(range(len(taken)))
    filling.unlink()
    publisher.finish()
    assert publisher.ended_well()
    assert running.stop() == 0
    assert "has failed" not in running.said()


def test_room_that_is_reserved_raises_no_alarm_and_no_error(mount: Path, broker: Any) -> None:
    """The default settings on a disk that has room for less than two segments above the limit."""
    filling = ballast(mount, 120_000_000)
    running = broker(mount / "data", "memory_monitor_interval=50ms")
    assert running.is_up(), running.said()
    assert shutil.disk_usage(mount).free > 100_000_000
    publisher = pressing(running, 1200)
    assert 30_000_000 < shutil.disk_usage(mount).free < 50_000_000
    with connect(running) as consumer:
        taken = numbers_in(consumer.channel(), "q")
        assert len(taken) > 500 and taken == list(range(len(taken)))
    filling.unlink()
    publisher.finish()
    assert publisher.ended_well()
    assert running.stop() == 0
    assert "has failed" not in running.said()


def test_a_full_disk_is_final_and_a_restart_recovers(mount: Path, broker: Any) -> None:
    running = broker(mount / "data", SMALL, "disk_free_limit.absolute=0")
    assert running.is_up(), running.said()
    filling = ballast(mount, 10_000_000)
    connect(running).channel().queue_declare("q", durable=True)
    confirmed = publish_all(running, "q", 50000)
    assert confirmed > 50
    said = running.said()
    assert said.count("the message store has failed") == 1
    assert "No space left on device" in said and "publishers are refused" in said
    assert is_refused(running, "q")
    with connect(running) as consumer:
        assert numbers_in(consumer.channel(), "q")[:confirmed] == list(range(confirmed))
    running.kill()
    filling.unlink()
    running = broker(mount / "data", SMALL)
    assert running.is_up(), running.said()
    with connect(running) as consumer:
        assert numbers_in(consumer.channel(), "q")[:confirmed] == list(range(confirmed))
    assert "is damaged" not in running.said()


@pytest.mark.parametrize("which", [3, 10])
@pytest.mark.parametrize("call", ["pwritev2", "fdatasync"])
def test_nothing_is_confirmed_after_an_error(
    tmp_path: Path, broker: Any, call: str, which: int
) -> None:
    """One call fails, all later ones would work: the broker must not trust them."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    trial = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    if trial.returncode:
        pytest.skip(f"strace may not trace: {trial.stderr.decode().strip()}")
    inject = f"inject={call}:error=EIO:when={which}"
    strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    # Segments that roll all the time, for fdatasync: other groups are one pwritev2.
    running = broker(tmp_path / "data", "store.segment_bytes=64KiB", wrapper=strace)
    assert running.is_up(), running.said()
    connect(running).channel().queue_declare("q", durable=True)
    confirmed = publish_all(running, "q", 30000, 200)
    said = running.said()
    assert said.count("the message store has failed") == 1 and "Input/output error" in said
    assert is_refused(running, "q")
    definer = connect(running).channel()
    with pytest.raises((AMQPConnectionError, ChannelClosedByBroker), match="541"):
        definer.queue_declare("another", durable=True)
    running.kill()
    running = broker(tmp_path / "data")
    assert running.is_up(), running.said()
    with connect(running) as consumer:
        found = numbers_in(consumer.channel(), "q")
        assert found[:confirmed] == list(range(confirmed)) and len(found) <= confirmed + 1


# -- directories that are not as they should be -----------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of some segments, of a broker that was killed."""
    folder = tmp_path_factory.mktemp("filled")
    running = BrokerProcess(folder / "data", folder / "log", "store.segment_bytes=64KiB")
    try:
        assert running.is_up(), running.said()
        with connect(running) as connection:
            channel = connection.channel()
            channel.queue_declare("q", durable=True)
            channel.confirm_delivery()
            for number in range(COUNT):
                channel.basic_publish("", "q", f"{number}|".encode() + bytes(1000), PERSISTENT)
    finally:
        running.kill()
    return folder / "data"


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(filled, tmp_path / "data"))


def refusal(data: Path) -> str:
    """The one line of a broker that does not start."""
    words = command("--port", "0", "--data-dir", str(data))
    ended = subprocess.run(
        words, capture_output=True, text=True, env=environment(), cwd=data.parent, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("amqpd: ") and ended.stderr.count("\n") == 1, ended.stderr
    assert "Traceback" not in ended.stdout
    return ended.stderr


def test_a_directory_in_use_is_refused(data: Path, broker: Any) -> None:
    running = broker(data)
    assert running.is_up(), running.said()
    pid = running.process.pid
    assert f"{data} is in use by another broker (pid {pid})" in refusal(data)
    with connect(running) as connection:
        assert numbers_in(connection.channel(), "q") == list(range(COUNT))


def test_a_read_only_directory_is_refused(mount: Path, filled: Path) -> None:
    data = mount / "data"
    shutil.copytree(filled, data)
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    assert f"data directory {data}: read-only file system" in refusal(data)


def test_a_newer_format_is_refused_and_left_alone(data: Path) -> None:
    path = sorted(data.glob("journal-*"))[1]
    content = bytearray(path.read_bytes())
    content[8:10] = (99).to_bytes(2, "big")
    path.write_bytes(content)
    before = {p.name: p.read_bytes() for p in data.glob("journal-*")}
    line = refusal(data)
    assert f"{path.name} has format 99" in line and str(data) in line
    assert {p.name: p.read_bytes() for p in data.glob("journal-*")} == before


def flipped(path: Path) -> int:
    """Change a bit inside a block; returns where that block begins."""
    content = bytearray(path.read_bytes())
    block = Scan(bytes(content)).blocks[2]
    content[block.offset + 40] ^= 16
    path.write_bytes(content)
    return block.offset


def emptied(path: Path) -> int:
    """Leave nothing in a file."""
    path.write_bytes(b"")
    return 0


def removed(path: Path) -> int:
    """Leave no file."""
    path.unlink()
    return 0


@pytest.mark.parametrize("harm", [flipped, emptied, removed])
def test_damage_is_named_and_the_rest_is_served(
    data: Path, broker: Any, harm: Callable[[Path], int]
) -> None:
    path = sorted(data.glob("journal-*"))[1]
    offset = harm(path)
    running = broker(data)
    assert running.is_up(), running.said()
    lines = [line for line in running.said().splitlines() if "the store is damaged" in line]
    assert len(lines) == 1, running.said()
    assert str(path) in lines[0] and re.search(rf"offset={offset}\b", lines[0]), lines[0]
    with connect(running) as connection:
        found = numbers_in(connection.channel(), "q")
    assert found == sorted(found) and COUNT > len(found) > COUNT // 3
    if harm is flipped:
        assert len(found) == COUNT - 1
        assert list(data.glob(f"quarantine-{path.name}-{offset}"))
