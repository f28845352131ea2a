"""All sources of settings merged into one `Settings`, with every mistake named at its place.

Weakest first: defaults, configuration file, RABBITMQ_* and then AMQPD_* variables, options. A
setting counts by itself: a file may set `heartbeat` and an option the port. The exceptions are the
short options that replace a group: `--bind` the addresses and `--port` the ports of what is
listened on, `--user` the default user.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from amqpd.config import environment, foreign, keys
from amqpd.config.keys import KEYS, LEVELS, Key
from amqpd.config.syntax import Assignment, ConfigError, read
from amqpd.config.values import interface, secret
from amqpd.limits import Limits
from amqpd.profile import Profile, profile_of
from amqpd.server.settings import (
    Listener,
    LogSettings,
    PermissionSetting,
    Settings,
    SocketSettings,
    TlsSettings,
    UserSetting,
    WatermarkSettings,
)

T = TypeVar("T")

# Read when no other file is named, if it is there.
USUAL_FILE: Final = "/etc/amqpd/amqpd.conf"

ADMINISTRATOR: Final = ("administrator",)


@dataclass(frozen=True)
class Loaded:
    """The outcome: settings, where they came from, and what whoever starts it should know."""

    settings: Settings
    path: str  # of the configuration file, "" = none
    warnings: tuple[str, ...]


def load(options: Sequence[Assignment], config: str, environ: Mapping[str, str]) -> Loaded:
    """Merge all sources; `config` is the path that an option names, "" for none.

    Raises ConfigError, with a line that says where the mistake stands and what is expected there.
    """
    path = config or environment.config_path(environ)
    if not path and Path(USUAL_FILE).exists():
        path = USUAL_FILE
    from_file = read(Path(path), environ) if path else []
    from_environment, unknown = environment.assignments(environ)
    weakest = environment.weakest(environ)
    given = Given([*weakest, *from_file, *from_environment, *options])
    warnings = [f"{name} is in the environment and is no setting of amqpd" for name in unknown]
    if given.foreign:
        listed = ", ".join(f"{item.name} ({item.origin})" for item in given.foreign)
        warnings.append(f"known to RabbitMQ and without effect here: {listed}")
    return Loaded(_settings(given), path, tuple(warnings))


class Given:
    """Every setting that some source gives: known, well-formed, and the strongest source's."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        """Take assignments, weakest first. Raises ConfigError for the first that is not usable."""
        self.foreign: list[Assignment] = []  # RabbitMQ's own
        # by the name of the key, then by its free parts
        self._found: dict[str, dict[tuple[str, ...], Assignment]] = {}
        names = {alias: key for key in KEYS for alias in (key.name, *key.aliases)}
        for item in assignments:
            key = names.get(item.name) or _family_of(item.key)
            if key is None:
                self._take_unknown(item)
                continue
            self._found.setdefault(key.name, {})[key.free_parts(item.key) or ()] = item
            _parsed(key, item)

    def _take_unknown(self, item: Assignment) -> None:
        if foreign.is_rabbitmq_key(item.key):
            self.foreign.append(item)
            return
        near = foreign.nearest(item.key)
        hint = f' (did you mean "{near}"?)' if near else ""
        raise ConfigError(f'{item.origin}: unknown key "{item.name}"{hint}')

    def has(self, key: Key[T]) -> bool:
        """Some source gives it."""
        return key.name in self._found

    def get(self, key: Key[T], default: T) -> T:
        """The value of a single setting."""
        item = self._found.get(key.name, {}).get(())
        return default if item is None else _parsed(key, item)

    def family(self, key: Key[T]) -> dict[str, T]:
        """The values of a family with one free part, by that part, in the order of appearance."""
        found = self._found.get(key.name, {})
        return {free[0]: _parsed(key, item) for free, item in found.items()}

    def refuse(self, key: Key[T], expected: str) -> ConfigError:
        """The error for a setting that is well-formed and cannot be used all the same."""
        item = next(iter(self._found[key.name].values()))
        return _not_expected(key, item, expected)


