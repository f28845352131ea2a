"""A virtual host: its exchanges, queues and bindings, and the way of a publish through them.

Rule 1: a binding is in its source's `bindings` and in `_leading_to` under its destination, or in
neither. Rule 2: `generation` grows whenever the same publish could take another way, so that a
remembered route is good as long as the number is the same. Rule 3: every change of something
durable is appended to the journal by the method that makes it; those methods return the position
that an -ok waits for (0: nothing durable). That is so too where there was nothing to change: what
another client has just declared, bound or deleted may not be safe yet.
"""

from typing import Final

from amqpd import errors
from amqpd.core import deadletter
from amqpd.core.arguments import ArgumentRules
from amqpd.core.dice import Dice
from amqpd.core.equality import check_equal_exchange, check_flag
from amqpd.core.events import Events
from amqpd.core.exchange import Binding, Exchange, Identity, identity_of
from amqpd.core.exchange_types import check_type, make_exchange
from amqpd.core.governing import govern_exchange, govern_queue
from amqpd.core.message import Message, make_address
from amqpd.core.policy import Policies
from amqpd.core.ports import NO_POSITION, Entropy, Journal
from amqpd.core.queue import FULL, NO_WAY, PLACED, Queue
from amqpd.core.queue_types import check_new, make_queue
from amqpd.core.routing import Router
from amqpd.core.timers import Timers
from amqpd.profile import V3_13, Profile
from amqpd.wire import tables
from amqpd.wire.tables import Table

# The exchanges that every vhost is born with, all durable (RabbitMQ: exchanges).
PREDECLARED: Final = (
    ("amq.direct", "direct", False),
    ("amq.fanout", "fanout", False),
    ("amq.topic", "topic", False),
    ("amq.headers", "headers", False),
    ("amq.match", "headers", False),
    ("amq.rabbitmq.trace", "topic", True),
)

Destination = tuple[bool, str]  # (is a queue, name)


