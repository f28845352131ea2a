"""Exchange types that choose one binding (RabbitMQ: plugins, all of them built in here)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange, Queue

from tests.peers.channel import Channel
from tests.peers.errors import ChannelClosed, ConnectionClosed, channel_error

HASH = "x-consistent-hash"
COUNT = 60


@pytest.fixture(autouse=True)
def needs_plugins(peer: Any) -> None:
    """Skip where a broker does not have the types."""
    if peer.distance == "rabbitmq":
        try:
            peer.connect().channel().declare_exchange(peer.name("plugin"), HASH)
        except (ChannelClosed, ConnectionClosed):
            pytest.skip("needs the plugins of these exchange types")


def queues(peer: Any, channel: Channel, exchange: str, *keys: str) -> list[str]:
    """Bind a queue with each of these keys. Returns their names."""
    names = []
    for key in keys:
        name = peer.name("q")
        channel.declare(name)
        channel.bind(name, exchange, key)
        names.append(name)
    return names


def hashed(peer: Any, channel: Channel, *keys: str, **arguments: Any) -> tuple[str, list[str]]:
    """Declare a consistent hash exchange and queues bound with these weights."""
    exchange = peer.name("x")
    channel.declare_exchange(exchange, HASH, arguments=arguments)
    return exchange, queues(peer, channel, exchange, *keys)


def shares(peer: Any, channel: Channel, names: list[str], total: int) -> list[set[bytes]]:
    """Wait until the queues have `total` messages together; take them."""
    peer.until(lambda: sum(channel.ready(name) for name in names) == total)
    return [set(channel.bodies(name)) for name in names]


def test_every_message_goes_to_one_queue_the_same_for_a_key(peer: Any, channel: Channel) -> None:
    exchange, names = hashed(peer, channel, "1", "1", "1")
    bodies = [b"%d" % n for n in range(COUNT)]
    rounds = []
    for _ in range(2):
        for body in bodies:
            channel.publish(exchange, body.decode(), body)
        rounds.append(shares(peer, channel, names, COUNT))
    assert rounds[0] == rounds[1]
    assert all(rounds[0])


def test_a_header_chooses(peer: Any, channel: Channel) -> None:
    exchange, names = hashed(peer, channel, "1", "1", **{"hash-header": "h"})
    for n in range(COUNT):
        channel.publish(exchange, str(n), b"same", headers={"h": "same"})
        channel.publish(exchange, "", b"%d" % n, headers={"h": str(n)})
        channel.publish(exchange, str(n), b"none")
    found = shares(peer, channel, names, 3 * COUNT)
    assert sum(b"same" in share for share in found) == 1
    assert sum(b"none" in share for share in found) == 1
    assert all(len(share - {b"same", b"none"}) > COUNT // 6 for share in found)


@pytest.mark.parametrize("name", ["message_id", "correlation_id", "timestamp"])
def test_a_property_chooses(peer: Any, channel: Channel, name: str) -> None:
    exchange, names = hashed(peer, channel, "1", "1", **{"hash-property": name})
    for n in range(1, COUNT + 1):
        value: Any = n if name == "timestamp" else f"id-{n}"
        channel.publish(exchange, "", b"%d" % n, **{name: value})
        channel.publish(exchange, str(n), b"none", delivery_mode=2)
    found = shares(peer, channel, names, 2 * COUNT)
    assert sum(b"none" in share for share in found) == 1
    assert all(len(share - {b"none"}) > COUNT // 6 for share in found)


def test_weights_count(peer: Any, channel: Channel) -> None:
    exchange, (light, heavy) = hashed(peer, channel, "1", "20")
    for n in range(COUNT):
        channel.publish(exchange, str(n), b"%d" % n)
    few, many = shares(peer, channel, [light, heavy], COUNT)
    assert len(few) < COUNT // 4 < len(many)


def test_without_bindings_a_message_is_returned(peer: Any, channel: Channel) -> None:
    exchange, _ = hashed(peer, channel)
    channel.publish(exchange, "k", b"1", mandatory=True)
    assert channel.take(Basic.Return)[0].reply_code == 312


def test_an_alternate_exchange_is_used_without_bindings(peer: Any, channel: Channel) -> None:
    other = peer.name("alternate")
    channel.declare_exchange(other, "fanout")
    (name,) = queues(peer, channel, other, "")
    exchange, _ = hashed(peer, channel, **{"alternate-exchange": other})
    channel.publish(exchange, "k", b"1")
    channel.expect_ready(name, 1)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("0", "The binding key must be greater than 0"),
        ("-1", "The binding key must be greater than 0"),
        ("x", 'The binding key must be an integer: <<"x">>'),
        ("", "The binding key must be an integer: <<>>"),
        ("1.5", 'The binding key must be an integer: <<"1.5">>'),
        ('a"b\\c\n', 'The binding key must be an integer: <<"a\\"b\\\\c\\n">>'),
    ],
)
def test_a_binding_key_is_a_weight(peer: Any, channel: Channel, key: str, text: str) -> None:
    exchange, _ = hashed(peer, channel)
    name = peer.name("q")
    channel.declare(name)
    with channel_error(406, f"PRECONDITION_FAILED - {text}", Queue.Bind):
        channel.bind(name, exchange, key)


def test_the_weight_of_an_exchange_is_checked_too(peer: Any, channel: Channel) -> None:
    exchange, _ = hashed(peer, channel)
    other = peer.name("y")
    channel.declare_exchange(other, "fanout")
    text = 'PRECONDITION_FAILED - The binding key must be an integer: <<"x">>'
    with channel_error(406, text, Exchange.Bind):
        channel.bind_exchange(other, exchange, "x")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"hash-header": "a", "hash-property": "message_id"},
            "hash-header and hash-property are mutually exclusive",
        ),
        (
            {"hash-header": "a", "hash-property": "none"},
            "hash-header and hash-property are mutually exclusive",
        ),
        ({"hash-property": "app_id"}, "Unsupported property: app_id"),
    ],
)
def test_what_to_hash_is_checked(
    peer: Any, channel: Channel, arguments: dict[str, Any], text: str
) -> None:
    with channel_error(406, f"PRECONDITION_FAILED - {text}", Exchange.Declare):
        channel.declare_exchange(peer.name("x"), HASH, arguments=arguments)


@pytest.mark.distances("memory", "sim", "socket", why="RabbitMQ answers 541")
@pytest.mark.parametrize("argument", ["hash-header", "hash-property"])
def test_what_to_hash_is_a_text(peer: Any, channel: Channel, argument: str) -> None:
    exchange = peer.name("x")
    text = (
        f"PRECONDITION_FAILED - invalid type 'signedint' for arg '{argument}'"
        f" in exchange '{exchange}' in vhost '/'"
    )
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(exchange, HASH, arguments={argument: 1})


# -- the others ------------------------------------------------------------------------------------


def test_modulus_hash_goes_by_the_routing_key_alone(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "x-modulus-hash")
    names = queues(peer, channel, exchange, "any", "", "0")
    rounds = []
    for _ in range(2):
        for n in range(COUNT):
            channel.publish(exchange, str(n), b"%d" % n)
        rounds.append(shares(peer, channel, names, COUNT))
    assert rounds[0] == rounds[1]
    assert all(rounds[0])


@pytest.mark.parametrize("mode", [None, 2])
def test_random_takes_one_queue_each_time_anew(
    peer: Any, channel: Channel, mode: int | None
) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "x-random")
    names = queues(peer, channel, exchange, "any", "", "0")
    for n in range(COUNT):
        channel.publish(exchange, "same", b"%d" % n, delivery_mode=mode)
    found = shares(peer, channel, names, COUNT)
    assert all(found)
    assert sum(len(share) for share in found) == COUNT


def test_random_may_lead_to_an_exchange(peer: Any, channel: Channel) -> None:
    exchange, other = peer.name("x"), peer.name("y")
    channel.declare_exchange(exchange, "x-random")
    channel.declare_exchange(other, "fanout")
    (name,) = queues(peer, channel, other, "")
    channel.bind_exchange(other, exchange, "k")
    channel.publish(exchange, "", b"1")
    channel.expect_ready(name, 1)


@pytest.mark.distances("memory", "sim", "socket", why="since RabbitMQ 4.0")
def test_local_random(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "x-local-random")
    names = queues(peer, channel, exchange, "", "")
    for n in range(COUNT):
        channel.publish(exchange, str(n), b"%d" % n)
    assert all(shares(peer, channel, names, COUNT))
    text = "PRECONDITION_FAILED - Non empty binding 'k' key not permitted"
    with channel_error(406, text, Queue.Bind):
        channel.bind(names[0], exchange, "k")


@pytest.mark.distances("memory", "sim", "socket", why="RabbitMQ's plugin has it")
def test_the_jms_type_is_known_and_refused(peer: Any, channel: Channel) -> None:
    text = (
        "PRECONDITION_FAILED - exchange type 'x-jms-topic' is not supported:"
        " JMS selectors are not evaluated here"
    )
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(peer.name("x"), "x-jms-topic")
