"""Every bound of the broker: its unit, its default, and where the number comes from.

One `Limits` object is made from the configuration and handed to whoever needs it; nothing reads a
setting from anywhere else. Bounds that no setting changes are constants.
"""

from typing import Final

# The largest content that the frame layer takes, whatever is configured (bytes; RabbitMQ: 512 MiB).
CONTENT_BYTES_MAX: Final = 536870912

# frame_max before tune (bytes; spec 4.2.3, RabbitMQ 3.13's initial_frame_max), and its minimum.
FRAME_MIN_BYTES: Final = 4096

# Nested tables and arrays of a field table; a deeper one is refused as undecodable.
TABLE_DEPTH_MAX: Final = 128

# Exchanges that one publish may pass through by exchange-to-exchange bindings.
ROUTE_EXCHANGES_MAX: Final = 65536

# Routes that a channel remembers; the cache starts afresh when full.
ROUTE_CACHE_MAX: Final = 1024

# How many 2-second steps the silence after a refused login may take is RabbitMQ's 3 s.
SILENT_CLOSE_MS: Final = 3000

# Wait for close-ok after a connection.close of ours (ms; RabbitMQ's CLOSING_TIMEOUT).
CLOSING_MS: Final = 30000


class Limits:
    """The configurable bounds of one broker, and the identity that it shows to clients.

    | bound | unit | default | precedent |
    |---|---|---|---|
    | channel_max | channels per connection, 0 = no limit | 2047 | RabbitMQ |
    | frame_max | bytes of a whole frame, 0 = no limit | 131072 | RabbitMQ |
    | frame_min | bytes, smallest frame_max accepted | 4096 | spec 4.2.3 |
    | heartbeat_s | seconds proposed, 0 = off | 60 | RabbitMQ |
    | handshake_timeout_ms | ms from accept to connection.open | 10000 | RabbitMQ |
    | silent_close_ms | ms until a refused peer's socket is closed | 3000 | RabbitMQ |
    | closing_ms | ms to wait for close-ok | 30000 | RabbitMQ |
    | message_bytes_max | bytes of a body | 134217728 | RabbitMQ 3.13 |
    | connection_max | connections, 0 = no limit | 0 | RabbitMQ |
    | consumer_max_per_channel | consumers, 0 = no limit | 0 | RabbitMQ |
    | consumer_timeout_ms | ms that a delivery may be unacked, 0 = no limit | 1800000 | RabbitMQ |
    | channel_tick_ms | ms between two looks at that | 60000 | RabbitMQ |
    | outbox_bytes | bytes that one turn may add to a connection's outbox | 512 KiB | measured |
    """

    def __init__(
        self,
        *,
        channel_max: int = 2047,
        frame_max: int = 131072,
        frame_min: int = FRAME_MIN_BYTES,
        heartbeat_s: int = 60,
        handshake_timeout_ms: int = 10000,
        silent_close_ms: int = SILENT_CLOSE_MS,
        closing_ms: int = CLOSING_MS,
        message_bytes_max: int = 134217728,
        connection_max: int = 0,
        consumer_max_per_channel: int = 0,
        consumer_timeout_ms: int = 1800000,
        channel_tick_ms: int = 60000,
        outbox_bytes: int = 524288,
        product: str = "RabbitMQ",
        version: str = "3.13.7",
        platform: str = "amqpd",
        cluster_name: str = "amqpd@localhost",
        information: str = "amqpd, an AMQP 0-9-1 broker that speaks RabbitMQ's dialect",
        mechanisms: tuple[str, ...] = ("PLAIN", "AMQPLAIN"),
        loopback_users: tuple[str, ...] = ("guest",),
        anonymous_user: str = "guest",
    ) -> None:
        assert 0 <= channel_max <= 65535 and (frame_max == 0 or frame_max >= frame_min)
        assert 0 <= heartbeat_s <= 65535 and 0 < message_bytes_max <= CONTENT_BYTES_MAX
        self.channel_max: Final = channel_max
        self.frame_max: Final = frame_max
        self.frame_min: Final = frame_min
        self.heartbeat_s: Final = heartbeat_s
        self.handshake_timeout_ms: Final = handshake_timeout_ms
        self.silent_close_ms: Final = silent_close_ms
        self.closing_ms: Final = closing_ms
        self.message_bytes_max: Final = message_bytes_max
        self.connection_max: Final = connection_max
        self.consumer_max_per_channel: Final = consumer_max_per_channel
        self.consumer_timeout_ms: Final = consumer_timeout_ms
        self.channel_tick_ms: Final = channel_tick_ms
        self.outbox_bytes: Final = outbox_bytes
        self.product: Final = product
        self.version: Final = version
        self.platform: Final = platform
        self.cluster_name: Final = cluster_name
        self.information: Final = information
        self.mechanisms: Final = mechanisms
        self.loopback_users: Final = loopback_users
        self.anonymous_user: Final = anonymous_user  # who logs in by ANONYMOUS ("none" = nobody)
