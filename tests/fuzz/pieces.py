"""What a client may say: single writes, most of them in order, drawn from a seed.

A conversation is a list of pieces, each a frame or a few that belong together. Names come from
short lists, so that pieces of several clients meet in the same queues and exchanges.
"""

import random
import struct
from collections.abc import Callable
from typing import Any

from pamqp import base, commands

from amqpd.limits import Limits
from tests.peers import codec
from tests.peers.codec import Typed

QUEUES = ("", "q0", "q1", "q2", "é", "amq.rabbitmq.reply-to", "amq.gen-x", "a\nb")
EXCHANGES = ("", "x0", "x1", "x2", "amq.direct", "amq.topic", "amq.fanout", "amq.headers", "amq.x")
TYPES = ("direct", "fanout", "topic", "headers", "", "x-unknown")
KEYS = ("", "k", "q0", "q1", "a.b.c", "#", "*.b.#", "a..b", ".", "é", "k" * 255)
TAGS = ("", "c0", "c1", "é", "t" * 255)
NUMBERS = (0, 1, 2, 3, 5, 10, 127, 128, 255, 256, 4096, 65535, 1 << 31, (1 << 32) - 1, 1 << 63)
ARGUMENTS = (
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-priority",
    "x-overflow",
    "x-queue-type",
    "x-queue-mode",
    "x-queue-version",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-single-active-consumer",
    "x-priority",
    "x-match",
    "alternate-exchange",
    "CC",
    "BCC",
    "a",
    "",
)
TEXTS = ("all", "any", "all-with-x", "classic", "lazy", "q0", "x1", "a.b.c", "", "é", b"\xff\xfe")
SCALAR_TAGS = "SIilLsubBtfdDTVx"


def start_ok(rng: random.Random) -> bytes:
    """Log in, mostly rightly."""
    response = rng.choice([b"\0guest\0guest"] * 40 + [b"\0guest\0wrong", b"", b"\0\0\0", b"x"])
    mechanism = rng.choice(["PLAIN"] * 40 + ["AMQPLAIN"] * 4 + ["EXTERNAL", "", "é"])
    if mechanism == "AMQPLAIN":
        response = codec.encode_table({"LOGIN": "guest", "PASSWORD": "guest"})[4:]
    names = ("consumer_cancel_notify", "authentication_failure_close", "connection.blocked")
    capabilities = {name: rng.random() < 0.7 for name in names}
    properties: dict[str, Any] = {"product": "fuzz", "capabilities": capabilities}
    if rng.random() < 0.1:
        properties["capabilities"] = value(rng, 3)
    if rng.random() < 0.1:
        properties[rng.choice(ARGUMENTS)] = value(rng, 3)
    method = codec.make(
        commands.Connection.StartOk,
        client_properties=properties,
        mechanism=mechanism,
        response=response,
        locale="en_US",
    )
    return codec.method_frame(0, method)


def handshake(rng: random.Random, limits: Limits) -> list[bytes]:
    """Connect: most of the time as a client should."""
    tune = codec.make(
        commands.Connection.TuneOk,
        channel_max=limits.channel_max,
        frame_max=rng.choice([limits.frame_max, 4096]),
        heartbeat=rng.choice([0, 0, 0, 1, 60, 65535]),
    )
    if rng.random() < 0.05:
        tune.channel_max = rng.choice([0, 1, 5, 65535])
    if rng.random() < 0.05:
        tune.frame_max = rng.choice([0, 4095, 5000, 1 << 31])
    vhost = rng.choice(["/"] * 100 + ["", "gone", "é"])
    return [
        codec.PROTOCOL_HEADER,
        start_ok(rng),
        codec.method_frame(0, tune),
        codec.method_frame(0, codec.make(commands.Connection.Open, virtual_host=vhost)),
        codec.method_frame(1, commands.Channel.Open()),
        codec.method_frame(2, commands.Channel.Open()),
    ]


