"""The broker: all of it, wired. The only door that the outside uses.

The outside owns sockets, clock and disk. It calls in when something happened (*receive*), when it
wants something (*command*), and takes what there is to do (*collect*): bytes to write per
connection, and the next deadline. A *turn* is what happens between two `end_turn` calls: usually
one read of each socket that had something. Time is an argument everywhere (monotonic ms).

Nothing here blocks, and nothing that a peer sends makes these methods raise: what a peer does
wrong is answered to it, and what goes wrong in here is logged with its trace and answered 541 to
that peer alone.
"""

import traceback
from typing import Final

from amqpd import errors
from amqpd.auth import Users
from amqpd.core.consumer import Entry
from amqpd.core.events import EVENTS, INTERNAL, Events
from amqpd.core.ports import Entropy, Journal, Log
from amqpd.core.vhost import QueueIds, VHost
from amqpd.directory import Directory, Host, Observer
from amqpd.limits import Limits
from amqpd.profile import V3_13, Profile
from amqpd.protocol import connection as states
from amqpd.session.channel import Channel
from amqpd.session.connection import Connection
from amqpd.session.context import Context
from amqpd.session.dispatch import MethodDispatcher
from amqpd.session.internal import add_event_exchange, publish_copies, publish_events
from amqpd.session.link import Link
from amqpd.session.peer import Peer
from amqpd.store.checkpoint import Checkpoint
from amqpd.store.journal import StoreJournal
from amqpd.store.recovered import Recovered
from amqpd.store.restore import Restorer
from amqpd.store.volume import Group
from amqpd.wire.tables import Table

DEFAULT_VHOST: Final = "/"

# Appended bytes that are not on disk yet, above which publishers are not read (measured: enough to
# keep the disk busy, and 100 ms of a disk that writes 160 MB/s).
UNSYNCED_BYTES_MAX: Final = 16777216


class EventObserver(Observer):
    """Lets changes of users, vhosts and the like be events."""

    def __init__(self, events: Events) -> None:
        self._events: Final = events

    def changed(self, event: str, fields: Table) -> None:
        """See Observer."""
        self._events.tell(event, fields, INTERNAL)


