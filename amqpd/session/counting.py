"""What a consumer is told of a message's earlier deliveries, in its headers (quorum queues)."""

from amqpd.core.consumer import Entry
from amqpd.core.deadletter import headers_of
from amqpd.core.message import Message
from amqpd.profile import Profile
from amqpd.wire import properties, tables


def counted(entry: Entry, profile: Profile) -> Message:
    """Return an entry's message, with its counts in the headers if it has come back before."""
    message = entry.message
    if not entry.counts:
        return message
    headers = headers_of(message)
    if profile.counts_acquisitions:
        headers["x-acquired-count"] = tables.long(entry.acquired())
        if entry.failed():
            headers["x-delivery-count"] = tables.long(entry.failed())
    else:
        headers["x-delivery-count"] = tables.long(entry.acquired())
    encoded = tables.encode_table(headers)
    content, header_bytes = properties.with_value(
        message.content, properties.HEADERS, encoded, message.header_bytes
    )
    return Message(
        message.address,
        content,
        header_bytes,
        message.body_bytes,
        message.frame_bytes,
        message.channel,
        message.persistent,
    )
