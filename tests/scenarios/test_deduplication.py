"""No message twice: exchanges and queues (RabbitMQ: the community plugin for deduplication)."""

from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic, Exchange

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error
from tests.scenarios.things import let_pass

KIND = "x-message-deduplication"
TTL_MS = 60

pytestmark = pytest.mark.distances("memory", "sim", "socket", why="a plugin that few have")


def unique(peer: Any, channel: Channel, size: Any = 100, **arguments: Any) -> tuple[str, str]:
    """Declare an exchange that lets nothing pass twice, and a queue bound to it."""
    exchange, queue = peer.name("x"), peer.name("q")
    table = {name.replace("_", "-"): value for name, value in arguments.items()}
    channel.declare_exchange(exchange, KIND, arguments={"x-cache-size": size, **table})
    channel.declare(queue)
    channel.bind(queue, exchange, "any")
    return exchange, queue


def post(channel: Channel, exchange: str, value: Any, body: bytes, **fields: Any) -> None:
    """Publish with a value."""
    headers = {"x-deduplication-header": value, **fields.pop("headers", {})}
    channel.publish(exchange, fields.pop("key", "k"), body, headers=headers, **fields)


def got(channel: Channel, queue: str) -> list[bytes]:
    """What is in the queue, taken out."""
    channel.sync()
    return channel.bodies(queue)


# -- exchanges -------------------------------------------------------------------------------------


def test_the_second_goes_nowhere(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel)
    for n, value in enumerate(("a", "b", "a", "c", "b")):
        post(channel, exchange, value, b"%d" % n)
    assert got(channel, queue) == [b"0", b"1", b"3"]


def test_without_the_header_all_pass(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel)
    for _ in range(3):
        channel.publish(exchange, "k", b"1")
        channel.publish(exchange, "k", b"1", delivery_mode=2)
    assert len(got(channel, queue)) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, Typed("l", 1), True),
        (Typed("b", 1), Typed("i", 1), True),
        ("1", 1, False),
        ("a", Typed("x", b"a"), True),
        (True, 1, False),
        (Typed("d", 1.5), Typed("d", 1.5), True),
        ([1, "a"], [1, "a"], True),
        ([1, "a"], [2, "a"], False),
        ("", "", True),
    ],
)
def test_what_is_the_same(peer: Any, channel: Channel, one: Any, other: Any, same: bool) -> None:
    exchange, queue = unique(peer, channel)
    post(channel, exchange, one, b"1")
    post(channel, exchange, other, b"2")
    assert got(channel, queue) == ([b"1"] if same else [b"1", b"2"])


def test_a_duplicate_is_returned_if_it_must_arrive_and_confirmed(
    peer: Any, channel: Channel
) -> None:
    exchange, _ = unique(peer, channel)
    channel.confirm()
    post(channel, exchange, "a", b"1", mandatory=True)
    post(channel, exchange, "a", b"2", mandatory=True)
    assert channel.take(Basic.Return)[0].body == b"2"
    channel.confirmed()


def test_a_duplicate_goes_to_the_alternate_exchange(peer: Any, channel: Channel) -> None:
    other, grave = peer.name("alternate"), peer.name("grave")
    channel.declare_exchange(other, "fanout")
    channel.declare(grave)
    channel.bind(grave, other)
    exchange, queue = unique(peer, channel, alternate_exchange=other)
    post(channel, exchange, "a", b"1")
    post(channel, exchange, "a", b"2")
    assert (got(channel, queue), got(channel, grave)) == ([b"1"], [b"2"])


def test_values_are_forgotten_after_a_time(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel, x_cache_ttl=TTL_MS)
    post(channel, exchange, "a", b"1")
    post(channel, exchange, "a", b"2")
    post(channel, exchange, "long", b"3", headers={"x-cache-ttl": 50_000})
    assert got(channel, queue) == [b"1", b"3"]
    let_pass(peer, channel, TTL_MS)
    post(channel, exchange, "a", b"4")
    post(channel, exchange, "long", b"5")
    assert got(channel, queue) == [b"4"]


def test_a_message_may_bring_a_time_of_its_own(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel)
    post(channel, exchange, "a", b"1", headers={"x-cache-ttl": TTL_MS})
    post(channel, exchange, "b", b"2", headers={"x-cache-ttl": 0})
    post(channel, exchange, "b", b"3")
    assert got(channel, queue) == [b"1", b"2", b"3"]
    let_pass(peer, channel, TTL_MS)
    post(channel, exchange, "a", b"4")
    assert got(channel, queue) == [b"4"]


def test_only_so_many_are_remembered(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel, 3)
    for value in ("a", "b", "c", "d"):
        post(channel, exchange, value, value.encode())
    assert got(channel, queue) == [b"a", b"b", b"c", b"d"]
    for value in ("d", "c", "b", "a"):
        post(channel, exchange, value, value.encode())
    assert got(channel, queue) == [b"a"]


def test_a_transaction_that_is_rolled_back_is_not_remembered(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel)
    channel.call(commands.Tx.Select())
    post(channel, exchange, "a", b"1")
    channel.call(commands.Tx.Rollback())
    post(channel, exchange, "a", b"2")
    post(channel, exchange, "a", b"3")
    channel.call(commands.Tx.Commit())
    assert got(channel.connection.channel(), queue) == [b"2"]


def test_what_a_full_queue_refused_may_come_again(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, KIND, arguments={"x-cache-size": 10})
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.declare(queue, arguments=arguments)
    channel.bind(queue, exchange)
    channel.confirm()
    post(channel, exchange, "a", b"1")
    channel.take(Basic.Ack)
    post(channel, exchange, "b", b"2")
    channel.take(Basic.Nack)
    assert channel.bodies(queue) == [b"1"]
    post(channel, exchange, "b", b"3")
    channel.take(Basic.Ack)
    assert channel.bodies(queue) == [b"3"]


