"""Every setting of amqpd, one row each: its key, what its value looks like, its other names.

Keys are RabbitMQ's where RabbitMQ has the setting; those that are amqpd's own are marked "ours".
A part that starts with `$` stands for any one word. What a setting means, its unit and its default
are told once, in `conf/amqpd.conf`; a test holds that file against this table.

To add a setting: a row here, its use in `load`, its paragraph in `conf/amqpd.conf`. An environment
variable (`environment`) and `--set` come by themselves.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from amqpd import profile
from amqpd.config import values
from amqpd.config.values import Parser
from amqpd.limits import CONTENT_BYTES_MAX, FRAME_MIN_BYTES

T_co = TypeVar("T_co", covariant=True)

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
GIB: Final = 1 << 30
EIB: Final = 1 << 60
TLS_VERSIONS: Final = ("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3")

MECHANISMS: Final = ("PLAIN", "AMQPLAIN", "EXTERNAL", "ANONYMOUS")

# RabbitMQ's levels and what each is here, where there are fewer.
LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "alert": "critical",
    "emergency": "critical",
    "none": "none",
}


@dataclass(frozen=True)
class Key(Generic[T_co]):
    """One setting, or with `$` parts a family of settings."""

    name: str
    parse: Parser[T_co]
    aliases: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The words of the name."""
        return tuple(self.name.split("."))

    @property
    def is_family(self) -> bool:
        """Some part of the name is free."""
        return "$" in self.name

    def free_parts(self, key: tuple[str, ...]) -> tuple[str, ...] | None:
        """The words that stand for the `$` parts, or None if `key` is another setting."""
        if len(key) != len(self.parts):
            return None
        pairs = list(zip(self.parts, key, strict=True))
        if any(part != word and not part.startswith("$") for part, word in pairs):
            return None
        return tuple(word for part, word in pairs if part.startswith("$"))


# Listeners
TCP: Final = Key("listeners.tcp", values.choice("none"))
TCP_NAMED: Final = Key("listeners.tcp.$name", values.address)
SSL: Final = Key("listeners.ssl", values.choice("none"))
SSL_NAMED: Final = Key("listeners.ssl.$name", values.address)
BACKLOG: Final = Key("tcp_listen_options.backlog", values.number(1, 65535))
NODELAY: Final = Key("tcp_listen_options.nodelay", values.switch)
KEEPALIVE: Final = Key("tcp_listen_options.keepalive", values.switch)

# TLS
CERTFILE: Final = Key("ssl_options.certfile", values.text)
KEYFILE: Final = Key("ssl_options.keyfile", values.text)
KEY_PASSWORD: Final = Key("ssl_options.password", values.secret)
CACERTFILE: Final = Key("ssl_options.cacertfile", values.text)
VERIFY: Final = Key("ssl_options.verify", values.choice("verify_none", "verify_peer"))
FAIL_IF_NO_PEER_CERT: Final = Key("ssl_options.fail_if_no_peer_cert", values.switch)
VERSIONS: Final = Key("ssl_options.versions.$version", values.choice(*TLS_VERSIONS))
CIPHERS: Final = Key("ssl_options.ciphers.$cipher", values.filled)
LOGIN_FROM: Final = Key(
    "ssl_cert_login_from",
    values.choice("distinguished_name", "common_name", "subject_alternative_name"),
)
SAN_TYPE: Final = Key("ssl_cert_login_san_type", values.choice("dns", "ip", "email", "uri"))
SAN_INDEX: Final = Key("ssl_cert_login_san_index", values.number(0, 255))
TLS_HANDSHAKE_TIMEOUT: Final = Key("ssl_handshake_timeout", values.duration_ms(1, DAY_MS))

# Vhosts, users, permissions
DEFAULT_VHOST: Final = Key("default_vhost", values.filled)
VHOSTS: Final = Key("vhosts.$name", values.filled)  # ours
DEFAULT_USER: Final = Key("default_user", values.filled)
DEFAULT_PASS: Final = Key("default_pass", values.secret)
DEFAULT_TAG: Final = Key("default_user_tags.$tag", values.switch)
DEFAULT_CONFIGURE: Final = Key("default_permissions.configure", values.pattern)
DEFAULT_WRITE: Final = Key("default_permissions.write", values.pattern)
DEFAULT_READ: Final = Key("default_permissions.read", values.pattern)
USER_PASSWORD: Final = Key("default_users.$name.password", values.secret)
USER_PASSWORD_HASH: Final = Key("default_users.$name.password_hash", values.filled)  # ours
USER_TAGS: Final = Key("default_users.$name.tags", values.names)
USER_VHOST_PATTERN: Final = Key("default_users.$name.vhost_pattern", values.pattern)
USER_CONFIGURE: Final = Key("default_users.$name.configure", values.pattern)
USER_WRITE: Final = Key("default_users.$name.write", values.pattern)
USER_READ: Final = Key("default_users.$name.read", values.pattern)
DEFINITIONS: Final = Key("load_definitions", values.filled, ("management.load_definitions",))
DEFINITIONS_BACKEND: Final = Key(
    "definitions.import_backend", values.choice("local_filesystem", "local")
)
DEFINITIONS_PATH: Final = Key("definitions.local.path", values.filled)
# accepted: an import that changes nothing costs nothing
DEFINITIONS_SKIP: Final = Key("definitions.skip_if_unchanged", values.switch)
LOOPBACK: Final = Key("loopback_users", values.choice("none"))
LOOPBACK_USER: Final = Key("loopback_users.$user", values.switch)
ANONYMOUS_USER: Final = Key("anonymous_login_user", values.filled)
MECHANISM: Final = Key("auth_mechanisms.$name", values.choice(*MECHANISMS))

