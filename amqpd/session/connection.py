"""A connection: logging in, opening a vhost, being alive, alarms, and its end.

The order at its end is what clients rely on: consumers go, unacked entries go back, exclusive
queues are deleted, and only then close-ok is sent, so that who reconnects at once finds names free.
"""

from typing import Final

from amqpd import errors
from amqpd.core.consumer import Entry
from amqpd.core.events import INTERNAL
from amqpd.core.ports import NO_POSITION
from amqpd.core.queue import Queue
from amqpd.core.timers import Timed
from amqpd.core.vhost import VHost
from amqpd.errors import AmqpError, SoftError
from amqpd.limits import FRAME_MIN_BYTES
from amqpd.protocol import connection as states
from amqpd.protocol import sasl
from amqpd.protocol.channel import ChannelConversation
from amqpd.protocol.heartbeat import Heartbeat
from amqpd.session import telling
from amqpd.session.channel import Channel
from amqpd.session.context import Context
from amqpd.session.link import Link
from amqpd.session.peer import Peer
from amqpd.wire import methods, tables
from amqpd.wire.frames import HEARTBEAT_FRAME, write_method
from amqpd.wire.tables import Malformed, Table

_CAPABILITIES: Final = (
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
)
_UNBLOCKED: Final = b"\x00\x0a\x00\x3d"
_OPEN_OK: Final = b"\x00\x0a\x00\x29\x00"
_UPDATE_SECRET_OK: Final = b"\x00\x0a\x00\x47"


