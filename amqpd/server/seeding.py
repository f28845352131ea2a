"""The first users and vhosts: what the settings say counts where nothing has been made yet.

As in RabbitMQ, a data directory that has its users keeps them: who changes or deletes the default
user does not find it back after a restart. A directory that an older amqpd wrote, which kept no
users, gets those of the settings once.
"""

from amqpd.broker import DEFAULT_VHOST, Broker
from amqpd.core.ports import Log
from amqpd.definitions.document import BadDefinitions
from amqpd.directory import Directory, Refused
from amqpd.server.clock import now_ms
from amqpd.server.definitions_files import Definitions
from amqpd.server.settings import Settings, UserSetting
from amqpd.server.startup import StartupError


def seed(
    broker: Broker, settings: Settings, log: Log, definitions: Definitions | None = None
) -> None:
    """Make the users and vhosts of the settings, unless that has been done before.

    Definitions are imported at every start; where there are some, the settings' users and vhosts
    are not made, as in RabbitMQ. Raises StartupError for definitions, a hash or a pattern of no
    use.
    """
    directory = broker.directory(now_ms())
    is_new = not directory.is_seeded
    directory.begin()
    try:
        if definitions is not None:
            if is_new:
                _unmake(directory, broker, ())
            _import(definitions, broker, log)
            directory.seeded()
        elif is_new:
            _make(directory, broker, settings)
    finally:
        directory.end()
    if not is_new:
        _name_unused(broker, settings, log)
    if not broker.users.users:
        log.event("warning", "nobody can log in: there are no users", {})


def _import(definitions: Definitions, broker: Broker, log: Log) -> None:
    try:
        definitions.put_into(broker, log)
    except BadDefinitions as error:
        raise StartupError(str(error)) from None


def _unmake(directory: Directory, broker: Broker, wanted: tuple[str, ...]) -> None:
    """Delete the vhost that a broker is born with, unless it is wanted or of an older amqpd."""
    born = broker.vhosts.get(DEFAULT_VHOST)
    if born is not None and DEFAULT_VHOST not in wanted and not born.queues:
        directory.delete_vhost(DEFAULT_VHOST)


def _make(directory: Directory, broker: Broker, settings: Settings) -> None:
    """Make what the settings say."""
    for vhost in settings.vhosts:
        directory.set_vhost(vhost)
    _unmake(directory, broker, settings.vhosts)
    for user in settings.users:
        try:
            _add_user(directory, user)
        except Refused as error:
            raise StartupError(f"user '{user.name}': {error}") from None
    directory.seeded()


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
