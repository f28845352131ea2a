"""Questions about queues and exchanges that several scenarios ask."""

from typing import Any

from tests.peers.channel import Channel, Message
from tests.peers.errors import ChannelClosed


def queue_exists(channel: Channel, queue: str) -> bool:
    """Whether a queue exists, be it exclusive to another; asked on a channel of its own."""
    probe = channel.connection.channel()
    try:
        probe.declare(queue, passive=True)
    except ChannelClosed as closed:
        assert closed.reply_code in (404, 405), closed
        return closed.reply_code == 405
    probe.close()
    return True


def exchange_exists(channel: Channel, exchange: str) -> bool:
    """Whether an exchange exists, asked on a channel of its own."""
    probe = channel.connection.channel()
    try:
        probe.declare_exchange(exchange, passive=True)
    except ChannelClosed as closed:
        assert closed.reply_code == 404, closed
        return False
    probe.close()
    return True


def let_pass(peer: Any, channel: Channel, ms: int) -> None:
    """Let time pass. Where the clock is not ours, wait for a message that lies dead so long."""
    if peer.distance in ("memory", "sim"):
        peer.advance(ms)
        return
    helper = channel.connection.channel()
    grave = helper.declare(exclusive=True).queue
    arguments = {
        "x-message-ttl": ms,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": grave,
    }
    bed = helper.declare(exclusive=True, arguments=arguments).queue
    helper.consume(grave, no_ack=True)
    helper.publish("", bed)
    helper.delivery()
    helper.delete(bed)
    helper.delete(grave)
    helper.close()


class Cemetery:
    """A queue that dead letters of others come to, consumed, by way of a fanout exchange."""

    def __init__(self, peer: Any, channel: Channel) -> None:
        self.channel = channel.connection.channel()
        self.exchange = peer.name("dlx")
        self.queue = peer.name("dead")
        self.channel.declare_exchange(self.exchange, "fanout")
        self.channel.declare(self.queue)
        self.channel.bind(self.queue, self.exchange)
        self.channel.consume(self.queue, no_ack=True)

    @property
    def arguments(self) -> dict[str, Any]:
        """What makes a queue's dead letters come here."""
        return {"x-dead-letter-exchange": self.exchange}

    def reasons(self, count: int) -> list[tuple[bytes, str]]:
        """Wait for dead letters. Returns body and reason of each."""
        return [(dead.body, deaths(dead)[0]["reason"]) for dead in self.channel.deliveries(count)]


def deaths(message: Message) -> list[dict[str, Any]]:
    """The entries of a message's x-death header."""
    headers: Any = message.properties.headers
    entries: list[dict[str, Any]] = headers["x-death"]
    return entries