class Broker(Host):
    """An AMQP 0-9-1 broker without its sockets, clock and disk. It is born with vhost `/`."""

    def __init__(
        self,
        limits: Limits,
        users: Users,
        journal: Journal,
        entropy: Entropy,
        now_ms: int,
        log: Log | None = None,
        wall_ms: int = 0,
        profile: Profile = V3_13,
    ) -> None:
        self.profile: Final = profile
        self.limits: Final = limits
        self.users: Final = users
        self._journal: Final = journal
        self._context: Final = Context(
            limits, users, journal, entropy, log or Log(), MethodDispatcher()
        )
        self._context.timers.now_ms = now_ms
        self._context.timers.wall_offset_ms = wall_ms - now_ms
        journal.wall_offset_ms = wall_ms - now_ms
        self._log: Final = log or Log()
        self._queue_ids: Final = QueueIds()
        self._dirty: list[Link] = []
        self._last_id = 0
        self._store: Final = journal if isinstance(journal, StoreJournal) else None
        self._throttled: list[Connection] = []
        self._checkpoint: Final = (
            Checkpoint(journal, self._context.vhosts, self._unacked)
            if isinstance(journal, StoreJournal)
            else None
        )
        self.connections: dict[int, Connection] = {}
        self.vhosts: Final = self._context.vhosts
        self._nowhere: Final = self._new_vhost("")  # where connections are before they open one
        self._directory: Final = Directory(
            self, users, self.vhosts, journal, self._log, profile.mirrors
        )
        self._directory.observers.append(EventObserver(self._context.events))
        self.add_vhost(DEFAULT_VHOST)
        self._watch_events()

    # -- receive ----------------------------------------------------------------------------------

    def connected(self, peer: Peer, now_ms: int) -> Connection:
        """Take on a connection that was accepted; it is silent until its protocol header."""
        self._context.timers.now_ms = now_ms
        self._last_id += 1
        connection = Connection(self._context, peer, self._last_id, self._nowhere, self._dirty)
        self.connections[connection.id] = connection
        return connection

    def receive(self, connection: Connection, data: bytes, now_ms: int) -> None:
        """Take bytes that a peer sent."""
        context = self._context
        context.timers.now_ms = now_ms
        try:
            connection.receive_bytes(data)
            connection.resume_consumers()
        except Exception:
            self._stumbled(connection)
        if connection.has_published:
            if context.is_alarmed and not connection.is_blocked:
                connection.on_alarm()
            if self._store is not None and self._store.unsynced_bytes > UNSYNCED_BYTES_MAX:
                if not connection.is_throttled:
                    connection.throttle(True)
                    self._throttled.append(connection)
        if len(connection.outbox) or connection.close_socket:
            connection.mark_dirty()

    def _stumbled(self, connection: Connection) -> None:
        """Answer 541 to the peer whose bytes brought out a fault of this broker."""
        fields: dict[str, object] = {
            "connection": connection.name,
            "trace": traceback.format_exc(),
        }
        self._log.event("error", "unexpected exception", fields)
        try:
            connection.fail(errors.stumbled())
        except Exception:
            self._log.event("error", "unexpected exception", {"trace": traceback.format_exc()})
        connection.close_socket = True
        connection.mark_dirty()

    def congested(self, connection: Connection) -> None:
        """Learn that a socket's write buffer is full: its consumers get nothing for now."""
        connection.congested = True

    def writable(self, connection: Connection, now_ms: int) -> None:
        """Learn that a socket takes bytes again, or that a turn's bound is over."""
        self._context.timers.now_ms = now_ms
        connection.congested = False
        try:
            connection.resume_stalled()
        except Exception:
            self._stumbled(connection)

    def closed(self, connection: Connection, now_ms: int, why: str = "") -> None:
        """Learn that a socket is gone. Calling it again does nothing."""
        self._context.timers.now_ms = now_ms
        if self.connections.pop(connection.id, None) is None:
            return
        abrupt = connection.state < states.CLOSING
        try:
            connection.on_end(None)
        except Exception:
            self._log.event("error", "unexpected exception", {"trace": traceback.format_exc()})
        connection.state = states.CLOSED
        if not why:
            why = "client unexpectedly closed TCP connection" if abrupt else "closed"
        connection.log_end(why)

    def due(self, now_ms: int) -> None:
        """Do what was to be done by now; what goes wrong with one deadline leaves the others."""
        self._context.timers.now_ms = now_ms
        self._context.events.actor = INTERNAL
        while True:
            try:
                self._context.timers.run(now_ms)
                return
            except Exception:
                fields: dict[str, object] = {"trace": traceback.format_exc()}
                self._log.event("error", "unexpected exception", fields)

    def group_done(self, group: Group, now_ms: int) -> None:
        """Learn that a group of the journal is on disk: what was promised of it is kept now."""
        assert self._store is not None
        self._store.group_done(group)
        self.synced(group.position, now_ms)
        if self._throttled and self._store.unsynced_bytes < UNSYNCED_BYTES_MAX // 2:
            throttled = self._throttled
            self._throttled = []
            for connection in throttled:
                connection.throttle(False)

    def store_failed(self, why: str) -> None:
        """Learn that a write or sync failed: from now on nothing durable is promised or taken."""
        assert self._store is not None
        self._store.fail(why)
        advice = "publishers are refused; let consumers drain, mend the disk, then start again"
        fields: dict[str, object] = {"why": why, "advice": advice}
        self._log.event("error", "the message store has failed", fields)
        throttled = self._throttled
        self._throttled = []
        for connection in throttled:
            connection.throttle(False)
        error = errors.store_failed()
        for channel in self._context.settlement.abandon():
            assert isinstance(channel, Channel)
            waiting = self.connections.get(channel.link.id)
            if waiting is not None:  # it would wait for ever for what it was promised
                self.close_connection(waiting, error.code, error.text, self._context.now_ms)

    def synced(self, position: int, now_ms: int) -> None:
        """Learn that everything up to a journal position is safe: promises of it are kept now."""
        self._context.timers.now_ms = now_ms
        self._context.settlement.on_synced(position)

    # -- command ----------------------------------------------------------------------------------

    def directory(self, now_ms: int) -> Directory:
        """Return users, vhosts, permissions, parameters and policies, to be read or changed now."""
        self._context.timers.now_ms = now_ms
        return self._directory

    def add_vhost(self, name: str) -> VHost:
        """Create a vhost, or return the one there is."""
        self._directory.set_vhost(name)
        return self.vhosts[name]

    def _new_vhost(self, name: str) -> VHost:
        return VHost(
            name,
            self._journal,
            self._queue_ids,
            self._context.timers,
            self.profile,
            self._context.entropy,
        )

    def make_vhost(self, name: str) -> VHost:
        """See Host."""
        vhost = self.vhosts[name] = self._new_vhost(name)
        vhost.events = self._context.events
        if name == DEFAULT_VHOST:
            add_event_exchange(vhost)
        return vhost

    def _watch_events(self) -> None:
        """Gather what happens from now on, for what is bound to the event exchange."""
        vhost = self.vhosts.get(DEFAULT_VHOST)
        self._context.events.exchange = vhost.exchanges.get(EVENTS) if vhost is not None else None

    def trace(self, name: str, on: bool) -> None:
        """Switch the firehose of a vhost on or off (RabbitMQ: trace_on); a restart ends it."""
        vhost = self.vhosts[name]
        vhost.is_traced = on
        vhost.generation += 1
        for connection in self.connections.values():
            if connection.vhost is vhost:
                connection.forget_heads()

    def forget_vhost(self, vhost: VHost) -> None:
        """See Host."""
        text = errors.vhost_deleted_text(vhost.name)
        for connection in list(self.connections.values()):
            if connection.vhost is vhost:
                self._force_close(connection, text)
        del self.vhosts[vhost.name]

    def forget_user(self, name: str) -> None:
        """See Host."""
        for connection in list(self.connections.values()):
            if connection.user == name:
                self._force_close(connection, errors.user_deleted_text(name))

    def _force_close(self, connection: Connection, text: str) -> None:
        self.close_connection(connection, errors.CONNECTION_FORCED, text, self._context.now_ms)

    def permissions_changed(self) -> None:
        """See Host."""
        for vhost in self.vhosts.values():
            vhost.generation += 1

    def restore(self, found: Recovered) -> None:
        """Put what the store had into this new broker; the journal goes on from it.

        Users and vhosts are those of the store if it has any, else those there are.
        """
        assert self._store is not None
        self._context.events.exchange = None  # what comes back has happened before
        if found.facts.by_key:
            self._directory.adopt(found.facts)
        restorer = Restorer(found, self._store, self.vhosts, self._queue_ids, self._directory.facts)
        for name in restorer.vhost_names():
            self.add_vhost(name)
        restorer.restore()
        self._watch_events()

    def stop_store(self) -> None:
        """Append the last facts of a broker that stops in good order; its last group follows."""
        if self._store is not None:
            self._store.stop_cleanly()

    def set_alarm(self, resource: str, raised: bool, now_ms: int) -> None:
        """Raise or lift the alarm of a resource (`memory` or `disk`): publishers are held."""
        context = self._context
        context.timers.now_ms = now_ms
        if context.alarms.get(resource, False) == raised:
            return
        context.alarms[resource] = raised
        context.is_alarmed = any([raised for raised in context.alarms.values()])
        for connection in list(self.connections.values()):
            if not context.is_alarmed:
                connection.on_alarm()
            else:
                connection.has_published = False

    def close_connection(self, connection: Connection, code: int, text: str, now_ms: int) -> None:
        """Close a connection with a reply code and the whole reply text; it may answer still."""
        self._context.timers.now_ms = now_ms
        if connection.state >= states.CLOSING:
            return
        was_open = connection.state >= states.TUNING
        connection.on_end(None)
        if was_open:
            connection.send_close(code, text)
        else:
            connection.state = states.CLOSED
            connection.close_socket = True
        connection.mark_dirty()

    def shut_down(self, now_ms: int) -> None:
        """Tell all clients that the broker stops."""
        for connection in list(self.connections.values()):
            self.close_connection(
                connection, errors.CONNECTION_FORCED, errors.shutdown_text(), now_ms
            )

    # -- collect ----------------------------------------------------------------------------------

    def end_turn(self, now_ms: int) -> None:
        """End a turn: confirms that need no sync go out, the others wait for theirs."""
        self._context.timers.now_ms = now_ms
        context = self._context
        settlement = context.settlement
        if context.events.pending or context.copies:
            self._publish_internal()
        if self._journal.is_immediate:
            settlement.on_synced(self._journal.position)
        settlement.end_turn()
        if self._checkpoint is not None:
            self._checkpoint.step()

    @property
    def unsynced_bytes(self) -> int:
        """How much has been appended to the journal that is not safe yet."""
        return self._store.unsynced_bytes if self._store is not None else 0

    @property
    def is_sync_awaited(self) -> bool:
        """Whether a client waits for the next group of the journal."""
        return self._context.settlement.is_waiting

    def _publish_internal(self) -> None:
        """Publish events and copies for the firehose, and let consumers have them."""
        context = self._context
        copies = context.copies
        context.copies = []
        publish_copies(copies)
        vhost = self.vhosts.get(DEFAULT_VHOST)
        if vhost is None:
            context.events.pending = []
        else:
            publish_events(context.events, vhost)

    def take_group(self) -> Group | None:
        """Return what is to be written to the disk next, None if there is nothing.

        One group at a time: `group_done` or `store_failed` comes before the next call.
        """
        return self._store.take_group() if self._store is not None else None

    def take_dirty(self) -> list[Connection]:
        """Return the connections whose sockets want something, each once.

        Something is: bytes to write, a socket to close, reading to stop or go on.
        """
        if not self._dirty:
            return []
        dirty: list[Connection] = []
        for link in self._dirty:
            link.is_dirty = False
            assert isinstance(link, Connection)
            dirty.append(link)
        self._dirty.clear()
        return dirty

    def next_deadline_ms(self) -> int:
        """When `due` is to be called (monotonic ms; -1 = there is nothing to wait for)."""
        return self._context.timers.next_ms()

    def _unacked(self) -> list[tuple[int, Entry]]:
        """All deliveries that wait for their ack, with the id of their queue."""
        return [
            pair
            for connection in self.connections.values()
            for pair in connection.unacked_entries()
        ]

    def validate(self) -> None:
        """Assert the invariants of all parts; for tests and simulation."""
        for vhost in self.vhosts.values():
            vhost.validate()
        for connection in self.connections.values():
            connection.validate()