def test_a_new_exchange_remembers_nothing(peer: Any, channel: Channel) -> None:
    exchange, queue = unique(peer, channel)
    post(channel, exchange, "a", b"1")
    channel.delete_exchange(exchange)
    channel.declare_exchange(exchange, KIND, arguments={"x-cache-size": "5"})
    channel.bind(queue, exchange)
    post(channel, exchange, "a", b"2")
    assert got(channel, queue) == [b"1", b"2"]


SIZE = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0"
TTL = "Invalid argument, 'x-cache-ttl' must be an integer greater than 0"
PLACE = "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, SIZE),
        ({"x-cache-size": 0}, SIZE),
        ({"x-cache-size": -1}, SIZE),
        ({"x-cache-size": "many"}, SIZE),
        ({"x-cache-size": True}, SIZE),
        ({"x-cache-size": 1, "x-cache-ttl": 0}, TTL),
        ({"x-cache-size": 1, "x-cache-ttl": "soon"}, TTL),
        ({"x-cache-size": 1, "x-cache-persistence": "tape"}, PLACE),
        ({"x-cache-size": 1, "x-cache-persistence": 1}, PLACE),
    ],
)
def test_arguments_are_checked(
    peer: Any, channel: Channel, arguments: dict[str, Any], text: str
) -> None:
    with channel_error(406, f"PRECONDITION_FAILED - {text}", Exchange.Declare):
        channel.declare_exchange(peer.name("x"), KIND, arguments=arguments)


# -- queues ----------------------------------------------------------------------------------------


def one_of_each(peer: Any, channel: Channel, **arguments: Any) -> str:
    """Declare a queue that keeps no duplicates."""
    queue: str = peer.name("q")
    table = {name.replace("_", "-"): value for name, value in arguments.items()}
    channel.declare(queue, arguments={"x-message-deduplication": True, **table})
    return queue


def test_a_queue_drops_what_it_has(peer: Any, channel: Channel) -> None:
    queue = one_of_each(peer, channel)
    channel.confirm()
    for n, value in enumerate(("a", "b", "a")):
        post(channel, "", value, b"%d" % n, key=queue, mandatory=True)
    channel.publish("", queue, b"plain")
    channel.publish("", queue, b"plain")
    channel.confirmed()
    assert channel.bodies(queue) == [b"0", b"1", b"plain", b"plain"]
    post(channel, "", "a", b"4", key=queue)
    channel.sync()
    assert channel.bodies(queue) == [b"4"]


def test_what_is_with_a_consumer_counts_until_it_is_settled(peer: Any, channel: Channel) -> None:
    queue = one_of_each(peer, channel)
    post(channel, "", "a", b"1", key=queue)
    channel.sync()
    first = channel.get(queue)
    post(channel, "", "a", b"2", key=queue)
    channel.sync()
    assert channel.get(queue) is None
    channel.nack(first.delivery_tag)
    post(channel, "", "a", b"3", key=queue)
    channel.sync()
    again = channel.get(queue)
    assert again.body == b"1"
    channel.ack(again.delivery_tag)
    post(channel, "", "a", b"4", key=queue)
    channel.sync()
    assert channel.bodies(queue) == [b"4"]


@pytest.mark.parametrize("no_ack", [False, True])
def test_what_a_consumer_takes_may_come_again(peer: Any, channel: Channel, no_ack: bool) -> None:
    queue = one_of_each(peer, channel)
    channel.consume(queue, no_ack=no_ack)
    for n in range(3):
        post(channel, "", "a", b"%d" % n, key=queue)
        message = channel.delivery()
        assert message.body == b"%d" % n
        if not no_ack:
            channel.ack(message.delivery_tag)


@pytest.mark.parametrize("how", ["purge", "ttl", "length", "reject"])
def test_what_leaves_otherwise_may_come_again(peer: Any, channel: Channel, how: str) -> None:
    arguments = {"ttl": {"x-message-ttl": TTL_MS}, "length": {"x-max-length": 1}}.get(how, {})
    queue = one_of_each(peer, channel, **arguments)
    post(channel, "", "a", b"1", key=queue)
    channel.sync()
    if how == "purge":
        channel.do(commands.Queue.Purge, queue=queue)
    elif how == "ttl":
        let_pass(peer, channel, TTL_MS)
    elif how == "length":
        post(channel, "", "b", b"2", key=queue)
    else:
        channel.reject(channel.get(queue).delivery_tag, requeue=False)
    post(channel, "", "a", b"3", key=queue)
    channel.sync()
    assert channel.bodies(queue) == [b"3"]


def test_other_queues_of_a_publish_get_it(peer: Any, channel: Channel) -> None:
    exchange, queue, other = peer.name("x"), one_of_each(peer, channel), peer.name("other")
    channel.declare_exchange(exchange, "fanout")
    channel.declare(other)
    channel.bind(queue, exchange)
    channel.bind(other, exchange)
    for n in range(2):
        post(channel, exchange, "a", b"%d" % n)
    assert (got(channel, queue), got(channel, other)) == ([b"0"], [b"0", b"1"])


@pytest.mark.parametrize("value", [False, "true", 1])
def test_a_queue_has_to_be_told(peer: Any, channel: Channel, value: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-message-deduplication": value})
    for n in range(2):
        post(channel, "", "a", b"%d" % n, key=queue)
    assert got(channel, queue) == [b"0", b"1"]
