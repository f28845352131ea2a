"""A channel: the way of a publish, acks, and what the other methods work on.

The way of a publish (RabbitMQ's order of checks): immediate, write permission, the exchange and
whether it is internal are settled once per distinct basic.publish and remembered as a `Route`,
good as long as the vhost's `generation` stays; expiration, CC and BCC and user-id are looked at
when a message has them; then it is placed, returned or dropped.
"""

from typing import Final

from mypy_extensions import i64

from amqpd import errors
from amqpd.auth import WRITE
from amqpd.core.consumer import Entry
from amqpd.core.exchange import Exchange
from amqpd.core.message import Address, Message
from amqpd.core.queue import LOST, NACKED, Queue
from amqpd.core.vhost import VHost
from amqpd.limits import ROUTE_CACHE_MAX
from amqpd.session import inspection, telling
from amqpd.session.delivering import DeliveringChannel
from amqpd.session.firehose import Tap
from amqpd.session.link import Link
from amqpd.session.subscription import Subscription
from amqpd.session.timeouts import DeliveryWatch
from amqpd.session.transaction import HeldPublish, Transaction
from amqpd.wire import methods, properties
from amqpd.wire.frames import FLAGS_AT

_VERBS: Final = ("configure", "write", "read")
_NACK_BITS: Final = 2  # not multiple; the requeue bit is RabbitMQ's default
_BARE_HEADER: Final = FLAGS_AT + 4  # length of a header frame with delivery-mode and nothing else


class Route:
    """Where the publishes with one and the same method payload go, while `generation` stays."""

    def __init__(
        self,
        address: Address,
        mandatory: bool,
        queues: list[Queue],
        by_headers: bool,
        generation: int,
    ) -> None:
        self.address: Final = address
        self.mandatory: Final = mandatory
        self.queues: Final = queues
        self.by_headers: Final = by_headers
        self.generation: Final = generation


