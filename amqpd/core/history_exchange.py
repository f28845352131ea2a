"""A fanout exchange that remembers its latest messages, for whoever binds later (RabbitMQ:
x-recent-history).

What it remembers is a queue of its own (see `part`): on a durable exchange the persistent messages
of it survive a restart.

Deviation: an exchange that is bound and routes what is remembered nowhere gets nothing; the plugin
closes the connection with 541. One that routes it on gets the oldest first, as a queue does; the
plugin sends it the newest first.
"""

from typing import Final

from amqpd.core import plugin_errors
from amqpd.core.consumer import Entry
from amqpd.core.deadletter import copies_of, headers_of
from amqpd.core.exchange import Binding, Envelope, Exchange, Home
from amqpd.core.message import Message
from amqpd.core.part import Part
from amqpd.core.ports import NO_POSITION
from amqpd.core.queue import Queue
from amqpd.core.rules import Rules
from amqpd.wire import tables
from amqpd.wire.tables import Table

LENGTH: Final = "x-recent-history-length"
NO_STORE: Final = "x-recent-history-no-store"
LENGTH_DEFAULT: Final = 20

_PART: Final = "history"
_INTEGERS: Final = "bslIiuBL"


class History(Part):
    """The latest messages of an exchange, oldest first; only so many are kept."""

    def __init__(self, home: Home, exchange: Exchange, length: int, queue_id: int = 0) -> None:
        super().__init__(home, exchange, _PART, queue_id)
        self.rules = Rules({})  # so that what leaves for a message is one step with it
        self._length: Final = length

    def accept(self, message: Message) -> None:
        """See Queue."""
        entry = Entry(message, self.next_seq)
        self.next_seq += 1
        if self.durable and message.persistent:
            entry.segment = self._journal.segment
        self.backlog.push(entry)
        while self.backlog.count > self._length:
            self._journal_settled(self.backlog.pop())

    def messages(self) -> list[Message]:
        """Return all, oldest first."""
        return [entry.message for entry in self.backlog.in_memory()]


class RecentHistoryExchange(Exchange):
    """See the module."""

    kind = "x-recent-history"
    needs_headers = True

    def __init__(
        self,
        vhost: str,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        length = LENGTH_DEFAULT
        field = arguments.get(LENGTH)
        if field is not None:
            number = tables.integer(field) if field.tag in _INTEGERS else None
            if number is None or number < 1:
                raise plugin_errors.invalid_history_length(field)
            length = number
        self._length: Final = length
        self._home: Home | None = None
        self._history: History | None = None

    def installed(self, home: Home) -> None:
        """See Exchange."""
        self._home = home

    def removed(self) -> None:
        """See Exchange."""
        if self._history is not None:
            self._history.drop()
            self._history = None

    def restored_part(self, part: str, queue_id: int) -> Queue | None:
        """See Exchange."""
        assert self._home is not None
        self._history = History(self._home, self, self._length, queue_id)
        return self._history

    def add(self, binding: Binding) -> None:
        """See Exchange."""

    def remove(self, binding: Binding) -> None:
        """See Exchange."""

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange."""
        found.extend(self.bindings.values())
        if not envelope.content or self._home is None:
            return
        field = envelope.headers.get(NO_STORE)
        if field is not None and field.value is True:
            return
        if self._history is None:
            self._history = History(self._home, self, self._length)
        envelope.kept.append(self._history)

    def bound(self, binding: Binding) -> int:
        """See Exchange: send what is remembered where the binding leads, oldest first."""
        if self._history is None or self._home is None:
            return NO_POSITION
        position = NO_POSITION
        for message in self._history.messages():
            if binding.queue is not None:
                position = max(position, self._home.publish([binding.queue], message))
            else:
                headers = headers_of(message)
                keys = [message.address.routing_key, *copies_of(headers)]
                sent = self._home.send_on(binding.destination, keys, headers, message)
                position = max(position, sent)
        return position
