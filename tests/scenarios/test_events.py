"""What happens in a broker, told by exchange amq.rabbitmq.event (RabbitMQ: event exchange)."""

from typing import Any

import pytest

from tests.peers.channel import Channel
from tests.peers.errors import PeerError

pytestmark = pytest.mark.distances(
    "memory", "sim", "socket", why="RabbitMQ has it as a plugin, whose events these are"
)


class Spy:
    """A consumer of events."""

    def __init__(self, peer: Any, pattern: str) -> None:
        self.channel: Channel = peer.connect().channel()
        self.queue = self.channel.declare(exclusive=True).queue
        self.channel.bind(self.queue, "amq.rabbitmq.event", pattern)
        self.channel.consume(self.queue, no_ack=True)
        if pattern in ("#", "binding.#"):
            self.channel.deliveries(1)  # of its own binding

    def events(self, count: int) -> list[tuple[str, Any]]:
        """The next events: name and facts, without who did it and when."""
        found = []
        for message in self.channel.deliveries(count):
            headers: Any = message.properties.headers
            assert message.properties.delivery_mode == 2 and message.body == b""
            assert list(headers)[-1] == "timestamp_in_ms"
            at = message.properties.timestamp
            assert at is not None and int(at.timestamp()) == headers.pop("timestamp_in_ms") // 1000
            found.append((message.routing_key, headers))
        return found

    def event(self, name: str) -> Any:
        """The next event must be this one. Returns its facts."""
        ((key, headers),) = self.events(1)
        assert key == name
        return headers


def test_queues(peer: Any, channel: Channel) -> None:
    spy = Spy(peer, "queue.#")
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments={"x-max-length": 5, "x-overflow": "drop-head"})
    assert list(spy.event("queue.created").items()) == [
        ("user_who_performed_action", "guest"),
        ("exclusive", False),
        ("owner_pid", ""),
        (
            "arguments",
            [
                '{<<"x-max-length">>,signedint,5}',
                '{<<"x-overflow">>,longstr,<<"drop-head">>}',
            ],
        ),
        ("auto_delete", False),
        ("durable", True),
        ("name", queue),
        ("vhost", "/"),
    ]
    channel.declare(queue, durable=True, arguments={"x-max-length": 5, "x-overflow": "drop-head"})
    channel.delete(queue)
    assert list(spy.event("queue.deleted").items()) == [
        ("user_who_performed_action", "guest"),
        ("name", queue),
        ("vhost", "/"),
    ]


def test_exclusive_queues(peer: Any) -> None:
    spy = Spy(peer, "queue.#")
    connection = peer.connect()
    queue = connection.channel().declare(exclusive=True).queue
    created = spy.event("queue.created")
    assert created["exclusive"] is True and created["owner_pid"] and not created["durable"]
    connection.drop()
    deleted = spy.event("queue.deleted")
    assert deleted["name"] == queue
    assert deleted["user_who_performed_action"] == "rmq-internal"


