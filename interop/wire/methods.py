"""Every method's number, name and fields (AMQP 0-9-1 with RabbitMQ's extensions)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Method:
    """One method: fields as (name, type), in the order in which they are sent."""

    class_id: int
    method_id: int
    name: str
    fields: tuple[tuple[str, str], ...]
    has_content: bool


# Types: octet, short, long, longlong, shortstr, longstr, table, bit. A name that begins with
# "reserved" is sent empty. A star marks the methods that carry a message.
_TEXT: Final = """
10 10 connection.start version-major:octet version-minor:octet server-properties:table \
 mechanisms:longstr locales:longstr
10 11 connection.start-ok client-properties:table mechanism:shortstr response:longstr \
 locale:shortstr
10 20 connection.secure challenge:longstr
10 21 connection.secure-ok response:longstr
10 30 connection.tune channel-max:short frame-max:long heartbeat:short
10 31 connection.tune-ok channel-max:short frame-max:long heartbeat:short
10 40 connection.open virtual-host:shortstr reserved-1:shortstr reserved-2:bit
10 41 connection.open-ok reserved-1:shortstr
10 50 connection.close reply-code:short reply-text:shortstr class-id:short method-id:short
10 51 connection.close-ok
10 60 connection.blocked reason:shortstr
10 61 connection.unblocked
10 70 connection.update-secret new-secret:longstr reason:shortstr
10 71 connection.update-secret-ok
20 10 channel.open reserved-1:shortstr
20 11 channel.open-ok reserved-1:longstr
20 20 channel.flow active:bit
20 21 channel.flow-ok active:bit
20 40 channel.close reply-code:short reply-text:shortstr class-id:short method-id:short
20 41 channel.close-ok
30 10 access.request realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit
30 11 access.request-ok ticket:short
40 10 exchange.declare reserved-1:short exchange:shortstr type:shortstr passive:bit durable:bit \
 auto-delete:bit internal:bit no-wait:bit arguments:table
40 11 exchange.declare-ok
40 20 exchange.delete reserved-1:short exchange:shortstr if-unused:bit no-wait:bit
40 21 exchange.delete-ok
40 30 exchange.bind reserved-1:short destination:shortstr source:shortstr routing-key:shortstr \
 no-wait:bit arguments:table
40 31 exchange.bind-ok
40 40 exchange.unbind reserved-1:short destination:shortstr source:shortstr routing-key:shortstr \
 no-wait:bit arguments:table
40 51 exchange.unbind-ok
50 10 queue.declare reserved-1:short queue:shortstr passive:bit durable:bit exclusive:bit \
 auto-delete:bit no-wait:bit arguments:table
50 11 queue.declare-ok queue:shortstr message-count:long consumer-count:long
50 20 queue.bind reserved-1:short queue:shortstr exchange:shortstr routing-key:shortstr \
 no-wait:bit arguments:table
50 21 queue.bind-ok
50 30 queue.purge reserved-1:short queue:shortstr no-wait:bit
50 31 queue.purge-ok message-count:long
50 40 queue.delete reserved-1:short queue:shortstr if-unused:bit if-empty:bit no-wait:bit
50 41 queue.delete-ok message-count:long
50 50 queue.unbind reserved-1:short queue:shortstr exchange:shortstr routing-key:shortstr \
 arguments:table
50 51 queue.unbind-ok
60 10 basic.qos prefetch-size:long prefetch-count:short global:bit
60 11 basic.qos-ok
60 20 basic.consume reserved-1:short queue:shortstr consumer-tag:shortstr no-local:bit no-ack:bit \
 exclusive:bit no-wait:bit arguments:table
60 21 basic.consume-ok consumer-tag:shortstr
60 30 basic.cancel consumer-tag:shortstr no-wait:bit
60 31 basic.cancel-ok consumer-tag:shortstr
60 40 basic.publish* reserved-1:short exchange:shortstr routing-key:shortstr mandatory:bit \
 immediate:bit
60 50 basic.return* reply-code:short reply-text:shortstr exchange:shortstr routing-key:shortstr
60 60 basic.deliver* consumer-tag:shortstr delivery-tag:longlong redelivered:bit \
 exchange:shortstr routing-key:shortstr
60 70 basic.get reserved-1:short queue:shortstr no-ack:bit
60 71 basic.get-ok* delivery-tag:longlong redelivered:bit exchange:shortstr \
 routing-key:shortstr message-count:long
60 72 basic.get-empty reserved-1:shortstr
60 80 basic.ack delivery-tag:longlong multiple:bit
60 90 basic.reject delivery-tag:longlong requeue:bit
60 100 basic.recover-async requeue:bit
60 110 basic.recover requeue:bit
60 111 basic.recover-ok
60 120 basic.nack delivery-tag:longlong multiple:bit requeue:bit
85 10 confirm.select no-wait:bit
85 11 confirm.select-ok
90 10 tx.select
90 11 tx.select-ok
90 20 tx.commit
90 21 tx.commit-ok
90 30 tx.rollback
90 31 tx.rollback-ok
"""

# Basic properties in the order of their flags, from bit 15 downwards.
PROPERTIES: Final = (
    ("content-type", "shortstr"),
    ("content-encoding", "shortstr"),
    ("headers", "table"),
    ("delivery-mode", "octet"),
    ("priority", "octet"),
    ("correlation-id", "shortstr"),
    ("reply-to", "shortstr"),
    ("expiration", "shortstr"),
    ("message-id", "shortstr"),
    ("timestamp", "longlong"),
    ("type", "shortstr"),
    ("user-id", "shortstr"),
    ("app-id", "shortstr"),
    ("cluster-id", "shortstr"),
)
PROPERTY_NAMES: Final = frozenset(name for name, _ in PROPERTIES)


def _read(line: str) -> Method:
    class_id, method_id, name, *fields = line.split()
    pairs = tuple((field, kind) for field, kind in (text.split(":") for text in fields))
    return Method(int(class_id), int(method_id), name.rstrip("*"), pairs, name.endswith("*"))


BY_NAME: Final = {
    method.name: method for method in map(_read, _TEXT.strip().replace("\\\n", "").splitlines())
}
BY_NUMBER: Final = {(method.class_id, method.method_id): method for method in BY_NAME.values()}

# Requests and what answers them; basic.get has two answers.
ANSWERS: Final = {
    name: tuple(
        answer
        for answer in (f"{name}-ok", f"{name}-empty")
        if answer in BY_NAME and name not in ("connection.start", "connection.tune")
    )
    for name in BY_NAME
}
