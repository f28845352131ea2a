"""Exchanges and bindings: what all types share.

An exchange owns the bindings *from* it. A subclass (see `exchange_types`) indexes them in its own
way and answers one question: which of them match a routing key and headers? Following bindings to
other exchanges, alternate exchanges and de-duplication are the vhost's work.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from amqpd.core.dice import Dice
from amqpd.core.message import Message
from amqpd.core.policy import Policy
from amqpd.core.ports import NO_POSITION, Journal
from amqpd.core.queue import Queue, Undertaker
from amqpd.core.timers import Timers
from amqpd.wire import tables
from amqpd.wire.tables import Table

# (destination is a queue, destination, routing key, encoded arguments): what makes a binding one.
Identity = tuple[bool, str, str, bytes]


class Envelope:
    """What a message has that exchanges may look at.

    Without a `content` it is a route that is asked for ahead of any message: what depends on more
    than the keys and headers does not count. An exchange that keeps messages adds a queue of its
    own to `kept`; one that `is_held` goes nowhere else from there, for now.
    """

    def __init__(
        self, keys: list[str], headers: Table, content: bytes = b"", header_bytes: i64 = 0
    ) -> None:
        self.keys: Final = keys
        self.headers: Final = headers
        self.content: Final = content
        self.header_bytes: Final = header_bytes  # of the header frame in `content`
        self.kept: list[Queue] = []
        self.is_held = False


class Home(Undertaker):
    """What an exchange may ask of its vhost.

    `parts` are the queues that exchanges keep something in, by id; no client can name them.
    """

    def __init__(self, journal: Journal, timers: Timers, dice: Dice) -> None:
        super().__init__()
        self.journal: Final = journal
        self.timers: Final = timers
        self.dice: Final = dice
        self.parts: dict[int, Queue] = {}
        self.refused = False  # a queue refused the latest publish

    def new_queue_id(self) -> int:
        """Return a number that no queue has had."""
        raise NotImplementedError

    def publish(self, queues: list[Queue], message: Message) -> int:
        """Put a message into queues. Returns the journal position of it (0 = not durable)."""
        raise NotImplementedError

    def send_on(self, exchange: str, keys: list[str], headers: Table, message: Message) -> int:
        """Route a message from an exchange on: no permissions, returns or confirms.

        Returns the journal position. Raises HardError 541 if the store has failed.
        """
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """An exchange of one vhost (spec 1.6; RabbitMQ: exchanges).

    `alternate` names the exchange that gets what this one cannot route (None = none given), by an
    argument or, if there is none, by `policy`;
    `position` is that of its declaration in the journal. With `needs_headers` every message is
    looked at: where one goes says nothing of the next with the same routing key.
    """

    kind = ""
    needs_headers = False

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
        self.vhost: Final = vhost
        self.name: Final = name
        self.durable: Final = durable
        self.auto_delete: Final = auto_delete
        self.internal: Final = internal
        self.arguments: Final = arguments
        alternate = arguments.get("alternate-exchange")
        self.alternate = tables.text(alternate) if alternate is not None else None
        self.policy: Policy | None = None
        self.bindings: dict[Identity, Binding] = {}
        self.position = NO_POSITION
        self.is_deleted = False

    def installed(self, home: Home) -> None:
        """Learn of the vhost that has it from now on."""

    def removed(self) -> None:
        """Learn that it was deleted: what it keeps goes with it."""

    def restored_part(self, part: str, queue_id: int) -> Queue | None:
        """Make a queue again that this exchange kept something in; None: it is needed no more."""
        return None

    def bound(self, binding: "Binding") -> int:
        """Learn of a new binding that a client made. Returns the journal position of what it did.

        What recovery restores is no news.
        """
        return NO_POSITION

    def validate(self) -> None:
        """Assert what has to be true of it; for tests and simulation."""

    def check(self, binding: "Binding") -> None:
        """Raise SoftError 406 if a binding makes no sense for this type."""

    def add(self, binding: "Binding") -> None:
        """Index a new binding from this exchange."""
        raise NotImplementedError

    def remove(self, binding: "Binding") -> None:
        """Forget a binding from this exchange."""
        raise NotImplementedError

    def route(self, envelope: Envelope, found: "list[Binding]") -> None:
        """Append the bindings that a message passes: those that match any of its keys."""
        for key in envelope.keys:
            self.match(key, envelope.headers, found)

    def match(self, key: str, headers: Table, found: "list[Binding]") -> None:
        """Append the bindings that a message with this routing key and headers passes."""
        raise NotImplementedError


class Binding:
    """A rule that lets messages pass from an exchange to a queue or to another exchange.

    Exactly one of `queue` and `exchange` is set; `position` is that of the binding in the journal.
    """

    def __init__(
        self,
        source: Exchange,
        key: str,
        arguments: Table,
        queue: Queue | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        assert (queue is None) != (exchange is None)
        self.source: Final = source
        self.key: Final = key
        self.arguments: Final = arguments
        self.queue: Final = queue
        self.exchange: Final = exchange
        self.position = NO_POSITION

    @property
    def destination(self) -> str:
        """The name of the queue or exchange that it leads to."""
        if self.queue is not None:
            return self.queue.name
        assert self.exchange is not None
        return self.exchange.name

    @property
    def durable(self) -> bool:
        """Whether it survives a restart: only between durable ends."""
        if not self.source.durable:
            return False
        if self.queue is not None:
            return self.queue.durable
        assert self.exchange is not None
        return self.exchange.durable

    @property
    def identity(self) -> Identity:
        """What tells it from the other bindings of its source."""
        return identity_of(self.queue is not None, self.destination, self.key, self.arguments)


def identity_of(to_queue: bool, destination: str, key: str, arguments: Table) -> Identity:
    """Build a binding's identity: arguments count, their order does not."""
    if not arguments:
        return to_queue, destination, key, b""
    ordered = {name: arguments[name] for name in sorted(arguments)}
    return to_queue, destination, key, tables.encode_table(ordered)
