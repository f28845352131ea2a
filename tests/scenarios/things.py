"""Questions about queues and exchanges that several scenarios ask."""

from tests.peers.channel import Channel
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
