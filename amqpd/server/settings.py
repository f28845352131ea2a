"""Everything that one server needs to be told, as typed values without behaviour.

The configuration file, the environment and the command line end up here; nothing below reads any
of them. Cold values: read at start, never on a hot path.
"""

from dataclasses import dataclass, field
from typing import Final

from amqpd.limits import Limits
from amqpd.profile import V3_13, Profile, profile_of

MIB: Final = 1048576


@dataclass(frozen=True)
class Listener:
    """An address to listen on."""

    host: str = "127.0.0.1"  # "" = every interface, IPv4 and IPv6
    port: int = 5672  # 0 = any free one
    tls: bool = False


@dataclass(frozen=True)
class TlsSettings:
    """Certificates and rules of the TLS listeners, named as RabbitMQ's `ssl_options` are."""

    certfile: str = ""
    keyfile: str = ""  # "" = in certfile
    password: str = ""  # of the key file
    cacertfile: str = ""
    verify: bool = False  # ask clients for a certificate (verify_peer)
    fail_if_no_peer_cert: bool = False
    versions: tuple[str, ...] = ("tlsv1.2", "tlsv1.3")
    ciphers: str = ""  # OpenSSL's notation, "" = its defaults
    # distinguished_name, common_name or subject_alternative_name
    cert_login_from: str = "distinguished_name"
    # dns, ip, email or uri, and which of several (0 = the first)
    cert_login_san_type: str = "dns"
    cert_login_san_index: int = 0
    handshake_timeout_ms: int = 5000


@dataclass(frozen=True)
class PermissionSetting:
    """What a user may do in a vhost, as three regular expressions over resource names."""

    vhost: str = "/"
    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"


@dataclass(frozen=True)
class UserSetting:
    """A user; a hash, where there is one, wins over the password."""

    name: str
    password: str = ""
    tags: tuple[str, ...] = ()
    permissions: tuple[PermissionSetting, ...] = ()
    password_hash: str = ""  # RabbitMQ's base64(salt + digest)
    hash_algorithm: str = "rabbit_password_hashing_sha256"


@dataclass(frozen=True)
class LogSettings:
    """Where the log goes and what it looks like."""

    level: str = "info"  # debug, info, warning, error, critical or none
    format: str = "text"  # text (key=value) or json
    file: str = ""  # "" = standard output


@dataclass(frozen=True)
class WatermarkSettings:
    """From which point on publishers have to wait.

    | setting | unit | default | precedent |
    |---|---|---|---|
    | memory_relative | share of RAM or of the cgroup's limit | 0.4 | RabbitMQ 3.13 |
    | memory_absolute | bytes of resident memory; wins over relative | none | |
    | disk_free_bytes | bytes free on the data directory's file system | 50 MB | RabbitMQ |
    | disk_free_relative | multiple of RAM; wins over disk_free_bytes | none | RabbitMQ |
    | interval_ms | ms between checks | 1000 | RabbitMQ: 2500 memory, 100-10000 disk |
    | received_bytes | bytes received between checks; or 1/8 of the disk's limit | 64 MiB | |
    """

    memory_relative: float = 0.4
    memory_absolute: int | None = None
    disk_free_bytes: int = 50_000_000
    disk_free_relative: float | None = None
    interval_ms: int = 1000
    received_bytes: int = 64 * MIB


@dataclass(frozen=True)
class SocketSettings:
    """How client sockets are treated.

    | setting | unit | default | precedent |
    |---|---|---|---|
    | backlog | connections not yet accepted | 1024 | RabbitMQ: 128; pools open in bursts |
    | nodelay | | on | RabbitMQ |
    | keepalive | TCP's own | off | RabbitMQ |
    | write_high_bytes | bytes buffered above which a peer gets no more deliveries | 512 KiB | |
    | write_low_bytes | bytes buffered below which it gets them again | 128 KiB | |
    | write_held_bytes | bytes buffered above which it is not read either | 16 MiB | |
    | drain_ms | ms for the last bytes to go out of a socket being closed | 5000 | |
    | linger_ms | ms to wait for the peer to close its side after ours | 1000 | nginx: 5000 |
    | shutdown_ms | ms for all clients to answer the close at a stop | 5000 | docker: 10 s |
    """

    backlog: int = 1024
    nodelay: bool = True
    keepalive: bool = False
    write_high_bytes: int = 512 * 1024
    write_low_bytes: int = 128 * 1024
    write_held_bytes: int = 16 * MIB
    drain_ms: int = 5000
    linger_ms: int = 1000
    shutdown_ms: int = 5000


GUEST: Final = UserSetting("guest", "guest", ("administrator",), (PermissionSetting(),))


@dataclass(frozen=True)
class Settings:
    """All of it; the defaults are a broker for one developer on the loopback interface."""

    listeners: tuple[Listener, ...] = (Listener(),)
    tls: TlsSettings = field(default_factory=TlsSettings)
    sockets: SocketSettings = field(default_factory=SocketSettings)
    data_dir: str = "amqpd-data"
    in_memory: bool = True  # nothing is stored; the program's own default is to store
    syncing: bool = True  # confirms wait for fdatasync, not only for the write
    segment_bytes: int = 64 * MIB  # of one journal file
    waiting_bytes: int = 128 * MIB  # of ready messages in memory, above which long queues page
    vhosts: tuple[str, ...] = ("/",)
    users: tuple[UserSetting, ...] = (GUEST,)
    definitions: str = ""  # a file of RabbitMQ's definitions, or a folder of them
    limits: Limits = field(default_factory=Limits)
    profile: Profile = V3_13  # the RabbitMQ version that is imitated
    watermark: WatermarkSettings = field(default_factory=WatermarkSettings)
    log: LogSettings = field(default_factory=LogSettings)
    loop: str = "auto"  # uvloop, asyncio, or auto: uvloop where it is installed


def like_rabbitmq(version: str, permissions: dict[str, bool] | None = None) -> Settings:
    """Settings of a broker that is like this version of RabbitMQ: 3.13, 4.0 or 4.3.

    `permissions` are the deprecated features that are permitted or forbidden against its habit.
    """
    profile = profile_of(version, permissions)
    limits = Limits(
        version=profile.version,
        message_bytes_max=profile.message_bytes_max,
        mechanisms=profile.mechanisms,
    )
    return Settings(limits=limits, profile=profile)