def furniture(rng: random.Random) -> list[bytes]:
    """Declare the queues and exchanges that other pieces speak of, and bind some."""
    made = []
    for queue in ("q0", "q1", "q2", "safe"):
        durable = queue == "safe"
        declare = codec.make(commands.Queue.Declare, queue=queue, durable=durable, nowait=True)
        made.append(codec.method_frame(1, declare))
    for exchange, kind in (("x0", "direct"), ("x1", "topic"), ("x2", "headers")):
        made.append(
            codec.method_frame(
                1,
                codec.make(
                    commands.Exchange.Declare, exchange=exchange, exchange_type=kind, nowait=True
                ),
            )
        )
    for _ in range(4):
        bind = codec.make(
            commands.Queue.Bind,
            queue=rng.choice(["q0", "q1", "q2", "safe"]),
            exchange=rng.choice(["x0", "x1", "x2", "amq.fanout"]),
            routing_key=rng.choice(KEYS),
            nowait=True,
        )
        made.append(codec.method_frame(1, bind))
    return made


# -- tables ----------------------------------------------------------------------------------------


def value(rng: random.Random, depth: int) -> Any:
    """Draw a table value of any tag."""
    if depth and rng.random() < 0.2:
        if rng.random() < 0.5:
            return table(rng, depth - 1)
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    tag = rng.choice(SCALAR_TAGS)
    if tag in "Sx":
        return Typed(tag, rng.choice(TEXTS))
    if tag == "t":
        return Typed(tag, rng.random() < 0.5)
    if tag in "fd":
        return Typed(tag, rng.choice([0.0, -1.5, float("inf"), float("nan")]))
    if tag == "D":
        return Typed(tag, (rng.randrange(256), rng.choice(NUMBERS) & 0xFFFFFFFF))
    if tag == "V":
        return Typed(tag, None)
    bits = {"b": 8, "B": 8, "s": 16, "u": 16, "I": 32, "i": 32, "l": 64, "L": 64, "T": 64}[tag]
    number = rng.choice(NUMBERS) & ((1 << bits) - 1)
    if tag in "bsIlL" and number >= 1 << bits - 1:
        number -= 1 << bits
    return Typed(tag, number)


def table(rng: random.Random, depth: int = 2) -> dict[str, Any]:
    """Draw a table."""
    return {rng.choice(ARGUMENTS): value(rng, depth) for _ in range(rng.randrange(4))}


def nested(depth: int, tag: str, key: str = "n") -> bytes:
    """Encode a table in which containers nest so deep; also deeper than any broker takes."""
    inner = struct.pack(">I", 0)
    for _ in range(depth - 1):
        name = b"" if tag == "A" else b"\1n"
        inner = struct.pack(">I", len(name) + 1 + len(inner)) + name + tag.encode() + inner
    entry = codec.encode_shortstr(key) + tag.encode() + inner
    return struct.pack(">I", len(entry)) + entry


def hostile_table(rng: random.Random) -> bytes:
    """Encode a table that is deep, false about its length, or full of one name."""
    kind = rng.randrange(5)
    if kind == 0:
        return nested(rng.choice([1, 100, 125, 126, 127, 128, 129, 400]), rng.choice("FA"))
    if kind == 1:
        entry = b"\1a" + rng.choice(SCALAR_TAGS + "?\0\xff").encode("latin-1")
        body = entry + rng.randbytes(rng.randrange(12))
        return struct.pack(">I", len(body)) + body
    if kind == 2:
        return struct.pack(">I", rng.choice(NUMBERS) & 0xFFFFFFFF) + rng.randbytes(6)
    if kind == 3:
        body = b"\1aV" * rng.randrange(1, 300)
        return struct.pack(">I", len(body)) + body
    size = rng.choice([5, 0x7FFFFFFF, 0xFFFFFFFF])
    body = b"\1a" + rng.choice([b"S", b"F", b"A", b"x"]) + struct.pack(">I", size) + b"abc"
    return struct.pack(">I", len(body)) + body


# -- methods ---------------------------------------------------------------------------------------


