"""What the header x-delay means, and how a message that was delayed goes on (RabbitMQ: the delayed
message exchange plugin).
"""

from typing import Final

from amqpd.core.deadletter import copies_of, headers_of
from amqpd.core.exchange import Home
from amqpd.core.message import Message
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Table

HEADER: Final = "x-delay"
DELAY_MS_MAX: Final = 4294967295  # a longer delay is none, as in the plugin (Erlang's timers)
_SIGNED_MAX: Final = 2147483647
_DIGITS_MAX: Final = 20


def delay_of(headers: Table) -> int:
    """Return how long a message is to wait (ms); 0: not at all.

    Integers of any width count, floats without their fraction, and numbers in text.
    """
    field = headers.get(HEADER)
    if field is None:
        return 0
    delay_ms = _number(field)
    return delay_ms if 0 < delay_ms <= DELAY_MS_MAX else 0


def _number(field: Field) -> int:
    number = tables.integer(field)
    if number is not None:
        return number
    value = field.value
    if isinstance(value, float):
        return int(value) if -1e12 < value < 1e12 else 0  # also what is no number
    if field.tag == "S":
        text = tables.text(field)
        digits = text[1:] if text[:1] == "+" else text
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX:
            return int(digits)
    return 0


def send_on(home: Home, exchange: str, message: Message) -> None:
    """Send a message on whose time has come; its x-delay is negative from now on.

    Deviation: one of more than 2**31 - 1 ms becomes a long; the plugin's 32 bits wrap around.
    Raises HardError 541 if the store has failed.
    """
    headers = headers_of(message)
    keys = [message.address.routing_key, *copies_of(headers, "CC"), *copies_of(headers, "BCC")]
    headers.pop("BCC", None)
    delay_ms = delay_of(headers)
    headers[HEADER] = Field("I" if delay_ms <= _SIGNED_MAX else "l", -delay_ms)
    content, header_bytes = properties.with_value(
        message.content, properties.HEADERS, tables.encode_table(headers), message.header_bytes
    )
    due = Message(
        message.address,
        content,
        header_bytes,
        message.body_bytes,
        message.frame_bytes,
        message.channel,
        message.persistent,
    )
    due.expiration_ms = message.expiration_ms
    due.priority = message.priority
    due.died = message.died
    home.send_on(exchange, keys, headers, due)
