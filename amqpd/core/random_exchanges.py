"""Exchanges that choose one of their bindings at random (RabbitMQ: x-random, x-local-random).

Each message draws anew, from the vhost's `dice`; the routing key plays no part.
"""

from amqpd.core import plugin_errors
from amqpd.core.dice import Dice
from amqpd.core.exchange import Binding, Envelope, Exchange, Home
from amqpd.wire import tables
from amqpd.wire.tables import Table


class RandomExchange(Exchange):
    """Reaches one of its bindings, each as likely as the others."""

    kind = "x-random"
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
        self._bound: list[Binding] = []
        self._dice = Dice(None)

    def installed(self, home: Home) -> None:
        """See Exchange."""
        self._dice = home.dice

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._bound.append(binding)

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        self._bound.remove(binding)

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange."""
        count = len(self._bound)
        if count > 1:
            found.append(self._bound[self._dice.draw(count)])
        elif count:
            found.append(self._bound[0])


class LocalRandomExchange(RandomExchange):
    """A random exchange for classic queues alone, bound without a key (RabbitMQ 4.0)."""

    kind = "x-local-random"

    def check(self, binding: Binding) -> None:
        """See Exchange."""
        if binding.key:
            raise plugin_errors.binding_key_not_empty(binding.key)
        if binding.queue is None:
            raise plugin_errors.destination_not_found()
        asked = binding.queue.arguments.get("x-queue-type")
        queue_type = tables.text(asked) if asked is not None else "classic"
        if queue_type != "classic":
            raise plugin_errors.queue_type_not_valid(queue_type)
