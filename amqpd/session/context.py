"""What all connections of one broker share: handed to each, so that nothing is global."""

from typing import Final

from amqpd.auth import Users
from amqpd.core.events import Events
from amqpd.core.ports import Entropy, Journal, Log
from amqpd.core.timers import Timers
from amqpd.core.vhost import VHost
from amqpd.limits import Limits
from amqpd.protocol.channel import ChannelConversation
from amqpd.session.internal import Copy
from amqpd.session.settlement import Settlement

_NAME_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Dispatcher:
    """Finds the handler of a method; `session.dispatch` has the real one."""

    def carry_out(self, channel: ChannelConversation, index: int, payload: bytes) -> None:
        """Decode and carry out a method of an open channel."""
        raise NotImplementedError


class Context:
    """The parts of a broker that its connections work with."""

    def __init__(
        self,
        limits: Limits,
        users: Users,
        journal: Journal,
        entropy: Entropy,
        log: Log,
        dispatcher: Dispatcher,
    ) -> None:
        self.limits: Final = limits
        self.users: Final = users
        self.journal: Final = journal
        self.entropy: Final = entropy
        self.log: Final = log
        self.dispatcher: Final = dispatcher
        self.timers: Final = Timers()
        self.settlement: Final = Settlement()
        self.events: Final = Events(self.timers)
        self.copies: list[Copy] = []  # for the firehose
        self.vhosts: Final[dict[str, VHost]] = {}
        self.alarms: Final[dict[str, bool]] = {}
        self.is_alarmed = False
        self.open_connections = 0
        self.connections_of: Final[dict[str, int]] = {}  # by user: how many have opened a vhost
        self.channels_of: Final[dict[str, int]] = {}  # by user: how many are open

    def count_user(self, counts: dict[str, int], user: str, change: int) -> None:
        """Change one of the two counts of a user."""
        count = counts.get(user, 0) + change
        assert count >= 0
        if count:
            counts[user] = count
        else:
            del counts[user]

    @property
    def now_ms(self) -> int:
        """Time of the call into the broker that is being handled (monotonic ms)."""
        return self.timers.now_ms

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        self.timers.now_ms = now_ms

    def alarm_reason(self) -> str:
        """The text of connection.blocked: `low on memory`, `low on disk & memory` (RabbitMQ)."""
        return "low on " + " & ".join([name for name in sorted(self.alarms) if self.alarms[name]])

    def random_name(self, prefix: str) -> str:
        """Make a name as RabbitMQ does: the prefix and 22 characters of URL-safe base64."""
        token = self.entropy.token(16)
        number = int.from_bytes(token, "big") << 4  # 22 characters hold 132 bits
        letters = [_NAME_ALPHABET[number >> shift & 63] for shift in range(126, -1, -6)]
        return prefix + "".join(letters)