def fields_of(rng: random.Random, kind: type[base.Frame]) -> dict[str, Any]:
    """Draw all fields of a method, names from the lists."""
    names = {
        "queue": QUEUES,
        "exchange": EXCHANGES,
        "source": EXCHANGES,
        "destination": EXCHANGES,
        "exchange_type": TYPES,
        "routing_key": KEYS,
        "consumer_tag": TAGS,
    }
    drawn: dict[str, Any] = {}
    for name in kind.__slots__:
        amqp_type = kind.amqp_type(name)
        if name in names:
            drawn[name] = rng.choice(names[name])
        elif amqp_type == "bit":
            seldom = name in ("exclusive", "internal", "passive", "no_ack", "immediate")
            drawn[name] = rng.random() < (0.1 if seldom else 0.3)
        elif amqp_type in ("shortstr", "longstr"):
            drawn[name] = rng.choice(KEYS)
        elif amqp_type == "table":
            drawn[name] = table(rng)
        elif name == "delivery_tag":
            drawn[name] = rng.choice([0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 1 << 63, (1 << 64) - 1])
        elif name == "prefetch_count":
            drawn[name] = rng.choice([0, 1, 2, 3, 65535])
        elif name == "prefetch_size" or name == "ticket":
            drawn[name] = rng.choice([0] * 20 + [1])
        else:
            drawn[name] = rng.choice(NUMBERS) & {"octet": 255, "short": 65535}.get(
                amqp_type, 0xFFFFFFFF
            )
    return drawn


def call(rng: random.Random, kind: type[base.Frame], channel: int, **fields: Any) -> bytes:
    """Encode a method with drawn fields but these."""
    return codec.method_frame(channel, codec.make(kind, **fields_of(rng, kind) | fields))


def with_table(rng: random.Random, channel: int) -> bytes:
    """Encode a method whose table is hostile."""
    kind = rng.choice(
        [commands.Queue.Declare, commands.Exchange.Declare, commands.Basic.Consume]
        + [commands.Queue.Bind, commands.Exchange.Bind, commands.Queue.Unbind]
    )
    payload = codec.encode_method(codec.make(kind, **fields_of(rng, kind) | {"arguments": {}}))
    return codec.frame(codec.METHOD, channel, payload[:-4] + hostile_table(rng))


def properties(rng: random.Random) -> bytes:
    """Encode properties: mostly none or a few."""
    if rng.random() < 0.7:
        return codec.encode_properties({"delivery_mode": 2} if rng.random() < 0.5 else {})
    copies = [rng.choice(["q0", "q1", "k", "é"]) for _ in range(rng.randrange(4))]
    if rng.random() < 0.1:
        return codec.encode_properties({"headers": {rng.choice(["CC", "BCC"]): copies}})
    drawn: dict[str, Any] = {
        "content_type": "a/b",
        "content_encoding": "z",
        "headers": table(rng, 3),
        "delivery_mode": rng.choice([0, 1, 2, 3, 255]),
        "priority": rng.choice([0, 1, 9, 255]),
        "correlation_id": "c",
        "reply_to": rng.choice(["r", "amq.rabbitmq.reply-to"]),
        "expiration": rng.choice(["0", "1000", "", "x", "-1", "10x", "9" * 200, "é", "+5"]),
        "message_id": "m",
        "timestamp": rng.choice(NUMBERS),
        "message_type": "t",
        "user_id": rng.choice(["guest", "other", "é"]),
        "app_id": "a",
        "cluster_id": "",
    }
    chosen = [name for name in drawn if rng.random() < 0.2]
    if rng.random() < 0.1:
        flags = struct.pack(">H", rng.choice([0x2000, 0x2001, 0xFFFC, 0xFFFF, 1, 0x8000]))
        return flags + hostile_table(rng)
    return codec.encode_properties({name: drawn[name] for name in chosen})


