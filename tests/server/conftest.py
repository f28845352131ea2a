"""A fake broker with the real one's door, a rig that drives it over real sockets, two event loops.

A scenario is a coroutine that `run` runs on plain asyncio and on uvloop. Nothing sleeps: scenarios
wait for what the fake broker has been told (`until`) or for what a client reads.
"""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from amqpd.core.ports import Log
from amqpd.server.listener import open_sockets
from amqpd.server.run import loop_factory
from amqpd.server.settings import Listener, SocketSettings
from amqpd.server.transport import ClientSocket, Turns

PATIENCE_S = 20


class FakeConnection:
    """What the transport reads of a connection."""

    def __init__(self, peer: object) -> None:
        self.peer = peer
        self.close_socket = False
        self.reading = True
        self.wants_turn = False
        self.received = b""
        self.why: str | None = None
        self.writable_calls = 0
        self.congested_calls = 0
        self.outbox = b""

    def take(self) -> bytes:
        taken, self.outbox = self.outbox, b""
        return taken


class FakeBroker:
    """Writes down what it is told, in `calls`, and does what `on_receive` and `on_writable` do."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.accepted: list[FakeConnection] = []
        self.connections: dict[int, FakeConnection] = {}
        self.alarms: list[tuple[str, bool]] = []
        self.dirty: list[FakeConnection] = []
        self.deadline_ms = -1
        self.on_receive: Callable[[FakeConnection, bytes], None] = lambda *_: None
        self.on_writable: Callable[[FakeConnection], None] = lambda *_: None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def say(self, connection: FakeConnection, data: bytes) -> None:
        connection.outbox += data
        self.touch(connection)

    def touch(self, connection: FakeConnection) -> None:
        if connection not in self.dirty:
            self.dirty.append(connection)

    async def until(self, fact: Callable[[], bool]) -> None:
        """Return as soon as a call has made it true."""
        if not fact():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((fact, future))
            await future

    def _note(self, call: str) -> None:
        self.calls.append(call)
        for entry in list(self._waiting):
            if entry[0]():
                self._waiting.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(None)

    def connected(self, peer: object, now_ms: int) -> FakeConnection:
        connection = FakeConnection(peer)
        self.connections[id(connection)] = connection
        self.accepted.append(connection)
        self._note("connected")
        return connection

    def receive(self, connection: FakeConnection, data: bytes, now_ms: int) -> None:
        assert type(data) is bytes
        connection.received += data
        self.on_receive(connection, data)
        self._note("receive")

    def congested(self, connection: FakeConnection) -> None:
        connection.congested_calls += 1
        self._note("congested")

    def writable(self, connection: FakeConnection, now_ms: int) -> None:
        connection.writable_calls += 1
        self.on_writable(connection)
        self._note("writable")

    def closed(self, connection: FakeConnection, now_ms: int, why: str = "") -> None:
        assert connection.why is None, "told once"
        connection.why = why
        del self.connections[id(connection)]
        self._note("closed")

    def due(self, now_ms: int) -> None:
        if now_ms >= self.deadline_ms:
            self.deadline_ms = -1
        self._note("due")

    def set_alarm(self, resource: str, raised: bool, now_ms: int) -> None:
        self.alarms.append((resource, raised))
        self._note("set_alarm")

    def end_turn(self, now_ms: int) -> None:
        self._note("end_turn")

    def take_dirty(self) -> list[FakeConnection]:
        taken, self.dirty = self.dirty, []
        return taken

    def next_deadline_ms(self) -> int:
        return self.deadline_ms


class RecordingLog(Log):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.events.append((level, event, fields))


class Rig:
    """The transport between a fake broker and real sockets on a free port."""

    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.log = RecordingLog()
        self.turns: Turns
        self.port = 0
        self._server: asyncio.Server

    async def open(self, settings: SocketSettings | None = None) -> "Rig":
        loop = asyncio.get_running_loop()
        settings = settings or SocketSettings()
        self.turns = Turns(self.broker, loop, settings, self.log)  # type: ignore[arg-type]
        (listening,) = open_sockets(Listener("127.0.0.1", 0), settings)
        self.port = listening.getsockname()[1]
        self._server = await loop.create_server(
            lambda: ClientSocket(self.turns, None), sock=listening
        )
        return self

    async def connect(self) -> tuple[socket.socket, FakeConnection]:
        """A client, as a non-blocking socket that nobody reads, and the broker's side of it."""
        before = len(self.broker.accepted)
        client = socket.socket()
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self.port))
        await self.broker.until(lambda: len(self.broker.accepted) > before)
        return client, self.broker.accepted[before]

    def side(self, connection: FakeConnection) -> ClientSocket:
        return self.turns.clients[connection]  # type: ignore[index]

    async def close(self) -> None:
        self._server.close()
        self.turns.abort()
        await self.turns.emptied()
        self.turns.stop()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a scenario on a loop of its own, and never for ever."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")

    def run_on_loop(scenario: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=loop_factory(request.param)) as runner:
            runner.run(asyncio.wait_for(scenario, PATIENCE_S))

    return run_on_loop


@pytest.fixture
def rig() -> Rig:
    """A rig, to be opened by the scenario."""
    return Rig()


@pytest.fixture
def recording_log() -> RecordingLog:
    """A log that can be looked at."""
    return RecordingLog()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates made just now, so that no clock finds them expired."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("certificates")
    maker = Path(__file__).with_name("make_certificates.sh")
    subprocess.run(["sh", str(maker), str(folder)], check=True, capture_output=True)
    return folder
