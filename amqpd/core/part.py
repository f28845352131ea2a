"""Queues that exchanges keep something in: durable as they are, and seen by no client."""

from typing import Final

from amqpd.core.exchange import Exchange, Home
from amqpd.core.queue import Queue


class Part(Queue):
    """A queue of an exchange; `part` says which, to the exchange that makes it again.

    It lives in the vhost's `parts`, not among its queues. One that recovery has found bears its
    old id, any other is declared to the journal.
    """

    def __init__(self, home: Home, exchange: Exchange, part: str, queue_id: int = 0) -> None:
        super().__init__(
            home.journal,
            queue_id or home.new_queue_id(),
            exchange.vhost,
            "",
            durable=exchange.durable,
            owner=0,
            auto_delete=False,
            arguments={},
            timers=home.timers,
            undertaker=home,
        )
        self.is_hidden = True
        self.exchange: Final = exchange.name
        self.part: Final = part
        self.home: Final = home
        home.parts[self.id] = self
        if self.durable and not queue_id:
            self.position = home.journal.part_declared(self.id, self.vhost, self.exchange, part)

    def drop(self) -> None:
        """Delete it with all that is in it."""
        del self.home.parts[self.id]
        self.delete()
        if self.durable:
            self.home.journal.queue_deleted(self.id)
