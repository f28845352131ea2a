"""One client channel: calls and their replies, and what comes unasked, in order."""

from typing import Any, TypeVar

from pamqp import base, commands

from tests.peers import codec
from tests.peers.errors import ChannelClosed, Disconnected, PeerError, Silence

POLLS_MAX = 2000

M = TypeVar("M", bound=base.Frame)
Basic = commands.Basic


class Message:
    """A method that carries content: deliver, get-ok or return, with the content as it came."""

    def __init__(self, method: Any) -> None:
        self.method = method
        self.raw_properties = b""
        self.body_bytes = -1
        self.body = b""
        self.frame_bytes: list[int] = []  # payload sizes of the body frames

    def __repr__(self) -> str:
        return f"<{self.method.name} {vars_of(self.method)} {self.body[:40]!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    @property
    def is_whole(self) -> bool:
        """Whether header and all of the body have come."""
        return self.body_bytes == len(self.body)

    @property
    def properties(self) -> commands.Basic.Properties:
        """The properties, decoded by pamqp."""
        return codec.decode_properties(self.raw_properties)


class Channel:
    """A channel, open until the client closes it or `failure` says why it is not.

    `inbox` holds what came and was not taken yet: methods, and messages once they are whole.
    """

    def __init__(self, connection: Any, number: int) -> None:
        self.connection = connection
        self.number = number
        self.inbox: list[Any] = []
        self.failure: PeerError | None = None
        self.answers_close = True  # False: leave close-ok to the scenario
        self.published_count = 0
        self._message: Message | None = None

    # -- talking -----------------------------------------------------------------------------------

    def send(self, method: base.Frame) -> None:
        """Send a method."""
        self.connection.send(method, self.number)

    def call(self, method: base.Frame) -> Any:
        """Send a method and return its reply; what comes before the reply stays in the inbox."""
        self.send(method)
        if getattr(method, "nowait", False):
            return None
        wanted = tuple(_class_of(name) for name in method.valid_responses)
        return self._wait(lambda item: isinstance(_method(item), wanted), f"a reply to {method}")

    def do(self, kind: type[M], **fields: Any) -> Any:
        """Call a method with these fields, unchecked."""
        return self.call(codec.make(kind, **fields))

    def expect(self, kind: type[M]) -> Any:
        """Return what comes next, which must be of this kind."""
        item = self._wait(lambda _: True, kind.name)
        assert isinstance(_method(item), kind), f"expected {kind.name}, got {item!r}"
        return item

    def take(self, kind: type[base.Frame] = base.Frame, count: int = 1) -> list[Any]:
        """Return the next `count` of this kind, leaving others that come in between."""
        return [
            self._wait(lambda item: isinstance(_method(item), kind), kind.name)
            for _ in range(count)
        ]

    def deliveries(self, count: int) -> list[Message]:
        """Return the next deliveries."""
        return self.take(Basic.Deliver, count)

    def delivery(self) -> Message:
        """Return the next delivery."""
        return self.deliveries(1)[0]

    def sync(self) -> None:
        """Make a round trip: what was sent before has been carried out by this channel."""
        self.call(codec.make(commands.Channel.Flow, active=True))

    def expect_nothing(self, *queues: str) -> None:
        """Show by round trips that nothing comes, from these queues in particular.

        Each must have a consumer. It is refused to be deleted while used, by way of another
        channel: a question that a queue which is a process answers after what it was told before.
        """
        self.sync()
        for queue in queues:
            self._provoke(queue, "in use", if_unused=True)
        self.sync()
        assert not self.inbox, f"unexpected: {self.inbox}"

    def expect_ready(self, queue: str, count: int) -> None:
        """Show by round trips that so many messages are ready in a queue, and no more come.

        The count is asked for repeatedly, as some brokers answer that ahead of what was sent
        before; none is left for `bodies` or `get` to show.
        """
        assert count > 0
        self.sync()
        helper = self.connection.channel()
        for _ in range(POLLS_MAX):
            ready = helper.ready(queue)
            if ready == count:
                break
        helper.close()
        self._provoke(queue, "not empty", if_empty=True)
        assert self.ready(queue) == count

    def _provoke(self, queue: str, text: str, **fields: Any) -> None:
        """Have a queue refuse to be deleted, by way of another channel."""
        helper = self.connection.channel()
        try:
            helper.delete(queue, **fields)
        except ChannelClosed as refused:
            assert refused.reply_text.endswith(text), refused
        else:
            raise AssertionError(f"queue {queue} is not {text}, and was deleted")

    def expect_close(self) -> None:
        """Wait for channel.close or connection.close and raise it."""
        while self.failure is None:
            self.connection.receive()
        raise self.failure

    def close(self) -> None:
        """Close politely; the number is free afterwards."""
        self.call(codec.make(commands.Channel.Close, reply_code=200, reply_text="OK"))
        self.failure = Disconnected("closed by the client")
        del self.connection.channels[self.number]

    def confirm_close(self) -> None:
        """Answer the broker's channel.close; the number is free afterwards."""
        self.send(commands.Channel.CloseOk())
        del self.connection.channels[self.number]

    # -- shorthand for what scenarios say most -----------------------------------------------------

    def declare(self, queue: str = "", **fields: Any) -> Any:
        """queue.declare."""
        return self.do(commands.Queue.Declare, queue=queue, **fields)

    def declare_exchange(self, exchange: str, exchange_type: str = "direct", **fields: Any) -> Any:
        """exchange.declare."""
        kind = commands.Exchange.Declare
        return self.do(kind, exchange=exchange, exchange_type=exchange_type, **fields)

    def bind(self, queue: str, exchange: str, routing_key: str = "", **fields: Any) -> Any:
        """queue.bind."""
        kind = commands.Queue.Bind
        return self.do(kind, queue=queue, exchange=exchange, routing_key=routing_key, **fields)

    def unbind(self, queue: str, exchange: str, routing_key: str = "", **fields: Any) -> Any:
        """queue.unbind."""
        kind = commands.Queue.Unbind
        return self.do(kind, queue=queue, exchange=exchange, routing_key=routing_key, **fields)

    def bind_exchange(self, destination: str, source: str, key: str = "", **fields: Any) -> Any:
        """exchange.bind."""
        kind = commands.Exchange.Bind
        return self.do(kind, destination=destination, source=source, routing_key=key, **fields)

    def delete(self, queue: str, **fields: Any) -> Any:
        """queue.delete."""
        return self.do(commands.Queue.Delete, queue=queue, **fields)

    def delete_exchange(self, exchange: str, **fields: Any) -> Any:
        """exchange.delete."""
        return self.do(commands.Exchange.Delete, exchange=exchange, **fields)

    def qos(self, prefetch_count: int, *, global_: bool = False, prefetch_size: int = 0) -> Any:
        """basic.qos."""
        method = codec.make(Basic.Qos, prefetch_count=prefetch_count, prefetch_size=prefetch_size)
        method.global_ = global_
        return self.call(method)

    def consume(self, queue: str, consumer_tag: str = "", **fields: Any) -> str:
        """basic.consume; returns the consumer tag."""
        reply = self.do(Basic.Consume, queue=queue, consumer_tag=consumer_tag, **fields)
        return reply.consumer_tag if reply is not None else consumer_tag

    def cancel(self, consumer_tag: str, **fields: Any) -> Any:
        """basic.cancel."""
        return self.do(Basic.Cancel, consumer_tag=consumer_tag, **fields)

    def get(self, queue: str, no_ack: bool = False) -> Any:
        """basic.get; returns the message, None if the queue is empty."""
        reply = self.do(Basic.Get, queue=queue, no_ack=no_ack)
        return reply if isinstance(reply, Message) else None

    def bodies(self, queue: str) -> list[bytes]:
        """Get all that is ready in a queue, for good. Returns the bodies."""
        bodies = []
        while (message := self.get(queue, no_ack=True)) is not None:
            bodies.append(message.body)
        return bodies

    def ready(self, queue: str) -> int:
        """How many messages are ready in a queue, as declare-ok says (see `expect_ready`)."""
        return int(self.declare(queue, passive=True).message_count)

    def publish(
        self,
        exchange: str,
        routing_key: str | bytes,
        body: bytes = b"",
        *,
        mandatory: bool = False,
        immediate: bool = False,
        raw_properties: bytes | None = None,
        **properties: Any,
    ) -> None:
        """basic.publish with its content, as one write."""
        method = codec.make(
            Basic.Publish,
            exchange=exchange,
            routing_key=routing_key,
            mandatory=mandatory,
            immediate=immediate,
        )
        if raw_properties is None:
            raw_properties = codec.encode_properties(properties)
        frame_max = self.connection.frame_max
        self.connection.raw(
            codec.method_frame(self.number, method)
            + codec.content_frames(self.number, raw_properties, body, frame_max)
        )
        self.published_count += 1

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """basic.ack."""
        self.send(codec.make(Basic.Ack, delivery_tag=delivery_tag, multiple=multiple))

    def nack(self, delivery_tag: int, multiple: bool = False, requeue: bool = True) -> None:
        """basic.nack."""
        method = codec.make(Basic.Nack, delivery_tag=delivery_tag)
        method.multiple, method.requeue = multiple, requeue
        self.send(method)

    def reject(self, delivery_tag: int, requeue: bool = True) -> None:
        """basic.reject."""
        self.send(codec.make(Basic.Reject, delivery_tag=delivery_tag, requeue=requeue))

    def confirm(self) -> None:
        """confirm.select; publishes are counted from here."""
        self.call(commands.Confirm.Select())
        self.published_count = 0

    def confirmed(self, count: int | None = None) -> None:
        """Wait until all that was published, or `count`, is acknowledged by the broker.

        Asserts that nothing is acknowledged twice, or before it was published, or refused.
        """
        wanted = self.published_count if count is None else count
        pending = set(range(1, wanted + 1))
        while pending:
            item = self.take(Basic.Ack)[0]
            settled = {n for n in pending if n <= item.delivery_tag} if item.multiple else {
                item.delivery_tag
            }
            assert settled and settled <= pending, f"ack {item.delivery_tag} of {pending}"
            pending -= settled

    # -- receiving ---------------------------------------------------------------------------------

    def _wait(self, fits: Any, wanted: str) -> Any:
        """Take the first item that fits, receiving until there is one."""
        seen = 0
        while True:
            for at in range(seen, len(self.inbox)):
                if fits(self.inbox[at]):
                    return self.inbox.pop(at)
            seen = len(self.inbox)
            if self.failure is not None:
                raise self.failure
            try:
                self.connection.receive()
            except Silence as silence:
                raise AssertionError(
                    f"expected {wanted} on channel {self.number}, but {silence};"
                    f" not taken: {self.inbox}"
                ) from None

    def take_frame(self, frame: codec.Frame) -> None:
        """Take a frame of this channel; asserts that content comes whole and in order."""
        message = self._message
        if frame.kind == codec.METHOD:
            assert message is None, f"a method within a content: {frame}"
            method = codec.decode_method(frame.payload)
            if isinstance(method, Basic.Deliver | Basic.GetOk | Basic.Return):
                self._message = Message(method)
            elif isinstance(method, commands.Channel.Close):
                self.connection.closed_channel(self, method)
            else:
                self.inbox.append(method)
            return
        assert message is not None, f"content without a method: {frame}"
        if frame.kind == codec.HEADER:
            assert message.body_bytes < 0, "two content headers"
            header = codec.decode_header(frame.payload)
            assert header.class_id == codec.BASIC
            message.body_bytes = header.body_bytes
            message.raw_properties = header.properties
        else:
            assert message.body_bytes > len(message.body), "a body frame too many"
            message.body += frame.payload
            message.frame_bytes.append(len(frame.payload))
        if message.is_whole:
            self._message = None
            self.inbox.append(message)


def _method(item: Any) -> Any:
    return item.method if isinstance(item, Message) else item


def _class_of(name: str) -> Any:
    class_name, method_name = name.split(".")
    return getattr(getattr(commands, class_name), method_name)


def vars_of(method: base.Frame) -> dict[str, Any]:
    """The fields of a method, for messages of failed assertions."""
    return {name: getattr(method, name, None) for name in method.__slots__}