def publish(rng: random.Random, channel: int) -> bytes:
    """Encode a publish with its content in one or several body frames."""
    body = rng.randbytes(rng.choice([0, 1, 10, 10, 100, 4000, 5000, 9000]))
    fields: dict[str, Any] = {"immediate": rng.random() < 0.005}
    if rng.random() < 0.7:
        fields |= {"exchange": "", "routing_key": rng.choice(["q0", "q1", "q2", "safe"])}
    elif rng.random() < 0.9:
        fields |= {"exchange": rng.choice(["x0", "x1", "x2", "amq.fanout", "amq.topic"])}
    method = call(rng, commands.Basic.Publish, channel, **fields)
    frame_max = rng.choice([4096] * 6 + [1000, 20, 9008, 9008])
    if frame_max == 20:
        body = body[:100]
    return method + codec.content_frames(channel, properties(rng), body, frame_max)


def wrong_publish(rng: random.Random, channel: int) -> bytes:
    """Encode a publish whose content is not what its header says."""
    head = codec.encode_header(
        properties(rng),
        rng.choice([0, 1, 5, 5000, 1 << 29, (1 << 29) + 1, 1 << 31, 1 << 63, (1 << 64) - 1]),
        rng.choice([60, 60, 60, 50, 0]),
        rng.choice([0, 0, 0, 1]),
    )
    parts = [
        call(rng, commands.Basic.Publish, channel),
        codec.frame(codec.HEADER, channel, head),
        codec.frame(codec.BODY, channel, rng.randbytes(rng.choice([0, 1, 5, 100]))),
        codec.frame(codec.BODY, channel, b""),
    ]
    rng.shuffle(parts) if rng.random() < 0.2 else None
    return b"".join(parts[: rng.randrange(1, 5)])


def any_frame(rng: random.Random, channel: int) -> bytes:
    """Encode a frame of any kind with any payload."""
    kind = rng.choice([0, 1, 1, 1, 2, 3, 4, 8, 8, 9, 255])
    payload = rng.randbytes(rng.choice([0, 1, 4, 13, 20, 300]))
    if kind == 1 and rng.random() < 0.8:
        index = rng.choice([*commands.INDEX_MAPPING, 0x001E000A])
        payload = struct.pack(">I", index) + payload
    end = rng.choice([0xCE] * 20 + [0])
    return codec.frame(kind, rng.choice([0, 1, 2, 3, channel, 65535]), payload, end)


def sensible(rng: random.Random, channel: int) -> bytes:
    """Encode a method that mostly works once the furniture is there."""
    queue = rng.choice(["q0", "q1", "q2", "safe"])
    exchange, kind = rng.choice([("x0", "direct"), ("x1", "topic"), ("x2", "headers")])
    key = rng.choice(KEYS)
    tag = rng.choice(["", "", "", "c0", "c1"])
    priority = {"x-priority": Typed("I", rng.randrange(-2, 3))} if rng.random() < 0.2 else {}
    own = {"exclusive": True} if rng.random() < 0.5 else {"auto_delete": True}
    choices: list[tuple[float, type[base.Frame], dict[str, Any]]] = [
        (2, commands.Queue.Declare, {"queue": queue, "durable": queue == "safe"}),
        (1, commands.Queue.Declare, {"queue": rng.choice(["", "own"])} | own),
        (1, commands.Exchange.Declare, {"exchange": exchange, "exchange_type": kind}),
        (9, commands.Basic.Consume, {"queue": queue, "consumer_tag": tag, "arguments": priority}),
        (1, commands.Basic.Consume, {"queue": queue, "no_ack": True}),
        (1, commands.Basic.Consume, {"queue": "amq.rabbitmq.reply-to", "no_ack": True}),
        (2, commands.Basic.Cancel, {"consumer_tag": tag}),
        (5, commands.Basic.Get, {"queue": queue, "no_ack": rng.random() < 0.3}),
        (4, commands.Basic.Qos, {"prefetch_count": rng.choice([0, 1, 2, 3])}),
        (3, commands.Basic.Ack, {"delivery_tag": 0, "multiple": True}),
        (2, commands.Basic.Nack, {"delivery_tag": 0, "multiple": True, "requeue": True}),
        (1, commands.Basic.Nack, {"delivery_tag": 0, "multiple": True}),
        (1, commands.Basic.Recover, {"requeue": True}),
        (1, commands.Basic.RecoverAsync, {"requeue": True}),
        (3, commands.Queue.Bind, {"queue": queue, "exchange": exchange, "routing_key": key}),
        (1, commands.Queue.Bind, {"queue": queue, "exchange": "amq.fanout"}),
        (2, commands.Exchange.Bind, {"source": exchange, "destination": "x0", "routing_key": key}),
        (1, commands.Queue.Unbind, {"queue": queue, "exchange": exchange, "routing_key": key}),
        (1, commands.Exchange.Unbind, {"source": exchange, "destination": "x0"}),
        (0.5, commands.Queue.Purge, {"queue": queue}),
        (0.5, commands.Queue.Delete, {"queue": queue}),
        (0.2, commands.Exchange.Delete, {"exchange": exchange}),
        (1.5, commands.Confirm.Select, {}),
        (1, commands.Tx.Select, {}),
        (1.5, commands.Tx.Commit, {}),
        (1, commands.Tx.Rollback, {}),
        (0.5, commands.Channel.Flow, {"active": True}),
    ]
    _, chosen, fields = rng.choices(choices, [weight for weight, _, _ in choices])[0]
    method = codec.make(chosen, **fields)
    if chosen is commands.Basic.Qos:
        method.global_ = rng.random() < 0.3  # type: ignore[attr-defined]
    if "nowait" in chosen.__slots__:
        method.nowait = rng.random() < 0.2  # type: ignore[attr-defined]
    return codec.method_frame(channel, method)


