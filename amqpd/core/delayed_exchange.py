"""An exchange that holds messages back for the time that their header x-delay says.

It routes as the type in its argument `x-delayed-type` does: at once what has no delay, else when
that is over (RabbitMQ: the delayed message exchange plugin).
"""

from typing import Final

from amqpd.core.delay import delay_of
from amqpd.core.delay_line import DelayLine
from amqpd.core.exchange import Binding, Envelope, Exchange, Home
from amqpd.core.queue import Queue
from amqpd.wire.tables import Table

DELAYED: Final = "x-delayed-message"


class DelayedExchange(Exchange):
    """See the module. `inner` is an exchange of the other type that shares its bindings."""

    kind = DELAYED
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
        inner: Exchange,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        self._inner: Final = inner
        inner.bindings = self.bindings
        self._line: DelayLine | None = None

    @property
    def messages_delayed(self) -> int:
        """How many messages wait for their time."""
        return self._line.count if self._line is not None else 0

    def installed(self, home: Home) -> None:
        """See Exchange."""
        self._inner.installed(home)
        self._line = DelayLine(home, self)

    def removed(self) -> None:
        """See Exchange."""
        self._inner.removed()
        if self._line is not None:
            self._line.drop()

    def restored_part(self, part: str, queue_id: int) -> Queue | None:
        """See Exchange."""
        assert self._line is not None
        return self._line.restored(part, queue_id)

    def bound(self, binding: Binding) -> int:
        """See Exchange."""
        return self._inner.bound(binding)

    def check(self, binding: Binding) -> None:
        """See Exchange."""
        self._inner.check(binding)

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._inner.add(binding)

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        self._inner.remove(binding)

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange."""
        if envelope.content and self._line is not None and delay_of(envelope.headers):
            envelope.kept.append(self._line.intake)
            envelope.is_held = True
            return
        self._inner.route(envelope, found)

    def validate(self) -> None:
        """See Exchange."""
        self._inner.validate()
        if self._line is not None:
            self._line.validate()
