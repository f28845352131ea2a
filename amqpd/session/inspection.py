"""A second look at a publish whose properties mean something to the broker.

Most messages pass by this. In RabbitMQ's order: user-id must be the sender's own (RabbitMQ:
validated user-id), expiration must be a number, CC and BCC are further routing keys (RabbitMQ:
sender-selected distribution). All of the content header is checked on the way, so that what other
clients get can be read.
"""

from typing import Final

from mypy_extensions import i64

from amqpd import errors
from amqpd.auth import WRITE
from amqpd.core.arguments import TEN_YEARS_MS
from amqpd.core.message import Address
from amqpd.core.queue import Queue
from amqpd.core.vhost import VHost
from amqpd.session.link import Link
from amqpd.wire import methods, properties, tables
from amqpd.wire.tables import Field, Malformed, Table

_IMPERSONATOR: Final = "impersonator"
_DIRECT: Final = b"amq.rabbitmq.reply-to"


def inspect(
    link: Link,
    vhost: VHost,
    address: Address,
    queues: list[Queue],
    by_headers: bool,
    reply_queue: str,
    content: bytes,
    header_bytes: i64,
) -> tuple[bool, list[Queue], bytes, i64]:
    """Check the properties of a publish, and route it anew where they have a say.

    Returns (persistent, queues, content, length of its header frame): the content differs from what
    came only if a BCC header had to be taken out, or if reply-to asks for direct replies: these go
    to `reply_queue` ("" = nobody consumes them). Raises SoftError 406, StreamError 501.
    """
    try:
        properties.check(content, header_bytes)
        flags = properties.flags_of(content)
        persistent = properties.is_persistent(content, flags, header_bytes)
        asks_direct = (
            flags & properties.REPLY_TO != 0
            and properties.short_text(content, properties.REPLY_TO, header_bytes) == _DIRECT
        )
        if asks_direct and not reply_queue:
            raise errors.no_reply_consumer()
        if flags & properties.USER_ID:
            claimed = properties.short_text(content, properties.USER_ID, header_bytes)
            _check_user_id(link, claimed.decode("utf-8", "surrogateescape"))
        if flags & properties.EXPIRATION:
            check_expiration(properties.short_text(content, properties.EXPIRATION, header_bytes))
        headers: Table = {}
        if flags & properties.HEADERS:
            headers = properties.headers(content, header_bytes)
    except Malformed:
        raise errors.undecodable(content[7 : min(header_bytes - 1, 263)]) from None
    has_copies = "CC" in headers or "BCC" in headers
    if has_copies or by_headers:
        keys = [address.routing_key, *_copies(headers, "CC"), *_copies(headers, "BCC")]
        if has_copies and link.context.users.topic_permissions:
            _check_topics(link, vhost, address.exchange, keys)
        queues, _ = vhost.route(address.exchange, keys, headers, content, header_bytes)
    if "BCC" in headers and not (queues and queues[0].is_holding):  # there it is needed later
        del headers["BCC"]
        encoded = tables.encode_table(headers)  # an empty table is still there, as in RabbitMQ
        content, header_bytes = properties.with_value(
            content, properties.HEADERS, encoded, header_bytes
        )
    if asks_direct:
        content, header_bytes = properties.with_value(
            content, properties.REPLY_TO, methods.encode_shortstr(reply_queue), header_bytes
        )
    return persistent, queues, content, header_bytes


def _check_topics(link: Link, vhost: VHost, name: str, keys: list[str]) -> None:
    """Raise SoftError 403 unless the user may write all of these keys (RabbitMQ 3.13)."""
    exchange = vhost.exchanges.get(name)
    if exchange is not None and exchange.kind == "topic":
        for key in keys:
            if not link.context.users.allows_topic(link.user, vhost.name, name, WRITE, key):
                raise errors.topic_denied("write", key, name, vhost.name, link.user)


def _copies(headers: Table, name: str) -> list[str]:
    """Return the texts in CC or BCC. Raises SoftError 406 unless it is an array."""
    field = headers.get(name)
    if field is None:
        return []
    keys: list[str] = []
    items = field.value
    if not isinstance(items, list):
        raise errors.bad_copies_header(name, tables.type_name(field.tag))
    for item in items:
        assert isinstance(item, Field)
        if item.tag == "S":
            keys.append(tables.text(item))
    return keys


def check_expiration(value: bytes) -> None:
    """Raise SoftError 406 unless expiration is a decimal number of ms up to ten years."""
    text = value.decode("utf-8", "surrogateescape")
    sign = 1 if text[:1] in ("-", "+") else 0
    end = sign
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    if end == sign:
        raise errors.invalid_expiration(text, "no_integer")
    number = int(text[:end])
    if end < len(text):
        raise errors.invalid_expiration(text, f'{{leftover_string,"{text[end:]}"}}')
    if number < 0:
        raise errors.invalid_expiration(text, f"{{value_negative,{number}}}")
    if number > TEN_YEARS_MS:
        raise errors.invalid_expiration(text, f"{{value_too_large,{number}}}")


def _check_user_id(link: Link, claimed: str) -> None:
    if claimed == link.user:
        return
    user = link.context.users.get(link.user)
    if user is None or _IMPERSONATOR not in user.tags:
        raise errors.wrong_user_id(claimed, link.user)