def wild(rng: random.Random, channel: int) -> bytes:
    """Encode a method that a client may send, with any fields."""
    return call(rng, rng.choice(WILD), channel)


WILD: tuple[type[base.Frame], ...] = (
    *(commands.Queue.Declare, commands.Queue.Bind, commands.Queue.Unbind),
    *(commands.Queue.Purge, commands.Queue.Delete, commands.Exchange.Declare),
    *(commands.Exchange.Delete, commands.Exchange.Bind, commands.Exchange.Unbind),
    *(commands.Basic.Qos, commands.Basic.Consume, commands.Basic.Cancel, commands.Basic.Get),
    *(commands.Basic.Ack, commands.Basic.Nack, commands.Basic.Reject, commands.Basic.Recover),
    *(commands.Basic.RecoverAsync, commands.Confirm.Select, commands.Tx.Select),
    *(commands.Tx.Commit, commands.Tx.Rollback, commands.Channel.Flow, commands.Channel.CloseOk),
    *(commands.Channel.Close, commands.Channel.FlowOk, commands.Basic.CancelOk),
)


def other(rng: random.Random, channel: int) -> bytes:
    """Encode what seldom comes: ends, channels opened, heartbeats, a new secret, access.request."""
    access = codec.frame(codec.METHOD, channel, b"\x00\x1e\x00\x0a\x01a\x1f")
    return rng.choice(
        [
            codec.method_frame(rng.choice([1, 2, 3, 65535]), commands.Channel.Open()),
            codec.method_frame(3, commands.Channel.CloseOk()),
            codec.HEARTBEAT_FRAME,
            codec.HEARTBEAT_FRAME,
            codec.HEARTBEAT_FRAME,
            call(rng, commands.Connection.UpdateSecret, 0),
            call(rng, commands.Connection.Close, 0),
            access,
            access,
        ]
    )


COMMON: tuple[tuple[float, Callable[[random.Random, int], bytes]], ...] = (
    (30, publish),
    (45, sensible),
    (4, wild),
    (2, other),
    (1, with_table),
    (0.4, wrong_publish),
    (0.2, any_frame),
)
_WEIGHTS = [weight for weight, _ in COMMON]
_MAKERS = [maker for _, maker in COMMON]


def piece(rng: random.Random) -> bytes:
    """Draw what an open connection says next."""
    maker = rng.choices(_MAKERS, _WEIGHTS)[0]
    return maker(rng, rng.choice([1, 1, 1, 2]))


def conversation(rng: random.Random, limits: Limits, length: int) -> list[bytes]:
    """Draw a conversation from its first octet on."""
    made = handshake(rng, limits)
    if rng.random() < 0.8:
        made += furniture(rng)
    return made + [piece(rng) for _ in range(length)]
