"""What is told of connections, channels and consumers on the event exchange (RabbitMQ: events).

All of it only while something is bound to that exchange (`Events.is_wanted`).
"""

from typing import Final

from amqpd.core.events import Events, pid, terms
from amqpd.session.link import Link
from amqpd.session.peer import Peer
from amqpd.session.subscription import Subscription
from amqpd.wire import tables
from amqpd.wire.tables import Table

_PROTOCOL: Final = "{0,9,1}"
_TLS_FACTS: Final = ("ssl_hash", "ssl_cipher", "ssl_key_exchange", "ssl_protocol")
_CERTIFICATE_FACTS: Final = ("peer_cert_validity", "peer_cert_issuer", "peer_cert_subject")


def _host(host: str) -> str:
    """An IPv4 address as RabbitMQ tells it, `{127,0,0,1}`; others as they are."""
    octets = host.split(".")
    if len(octets) == 4 and all([octet.isdecimal() for octet in octets]):
        return f"{{{','.join(octets)}}}"
    return host


def login(events: Events, peer: Peer, name: str, mechanism: str, fault: str) -> None:
    """A client has logged in; or, with a `fault`, has tried to."""
    if not events.is_wanted:
        return
    fields: Table = {}
    if fault:
        fields["error"] = tables.longstr(fault)
    fields["ssl"] = tables.boolean(peer.tls)
    fields["auth_mechanism"] = tables.longstr(mechanism)
    fields["protocol"] = tables.longstr(_PROTOCOL)
    fields["peer_port"] = tables.long(peer.peer_port)
    fields["peer_host"] = tables.longstr(_host(peer.peer_host))
    fields["connection_name"] = tables.longstr(peer.name)
    fields["host"] = tables.longstr(_host(peer.host))
    fields["name"] = tables.longstr(name)
    fields["connection_type"] = tables.longstr("network")
    events.tell(f"user.authentication.{'failure' if fault else 'success'}", fields, "-")


def connection_created(link: Link, properties: Table, mechanism: str, heartbeat_s: int) -> None:
    """A client has opened a vhost."""
    events, peer = link.context.events, link.peer
    if not events.is_wanted:
        return
    timers = link.context.timers
    fields: Table = {
        "node": tables.longstr(link.context.limits.cluster_name),
        "connected_at": tables.long(timers.now_ms + timers.wall_offset_ms),
        "client_properties": terms(properties),
        "channel_max": tables.long(link.channel_max),
        "frame_max": tables.long(link.frame_max),
        "timeout": tables.long(heartbeat_s),
        "vhost": tables.longstr(link.vhost.name),
        "user": tables.longstr(link.user),
        "protocol": tables.longstr(_PROTOCOL),
    }
    for name in _TLS_FACTS:
        fields[name] = tables.longstr("")
    fields["auth_mechanism"] = tables.longstr(mechanism)
    for name in _CERTIFICATE_FACTS:
        fields[name] = tables.longstr("")
    fields["ssl"] = tables.boolean(peer.tls)
    fields["peer_host"] = tables.longstr(_host(peer.peer_host))
    fields["host"] = tables.longstr(_host(peer.host))
    fields["peer_port"] = tables.long(peer.peer_port)
    fields["port"] = tables.long(peer.port)
    fields["name"] = tables.longstr(link.name)
    fields["pid"] = tables.longstr(pid(link.id))
    fields["type"] = tables.longstr("network")
    _put_own_name(fields, properties)
    events.tell("connection.created", fields, link.user)


def connection_closed(link: Link, properties: Table) -> None:
    """A connection is over that had opened a vhost."""
    events = link.context.events
    if events.is_wanted:
        fields: Table = {
            "client_properties": terms(properties),
            "node": tables.longstr(link.context.limits.cluster_name),
            "pid": tables.longstr(pid(link.id)),
            "name": tables.longstr(link.name),
        }
        _put_own_name(fields, properties)
        events.tell("connection.closed", fields, "-")


def _put_own_name(fields: Table, properties: Table) -> None:
    name = properties.get("connection_name")
    if name is not None and name.tag == "S":
        fields["user_provided_name"] = name


def channel_created(link: Link, number: int) -> None:
    """A channel was opened."""
    events = link.context.events
    if events.is_wanted:
        fields = {
            "vhost": tables.longstr(link.vhost.name),
            "user": tables.longstr(link.user),
            "number": tables.long(number),
            "connection": tables.longstr(pid(link.id)),
            "name": tables.longstr(f"{link.name} ({number})"),
            "pid": tables.longstr(pid(link.id, number)),
        }
        events.tell("channel.created", fields, link.user)


def channel_closed(link: Link, number: int) -> None:
    """A channel is over."""
    events = link.context.events
    if events.is_wanted:
        fields = {"pid": tables.longstr(pid(link.id, number))}
        events.tell("channel.closed", fields, link.user)


def consumer_created(consumer: Subscription) -> None:
    """A consumer was registered."""
    link = consumer.channel.link
    events = link.context.events
    if events.is_wanted:
        fields = {
            "arguments": terms(consumer.arguments),
            "prefetch_count": tables.long(int(consumer.prefetch)),
            "queue": tables.longstr(consumer.queue.name),
            "vhost": tables.longstr(link.vhost.name),
            "channel": tables.longstr(pid(link.id, consumer.channel.number)),
            "ack_required": tables.boolean(not consumer.no_ack),
            "exclusive": tables.boolean(consumer.exclusive),
            "consumer_tag": tables.longstr(consumer.tag),
        }
        events.tell("consumer.created", fields, link.user)


def consumer_deleted(link: Link, channel: int, queue: str, tag: str) -> None:
    """A consumer was cancelled, by either side."""
    events = link.context.events
    if events.is_wanted:
        fields = {
            "queue": tables.longstr(queue),
            "vhost": tables.longstr(link.vhost.name),
            "channel": tables.longstr(pid(link.id, channel)),
            "consumer_tag": tables.longstr(tag),
        }
        events.tell("consumer.deleted", fields, link.user)
