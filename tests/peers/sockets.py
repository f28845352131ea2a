"""A broker behind a socket: names that no other run uses, and a clean-up by deleting them."""

from typing import Any

from tests.peers.link import Link, SocketLink
from tests.peers.peer import Oracle, Peer

SLOW_BYTES = 4096


class SocketPeer(Peer):
    """amqpd behind a socket; one listener serves all scenarios of a run."""

    distance = "socket"
    oracle = Oracle(is_rabbitmq=False, version=(3, 13))

    def __init__(self, host: str, port: int, run: str, administer: Any = None) -> None:
        super().__init__()
        self._administer = administer
        self._host = host
        self._port = port
        self._run = run

    def link(self, *, slow: bool = False) -> Link:
        """See Peer."""
        return SocketLink(self._host, self._port, SLOW_BYTES if slow else 0)

    def new_admin(self) -> Any:
        """See Peer."""
        from tests.peers.admin import DirectoryAdmin

        return DirectoryAdmin(self._unique("admin", 0), self._administer)

    def _unique(self, base: str, count: int) -> str:
        return f"{base}-{self._run}-{count}"

    def close(self) -> None:
        """See Peer."""
        super().close()
        self.sweep()
