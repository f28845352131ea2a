"""The half of the journal's seam that is about definitions: each becomes one record.

A definition ends the run of settles before it (see `journal`): what is replayed is in the order in
which it happened.
"""

from mypy_extensions import mypyc_attr

from amqpd.core.ports import Journal
from amqpd.store import definitions
from amqpd.wire.tables import Table


@mypyc_attr(allow_interpreted_subclasses=True)
class DefinitionJournal(Journal):
    """A journal that writes definitions as field tables; a subclass says where to."""

    def define(self, table: Table) -> int:
        """Append a definition. Returns the position."""
        raise NotImplementedError

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """See Journal."""
        return self.define(
            definitions.queue_declared(queue_id, vhost, name, auto_delete, arguments, 1)
        )

    def part_declared(self, queue_id: int, vhost: str, exchange: str, part: str) -> int:
        """See Journal."""
        return self.define(definitions.part_declared(queue_id, vhost, exchange, part, 1))

    def queue_deleted(self, queue_id: int) -> int:
        """See Journal."""
        return self.define(definitions.queue_deleted(queue_id))

    def exchange_declared(
        self,
        vhost: str,
        name: str,
        kind: str,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> int:
        """See Journal."""
        return self.define(
            definitions.exchange_declared(vhost, name, kind, auto_delete, internal, arguments)
        )

    def exchange_deleted(self, vhost: str, name: str) -> int:
        """See Journal."""
        return self.define(definitions.exchange_deleted(vhost, name))

    def bound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self.define(
            definitions.binding(True, vhost, source, to_queue, destination, key, arguments)
        )

    def unbound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self.define(
            definitions.binding(False, vhost, source, to_queue, destination, key, arguments)
        )

    def fact_changed(self, fact: Table, gone: bool) -> int:
        """See Journal."""
        return self.define(definitions.fact_changed(fact, gone))