def test_exchanges_and_bindings(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare(queue)
    spy = Spy(peer, "exchange.#")
    spy.channel.bind(spy.queue, "amq.rabbitmq.event", "binding.#")
    spy.event("binding.created")
    channel.declare_exchange(exchange, "topic")
    assert list(spy.event("exchange.created").items()) == [
        ("user_who_performed_action", "guest"),
        ("policy", ""),
        ("arguments", []),
        ("internal", False),
        ("auto_delete", False),
        ("durable", False),
        ("type", "topic"),
        ("name", exchange),
        ("vhost", "/"),
    ]
    channel.bind(queue, exchange, "a.b", arguments={"z": 1})
    bound = [
        ("user_who_performed_action", "guest"),
        ("vhost", "/"),
        ("arguments", ['{<<"z">>,signedint,1}']),
        ("routing_key", "a.b"),
        ("destination_kind", "queue"),
        ("destination_name", queue),
        ("source_kind", "exchange"),
        ("source_name", exchange),
    ]
    assert list(spy.event("binding.created").items()) == bound
    channel.bind(queue, exchange, "a.b", arguments={"z": 1})
    channel.unbind(queue, exchange, "a.b", arguments={"z": 1})
    assert list(spy.event("binding.deleted").items()) == bound
    channel.bind_exchange(exchange, "amq.fanout", "k")
    assert spy.event("binding.created")["destination_kind"] == "exchange"
    channel.delete_exchange(exchange)
    names = {name for name, _ in spy.events(2)}
    assert names == {"binding.deleted", "exchange.deleted"}


def test_connections_and_channels(peer: Any) -> None:
    spy = Spy(peer, "connection.#")
    spy.channel.bind(spy.queue, "amq.rabbitmq.event", "channel.#")
    spy.channel.bind(spy.queue, "amq.rabbitmq.event", "user.#")
    connection = peer.connect(properties={"connection_name": "mine"})
    logged_in = spy.event("user.authentication.success")
    assert list(logged_in) == [
        "ssl",
        "auth_mechanism",
        "protocol",
        "peer_port",
        "peer_host",
        "connection_name",
        "host",
        "name",
        "connection_type",
    ]
    assert (logged_in["name"], logged_in["peer_host"]) == ("guest", "{127,0,0,1}")
    created = spy.event("connection.created")
    assert created["user_provided_name"] == "mine"
    assert (created["user"], created["vhost"], created["type"]) == ("guest", "/", "network")
    assert created["protocol"] == "{0,9,1}"
    assert '{<<"connection_name">>,longstr,<<"mine">>}' in created["client_properties"]
    channel = connection.channel()
    opened = spy.event("channel.created")
    assert opened["connection"] == created["pid"]
    assert opened["name"] == f"{created['name']} (1)"
    assert list(opened)[0] == "user_who_performed_action"
    channel.close()
    assert spy.event("channel.closed")["pid"] == opened["pid"]
    connection.close()
    closed = spy.event("connection.closed")
    assert list(closed) == ["client_properties", "node", "pid", "name", "user_provided_name"]
    assert closed["pid"] == created["pid"]


def test_a_channel_that_an_error_closes(peer: Any, channel: Channel) -> None:
    spy = Spy(peer, "channel.#")
    with pytest.raises(PeerError):
        channel.declare("none", passive=True)
    spy.event("channel.closed")


def test_consumers(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    spy = Spy(peer, "consumer.#")
    spy.event("consumer.created")  # its own
    channel.qos(7)
    channel.consume(queue, "tag", arguments={"x-priority": 3})
    created = spy.event("consumer.created")
    assert list(created.items())[1:] == [
        ("arguments", ['{<<"x-priority">>,signedint,3}']),
        ("prefetch_count", 7),
        ("queue", queue),
        ("vhost", "/"),
        ("channel", created["channel"]),
        ("ack_required", True),
        ("exclusive", False),
        ("consumer_tag", "tag"),
    ]
    channel.cancel("tag")
    deleted = spy.event("consumer.deleted")
    assert list(deleted)[1:] == ["queue", "vhost", "channel", "consumer_tag"]
    channel.consume(queue, "again")
    spy.event("consumer.created")
    channel.delete(queue)
    assert spy.event("consumer.deleted")["consumer_tag"] == "again"


@pytest.mark.distances("memory", "sim", why="the directory is inside the broker")
def test_users_vhosts_and_the_like(peer: Any) -> None:
    spy = Spy(peer, "user.#")
    for pattern in ("vhost.#", "permission.#", "policy.#", "parameter.#"):
        spy.channel.bind(spy.queue, "amq.rabbitmq.event", pattern)
    directory = peer.broker.directory(peer.now_ms)
    directory.add_user("u", "secret", ("monitoring",))
    assert spy.event("user.created") == {
        "user_who_performed_action": "rmq-internal",
        "name": "u",
    }
    assert spy.event("user.tags.set")["tags"] == ["monitoring"]
    directory.set_vhost("v")
    assert spy.event("vhost.created")["name"] == "v"
    directory.set_permissions("u", "v", ".*", "w", "r")
    assert spy.event("permission.created")["write"] == "w"
    directory.delete_vhost("v")
    assert spy.event("vhost.deleted")["name"] == "v"
    directory.delete_user("u")
    assert spy.event("user.deleted")["name"] == "u"


def test_nobody_may_publish_there(channel: Channel) -> None:
    with pytest.raises(PeerError, match="cannot publish to internal exchange"):
        channel.publish("amq.rabbitmq.event", "queue.created")
        channel.sync()


@pytest.mark.distances("memory", "sim", why="it is asked from within")
def test_nothing_is_gathered_while_nobody_listens(peer: Any, channel: Channel) -> None:
    channel.declare(peer.name("q"))
    events = peer.broker._context.events
    assert not events.is_wanted and not events.pending
    spy = Spy(peer, "queue.#")
    assert events.is_wanted
    spy.channel.unbind(spy.queue, "amq.rabbitmq.event", "queue.#")
    assert not events.is_wanted
