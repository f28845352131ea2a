"""The door for scenarios: connect, names, accounts, and what only some distances can do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pamqp import commands

from tests.peers.accounts import account
from tests.peers.channel import POLLS_MAX
from tests.peers.connection import CAPABILITIES, Connection
from tests.peers.errors import PeerError
from tests.peers.link import Link


@dataclass(frozen=True)
class Oracle:
    """Which broker this is: expectations that depend on a version ask `since`."""

    is_rabbitmq: bool
    version: tuple[int, int]

    def since(self, major: int, minor: int) -> bool:
        """Whether the broker is, or imitates, RabbitMQ of at least this version."""
        return self.version >= (major, minor)


class Peer:
    """A broker at some distance, for one scenario."""

    distance = ""
    oracle: Oracle

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._names: list[str] = []

    # -- what a distance does ----------------------------------------------------------------------

    def link(self, *, slow: bool = False) -> Link:
        """Open a stream to the broker; a slow one has small buffers."""
        raise NotImplementedError

    @contextmanager
    def one_turn(self) -> Iterator[None]:
        """Let the broker see what is sent meanwhile as one batch, where a test can know that."""
        yield

    def advance(self, ms: int) -> None:
        """Let time pass (in memory and simulation only)."""
        raise NotImplementedError(f"the clock cannot be moved at distance {self.distance}")

    def set_alarm(self, resource: str, raised: bool) -> None:
        """Raise or lift a resource alarm (in memory and simulation only)."""
        raise NotImplementedError(f"no alarms at distance {self.distance}")

    def needs_accounts(self, needs: bool = True) -> None:
        """Skip a scenario whose users a broker does not have; most have them."""

    def new_admin(self) -> Any:
        """Make an administrator of this broker with a vhost of its own (see `admin`)."""
        raise NotImplementedError(f"no administrator at distance {self.distance}")

    def _unique(self, base: str, count: int) -> str:
        """Make a name that nobody else uses."""
        return f"{base}-{count}"

    # -- what scenarios say ------------------------------------------------------------------------

    def name(self, base: str) -> str:
        """Return a name for a queue or an exchange; what bears it is deleted afterwards."""
        name = self._unique(base, len(self._names) + 1)
        self._names.append(name)
        return name

    def stranger(self, *, slow: bool = False) -> Connection:
        """Open a stream, and say nothing yet."""
        connection = Connection(self.link(slow=slow))
        self._connections.append(connection)
        return connection

    def greet(self) -> Connection:
        """Connect as far as connection.start."""
        return self.stranger().greet()

    def connect(
        self,
        user: str = "guest",
        *,
        vhost: str = "/",
        heartbeat: int = 0,
        frame_max: int | None = None,
        channel_max: int | None = None,
        capabilities: tuple[str, ...] = CAPABILITIES,
        properties: Mapping[str, Any] | None = None,
        slow: bool = False,
    ) -> Connection:
        """Connect, log in and open a vhost; None leaves what the broker proposes."""
        connection = self.stranger(slow=slow).greet()
        password = account(user).password
        connection.log_in(user, password, capabilities=capabilities, properties=properties)
        connection.tune_ok(channel_max, frame_max, heartbeat)
        return connection.open(vhost)

    def until(self, fact: Callable[[], bool]) -> None:
        """Ask, by round trips, until something is so: for what a broker does in its own time."""
        assert any(fact() for _ in range(POLLS_MAX)), "it does not become so"

    def close(self) -> None:
        """Drop all connections and delete what the scenario may have left."""
        for connection in self._connections:
            connection.drop()

    def sweep(self) -> None:
        """Delete everything that bears one of this scenario's names."""
        if not self._names:
            return
        connection = self.connect()
        channel = connection.channel()
        for name in self._names:
            for kind, field in ((commands.Queue.Delete, "queue"), _EXCHANGE):
                try:
                    channel.do(kind, **{field: name})
                except PeerError:
                    channel = connection.channel()
        connection.close()


_EXCHANGE = (commands.Exchange.Delete, "exchange")
