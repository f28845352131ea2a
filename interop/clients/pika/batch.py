"""Many publishes in flight, with pika's select adapter."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import pika
from pika.spec import Basic

from interop.kit.check import Failed


class Batch:
    """Publishes `count` messages at once and keeps book of the confirms."""

    def __init__(self, parameters: Any, queue: str, count: int) -> None:
        self.confirmed: set[int] = set()
        self.nacked = 0
        self._queue = queue
        self._count = count
        self._channel: Any = None
        self._trouble: object = None
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_trouble,
            on_close_callback=self._on_close,
        )

    def run(self) -> None:
        """Run the connection's loop until all is confirmed. Raises Failed if it breaks before."""
        self._connection.ioloop.start()
        if self._trouble is not None:
            raise Failed(f"the connection broke: {self._trouble!r}")

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_trouble)
        channel.confirm_delivery(self._on_confirm, callback=self._on_selected)

    def _on_selected(self, _frame: Any) -> None:
        for number in range(1, self._count + 1):
            self._channel.basic_publish("", self._queue, b"%d" % number)

    def _on_confirm(self, frame: Any) -> None:
        """Confirms are cumulative when `multiple` is set (RabbitMQ: confirms)."""
        method = frame.method
        if isinstance(method, Basic.Nack):
            self.nacked += 1
        first = 1 if method.multiple else method.delivery_tag
        self.confirmed.update(range(first, method.delivery_tag + 1))
        if len(self.confirmed) == self._count:
            self._connection.close()

    def _on_trouble(self, _sender: Any, error: object) -> None:
        if len(self.confirmed) < self._count:
            self._trouble = error
            self._connection.ioloop.stop()

    def _on_close(self, connection: Any, error: object) -> None:
        self._on_trouble(connection, error)
        connection.ioloop.stop()
