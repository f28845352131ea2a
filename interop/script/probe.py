"""How many messages and consumers queues have, asked without disturbing anybody."""

from typing import Final

from interop.wire.connection import Connection

FIRST_CHANNEL: Final = 1000


class Probe:
    """Asks one connection about queues, on a channel for each, so that refusals cost little."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels: dict[str, int] = {}
        self._open: set[int] = set()

    def ask(self, queues: list[str]) -> dict[str, str]:
        """The state of each queue, in words: "2 messages, 1 consumers", or the refusal's code."""
        for queue in queues:
            channel = self._channels.setdefault(queue, FIRST_CHANNEL + len(self._channels))
            if channel not in self._open:
                self._connection.say(channel, "channel.open")
            self._connection.say(channel, "queue.declare", queue=queue, passive=True)
        return {queue: self._answer(self._channels[queue]) for queue in queues}

    def _answer(self, channel: int) -> str:
        said = self._connection.take(channel)
        if said.name == "channel.open-ok":
            self._open.add(channel)
            said = self._connection.take(channel)
        if said.name == "channel.close":
            self._connection.say(channel, "channel.close-ok")
            self._open.discard(channel)
            return str(said.fields["reply-code"])
        return f"messages={said.fields['message-count']} consumers={said.fields['consumer-count']}"