class _Watch(Timed):
    """The deadlines of a connection: handshake, heartbeats, and waiting for the end."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__()
        self._connection: Final = connection

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        self._connection.on_deadline(now_ms)


class Connection(Link):
    """One client's connection; `Link` and `Conversation` below have its channels and states."""

    def __init__(
        self,
        context: Context,
        peer: Peer,
        connection_id: int,
        vhost: VHost,
        dirty_links: list[Link],
    ) -> None:
        super().__init__(context, peer, connection_id, vhost, dirty_links)
        self.mechanism = ""
        self.client_properties: Table = {}
        self.heartbeat_s = 0
        self.is_open = False  # open-ok was sent, and it has not ended since
        self._was_noted = False  # in the log: it has sent a protocol header
        self._ended = False
        # Until which journal position the last words of channels that have closed are held back.
        self._held_numbers: Final[dict[int, int]] = {}
        self._heartbeat: Heartbeat | None = None
        self._wants_blocked = False
        self._told_blocked = False
        self._watch: Final = _Watch(self)
        context.timers.set(self._watch, context.timers.now_ms + context.limits.handshake_timeout_ms)

    # -- handshake --------------------------------------------------------------------------------

    def on_protocol_header(self) -> None:
        """See Conversation: send connection.start (spec 1.4.2.1)."""
        limits = self.context.limits
        self._was_noted = True
        self._note("info", "connection accepted", {"tls": self.peer.tls})
        capabilities = {name: tables.boolean(True) for name in _CAPABILITIES}
        properties = {
            "capabilities": tables.table(capabilities),
            "cluster_name": tables.longstr(limits.cluster_name),
            "copyright": tables.longstr("the amqpd authors"),
            "information": tables.longstr(limits.information),
            "platform": tables.longstr(limits.platform),
            "product": tables.longstr(limits.product),
            "version": tables.longstr(limits.version),
        }
        payload = (
            b"\x00\x0a\x00\x0a\x00\x09"
            + tables.encode_table(properties)
            + _longstr(" ".join(self._mechanisms()))
            + _longstr("en_US")
        )
        write_method(self.outbox, 0, payload)

    def _mechanisms(self) -> tuple[str, ...]:
        """What is offered: EXTERNAL only where a certificate can prove who it is."""
        offered = self.context.limits.mechanisms
        if self.peer.tls:
            return offered
        return tuple([name for name in offered if name != "EXTERNAL"])

    def on_connection_method(self, index: int, payload: bytes) -> None:
        """See Conversation."""
        if index == methods.CONNECTION_START_OK:
            self._on_start_ok(payload)
        elif index == methods.CONNECTION_TUNE_OK:
            self._on_tune_ok(payload)
        elif index == methods.CONNECTION_OPEN:
            self._on_open(payload)
        else:
            assert index == methods.CONNECTION_UPDATE_SECRET
            write_method(self.outbox, 0, _UPDATE_SECRET_OK)

    def _on_start_ok(self, payload: bytes) -> None:
        """Check who it is, then propose limits (spec 1.4.2.2, 1.4.2.5)."""
        try:
            self.client_properties, at = tables.decode_table(payload, 4, len(payload))
        except Malformed:
            raise errors.undecodable(payload[4:]) from None
        self.mechanism, at = methods.shortstr(payload, at)
        response, _ = methods.longstr(payload, at)
        self.notifies_cancel = self._client_can("consumer_cancel_notify")
        self._wants_blocked = self._client_can("connection.blocked")
        self.user = self._authenticate(self.mechanism, response)
        limits = self.context.limits
        self.state = states.TUNING
        self.frame_max = max(limits.frame_max, FRAME_MIN_BYTES) if limits.frame_max else 0
        write_method(
            self.outbox,
            0,
            b"\x00\x0a\x00\x1e"
            + limits.channel_max.to_bytes(2, "big")
            + limits.frame_max.to_bytes(4, "big")
            + limits.heartbeat_s.to_bytes(2, "big"),
        )

    def _client_can(self, capability: str) -> bool:
        """Whether the client declared that it understands something."""
        capabilities = self.client_properties.get("capabilities")
        if capabilities is None or not isinstance(capabilities.value, dict):
            return False
        field = capabilities.value.get(capability)
        return field is not None and field.value is True

    def _authenticate(self, mechanism: str, response: bytes) -> str:
        """Return the user's name. Raises Refused, or HardError for what is no attempt at all."""
        if mechanism not in self._mechanisms():
            raise errors.unknown_mechanism(mechanism)
        try:
            if mechanism == "EXTERNAL":
                name = self.peer.certificate_name
                good = name != "" and self.context.users.get(name) is not None
            elif mechanism == "ANONYMOUS":
                name = self.context.limits.anonymous_user
                good = name != "none" and self.context.users.get(name) is not None
            else:
                read = sasl.plain if mechanism == "PLAIN" else sasl.amqplain
                name, password = read(response)
                good = self.context.users.authenticate(name, password)
        except sasl.BadResponse:
            raise errors.bad_response(mechanism) from None
        if good and name in self.context.limits.loopback_users and not self.peer.loopback:
            good = False
            self._note("error", "login refused", {"user": name, "why": "only from loopback"})
        elif not good:
            self._note("error", "login refused", {"user": name, "why": "invalid credentials"})
        fault = "" if good else f"user '{name}' - invalid credentials"
        telling.login(self.context.events, self.peer, name, mechanism, fault)
        if good:
            return name
        if self._client_can("authentication_failure_close"):
            raise errors.login_refused(mechanism)
        raise errors.login_refused_silently(mechanism)

    def _on_tune_ok(self, payload: bytes) -> None:
        """Take the limits that the client chose (spec 1.4.2.6); RabbitMQ's bounds and texts."""
        if len(payload) < 12:
            raise errors.undecodable(payload[4:])
        limits = self.context.limits
        channel_max = int.from_bytes(payload[4:6], "big")
        frame_max = int.from_bytes(payload[6:10], "big")
        self._check_tuned("frame_max", frame_max, limits.frame_min, limits.frame_max)
        self._check_tuned("channel_max", channel_max, 1, limits.channel_max)
        self.channel_max = channel_max
        self.frame_max = frame_max
        self.heartbeat_s = int.from_bytes(payload[10:12], "big")
        if self.heartbeat_s:
            self._heartbeat = Heartbeat(self.heartbeat_s)
        self.state = states.OPENING

    def _check_tuned(self, field: str, value: int, lowest: int, highest: int) -> None:
        if value and value < lowest:
            raise errors.negotiated_too_low(field, value, lowest)
        if highest and (value == 0 or value > highest):
            raise errors.negotiated_too_high(field, value, highest)

    def _on_open(self, payload: bytes) -> None:
        """Let the client into a vhost (spec 1.4.2.7)."""
        name, _ = methods.shortstr(payload, 4)
        context = self.context
        maximum = context.limits.connection_max
        if maximum and context.open_connections >= maximum:
            raise errors.node_connection_limit(maximum)
        vhost = context.vhosts.get(name)
        if vhost is None:
            raise errors.no_vhost(name)
        if 0 <= vhost.connection_max <= vhost.connection_count:
            raise errors.vhost_connection_limit(name, self.user, vhost.connection_max)
        user = context.users.get(self.user)
        if user is not None:
            maximum = user.connection_max
            if 0 <= maximum <= context.connections_of.get(self.user, 0):
                raise errors.user_connection_limit(self.user, maximum)
        if not context.users.may_open(self.user, name):
            raise errors.vhost_refused(name, self.user)
        self.vhost = vhost
        self.state = states.RUNNING
        self.is_open = True
        context.open_connections += 1
        vhost.connection_count += 1
        context.count_user(context.connections_of, self.user, 1)
        write_method(self.outbox, 0, _OPEN_OK)
        context.timers.clear(self._watch)
        if self._heartbeat is not None:
            context.timers.set(self._watch, context.timers.now_ms + self._heartbeat.tick_ms)
        telling.connection_created(self, self.client_properties, self.mechanism, self.heartbeat_s)
        self._note("info", "connection opened", self._who())

    def _who(self) -> dict[str, object]:
        """What the log says of a client that has opened a vhost."""
        fields: dict[str, object] = {"user": self.user, "vhost": self.vhost.name}
        for key in ("product", "version", "connection_name"):
            field = self.client_properties.get(key)
            if field is not None and field.tag == "S":
                fields[_LOG_KEYS[key]] = tables.text(field)
        return fields

    # -- channels ---------------------------------------------------------------------------------

    def on_channel_open(self, number: int) -> ChannelConversation:
        """See Conversation."""
        if self.channel_max and len(self.channels) >= self.channel_max:
            raise errors.too_many_channels(len(self.channels), self.channel_max)
        context = self.context
        user = context.users.get(self.user)
        if user is not None and 0 <= user.channel_max <= context.channels_of.get(self.user, 0):
            raise errors.user_channel_limit(self.user, user.channel_max)
        channel = Channel(number, self)
        context.count_user(context.channels_of, self.user, 1)
        channel.hold(self._held_numbers.pop(number, NO_POSITION))
        telling.channel_created(self, number)
        return channel

    def on_channel_end(self, channel: ChannelConversation) -> None:
        """See Conversation."""
        assert isinstance(channel, Channel)
        self.context.count_user(self.context.channels_of, self.user, -1)
        channel.end()

    def send_on(self, channel: ChannelConversation, payload: bytes) -> None:
        """See Conversation: also behind what the channel holds back."""
        assert isinstance(channel, Channel)
        channel.send(payload)
        if channel.held_until:
            self._held_numbers[channel.number] = channel.held_until

    def on_channel_error(self, channel: ChannelConversation, error: SoftError) -> None:
        """See Conversation."""
        self._note(
            "error",
            "channel closed by an error",
            {
                "channel": channel.number,
                "vhost": self.vhost.name,
                "user": self.user,
                "method": methods.name_of(channel.index),
                "code": error.code,
                "text": error.text,
            },
        )

    # -- being alive ------------------------------------------------------------------------------

    def on_deadline(self, now_ms: int) -> None:
        """The watch has run out: a heartbeat is due, or the socket's time is over."""
        if self.state != states.RUNNING:
            if self.state < states.RUNNING:
                self._note_handshake_timeout()
                self.on_end(None)
            self.state = states.CLOSED
            self.close_socket = True
            self.mark_dirty()
            return
        heartbeat = self._heartbeat
        assert heartbeat is not None
        if heartbeat.is_dead(self.received_bytes, self.reading):
            self._note("error", "missed heartbeats from client", {"timeout_s": self.heartbeat_s})
            self.on_end(None)
            self.state = states.CLOSED
            self.close_socket = True
            self.mark_dirty()
            return
        if heartbeat.must_send(self.sent_bytes) and not self.congested:
            self.outbox.write(HEARTBEAT_FRAME)
            self.mark_dirty()
        self.context.timers.set(self._watch, now_ms + heartbeat.tick_ms)

    def _note_handshake_timeout(self) -> None:
        """Log it, but not for a port probe that never said anything."""
        if self._was_noted:
            fields: dict[str, object] = {"state": states.STATE_NAMES[self.state]}
            self._note("error", "handshake timeout", fields)

    def on_alarm(self) -> None:
        """An alarm was raised or lifted, or this connection published during one.

        A publisher is no longer read, and told so if it can understand it; all are read again when
        the last alarm is lifted (RabbitMQ: alarms, connection.blocked).
        """
        if self.context.is_alarmed and self.has_published and not self.is_blocked and self.is_open:
            self.is_blocked = True
            if self._wants_blocked:
                reason = methods.encode_shortstr(self.context.alarm_reason())
                write_method(self.outbox, 0, b"\x00\x0a\x00\x3c" + reason)
                self._told_blocked = True
            self._note("warning", "connection blocked", {"why": self.context.alarm_reason()})
        elif not self.context.is_alarmed:
            self.has_published = False
            self.is_blocked = False
            if self._told_blocked and self.is_open:
                write_method(self.outbox, 0, _UNBLOCKED)
            self._told_blocked = False
        self.on_flow()

    def throttle(self, on: bool) -> None:
        """Stop reading a publisher that is ahead of the journal, or go on."""
        self.is_throttled = on
        self.on_flow()

    def on_flow(self) -> None:
        """Read the socket unless an alarm or the journal stands against it."""
        reading = not (self.is_blocked or self.is_throttled)
        if self.state >= states.CLOSING:
            reading = True  # the close-ok must be heard
        if reading != self.reading:
            self.reading = reading
            self.mark_dirty()
        elif len(self.outbox):
            self.mark_dirty()

    # -- end --------------------------------------------------------------------------------------

    def on_wait(self, state: int, silent: bool) -> None:
        """See Conversation."""
        limits = self.context.limits
        delay_ms = limits.silent_close_ms if silent else limits.closing_ms
        self.context.timers.set(self._watch, self.context.timers.now_ms + delay_ms)
        self.reading = True

    def on_end(self, error: AmqpError | None) -> None:
        """See Conversation; the second call finds nothing to do."""
        if self._ended:
            return
        self._ended = True
        self.context.timers.clear(self._watch)
        if error is not None:
            self._note(
                "error",
                "connection closed by an error",
                {
                    "user": self.user,
                    "method": methods.name_of(self._index),
                    "code": error.code,
                    "text": error.text,
                },
            )
        ending = [channel for channel in self.channels.values() if channel.state == 0]
        queues: list[Queue] = []
        for channel in ending:  # none of them takes what another one gives back
            assert isinstance(channel, Channel)
            queues.extend(channel.cancel_all())
        for channel in ending:
            self.on_channel_end(channel)
            channel.state = 2
        for queue in queues:
            queue.activate()
        self.channels.clear()
        self.context.events.actor = INTERNAL
        for queue in list(self.exclusive_queues.values()):
            if not queue.is_deleted:
                self.vhost.delete_queue(queue)
        self.exclusive_queues.clear()
        self.stalled = []
        if self.is_open:
            self.is_open = False
            telling.connection_closed(self, self.client_properties)
            self.context.open_connections -= 1
            self.vhost.connection_count -= 1
            self.context.count_user(self.context.connections_of, self.user, -1)

    def forget_heads(self) -> None:
        """Let the consumers look again whether their deliveries are traced."""
        for channel in self.channels.values():
            assert isinstance(channel, Channel)
            for consumer in channel.consumers.values():
                consumer.forget_head()

    def unacked_entries(self) -> list[tuple[int, Entry]]:
        """All deliveries of this connection that wait for their ack, with the id of their queue."""
        pairs: list[tuple[int, Entry]] = []
        for channel in self.channels.values():
            assert isinstance(channel, Channel)
            pairs.extend(channel.unacked_entries())
        return pairs

    def validate(self) -> None:
        """Assert the invariants of the channels; for tests and simulation."""
        for channel in self.channels.values():
            assert isinstance(channel, Channel)
            channel.validate()

    def _note(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.context.log.event(level, event, {"connection": self.name} | fields)

    def log_end(self, why: str) -> None:
        """Write the line that says that a connection which got as far as its header is over."""
        if self._was_noted:
            self._note("info", "connection closed", {"user": self.user, "why": why})


_LOG_KEYS: Final = {"product": "client", "version": "client_version", "connection_name": "name"}


def _longstr(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