def _family_of(key: tuple[str, ...]) -> Key[object] | None:
    matching = (known for known in KEYS if known.is_family and known.free_parts(key) is not None)
    return next(matching, None)


def _parsed(key: Key[T], item: Assignment) -> T:
    try:
        return key.parse(item.text)
    except ValueError as error:
        raise _not_expected(key, item, str(error)) from None


def _not_expected(key: Key[T], item: Assignment, expected: str) -> ConfigError:
    shown = f'{item.name} = "{item.text}"'
    if key.parse is secret:
        shown = item.name
    elif item.name.startswith("("):  # of a short option, whose name the origin has already
        shown = f'"{item.text}"'
    return ConfigError(f"{item.origin}: {shown}: expected {expected}")


def _settings(given: Given) -> Settings:
    base = Settings()
    profile = profile_of(
        given.get(keys.RABBITMQ_VERSION, base.profile.name), given.family(keys.PERMIT)
    )
    default_vhost = given.get(keys.DEFAULT_VHOST, base.vhosts[0])
    vhosts = tuple(dict.fromkeys([default_vhost, *given.family(keys.VHOSTS).values()]))
    return Settings(
        listeners=_listeners(given, base),
        tls=_tls(given, base.tls),
        sockets=_sockets(given, base.sockets),
        data_dir=given.get(keys.DATA_DIR, base.data_dir),
        in_memory=given.get(keys.STORE, "disk") == "memory",
        syncing=given.get(keys.STORE_SYNC, base.syncing),
        segment_bytes=given.get(keys.SEGMENT, base.segment_bytes),
        waiting_bytes=given.get(keys.WAITING, base.waiting_bytes),
        vhosts=vhosts,
        users=_users(given, base, vhosts),
        definitions=_definitions(given),
        limits=_limits(given, base.limits, profile),
        profile=profile,
        watermark=_watermark(given, base.watermark),
        log=_log(given, base.log),
        loop=given.get(keys.EVENT_LOOP, base.loop),
    )


def _definitions(given: Given) -> str:
    """The path of definitions to import, "" for none, by either of RabbitMQ's two ways."""
    return given.get(keys.DEFINITIONS, "") or given.get(keys.DEFINITIONS_PATH, "")


def _listeners(given: Given, base: Settings) -> tuple[Listener, ...]:
    """What to listen on; a port alone in a file is every interface, as for RabbitMQ."""
    plain = [Listener(*where) for where in given.family(keys.TCP_NAMED).values()]
    if given.has(keys.TCP):
        plain = []
    elif not plain:
        plain = list(base.listeners)
    tls = [Listener(*where, tls=True) for where in given.family(keys.SSL_NAMED).values()]
    if given.has(keys.SSL):
        tls = []
    hosts = given.get(keys.BIND, ())
    plain = _moved(plain, hosts, given.get(keys.PORT, None), tls=False)
    tls = _moved(tls, hosts, given.get(keys.TLS_PORT, None), tls=True)
    if not plain and not tls:
        raise ConfigError("there is nothing to listen on: no plain listener and no TLS one is left")
    return tuple(dict.fromkeys(plain + tls))


def _moved(
    listeners: list[Listener], hosts: tuple[str, ...], port: int | None, *, tls: bool
) -> list[Listener]:
    """Listeners with the addresses of --bind and the port of --port, where these are given."""
    if port is not None:
        before = [listener.host for listener in listeners] or [Listener().host]
        listeners = [Listener(host, port, tls) for host in before]
    if hosts:
        ports = [listener.port for listener in listeners]
        listeners = [Listener(interface(host), port, tls) for port in ports for host in hosts]
    return listeners


