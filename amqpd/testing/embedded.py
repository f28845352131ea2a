"""A real broker inside another program, usually a test: its own thread, its own loop, a free port.

with EmbeddedBroker() as broker:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Final, TypeVar

from amqpd.core.ports import Log
from amqpd.server.run import loop_factory
from amqpd.server.server import Server
from amqpd.server.settings import Listener, Settings, SocketSettings

T = TypeVar("T")

# A test that is over has no use for polite waiting.
SOCKETS: Final = SocketSettings(drain_ms=500, linger_ms=200, shutdown_ms=200)


class EmbeddedBroker:
    """A server that runs while the `with` block does.

    Settings without listeners of their own get one, on a free port of the loopback interface.
    """

    def __init__(self, settings: Settings | None = None, log: Log | None = None) -> None:
        if settings is None:
            listeners = (Listener("127.0.0.1", 0),)
            settings = Settings(listeners=listeners, sockets=SOCKETS)
        elif not settings.listeners:
            settings = replace(settings, listeners=(Listener("127.0.0.1", 0),))
        self.settings: Final = settings
        self._log: Final = log or Log()
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> "EmbeddedBroker":
        """Start it and wait until it listens. Raises StartupError as a server does."""
        assert self._thread is None, "it runs already"
        listening: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="amqpd", daemon=True
        )
        self._thread.start()
        try:
            listening.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Stop it and wait until it is gone; clients are told to close."""
        if self._thread is not None:
            assert self._loop is not None and self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> "EmbeddedBroker":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def server(self) -> Server:
        """The server; to be touched through `call` only."""
        assert self._server is not None, "it has not been started"
        return self._server

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self.server.addresses[0][1]

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self.server.ports[0]

    @property
    def url(self) -> str:
        """The address of the first vhost for the first user, as clients take it."""
        user = self.settings.users[0]
        vhost = self.settings.vhosts[0].replace("%", "%25").replace("/", "%2F")
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "amqps" if self.settings.listeners[0].tls else "amqp"
        return f"{scheme}://{user.name}:{user.password}@{host}:{self.port}/{vhost}"

    def call(self, function: Callable[[Server], T]) -> T:
        """Run a function on the broker's thread, followed by a turn. Returns what it returns."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(function(self.server))
            except BaseException as error:
                done.set_exception(error)
            self.server.turns.schedule()

        assert self._loop is not None, "it has not been started"
        self._loop.call_soon_threadsafe(run)
        return done.result()

    def _serve(self, listening: "Future[None]") -> None:
        """The thread."""
        try:
            with asyncio.Runner(loop_factory=loop_factory(self.settings.loop)) as runner:
                runner.run(self._main(listening))
        except BaseException as error:
            if listening.done():
                raise
            listening.set_exception(error)

    async def _main(self, listening: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._server = Server(self.settings, self._log)
        await self._server.start()
        listening.set_result(None)
        await self._stop.wait()
        await self._server.stop()