class Channel(DeliveringChannel):
    """An open channel of a running connection."""

    def __init__(self, number: int, link: Link) -> None:
        super().__init__(number, link)
        self.vhost: Final[VHost] = link.vhost
        self.consumers: dict[str, Subscription] = {}
        self.prefetch = 0  # for consumers to come
        self.last_queue: str | None = None
        self.reply_queue = ""  # made for direct reply-to, while it is consumed
        self.confirming = False
        self.confirmed: i64 = 0
        self._refused: list[int] = []  # publishes above `confirmed` that were nacked
        self.transaction: Transaction | None = None
        self.watch: Final = DeliveryWatch(self)
        self._bytes_max: Final[i64] = link.context.limits.message_bytes_max
        self._routes: dict[bytes, Route] = {}
        self._last_publish = b""
        self._last_route = Route(Address("", "", b""), False, [], False, 0)

    # -- permissions ------------------------------------------------------------------------------

    def require(self, access: int, kind: str, name: str) -> None:
        """Raise SoftError 403 unless the user may configure, write or read `name`."""
        link = self.link
        resource = name or "amq.default"
        if not link.context.users.allows(link.user, self.vhost.name, access, resource):
            raise errors.access_denied(_VERBS[access], kind, resource, self.vhost.name, link.user)

    def require_topic(self, access: int, exchange: Exchange, key: str) -> None:
        """Raise SoftError 403 unless the user may write or read this key of a topic exchange."""
        users = self.link.context.users
        if exchange.kind == "topic" and users.topic_permissions:
            user, vhost = self.link.user, self.vhost.name
            if not users.allows_topic(user, vhost, exchange.name, access, key):
                raise errors.topic_denied(_VERBS[access], key, exchange.name, vhost, user)

    def queue_named(self, name: str) -> str:
        """Resolve a queue name: an empty one stands for the last declared. Raises 404."""
        if name:
            return name
        if self.last_queue is None:
            raise errors.no_last_queue()
        return self.last_queue

    # -- publish ----------------------------------------------------------------------------------

    def on_content_size(self, body_bytes: i64) -> None:
        """See ChannelConversation."""
        if body_bytes > self._bytes_max:
            raise errors.message_too_large(body_bytes, self._bytes_max)

    def on_publish(
        self, publish: bytes, content: bytes, header_bytes: i64, body_bytes: i64, frame_bytes: i64
    ) -> None:
        """See ChannelConversation."""
        if body_bytes > self._bytes_max:
            methods.decode_publish(publish)  # one that cannot be read is worse
            raise errors.message_too_large(body_bytes, self._bytes_max)
        route = self._last_route
        if route.generation != self.vhost.generation or publish != self._last_publish:
            route = self._find_route(publish)
        flags = properties.flags_of(content)
        queues = route.queues
        if (
            flags == properties.DELIVERY_MODE
            and header_bytes == _BARE_HEADER
            and not route.by_headers
        ):
            persistent = content[_BARE_HEADER - 2] == 2
        elif flags == 0 and header_bytes == _BARE_HEADER - 1 and not route.by_headers:
            persistent = False
        else:
            persistent, queues, content, header_bytes = inspection.inspect(
                self.link,
                self.vhost,
                route.address,
                queues,
                route.by_headers,
                self.reply_queue,
                content,
                header_bytes,
            )
            if self.vhost.is_traced and queues is not route.queues:
                queues = self._tapped(queues)
        message = Message(
            route.address, content, header_bytes, body_bytes, frame_bytes, self.number, persistent
        )
        if flags & properties.QUEUES_ASK:
            message.read_properties()
        self.link.has_published = True
        if self.transaction is not None:
            held = HeldPublish(queues, message, route.mandatory)
            self.transaction.publishes.append(held)
            return
        self.place(queues, message, route.mandatory)

    def _find_route(self, publish: bytes) -> Route:
        """Look up or work out the route of a basic.publish payload, and remember it."""
        route = self._routes.get(publish)
        if route is None or route.generation != self.vhost.generation:
            route = self._make_route(publish)
            if len(self._routes) >= ROUTE_CACHE_MAX:
                self._routes.clear()
            self._routes[publish] = route
        self._last_publish = publish
        self._last_route = route
        return route

    def _make_route(self, publish: bytes) -> Route:
        exchange, routing_key, bits = methods.decode_publish(publish)
        if bits & 2:
            raise errors.not_implemented("immediate=true")
        self.require(WRITE, "exchange", exchange)
        if exchange:
            found = self.vhost.exchange(exchange)
            if found.internal:
                raise errors.internal_exchange(exchange, self.vhost.name)
            self.require_topic(WRITE, found, routing_key)
        queues, by_headers = self.vhost.route(exchange, [routing_key], {})
        if self.vhost.is_traced:
            queues = self._tapped(queues)
        encoded = methods.publish_head(exchange, routing_key) + b"\xce"
        return Route(
            Address(exchange, routing_key, encoded),
            bits & 1 != 0,
            queues,
            by_headers,
            self.vhost.generation,
        )

    def place(self, queues: list[Queue], message: Message, mandatory: bool) -> None:
        """Put a message where it goes: into queues, back to its sender, or nowhere; count it."""
        if queues:
            position = self.vhost.publish(queues, message)
            if position > self.position:
                self.position = position
            if self.vhost.refused:
                self.vhost.refused = False
                self._refuse()
                return
            if mandatory and queues[0].is_hidden:
                self._return(message)  # an exchange keeps it; nobody has it yet
        elif mandatory:
            self._return(message)
        if self.confirming:
            self.published += 1
            if not self.is_touched:
                self.link.context.settlement.touch(self)

    def _tapped(self, queues: list[Queue]) -> list[Queue]:
        """Return these queues and what sees to it that a publish to them is traced (`firehose`).

        A hidden queue that may veto a publish stays the last.
        """
        tap = Tap(self.link, self.number, queues)
        if queues and queues[-1].is_hidden:
            return [*queues[:-1], tap, queues[-1]]
        return [*queues, tap]

    def _refuse(self) -> None:
        """Tell that a full queue refused a publish (RabbitMQ: reject-publish)."""
        if self.transaction is not None:
            self.transaction.refused = True
        if self.confirming:
            self.published += 1
            tag = self.published
            methods.write_ack(self.out(), self.number, methods.BASIC_NACK, tag, _NACK_BITS)
            self._refused.append(int(tag))
            self.link.mark_dirty()
            if not self.is_touched:
                self.link.context.settlement.touch(self)

    def _return(self, message: Message) -> None:
        """Send basic.return: no queue takes a mandatory message (basic/publish/mandatory)."""
        out = self.out()
        head = message.address.encoded[:-1]
        methods.write_return(out, self.number, errors.NO_ROUTE, errors.NO_ROUTE_TEXT, head)
        self.send_content(message)
        self.link.mark_dirty()

    def confirm(self, upto: int) -> None:
        """See PromisingChannel: one basic.ack for all publishes up to `upto`."""
        if self.state or upto <= self.confirmed:
            return
        if self._refused:
            self._confirm_around(upto)
            return
        multiple = 1 if upto > self.confirmed + 1 else 0
        methods.write_ack(self.out(), self.number, methods.BASIC_ACK, upto, multiple)
        self.confirmed = upto
        self.link.mark_dirty()

    def _confirm_around(self, upto: int) -> None:
        """Confirm up to `upto` where some have been refused: a nack must not be followed by an ack.

        A cumulative ack that covers a refused publish says nothing of it: the client forgot it.
        """
        first = int(self.confirmed) + 1
        refused = [tag for tag in self._refused if tag <= upto]
        self._refused = self._refused[len(refused) :]
        last = upto
        while refused and refused[-1] == last:
            refused.pop()
            last -= 1
        self.confirmed = upto
        if last - first + 1 > len(refused):
            multiple = 1 if last - first + 1 - len(refused) > 1 else 0
            methods.write_ack(self.out(), self.number, methods.BASIC_ACK, last, multiple)
            self.link.mark_dirty()

    # -- settle -----------------------------------------------------------------------------------

    def on_ack(self, tag: i64, multiple: bool) -> None:
        """See ChannelConversation."""
        if multiple or self.transaction is not None:
            self.settle_through(tag, multiple, False)
            return
        entry = self.unacked.take(tag)
        if entry is None:
            raise errors.unknown_delivery_tag(tag)
        consumer = entry.consumer
        assert isinstance(consumer, Subscription)
        consumer.settled(entry)
        if self.window:
            self._resume_all()

    def settle_through(
        self, tag: int, multiple: bool, requeue: bool, rejected: bool = False, how: int = NACKED
    ) -> None:
        """Carry out ack, nack and reject: one delivery, or all up to `tag` (0 = all).

        Raises SoftError 406 if `tag` is not outstanding. In a transaction it waits for the commit.
        """
        if multiple:
            taken = self.unacked.take_through(tag)
        else:
            entry = self.unacked.take(tag)
            taken = [entry] if entry is not None else None
        if taken is None:
            raise errors.unknown_delivery_tag(tag)
        if self.transaction is not None:
            self.transaction.hold(taken, requeue, rejected, how)
            self.uncommitted_count += len(taken)
            return
        self.settle(taken, requeue, rejected, how)

    def settle(
        self, entries: list[Entry], requeue: bool, rejected: bool = False, how: int = NACKED
    ) -> None:
        """Let unacked entries, no longer in the window, leave for good or go back.

        Those that were rejected, and not to be requeued, leave as dead letters where wanted.
        """
        if requeue:
            self.requeue(entries, how)
        else:
            for entry in entries:
                consumer = entry.consumer
                assert isinstance(consumer, Subscription)
                if rejected:
                    consumer.rejected(entry)
                else:
                    consumer.settled(entry)
        if self.window:
            self._resume_all()

    def requeue(self, entries: list[Entry], how: int) -> None:
        """Give entries back to their queues, each queue's in one go; `how`: see `core.queue`."""
        by_queue: dict[int, list[Entry]] = {}
        queues: dict[int, Queue] = {}
        for entry in entries:
            consumer = entry.consumer
            assert isinstance(consumer, Subscription)
            consumer.returned()
            queue = consumer.queue
            by_queue.setdefault(queue.id, []).append(entry)
            queues[queue.id] = queue
        for queue_id, returned in by_queue.items():
            queues[queue_id].restore(returned, how)

    def _resume_all(self) -> None:
        """Resume all consumers: the window that they share has moved."""
        for consumer in self.consumers.values():
            self.link.resume_later(consumer)

    def set_window(self, window: int) -> None:
        """Set the limit that all consumers share (basic.qos with global)."""
        self.window = window
        self._resume_all()

    # -- consumers --------------------------------------------------------------------------------

    def cancel(self, consumer: Subscription) -> int:
        """Take a consumer from its queue; an auto-delete queue may go with its last one.

        Returns the journal position.
        """
        position = self._withdraw(consumer)
        consumer.queue.activate()
        return position

    def _withdraw(self, consumer: Subscription) -> int:
        assert consumer.is_active
        consumer.is_active = False
        self.forget(consumer.tag)
        queue = consumer.queue
        queue.remove_consumer(consumer)
        if queue.auto_delete and not queue.consumers and not queue.is_deleted:
            _, position = self.delete_queue(queue)
            return position
        return 0

    def cancel_all(self) -> list[Queue]:
        """Take all consumers from their queues. Returns these, to `activate` in the end."""
        consumers = list(self.consumers.values())
        for consumer in consumers:
            self._withdraw(consumer)
        return [consumer.queue for consumer in consumers]

    def forget(self, tag: str) -> None:
        """See DeliveringChannel."""
        consumer = self.consumers.pop(tag)
        telling.consumer_deleted(self.link, self.number, consumer.queue.name, tag)
        if consumer.queue.name == self.reply_queue:
            self.reply_queue = ""

    def has_consumers(self) -> bool:
        """See DeliveringChannel."""
        return len(self.consumers) > 0

    def on_late(self, entries: list[Entry], timeout_ms: int) -> None:
        """See DeliveringChannel: close the channel, or from 4.3 on cancel the consumers.

        A client that cannot be told of that, or that has used basic.get, loses its channel still.
        """
        cancels = self.vhost.profile.cancels_late_consumers and self.link.notifies_cancel
        for entry in entries:
            consumer = entry.consumer
            assert isinstance(consumer, Subscription)
            if not cancels or not consumer.is_active:
                self.index = 0
                self.link.fail_channel(self, errors.delivery_timeout(self.number, timeout_ms))
                self.link.mark_dirty()
                return
        queues: list[Queue] = []
        for entry in entries:
            consumer = entry.consumer
            assert isinstance(consumer, Subscription)
            self.unacked.take(entry.tag)
            if consumer.is_active:
                self._withdraw(consumer)
                consumer.tell()
                queues.append(consumer.queue)
        self.requeue(entries, LOST)
        for queue in queues:
            queue.activate()
        self.link.mark_dirty()

    def subscriptions_of(self, queue: Queue) -> list[Subscription]:
        """This channel's own consumers of a queue."""
        return [one for one in self.consumers.values() if one.queue is queue]

    def delete_queue(self, queue: Queue) -> tuple[int, int]:
        """Delete a queue. Returns (ready messages lost, journal position)."""
        return self.vhost.delete_queue(queue)

    # -- methods and end --------------------------------------------------------------------------

    def on_method(self, index: int, payload: bytes) -> None:
        """See ChannelConversation. What acks before it gave back is used first."""
        self.link.resume_consumers()
        self.link.context.dispatcher.carry_out(self, index, payload)

    def end(self) -> None:
        """Let go of everything: consumers first, then requeue what is unacked.

        Whoever becomes the active consumer of a queue gets what is requeued, too, in order.
        """
        self.watch.stop()
        queues = self.cancel_all()
        entries = self.unacked.take_all()
        if self.transaction is not None:
            entries = self.transaction.take_back() + entries
            entries.sort(key=_tag_of)
        self.requeue(entries, LOST)
        for queue in queues:
            queue.activate()
        telling.channel_closed(self.link, self.number)

    def unacked_entries(self) -> list[tuple[int, Entry]]:
        """What was delivered and is not settled, with the id of its queue; also in transactions."""
        entries = self.unacked.all()
        if self.transaction is not None:
            entries = entries + self.transaction.entries()
        pairs: list[tuple[int, Entry]] = []
        for entry in entries:
            consumer = entry.consumer
            assert isinstance(consumer, Subscription)
            pairs.append((consumer.queue.id, entry))
        return pairs

    def validate(self) -> None:
        """Assert the invariants of the window and its consumers; for tests and simulation."""
        self.unacked.validate()
        for tag, consumer in self.consumers.items():
            assert consumer.tag == tag and consumer.is_active
            assert consumer in consumer.queue.consumers


def _tag_of(entry: Entry) -> int:
    return entry.tag