# Limits
HEARTBEAT: Final = Key("heartbeat", values.number(0, 65535, "seconds"))
FRAME_MAX: Final = Key("frame_max", values.size(0, CONTENT_BYTES_MAX))
CHANNEL_MAX: Final = Key("channel_max", values.number(0, 65535), ("max_channels_per_connection",))
CONNECTION_MAX: Final = Key("connection_max", values.bound(1, 10_000_000), ("max_connections",))
CONSUMER_MAX: Final = Key("consumer_max_per_channel", values.bound(1, 10_000_000))
MESSAGE_MAX: Final = Key("max_message_size", values.size(1, CONTENT_BYTES_MAX))
CONSUMER_TIMEOUT: Final = Key("consumer_timeout", values.timeout_ms(1, 365 * DAY_MS))
HANDSHAKE_TIMEOUT: Final = Key("handshake_timeout", values.duration_ms(1, DAY_MS))
SILENT_CLOSE: Final = Key("limits.silent_close_ms", values.duration_ms(1, MINUTE_MS))  # ours
CLOSING: Final = Key("limits.closing_ms", values.duration_ms(1, 10 * MINUTE_MS))  # ours
OUTBOX: Final = Key("limits.outbox_bytes", values.size(FRAME_MIN_BYTES, GIB))  # ours

# Memory and disk
MEMORY_RELATIVE: Final = Key("vm_memory_high_watermark.relative", values.ratio(0, 1))
MEMORY_ABSOLUTE: Final = Key("vm_memory_high_watermark.absolute", values.size(0, EIB))
DISK_RELATIVE: Final = Key("disk_free_limit.relative", values.ratio(0, 100))
DISK_ABSOLUTE: Final = Key("disk_free_limit.absolute", values.size(0, EIB))
MONITOR_INTERVAL: Final = Key("memory_monitor_interval", values.duration_ms(10, MINUTE_MS))
RECEIVED: Final = Key("watermark.received_bytes", values.size(65536, EIB))  # ours

# Sockets
WRITE_HIGH: Final = Key("sockets.write_high_bytes", values.size(4096, GIB))  # ours
WRITE_LOW: Final = Key("sockets.write_low_bytes", values.size(0, GIB))  # ours
WRITE_HELD: Final = Key("sockets.write_held_bytes", values.size(4096, EIB))  # ours
DRAIN: Final = Key("sockets.drain_ms", values.duration_ms(0, 10 * MINUTE_MS))  # ours
LINGER: Final = Key("sockets.linger_ms", values.duration_ms(0, 10 * MINUTE_MS))  # ours
SHUTDOWN: Final = Key("sockets.shutdown_ms", values.duration_ms(0, 10 * MINUTE_MS))  # ours

# Log
LOG_CONSOLE: Final = Key("log.console", values.switch)
LOG_CONSOLE_LEVEL: Final = Key("log.console.level", values.choice(*LEVELS))
LOG_CONSOLE_FORMAT: Final = Key("log.console.formatter", values.choice("plaintext", "json"))
LOG_FILE: Final = Key("log.file", values.filled)  # a path, or false
LOG_FILE_LEVEL: Final = Key("log.file.level", values.choice(*LEVELS))
LOG_FILE_FORMAT: Final = Key("log.file.formatter", values.choice("plaintext", "json"))
LOG_DIR: Final = Key("log.dir", values.filled)
LOG_LEVEL: Final = Key("log.default.level", values.choice(*LEVELS))

# The program
DATA_DIR: Final = Key("data_dir", values.filled)  # ours
STORE: Final = Key("store", values.choice("disk", "memory"))  # ours
STORE_SYNC: Final = Key("store.sync", values.switch)  # ours
SEGMENT: Final = Key("store.segment_bytes", values.size(65536, GIB))  # ours
WAITING: Final = Key("store.waiting_bytes", values.size(0, EIB))  # ours
EVENT_LOOP: Final = Key("event_loop", values.choice("auto", "uvloop", "asyncio"))  # ours
RABBITMQ_VERSION: Final = Key("rabbitmq_version", values.choice(*profile.NAMES))  # ours
PERMIT: Final = Key("deprecated_features.permit.$name", values.switch)
CLUSTER_NAME: Final = Key("cluster_name", values.filled)
PRODUCT_NAME: Final = Key("product.name", values.filled)
PRODUCT_VERSION: Final = Key("product.version", values.filled)

# What short options and RABBITMQ_NODE_* set. No file can: a key there has no parentheses.
BIND: Final = Key("(bind)", values.names)
PORT: Final = Key("(port)", values.number(0, values.PORT_MAX))
TLS_PORT: Final = Key("(tls_port)", values.number(0, values.PORT_MAX))
USER: Final = Key("(user).$name", values.secret)

KEYS: Final[tuple[Key[object], ...]] = tuple(
    value for name, value in list(globals().items()) if name.isupper() and isinstance(value, Key)
)
