"""Who tells duplicates apart, and a queue that keeps none (RabbitMQ: the community plugin for
message deduplication).

What counts is the value of the header x-deduplication-header; integers of all widths are alike.
"""

from typing import Final

from amqpd.core.consumer import Entry
from amqpd.core.deadletter import headers_of
from amqpd.core.message import Message
from amqpd.core.ports import Journal
from amqpd.core.queue import Queue, Undertaker
from amqpd.core.timers import Timers
from amqpd.profile import Profile
from amqpd.wire import tables
from amqpd.wire.tables import Table

HEADER: Final = "x-deduplication-header"
QUEUE_ARGUMENT: Final = "x-message-deduplication"


def key_of(headers: Table) -> bytes:
    """Return what a message is known by; b"" if by nothing."""
    field = headers.get(HEADER)
    if field is None:
        return b""
    value = field.value
    if isinstance(value, bytes):
        return b"S" + value
    number = tables.integer(field)
    if number is not None:
        return b"l%d" % number
    return tables.encode_table({"": field})


def asks_for_it(arguments: Table) -> bool:
    """Say whether a queue with these arguments is to keep no duplicates."""
    field = arguments.get(QUEUE_ARGUMENT)
    return field is not None and field.value is True


class UniqueQueue(Queue):
    """A classic queue that drops what it has already, ready or with a consumer.

    What is dropped counts as taken: it is confirmed. A restart reads all that waits, also what is
    on pages, to know what there is.
    """

    def __init__(
        self,
        journal: Journal,
        queue_id: int,
        vhost: str,
        name: str,
        *,
        durable: bool,
        owner: int,
        auto_delete: bool,
        arguments: Table,
        timers: Timers,
        undertaker: Undertaker,
        profile: Profile,
    ) -> None:
        super().__init__(
            journal,
            queue_id,
            vhost,
            name,
            durable=durable,
            owner=owner,
            auto_delete=auto_delete,
            arguments=arguments,
            timers=timers,
            undertaker=undertaker,
            profile=profile,
        )
        self._known: Final[dict[bytes, int]] = {}

    def _note(self, message: Message, by: int) -> None:
        key = key_of(headers_of(message))
        if not key:
            return
        count = self._known.get(key, 0) + by
        if count > 0:
            self._known[key] = count
        else:
            self._known.pop(key, None)

    def taker(self, message: Message) -> Queue | None:
        """See Queue."""
        return None if key_of(headers_of(message)) in self._known else self

    def accept(self, message: Message) -> None:
        """See Queue."""
        self._note(message, 1)
        super().accept(message)

    def _journal_settled(self, entry: Entry) -> None:
        self._note(entry.message, -1)
        super()._journal_settled(entry)

    def purge(self) -> int:
        """See Queue. What is with consumers is forgotten too, as in the plugin."""
        count = super().purge()
        self._known.clear()
        return count

    def adopted(self) -> None:
        """See Queue."""
        for entry in self.backlog.in_memory():
            self._note(entry.message, 1)
        for page in self.backlog.pages():
            for paged in self._journal.page_in(page):
                self._note(paged.message, 1)
        super().adopted()
