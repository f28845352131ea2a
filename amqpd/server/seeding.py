"""The first users and vhosts: what the settings say counts where nothing has been made yet.

As in RabbitMQ, a data directory that has its users keeps them: who changes or deletes the default
user does not find it back after a restart. A directory that an older amqpd wrote, which kept no
users, gets those of the settings once.
"""

from amqpd.broker import Broker
from amqpd.core.ports import Log
from amqpd.directory import Directory, Refused
from amqpd.server.clock import now_ms
from amqpd.server.settings import Settings, UserSetting
from amqpd.server.startup import StartupError


def seed(broker: Broker, settings: Settings, log: Log) -> None:
    """Make the users and vhosts of the settings, unless that has been done before.

    Raises StartupError for a hash or pattern of no use.
    """
    directory = broker.directory(now_ms())
    if directory.is_seeded:
        _name_unused(broker, settings, log)
        return
    directory.begin()
    try:
        for vhost in settings.vhosts:
            directory.set_vhost(vhost)
        for name, made in list(broker.vhosts.items()):
            if name not in settings.vhosts and not made.queues:
                directory.delete_vhost(name)
        for user in settings.users:
            try:
                _add_user(directory, user)
            except Refused as error:
                raise StartupError(f"user '{user.name}': {error}") from None
        directory.seeded()
    finally:
        directory.end()


def _add_user(directory: Directory, user: UserSetting) -> None:
    if user.password_hash:
        directory.set_user(user.name, user.password_hash, user.hash_algorithm, user.tags)
    else:
        directory.add_user(user.name, user.password, user.tags)
    for may in user.permissions:
        directory.set_permissions(user.name, may.vhost, may.configure, may.write, may.read)


def _name_unused(broker: Broker, settings: Settings, log: Log) -> None:
    """Say which users and vhosts of the settings are not there: somebody may look for them."""
    for what, wanted, there in (
        ("user", [user.name for user in settings.users], broker.users.users),
        ("vhost", list(settings.vhosts), broker.vhosts),
    ):
        missing = [name for name in wanted if name not in there]
        if missing:
            log.event(
                "info",
                f"a {what} of the configuration is not made",
                {what: ", ".join(missing), "why": "the data directory has its own by now"},
            )
