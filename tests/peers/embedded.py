"""amqpd with a real listener, inside the test process."""

from amqpd.server.settings import Listener, PermissionSetting, Settings, UserSetting
from amqpd.testing.embedded import SOCKETS, EmbeddedBroker
from tests.peers.accounts import ACCOUNTS, VHOSTS


def embedded() -> EmbeddedBroker:
    """Return amqpd with the scenarios' accounts, to be started."""
    users = tuple(
        UserSetting(
            entry.name,
            entry.password,
            entry.tags,
            tuple(PermissionSetting(vhost, *row) for vhost, row in entry.permissions.items()),
        )
        for entry in ACCOUNTS
    )
    listeners = (Listener("127.0.0.1", 0),)
    return EmbeddedBroker(
        Settings(listeners=listeners, vhosts=VHOSTS, users=users, sockets=SOCKETS)
    )