class QueueIds:
    """Gives every queue of a broker a number of its own, never used twice."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """Return a number that no queue has had."""
        self.last += 1
        return self.last


class VHost(Router):
    """A name space with exchanges and queues of its own (spec 1.1.3, RabbitMQ: vhosts)."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        queue_ids: QueueIds,
        timers: Timers | None = None,
        profile: Profile = V3_13,
        entropy: Entropy | None = None,
    ) -> None:
        self._timers: Final = timers or Timers()
        super().__init__(journal, self._timers, Dice(entropy))
        self.profile: Final = profile
        self.argument_rules: Final = ArgumentRules(profile)
        self.is_traced = False  # the firehose is on
        self.events = Events()  # the broker's, once it has them
        self._dying: list[tuple[Queue, Message, str]] = []
        self._is_burying = False
        self.name: Final = name
        self._journal: Final = journal
        self.generation = 1
        self._queue_ids: Final = queue_ids
        self.metadata: dict[str, object] = {}  # description, tags, default_queue_type
        self.policies: Final = Policies()
        self.connection_max = -1  # -1: no limit, as in RabbitMQ's vhost limits
        self.queue_max = -1
        self.connection_count = 0
        self._leading_to: dict[Destination, dict[tuple[str, Identity], Binding]] = {}
        for exchange, kind, internal in PREDECLARED:
            self.exchanges[exchange] = make_exchange(
                kind,
                name,
                exchange,
                durable=True,
                auto_delete=False,
                internal=internal,
                arguments={},
            )

    # -- look-ups --------------------------------------------------------------------------------

    def exchange(self, name: str) -> Exchange:
        """Return an exchange. Raises SoftError 404."""
        found = self.exchanges.get(name)
        if found is None:
            raise errors.no_exchange(name, self.name)
        return found

    def queue(self, name: str, owner: int) -> Queue:
        """Return a queue that connection `owner` may use. Raises SoftError 404 or 405."""
        found = self.queues.get(name)
        if found is None:
            raise errors.no_queue(name, self.name)
        if found.owner and found.owner != owner:
            raise errors.queue_locked(name, self.name)
        return found

    # -- exchanges -------------------------------------------------------------------------------

    def declare_exchange(
        self,
        name: str,
        kind: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> int:
        """Create an exchange, or compare it with the one there (exchange/declare/equivalent).

        Returns the journal position. Raises SoftError 406 or 403.
        """
        check_type(kind)
        current = self.exchanges.get(name)
        if current is not None:
            check_equal_exchange(
                current, self.name, kind, durable, auto_delete, internal, arguments
            )
            return current.position
        if name.startswith("amq."):
            raise errors.reserved_name("exchange", name)
        alternate = arguments.get("alternate-exchange")
        if alternate is not None and alternate.tag != "S":
            raise errors.invalid_exchange_argument_type(
                tables.type_name(alternate.tag), "alternate-exchange", name, self.name
            )
        exchange = self.exchanges[name] = make_exchange(
            kind,
            self.name,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        exchange.installed(self)
        self.generation += 1
        govern_exchange(exchange, self.policies)
        self.events.exchange_created(self.name, exchange)
        if durable:
            exchange.position = self._journal.exchange_declared(
                self.name, name, kind, auto_delete, internal, arguments
            )
        return exchange.position

    def delete_exchange(self, name: str, if_unused: bool) -> int:
        """Delete an exchange and all bindings from and to it; missing is fine. Returns position."""
        exchange = self.exchanges.get(name)
        if exchange is None:
            return self._journal.position
        if if_unused and exchange.bindings:
            raise errors.in_use("exchange", name, self.name)
        return self._drop_exchanges([exchange])

    def _drop_exchanges(self, doomed: list[Exchange]) -> int:
        """Remove exchanges, and auto-delete ones that lose their last binding by it."""
        position = NO_POSITION
        while doomed:
            exchange = doomed.pop()
            if exchange.is_deleted:
                continue
            exchange.is_deleted = True
            del self.exchanges[exchange.name]
            self.generation += 1
            for binding in list(exchange.bindings.values()):
                self._unlink(binding)
            leading_here = self._leading_to.get((False, exchange.name), {})
            for binding in list(leading_here.values()):
                self._unlink(binding)
                if binding.source.auto_delete and not binding.source.bindings:
                    doomed.append(binding.source)
            exchange.removed()
            self.events.exchange_deleted(self.name, exchange)
            if exchange.durable:
                position = self._journal.exchange_deleted(self.name, exchange.name)
        return position

    # -- queues ----------------------------------------------------------------------------------

    def declare_queue(
        self,
        name: str,
        *,
        durable: bool,
        owner: int,
        auto_delete: bool,
        arguments: Table,
        queue_id: int = 0,
    ) -> int:
        """Create a queue that does not exist yet. Returns the journal position.

        Raises SoftError 406 if an argument is invalid, HardError 540 or 541 for what is not to be
        had. A queue that comes with its id was checked when it was new, by an older profile maybe.
        """
        assert name not in self.queues
        if not queue_id:
            self.argument_rules.check_queue(name, self.name, arguments)
            check_new(name, self.name, durable, owner, auto_delete, arguments, self.profile)
        queue = make_queue(
            self._journal,
            queue_id or self._queue_ids.next(),
            self.name,
            name,
            durable,
            owner,
            auto_delete,
            arguments,
            self._timers,
            self,
            self.profile,
        )
        self.queues[name] = queue
        self.generation += 1
        govern_queue(queue, self.policies)
        self.events.queue_created(self.name, queue)
        if queue.durable:
            queue.position = self._journal.queue_declared(
                queue.id, self.name, name, auto_delete, arguments
            )
        return queue.position

    def check_equal_queue(
        self,
        queue: Queue,
        *,
        durable: bool,
        exclusive: bool,
        owner: int,
        auto_delete: bool,
        arguments: Table,
    ) -> None:
        """Compare a declare with the queue that exists (queue/declare/equivalent).

        Raises SoftError 405 or 406 for the first difference, in RabbitMQ's order.
        """
        name, vhost = queue.name, self.name
        if (queue.owner != 0) != exclusive or (queue.owner and queue.owner != owner):
            raise errors.queue_locked(queue.name, self.name)
        check_flag("durable", "queue", name, vhost, durable and not exclusive, queue.durable)
        check_flag("auto_delete", "queue", name, vhost, auto_delete, queue.auto_delete)
        self.argument_rules.check_queue_equal(queue.name, self.name, arguments, queue.arguments)

    def delete_queue(self, queue: Queue) -> tuple[int, int]:
        """Delete a queue and its bindings. Returns (ready messages lost, journal position)."""
        assert self.queues[queue.name] is queue
        del self.queues[queue.name]
        self.generation += 1
        position = NO_POSITION
        unused: list[Exchange] = []
        for binding in list(self._leading_to.get((True, queue.name), {}).values()):
            self._unlink(binding)
            if binding.source.auto_delete and not binding.source.bindings:
                unused.append(binding.source)
        self.events.queue_deleted(self.name, queue)
        count = queue.delete()
        if queue.durable:
            position = self._journal.queue_deleted(queue.id)
        return count, max(position, self._drop_exchanges(unused))

    def check_queue_limit(self, name: str) -> None:
        """Raise SoftError 406 if there may not be another queue (RabbitMQ: vhost limits)."""
        if 0 <= self.queue_max <= len(self.queues):
            raise errors.too_many_queues(name, self.name, self.queue_max)

    def empty_out(self) -> None:
        """Delete all queues and exchanges: the vhost itself is being deleted."""
        for queue in list(self.queues.values()):
            self.delete_queue(queue)
        self._drop_exchanges(list(self.exchanges.values()))

    # -- policies --------------------------------------------------------------------------------

    def policies_changed(self) -> None:
        """Let changed policies count for what exists. O(queues and exchanges × policies)."""
        for exchange in self.exchanges.values():
            if govern_exchange(exchange, self.policies):
                self.generation += 1
        for queue in list(self.queues.values()):
            govern_queue(queue, self.policies)

    # -- bindings --------------------------------------------------------------------------------

    def bind(self, binding: Binding) -> int:
        """Add a binding; one that exists already is fine. Returns the journal position.

        Raises SoftError 406 if the source's type cannot take it.
        """
        source, identity = binding.source, binding.identity
        current = source.bindings.get(identity)
        if current is not None:
            return current.position
        source.check(binding)
        source.bindings[identity] = binding
        source.add(binding)
        destination = (binding.queue is not None, binding.destination)
        self._leading_to.setdefault(destination, {})[source.name, identity] = binding
        self.generation += 1
        self.events.binding_created(self.name, binding)
        if binding.durable:
            binding.position = self._journal.bound(
                self.name,
                source.name,
                binding.queue is not None,
                binding.destination,
                binding.key,
                binding.arguments,
            )
        return max(binding.position, source.bound(binding))

    def is_bound(self, source_name: str, queue: str, key: str, arguments: Table) -> bool:
        """Say whether a queue has this binding."""
        source = self.exchanges.get(source_name)
        return source is not None and identity_of(True, queue, key, arguments) in source.bindings

    def unbind(
        self, source_name: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """Remove a binding; a missing one is fine. Returns the journal position."""
        source = self.exchanges.get(source_name)
        if source is None:
            return self._journal.position
        binding = source.bindings.get(identity_of(to_queue, destination, key, arguments))
        if binding is None:
            return self._journal.position
        self._unlink(binding)
        position = NO_POSITION
        if binding.durable:
            position = self._journal.unbound(
                self.name, source_name, to_queue, destination, key, arguments
            )
        if source.auto_delete and not source.bindings:
            position = max(position, self._drop_exchanges([source]))
        return position

    def _unlink(self, binding: Binding) -> None:
        """Take a binding out of both its ends."""
        source, identity = binding.source, binding.identity
        source.remove(binding)
        del source.bindings[identity]
        destination = (binding.queue is not None, binding.destination)
        leading_here = self._leading_to[destination]
        del leading_here[source.name, identity]
        if not leading_here:
            del self._leading_to[destination]
        self.generation += 1
        self.events.binding_deleted(self.name, binding)

    def bindings(self) -> list[Binding]:
        """All bindings of the vhost, but for the default exchange's implicit ones."""
        return [
            binding
            for exchange in self.exchanges.values()
            for binding in exchange.bindings.values()
        ]

    # -- messages --------------------------------------------------------------------------------

    def publish(self, queues: list[Queue], message: Message) -> int:
        """Put a message into queues. Returns the journal position of it (0 = not durable).

        A queue that is full may refuse it, which sets `refused`; the others take it all the same.
        """
        for queue in queues:
            if queue.rules is not None:
                return self._publish_by_rules(queues, message)
        return self._place(queues, message)

    def _place(self, queues: list[Queue], message: Message) -> int:
        position = NO_POSITION
        if message.persistent:
            position = self._journal_published(queues, message)
        for queue in queues:
            if not queue.is_deleted:
                queue.accept(message)
        return position

    def _publish_by_rules(self, queues: list[Queue], message: Message) -> int:
        """Publish where a queue has rules: dead letters wait until all queues have the message.

        Else one could take the seq that was journaled for the message in the next of the queues.
        """
        if queues[-1].is_hidden and queues[-1].vetoes(message):
            return NO_POSITION
        if len(queues) < 2 or self._is_burying:
            return self._place_by_type(self._takers(queues, message), message)
        self._journal.begin()
        self._is_burying = True
        try:
            position = self._place_by_type(self._takers(queues, message), message)
        finally:
            self._is_burying = False
            self._bury_all()
            self._journal.end()
        return position

    def _place_by_type(self, queues: list[Queue], message: Message) -> int:
        """Put a message into queues, of which quorum queues store also one that is transient."""
        if message.persistent:
            return self._place(queues, message)
        storing: list[Queue] = []
        for queue in queues:
            if queue.rules is not None and queue.rules.is_quorum:
                storing.append(queue)
        if not storing:
            return self._place(queues, message)
        position = self._place(storing, message.stored())
        if len(storing) < len(queues):
            self._place([queue for queue in queues if queue not in storing], message)
        return position

    def _takers(self, queues: list[Queue], message: Message) -> list[Queue]:
        """Return the queues that do not refuse a message."""
        takers: list[Queue] = []
        for queue in queues:
            if queue.refuses(message):
                self.refused = True
                continue
            taker = queue.taker(message)
            if taker is not None:
                takers.append(taker)
        return takers

    # -- what queues do not keep ------------------------------------------------------------------

    def dead_letter(self, queue: Queue, message: Message, reason: str) -> None:
        """See Undertaker. What dies of that in its turn waits in a list: no recursion."""
        self._dying.append((queue, message, reason))
        if not self._is_burying:
            self._bury_all()

    def _bury_all(self) -> None:
        self._is_burying = True
        try:
            while self._dying:
                self._dead_letter(*self._dying.pop(0))
        finally:
            self._is_burying = False

    def _dead_letter(self, queue: Queue, message: Message, reason: str) -> None:
        """Publish one dead letter (RabbitMQ: DLX): no permissions, returns or confirms."""
        found, dead = self._way_of(queue, message, reason)
        if found:
            was_refused = self.refused
            try:
                self.publish(found, dead)
            except errors.HardError:
                pass  # the store has failed; what it had before is there after a restart
            self.refused = was_refused

    def _way_of(self, queue: Queue, message: Message, reason: str) -> tuple[list[Queue], Message]:
        """Return the queues that a dead letter goes to, and what it is then."""
        rules = queue.rules
        assert rules is not None and rules.dead_letter_exchange is not None
        target, own_key = rules.dead_letter_exchange, message.address.routing_key
        if target and target not in self.exchanges:
            return [], message
        headers = deadletter.headers_of(message)
        keys = [own_key, *deadletter.copies_of(headers)]
        wall_s = (self._timers.now_ms + self._timers.wall_offset_ms) // 1000
        trusts = self.profile.trusts_deaths
        history = deadletter.record_death(
            headers, message, queue.name, reason, wall_s, keys, trusts
        )
        key = rules.dead_letter_key
        if key is not None and "CC" in headers:
            del headers["CC"]
        ways = keys if key is None else [key]
        found, _ = self.route(target, ways, headers, message.content, message.header_bytes)
        found = [to for to in found if not deadletter.is_cycle(history, reason, to.name)]
        if not found:
            return [], message
        address = make_address(target, own_key if key is None else key)
        return found, deadletter.renamed(message, headers, address)

    def place_dead_letter(self, queue: Queue, message: Message, reason: str) -> int:
        """See Undertaker. In the middle of a publish nothing can be placed for sure."""
        if self._is_burying:
            return FULL
        found, dead = self._way_of(queue, message, reason)
        if not found:
            return NO_WAY
        if any([to.is_full(dead) for to in found]):
            return FULL
        try:
            self.publish(found, dead)
        except errors.HardError:
            return FULL
        return PLACED

    def bury(self, queue: Queue) -> None:
        """See Undertaker."""
        if self.queues.get(queue.name) is queue:
            self.delete_queue(queue)

    def _journal_published(self, queues: list[Queue], message: Message) -> int:
        ids: list[int] = []
        seqs: list[int] = []
        for queue in queues:
            if queue.durable and not queue.is_deleted:
                ids.append(queue.id)
                seqs.append(queue.next_seq)
        return self._journal.published(message, ids, seqs) if ids else NO_POSITION

    # -- what exchanges ask for: see Home --------------------------------------------------------

    def new_queue_id(self) -> int:
        """See Home."""
        return self._queue_ids.next()

    def send_on(self, exchange: str, keys: list[str], headers: Table, message: Message) -> int:
        """See Home."""
        queues, _ = self.route(exchange, keys, headers, message.content, message.header_bytes)
        was_refused = self.refused
        position = self.publish(queues, message) if queues else NO_POSITION
        self.refused = was_refused
        return position

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        for queue in self.queues.values():
            queue.validate()
        for exchange in self.exchanges.values():
            exchange.validate()
        leading = 0
        for destination, bindings in self._leading_to.items():
            for (source, identity), binding in bindings.items():
                assert self.exchanges[source].bindings[identity] is binding
                assert destination == (binding.queue is not None, binding.destination)
                leading += 1
        assert leading == len(self.bindings())
