"""A broker with its listeners, from start to stop.

    server = Server(settings, log)
    await server.start()        # raises StartupError
    server.ports                # (5672, 5671)
    await server.stop()         # clients are told to close, and waited for

Everything happens on the loop that `start` runs on.
"""

import asyncio
import os
import traceback
from time import monotonic
from typing import Final

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Entropy, Journal, Log, MemoryJournal
from amqpd.definitions.document import BadDefinitions
from amqpd.errors import AmqpError
from amqpd.server.clock import now_ms, wall_ms
from amqpd.server.data import DataDirectory
from amqpd.server.definitions_files import read_definitions
from amqpd.server.listener import open_sockets, printed
from amqpd.server.seeding import seed
from amqpd.server.settings import Listener, Settings, TlsSettings
from amqpd.server.startup import StartupError
from amqpd.server.tls import server_context
from amqpd.server.transport import ClientSocket, Turns
from amqpd.server.watermark import Watermark

REPEAT_S: Final = 1.0  # the same complaint of the loop is logged once in this time


class SystemEntropy(Entropy):
    """Random octets from the operating system."""

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return os.urandom(count)


class Server:
    """One broker on the network.

    `broker` and `turns` are for the management side and for tests; they exist from `start` on.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self.settings: Final = settings
        self.log: Final = log
        self.addresses: list[tuple[Listener, str, int]] = []
        self._servers: list[asyncio.Server] = []
        self._turns: Turns | None = None
        self._store: DataDirectory | None = None
        self._watermark: Watermark | None = None
        self._complained: dict[str, float] = {}

    @property
    def turns(self) -> Turns:
        """What joins the broker to the loop."""
        assert self._turns is not None, "the server has not been started"
        return self._turns

    @property
    def broker(self) -> Broker:
        """The broker; to be called on the server's loop only, and a turn scheduled afterwards."""
        return self.turns.broker

    @property
    def watermark(self) -> Watermark:
        """The memory and disk alarms."""
        assert self._watermark is not None, "the server has not been started"
        return self._watermark

    @property
    def ports(self) -> tuple[int, ...]:
        """The bound port of each listener, in the order of the settings."""
        ports: dict[int, int] = {}
        for listener, _, port in self.addresses:
            ports.setdefault(id(listener), port)
        return tuple(ports[id(listener)] for listener in self.settings.listeners)

    async def start(self) -> None:
        """Open all listeners, or none. Raises StartupError in one clear line."""
        loop = asyncio.get_running_loop()
        settings = self.settings
        loop.set_exception_handler(self._on_loop_error)
        definitions = None
        if settings.definitions:
            try:
                definitions = await read_definitions(settings.definitions)
            except BadDefinitions as error:
                raise StartupError(str(error)) from None
        store = None
        if not settings.in_memory:
            store = DataDirectory(settings, self.log)
        broker = self._make_broker(store.journal if store is not None else MemoryJournal())
        if store is None:
            seed(broker, settings, self.log, definitions)
        turns = Turns(broker, loop, settings.sockets, self.log)
        self._turns = turns
        if store is not None:
            self._store = store
            store.start(
                broker,
                loop,
                turns.schedule,
                lambda: seed(broker, settings, self.log, definitions),
            )
            turns.flusher = store.flusher
        try:
            for listener in settings.listeners:
                await self._listen(listener, turns)
        except BaseException:
            self._close_listeners()
            if self._store is not None:
                self._store.stop(broker)
            raise
        self._watermark = Watermark(settings.watermark, settings.data_dir, turns, self.log)

    async def stop(self) -> None:
        """Stop listening, have every client close, and wait for them within bounds."""
        self._close_listeners()
        turns = self._turns
        if turns is None:
            return
        if self._watermark is not None:
            self._watermark.stop()
        turns.shut_down()
        try:
            async with asyncio.timeout(self.settings.sockets.shutdown_ms / 1000):
                await turns.emptied()
        except TimeoutError:
            self.log.event(
                "warning", "cutting connections that did not close", {"count": len(turns.sockets)}
            )
        self.cut()
        await turns.emptied()
        turns.stop()
        if self._store is not None:
            self._store.stop(turns.broker)

    async def reload_definitions(self) -> None:
        """Import the configured definitions again; what is wrong with them is only logged."""
        path = self.settings.definitions
        if not path:
            return
        try:
            definitions = await read_definitions(path)
            definitions.put_into(self.broker, self.log)
        except BadDefinitions as error:
            self.log.event("error", "nothing of the definitions is used", {"why": str(error)})
        except AmqpError as error:  # the store has failed
            self.log.event("error", "nothing of the definitions is used", {"why": error.text})
        self.turns.schedule()

    def cut(self) -> None:
        """Wait for clients no longer: end what `stop` waits for."""
        self.turns.abort()

    def _make_broker(self, journal: Journal) -> Broker:
        """Build the broker, without users so far."""
        entropy = SystemEntropy()
        users = Users(entropy)
        settings = self.settings
        return Broker(
            settings.limits,
            users,
            journal,
            entropy,
            now_ms(),
            self.log,
            wall_ms(),
            settings.profile,
        )

    async def _listen(self, listener: Listener, turns: Turns) -> None:
        """Open one listener, on all its addresses."""
        tls: TlsSettings | None = None
        context = None
        if listener.tls:
            tls = self.settings.tls
            context = server_context(tls)
        for opened in open_sockets(listener, self.settings.sockets):
            host, port = opened.getsockname()[:2]
            self._servers.append(
                await turns.loop.create_server(
                    lambda: ClientSocket(turns, tls),
                    sock=opened,
                    ssl=context,
                    backlog=self.settings.sockets.backlog,
                    ssl_handshake_timeout=tls.handshake_timeout_ms / 1000 if tls else None,
                )
            )
            self.addresses.append((listener, host, port))
            self.log.event(
                "info",
                f"listening on {printed(host, port)}",
                {"protocol": "amqps" if listener.tls else "amqp"},
            )

    def _close_listeners(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Log what went wrong outside any handler, the same thing once a second at most."""
        error = context.get("exception")
        message = str(context.get("message", error))
        key = f"{message} {error!r}"
        if self._complained.get(key, 0.0) > monotonic() - REPEAT_S:
            return
        if len(self._complained) > 100:
            self._complained.clear()
        self._complained[key] = monotonic()
        if isinstance(error, OSError):  # also ssl.SSLError: a peer's doing, no trace
            reset = isinstance(error, ConnectionError)
            self.log.event("debug" if reset else "warning", message, {"error": str(error)})
        else:
            fields: dict[str, object] = {}
            if isinstance(error, BaseException):
                fields["trace"] = "".join(traceback.format_exception(error))
            self.log.event("error", message, fields)