def _tls(given: Given, base: TlsSettings) -> TlsSettings:
    return TlsSettings(
        certfile=given.get(keys.CERTFILE, base.certfile),
        keyfile=given.get(keys.KEYFILE, base.keyfile),
        password=given.get(keys.KEY_PASSWORD, base.password),
        cacertfile=given.get(keys.CACERTFILE, base.cacertfile),
        verify=given.get(keys.VERIFY, "verify_none") == "verify_peer",
        fail_if_no_peer_cert=given.get(keys.FAIL_IF_NO_PEER_CERT, base.fail_if_no_peer_cert),
        versions=tuple(given.family(keys.VERSIONS).values()) or base.versions,
        ciphers=":".join(given.family(keys.CIPHERS).values()) or base.ciphers,
        cert_login_from=given.get(keys.LOGIN_FROM, base.cert_login_from),
        cert_login_san_type=given.get(keys.SAN_TYPE, base.cert_login_san_type),
        cert_login_san_index=given.get(keys.SAN_INDEX, base.cert_login_san_index),
        handshake_timeout_ms=given.get(keys.TLS_HANDSHAKE_TIMEOUT, base.handshake_timeout_ms),
    )


def _sockets(given: Given, base: SocketSettings) -> SocketSettings:
    sockets = SocketSettings(
        backlog=given.get(keys.BACKLOG, base.backlog),
        nodelay=given.get(keys.NODELAY, base.nodelay),
        keepalive=given.get(keys.KEEPALIVE, base.keepalive),
        write_high_bytes=given.get(keys.WRITE_HIGH, base.write_high_bytes),
        write_low_bytes=given.get(keys.WRITE_LOW, base.write_low_bytes),
        write_held_bytes=given.get(keys.WRITE_HELD, base.write_held_bytes),
        drain_ms=given.get(keys.DRAIN, base.drain_ms),
        linger_ms=given.get(keys.LINGER, base.linger_ms),
        shutdown_ms=given.get(keys.SHUTDOWN, base.shutdown_ms),
    )
    bounds = (sockets.write_low_bytes, sockets.write_high_bytes, sockets.write_held_bytes)
    if list(bounds) != sorted(bounds):
        wrong = next(k for k in (keys.WRITE_LOW, keys.WRITE_HIGH, keys.WRITE_HELD) if given.has(k))
        raise given.refuse(wrong, "write_low_bytes <= write_high_bytes <= write_held_bytes")
    return sockets


def _limits(given: Given, base: Limits, profile: Profile) -> Limits:
    frame_max = given.get(keys.FRAME_MAX, base.frame_max)
    if 0 < frame_max < base.frame_min:
        raise given.refuse(keys.FRAME_MAX, f"0 (no limit) or a size from {base.frame_min} bytes")
    mechanisms = sorted(given.family(keys.MECHANISM).items(), key=lambda row: row[0].zfill(9))
    return Limits(
        channel_max=given.get(keys.CHANNEL_MAX, base.channel_max),
        frame_max=frame_max,
        heartbeat_s=given.get(keys.HEARTBEAT, base.heartbeat_s),
        handshake_timeout_ms=given.get(keys.HANDSHAKE_TIMEOUT, base.handshake_timeout_ms),
        silent_close_ms=given.get(keys.SILENT_CLOSE, base.silent_close_ms),
        closing_ms=given.get(keys.CLOSING, base.closing_ms),
        message_bytes_max=given.get(keys.MESSAGE_MAX, profile.message_bytes_max),
        connection_max=given.get(keys.CONNECTION_MAX, base.connection_max),
        consumer_max_per_channel=given.get(keys.CONSUMER_MAX, base.consumer_max_per_channel),
        consumer_timeout_ms=given.get(keys.CONSUMER_TIMEOUT, base.consumer_timeout_ms),
        outbox_bytes=given.get(keys.OUTBOX, base.outbox_bytes),
        product=given.get(keys.PRODUCT_NAME, base.product),
        version=given.get(keys.PRODUCT_VERSION, profile.version),
        cluster_name=given.get(keys.CLUSTER_NAME, base.cluster_name),
        mechanisms=tuple(dict.fromkeys(name for _, name in mechanisms)) or profile.mechanisms,
        anonymous_user=given.get(keys.ANONYMOUS_USER, base.anonymous_user),
        loopback_users=_loopback_users(given, base.loopback_users),
    )


def _loopback_users(given: Given, default: tuple[str, ...]) -> tuple[str, ...]:
    """Who may only log in from this machine.

    Deviation: naming one more user does not set guest free, which it does in RabbitMQ; that is
    said by `loopback_users.guest = false` or `loopback_users = none`.
    """
    if given.has(keys.LOOPBACK):
        return ()
    switches = dict.fromkeys(default, True) | given.family(keys.LOOPBACK_USER)
    return tuple(name for name, on in switches.items() if on)


