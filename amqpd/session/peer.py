"""Facts about one accepted connection that only the socket's owner knows."""

from typing import Final


class Peer:
    """Addresses, and what TLS proved; `certificate_name` is the user for EXTERNAL ("" = none)."""

    def __init__(
        self,
        peer_host: str,
        peer_port: int,
        host: str,
        port: int,
        *,
        loopback: bool,
        tls: bool = False,
        certificate_name: str = "",
    ) -> None:
        self.peer_host: Final = peer_host
        self.peer_port: Final = peer_port
        self.host: Final = host
        self.port: Final = port
        self.loopback: Final = loopback
        self.tls: Final = tls
        self.certificate_name: Final = certificate_name

    @property
    def name(self) -> str:
        """RabbitMQ's name of a connection: `127.0.0.1:5000 -> 127.0.0.1:5672`."""
        return f"{_printed(self.peer_host)}:{self.peer_port} -> {_printed(self.host)}:{self.port}"


def _printed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
