"""Dead letters: what becomes of a message that a queue does not keep (RabbitMQ: DLX).

The history of a message is its `x-death` header, an array of tables, the latest event first, one
per queue and reason; a repeat counts up and moves to the front. Rule 1: a message that died by
anything but a reject never goes to a queue that it has been in since its last reject: that would be
a cycle without end. Rule 2: `expiration` is taken out, and kept in the history.
"""

from typing import Final

from amqpd.core.message import Address, Message
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Malformed, Table

REJECTED: Final = "rejected"
EXPIRED: Final = "expired"
MAXLEN: Final = "maxlen"
DELIVERY_LIMIT: Final = "delivery_limit"
REASONS: Final = (REJECTED, EXPIRED, MAXLEN, DELIVERY_LIMIT)

_DEATHS: Final = "x-death"


def history_of(headers: Table) -> list[Table]:
    """Return the entries of x-death, the latest first; what is no entry is left out."""
    field = headers.get(_DEATHS)
    if field is None or not isinstance(field.value, list):
        return []
    return [item.value for item in field.value if isinstance(item.value, dict)]


def _is(entry: Table, key: str, wanted: str) -> bool:
    field = entry.get(key)
    return field is not None and field.tag == "S" and tables.text(field) == wanted


def record_death(
    headers: Table,
    message: Message,
    queue: str,
    reason: str,
    wall_s: int,
    keys: list[str],
    trusts_headers: bool = True,
) -> list[Table]:
    """Put a death into `headers`. Returns the history with it, the latest first.

    What a publisher says of earlier deaths counts only where headers are trusted; else it goes.
    """
    history = history_of(headers)
    if not trusts_headers and not message.died:
        history = []
        for name in [name for name in headers if name.startswith("x-first-death-")]:
            del headers[name]
    current: Table | None = None
    for entry in history:
        if _is(entry, "queue", queue) and _is(entry, "reason", reason):
            current = entry
    if current is not None:
        history.remove(current)
        count = current.get("count")
        times = tables.integer(count) if count is not None else None
        current["count"] = tables.long((times or 0) + 1)
    else:
        current = {}
        if message.expiration_ms >= 0:
            expiration = properties.short_text(
                message.content, properties.EXPIRATION, message.header_bytes
            )
            current["original-expiration"] = Field("S", expiration)
        current["count"] = tables.long(1)
        current["reason"] = tables.longstr(reason)
        current["queue"] = tables.longstr(queue)
        current["time"] = tables.timestamp(wall_s)
        current["exchange"] = tables.longstr(message.address.exchange)
        current["routing-keys"] = tables.array([tables.longstr(key) for key in keys])
    history.insert(0, current)
    headers[_DEATHS] = tables.array([tables.table(entry) for entry in history])
    if "x-first-death-queue" not in headers:
        headers["x-first-death-reason"] = tables.longstr(reason)
        headers["x-first-death-queue"] = tables.longstr(queue)
        headers["x-first-death-exchange"] = tables.longstr(message.address.exchange)
    headers["x-last-death-reason"] = tables.longstr(reason)
    headers["x-last-death-queue"] = tables.longstr(queue)
    headers["x-last-death-exchange"] = tables.longstr(message.address.exchange)
    return history


def is_cycle(history: list[Table], reason: str, target: str) -> bool:
    """Say whether a message with this history may not go to `target` any more."""
    if reason == REJECTED:
        return False
    for entry in history:
        if _is(entry, "reason", REJECTED):
            return False
        if _is(entry, "queue", target):
            return True
    return False


def headers_of(message: Message) -> Table:
    """Decode a message's headers; those of a message that entered the broker can be read."""
    try:
        return properties.headers(message.content, message.header_bytes)
    except Malformed:
        return {}


def copies_of(headers: Table, header: str = "CC") -> list[str]:
    """Return the routing keys in CC; BCC is gone since the message was published."""
    field = headers.get(header)
    if field is None or not isinstance(field.value, list):
        return []
    return [tables.text(item) for item in field.value if item.tag == "S"]


def renamed(message: Message, headers: Table, address: Address) -> Message:
    """Return the message with new headers and address, and without expiration."""
    content, header_bytes = message.content, message.header_bytes
    if properties.flags_of(content) & properties.EXPIRATION:
        content, header_bytes = properties.without(content, properties.EXPIRATION, header_bytes)
    encoded = tables.encode_table({name: headers[name] for name in sorted(headers)})
    content, header_bytes = properties.with_value(
        content, properties.HEADERS, encoded, header_bytes
    )
    dead = Message(
        address,
        content,
        header_bytes,
        message.body_bytes,
        message.frame_bytes,
        message.channel,
        properties.is_persistent(content, properties.flags_of(content), header_bytes),
    )
    dead.priority = message.priority
    dead.died = True
    return dead
