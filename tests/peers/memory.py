"""The broker called directly: one turn per send, a clock that tests move, nothing left to chance.

The broker's output for a client that does not read stays in the link's buffer, as it would in a
transport's, and the broker is told when that is over its high-water mark.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Entropy, Log, MemoryJournal
from amqpd.limits import Limits
from amqpd.profile import V3_13, Profile
from amqpd.server.settings import like_rabbitmq
from amqpd.session.connection import Connection as BrokerConnection
from amqpd.session.peer import Peer as Facts
from tests.peers.accounts import ACCOUNTS, VHOSTS
from tests.peers.admin import Change, DirectoryAdmin
from tests.peers.connection import Connection
from tests.peers.errors import Silence
from tests.peers.link import Link
from tests.peers.peer import Oracle, Peer

WRITE_HIGH_BYTES = 65536
START_MS = 1_000_000
PATIENCE_MS = 120_000


class SeededEntropy(Entropy):
    """Octets that are the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return self._random.randbytes(count)


class RecordingLog(Log):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """See Log."""
        self.events.append((level, event, fields))


class MemoryLink(Link):
    """A stream of two byte strings; `buffered` is what the client has not read from the broker."""

    def __init__(self, peer: "MemoryPeer", connection: BrokerConnection) -> None:
        self.connection = connection
        self.outgoing = b""  # sent by the client, not received by the broker
        self.buffered = b""  # written by the broker, not read by the client
        self.inbox = b""
        self.is_reading = True
        self.is_congested = False
        self.is_dropped = False  # the client's end is closed
        self.is_ended = False  # the broker's end is closed
        self._peer = peer

    def send(self, data: bytes) -> None:
        """See Link."""
        if not self.is_ended:
            self.outgoing += data
            self._peer.sent(self)

    def receive(self, patient: bool = False) -> bytes:
        """See Link."""
        self._peer.settle(self)
        while not self.inbox and not self.is_ended:
            if not patient or not self._peer.pass_deadline():
                raise Silence("the broker has nothing to say")
        data, self.inbox = self.inbox, b""
        return data

    def stop_reading(self) -> None:
        """See Link."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """See Link."""
        self.is_reading = True
        self._peer.sent(self)

    def drop(self) -> None:
        """See Link."""
        if not self.is_dropped:
            self.is_dropped = True
            self._peer.sent(self)


class MemoryPeer(Peer):
    """A broker of its own for one scenario; several connections to it."""

    distance = "memory"
    oracle = Oracle(is_rabbitmq=False, version=(3, 13))

    def __init__(
        self, limits: Limits | None = None, seed: int = 0, profile: Profile | None = None
    ) -> None:
        super().__init__()
        profile = profile or V3_13
        major, minor = profile.name.split(".")
        self.oracle = Oracle(is_rabbitmq=False, version=(int(major), int(minor)))
        self.now_ms = START_MS
        self.log = RecordingLog()
        entropy = SeededEntropy(seed)
        users = Users(entropy)
        for entry in ACCOUNTS:
            users.add(entry.name, entry.password, entry.tags)
            for vhost, (configure, write, read) in entry.permissions.items():
                users.permit(entry.name, vhost, configure, write, read)
        limits = limits or like_rabbitmq(profile.name).limits
        self.broker = Broker(
            limits, users, MemoryJournal(), entropy, self.now_ms, self.log, profile=profile
        )
        for vhost in VHOSTS:
            if vhost not in self.broker.vhosts:
                self.broker.add_vhost(vhost)
        self.links: dict[BrokerConnection, MemoryLink] = {}
        self._is_collecting = False
        self._port = 40000

    # -- see Peer ----------------------------------------------------------------------------------

    def link(self, *, slow: bool = False) -> Link:
        """See Peer."""
        port = self._next_port()
        return self.link_from(Facts("127.0.0.1", port, "127.0.0.1", 5672, loopback=True))

    def stranger_from(
        self, host: str, *, loopback: bool = False, certificate_name: str | None = None
    ) -> Connection:
        """Open a stream from this address, over TLS if a certificate's name is given."""
        facts = Facts(
            host,
            self._next_port(),
            "192.0.2.1",
            5671,
            loopback=loopback,
            tls=certificate_name is not None,
            certificate_name=certificate_name or "",
        )
        connection = Connection(self.link_from(facts))
        self._connections.append(connection)
        return connection

    def new_admin(self) -> DirectoryAdmin:
        """See Peer."""
        return DirectoryAdmin("admin", self._administer)

    def _administer(self, change: Change) -> None:
        self.run()
        change(self.broker.directory(self.now_ms))
        self.run()

    def _next_port(self) -> int:
        self._port += 1
        return self._port

    def link_from(self, facts: Facts) -> Link:
        """Open a stream that has these facts about it."""
        connection = self.broker.connected(facts, self.now_ms)
        link = self.links[connection] = self._new_link(connection)
        return link

    def _new_link(self, connection: BrokerConnection) -> MemoryLink:
        return MemoryLink(self, connection)

    @contextmanager
    def one_turn(self) -> Iterator[None]:
        """See Peer."""
        self._is_collecting = True
        try:
            yield
        finally:
            self._is_collecting = False
            self.run()

    def advance(self, ms: int) -> None:
        """See Peer: deadline by deadline, each followed by its turn."""
        self.run()
        until = self.now_ms + ms
        while 0 <= self.broker.next_deadline_ms() <= until:
            self._pass_deadline()
        self.now_ms = until

    def set_alarm(self, resource: str, raised: bool) -> None:
        """See Peer."""
        self.run()
        self.broker.set_alarm(resource, raised, self.now_ms)
        self.run()

    def close(self) -> None:
        """See Peer: the broker must have survived, and be consistent, to the end."""
        self.run()
        self.broker.validate()
        super().close()
        self.run()
        self.broker.validate()
        assert not self.broker.connections, "connections that the broker has not let go of"
        failures = [fields for level, _, fields in self.log.events if "trace" in fields]
        assert not failures, failures[0]["trace"]

    # -- turns -------------------------------------------------------------------------------------

    def sent(self, link: MemoryLink) -> None:
        """A client did something: receive it, and end the turn unless several are collected."""
        self._receive(link)
        if not self._is_collecting:
            self.run()

    def settle(self, link: MemoryLink) -> None:
        """A client waits for bytes: carry out all that is outstanding."""
        self.run()

    def pass_deadline(self) -> bool:
        """Move the clock to the next deadline. Returns False if there is none soon."""
        deadline_ms = self.broker.next_deadline_ms()
        if deadline_ms < 0 or deadline_ms > self.now_ms + PATIENCE_MS:
            return False
        self._pass_deadline()
        return True

    def _pass_deadline(self) -> None:
        self.now_ms = max(self.now_ms, self.broker.next_deadline_ms())
        self.broker.due(self.now_ms)
        self.run()

    def run(self) -> None:
        """Run turns until the broker has nothing more to do."""
        for _ in range(100_000):
            self.broker.end_turn(self.now_ms)
            dirty = self.broker.take_dirty()
            for connection in dirty:
                link = self.links.get(connection)
                if link is not None:
                    self._flush(link)
            if not self._next_turn():
                return
        raise AssertionError("the broker does not come to rest")

    def _flush(self, link: MemoryLink) -> None:
        """Write what a connection has to say; close it if it says so."""
        link.buffered += link.connection.take()
        self._drain(link)
        if link.connection.close_socket:
            self._end(link)

    def _drain(self, link: MemoryLink) -> None:
        """Let the client read; tell the broker of the buffer's state where it changed."""
        if link.is_reading:
            link.inbox += link.buffered
            link.buffered = b""
            if link.is_congested:
                link.is_congested = False
                self.broker.writable(link.connection, self.now_ms)
        elif len(link.buffered) > WRITE_HIGH_BYTES and not link.is_congested:
            link.is_congested = True
            self.broker.congested(link.connection)

    def _next_turn(self) -> bool:
        """Receive what was held back, go on with what stopped at its bound."""
        again = False
        for link in list(self.links.values()):
            again |= self._receive(link)
            if link.connection.wants_turn and not link.is_congested and not link.is_ended:
                self.broker.writable(link.connection, self.now_ms)
                again = True
        return again

    def _receive(self, link: MemoryLink) -> bool:
        """Hand the broker what a client sent, or that it is gone. Returns whether it did."""
        if link.is_ended:
            return False
        did = False
        if link.is_reading and link.buffered:
            self._drain(link)
            did = True
        if link.outgoing and link.connection.reading:
            data, link.outgoing = link.outgoing, b""
            self.broker.receive(link.connection, data, self.now_ms)
            did = True
        if link.is_dropped:
            self._end(link, "client unexpectedly closed TCP connection")
            did = True
        return did

    def _end(self, link: MemoryLink, why: str = "") -> None:
        """Close the broker's end."""
        link.is_ended = True
        del self.links[link.connection]
        self.broker.closed(link.connection, self.now_ms, why)