def _watermark(given: Given, base: WatermarkSettings) -> WatermarkSettings:
    """Where the alarms stand; an absolute figure wins over a relative one, as for RabbitMQ."""
    absolute = given.has(keys.DISK_ABSOLUTE)
    return WatermarkSettings(
        memory_relative=given.get(keys.MEMORY_RELATIVE, base.memory_relative),
        memory_absolute=_optional(given, keys.MEMORY_ABSOLUTE),
        disk_free_bytes=given.get(keys.DISK_ABSOLUTE, base.disk_free_bytes),
        disk_free_relative=None if absolute else _optional(given, keys.DISK_RELATIVE),
        interval_ms=given.get(keys.MONITOR_INTERVAL, base.interval_ms),
        received_bytes=given.get(keys.RECEIVED, base.received_bytes),
    )


def _optional(given: Given, key: Key[T]) -> T | None:
    found: Key[T | None] = key
    return given.get(found, None)


def _log(given: Given, base: LogSettings) -> LogSettings:
    """One log: the file if one is named, else the console."""
    file = given.get(keys.LOG_FILE, "false")
    level = given.get(keys.LOG_LEVEL, base.level)
    if file != "false":
        level = given.get(keys.LOG_FILE_LEVEL, level)
        form = given.get(keys.LOG_FILE_FORMAT, "plaintext")
        file = str(Path(given.get(keys.LOG_DIR, "")) / file)
    else:
        level = given.get(keys.LOG_CONSOLE_LEVEL, level)
        form = given.get(keys.LOG_CONSOLE_FORMAT, "plaintext")
        file = base.file
        if not given.get(keys.LOG_CONSOLE, True):
            level = "none"
    return LogSettings(level=LEVELS[level], format="json" if form == "json" else "text", file=file)


def _users(given: Given, base: Settings, vhosts: tuple[str, ...]) -> tuple[UserSetting, ...]:
    """The default user or those of --user, and the ones of `default_users`, each name once."""
    users = [
        UserSetting(name, password, ADMINISTRATOR, tuple(map(PermissionSetting, vhosts)))
        for name, password in given.family(keys.USER).items()
    ]
    if not users:
        users = [_default_user(given, base.users[0], vhosts[0])]
    passwords, hashes = given.family(keys.USER_PASSWORD), given.family(keys.USER_PASSWORD_HASH)
    tags, patterns = given.family(keys.USER_TAGS), given.family(keys.USER_VHOST_PATTERN)
    configure = given.family(keys.USER_CONFIGURE)
    write, read_ = given.family(keys.USER_WRITE), given.family(keys.USER_READ)
    everyone = (*passwords, *hashes, *tags, *patterns, *configure, *write, *read_)
    for name in dict.fromkeys(everyone):
        permissions = (
            PermissionSetting(
                vhost, configure.get(name, ".*"), write.get(name, ".*"), read_.get(name, ".*")
            )
            for vhost in vhosts
            if re.search(patterns.get(name, ""), vhost)
        )
        users.append(
            UserSetting(
                name,
                passwords.get(name, ""),
                tags.get(name, ()),
                tuple(permissions),
                password_hash=hashes.get(name, ""),
            )
        )
    return tuple({user.name: user for user in users}.values())


def _default_user(given: Given, base: UserSetting, vhost: str) -> UserSetting:
    tags = tuple(tag for tag, on in given.family(keys.DEFAULT_TAG).items() if on)
    permission = PermissionSetting(
        vhost,
        given.get(keys.DEFAULT_CONFIGURE, ".*"),
        given.get(keys.DEFAULT_WRITE, ".*"),
        given.get(keys.DEFAULT_READ, ".*"),
    )
    return UserSetting(
        given.get(keys.DEFAULT_USER, base.name),
        given.get(keys.DEFAULT_PASS, base.password),
        tags if given.has(keys.DEFAULT_TAG) else base.tags,
        (permission,),
    )
