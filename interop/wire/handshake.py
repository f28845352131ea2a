"""How a connection is opened: what a client says of itself, and what may be said wrongly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from interop.address import Address

# What a current client says that it understands; brokers act on some of these.
CAPABILITIES: Final = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "exchange_exchange_bindings": True,
    "publisher_confirms": True,
}


@dataclass(frozen=True)
class Handshake:
    """The choices of a client. None stands for what a good client says."""

    name: str = "interop"
    capabilities: Mapping[str, object] = field(default_factory=lambda: CAPABILITIES)
    mechanism: str = "PLAIN"
    response: str | None = None
    vhost: str | None = None
    channel_max: int | None = None
    frame_max: int | None = None
    heartbeat: int = 0

    def answer(self, address: Address) -> str | bytes:
        """The response of connection.start-ok."""
        if self.response is not None:
            return self.response
        if self.mechanism == "AMQPLAIN":
            return _entry("LOGIN", address.user) + _entry("PASSWORD", address.password)
        return f"\0{address.user}\0{address.password}"


def _entry(name: str, value: str) -> bytes:
    """An entry of a field table, as AMQPLAIN sends them."""
    text = value.encode()
    return bytes([len(name)]) + name.encode() + b"S" + len(text).to_bytes(4, "big") + text
