"""Queues that keep so many messages or octets only (RabbitMQ: maxlen, x-overflow)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Tx

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios.things import Cemetery

REJECTS = ["reject-publish", "reject-publish-dlx"]


@pytest.fixture
def grave(peer: Any, channel: Channel) -> Cemetery:
    """Where dead letters go."""
    return Cemetery(peer, channel)


def limited(peer: Any, channel: Channel, overflow: str | None = None, **arguments: Any) -> str:
    """Declare a queue; underscores in arguments stand for dashes."""
    table = {key.replace("_", "-"): value for key, value in arguments.items()}
    if overflow:
        table["x-overflow"] = overflow
    name: str = peer.name("q")
    channel.declare(name, arguments=table)
    return name


def publish(channel: Channel, queue: str, *bodies: bytes) -> None:
    """Publish these, and wait until that is done."""
    for body in bodies:
        channel.publish("", queue, body)
    channel.sync()


def outcomes(channel: Channel, count: int) -> dict[int, str]:
    """Wait until so many publishes are settled. None may be settled twice."""
    found: dict[int, str] = {}
    while len(found) < count:
        (item,) = channel.take()
        assert isinstance(item, Basic.Ack | Basic.Nack), item
        tags = [item.delivery_tag]
        if item.multiple:
            tags = [tag for tag in range(1, item.delivery_tag + 1) if tag not in found]
        for tag in tags:
            assert tag not in found, f"{item} after {found}"
            found[tag] = "ack" if isinstance(item, Basic.Ack) else "nack"
    channel.sync()
    assert not channel.inbox
    return found


# -- drop-head -------------------------------------------------------------------------------------


@pytest.mark.parametrize("overflow", [None, "drop-head"])
def test_the_oldest_are_dropped(peer: Any, channel: Channel, overflow: str | None) -> None:
    queue = limited(peer, channel, overflow, x_max_length=3)
    publish(channel, queue, *[str(number).encode() for number in range(10)])
    channel.expect_ready(queue, 3)
    assert channel.bodies(queue) == [b"7", b"8", b"9"]


def test_octets_of_bodies_are_counted(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, x_max_length_bytes=10)
    publish(channel, queue, b"aaaa", b"bbbb", b"cc")
    channel.expect_ready(queue, 3)
    publish(channel, queue, b"d")
    assert channel.bodies(queue) == [b"bbbb", b"cc", b"d"]


def test_a_body_over_the_limit_drops_all(peer: Any, channel: Channel, grave: Cemetery) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-length-bytes": 10, **grave.arguments})
    publish(channel, queue, b"1", b"2", b"much too long")
    wanted = [(b"1", "maxlen"), (b"2", "maxlen"), (b"much too long", "maxlen")]
    assert grave.reasons(3) == wanted
    assert channel.bodies(queue) == []


@pytest.mark.parametrize("length, octets", [(2, 100), (9, 2)])
def test_whichever_limit_is_reached_counts(
    peer: Any, channel: Channel, length: int, octets: int
) -> None:
    queue = limited(peer, channel, x_max_length=length, x_max_length_bytes=octets)
    publish(channel, queue, b"1", b"2", b"3")
    assert channel.bodies(queue) == [b"2", b"3"]


def test_the_dropped_are_dead_letters_in_order(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-length": 2, **grave.arguments})
    publish(channel, queue, *[str(number).encode() for number in range(6)])
    assert grave.reasons(4) == [(str(number).encode(), "maxlen") for number in range(4)]
    assert channel.bodies(queue) == [b"4", b"5"]


def test_dropped_publishes_are_confirmed(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, x_max_length=1)
    channel.confirm()
    for _ in range(5):
        channel.publish("", queue, b"1")
    assert outcomes(channel, 5) == {tag: "ack" for tag in range(1, 6)}


def test_unacked_messages_do_not_count(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, x_max_length=1)
    channel.consume(queue)
    publish(channel, queue, b"1", b"2", b"3")
    assert [delivery.body for delivery in channel.deliveries(3)] == [b"1", b"2", b"3"]


def test_a_requeue_over_the_limit_drops_the_oldest(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-length": 2, **grave.arguments})
    publish(channel, queue, b"1", b"2")
    message = channel.get(queue)
    publish(channel, queue, b"3")
    channel.nack(message.delivery_tag)
    assert grave.reasons(1) == [(b"1", "maxlen")]
    assert channel.bodies(queue) == [b"2", b"3"]


def test_a_limit_of_nothing_serves_ready_consumers_only(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-length": 0, **grave.arguments})
    publish(channel, queue, b"1")
    assert grave.reasons(1) == [(b"1", "maxlen")]
    channel.consume(queue)
    publish(channel, queue, b"2")
    assert channel.delivery().body == b"2"
    grave.channel.expect_nothing(grave.queue)


def test_with_priorities_the_next_to_be_delivered_is_dropped(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-max-length": 2, "x-max-priority": 5, **grave.arguments})
    for priority in (1, 3, 2):
        channel.publish("", queue, str(priority).encode(), priority=priority)
    assert grave.reasons(1) == [(b"3", "maxlen")]
    channel.publish("", queue, b"5", priority=5)
    assert grave.reasons(1) == [(b"5", "maxlen")]
    assert channel.bodies(queue) == [b"2", b"1"]


# -- reject-publish --------------------------------------------------------------------------------


@pytest.mark.parametrize("overflow", REJECTS)
def test_the_newest_are_refused(peer: Any, channel: Channel, overflow: str) -> None:
    queue = limited(peer, channel, overflow, x_max_length=2)
    publish(channel, queue, b"1", b"2", b"3")
    channel.expect_ready(queue, 2)
    assert channel.bodies(queue) == [b"1", b"2"]
    publish(channel, queue, b"4")
    assert channel.bodies(queue) == [b"4"]


@pytest.mark.parametrize("overflow", REJECTS)
@pytest.mark.parametrize("mode", [None, 2])
def test_refused_publishes_are_nacked(
    peer: Any, channel: Channel, overflow: str, mode: int | None
) -> None:
    queue = peer.name("q")
    arguments = {"x-max-length": 2, "x-overflow": overflow}
    channel.declare(queue, durable=True, arguments=arguments)
    channel.confirm()
    for _ in range(5):
        channel.publish("", queue, b"1", delivery_mode=mode)
    assert outcomes(channel, 5) == {1: "ack", 2: "ack", 3: "nack", 4: "nack", 5: "nack"}
    assert len(channel.connection.channel().bodies(queue)) == 2
    channel.publish("", queue, b"6", delivery_mode=mode)
    ack = channel.expect(Basic.Ack)
    assert ack.delivery_tag == 6
    channel.expect_nothing()


def test_refused_and_taken_in_one_turn(peer: Any, channel: Channel) -> None:
    full = limited(peer, channel, "reject-publish", x_max_length=0)
    free = limited(peer, channel)
    channel.confirm()
    wanted = {}
    with peer.one_turn():
        for tag in range(1, 41):
            refused = tag % 7 in (0, 1, 2)
            channel.publish("", full if refused else free, b"1")
            wanted[tag] = "nack" if refused else "ack"
    assert outcomes(channel, 40) == wanted


def test_one_queue_that_refuses_makes_it_a_nack(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    full = limited(peer, channel, "reject-publish", x_max_length=1)
    free = limited(peer, channel)
    for queue in (full, free):
        channel.bind(queue, exchange)
    channel.confirm()
    channel.publish(exchange, "", b"1")
    channel.publish(exchange, "", b"2")
    assert outcomes(channel, 2) == {1: "ack", 2: "nack"}
    other = channel.connection.channel()
    assert other.bodies(full) == [b"1"]
    assert other.bodies(free) == [b"1", b"2"]


def test_a_full_queue_with_a_ready_consumer(peer: Any, channel: Channel) -> None:
    """A queue that may keep nothing refuses what its consumer would take, as RabbitMQ does."""
    queue = limited(peer, channel, "reject-publish", x_max_length=0)
    other = channel.connection.channel()
    other.consume(queue)
    channel.confirm()
    channel.publish("", queue, b"1")
    assert outcomes(channel, 1) == {1: "nack"}
    other.expect_nothing(queue)


def test_octets_refuse_from_the_limit_on(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, "reject-publish", x_max_length_bytes=10)
    channel.confirm()
    for body in (b"aaaa", b"bbbb", b"ccc", b"dd", b"e", b""):
        channel.publish("", queue, body)
    assert outcomes(channel, 6) == {
        1: "ack", 2: "ack", 3: "nack", 4: "ack", 5: "nack", 6: "ack",
    }  # fmt: skip
    assert channel.connection.channel().bodies(queue) == [b"aaaa", b"bbbb", b"dd", b""]


def test_refused_publishes_are_no_dead_letters(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.declare(queue, arguments=arguments | grave.arguments)
    publish(channel, queue, b"1", b"2")
    channel.expect_ready(queue, 1)
    grave.channel.expect_nothing(grave.queue)


def test_refused_publishes_may_be_dead_letters(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = peer.name("q")
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish-dlx"}
    channel.declare(queue, arguments=arguments | grave.arguments)
    channel.confirm()
    channel.publish("", queue, b"1")
    channel.publish("", queue, b"2")
    assert outcomes(channel, 2) == {1: "ack", 2: "nack"}
    assert grave.reasons(1) == [(b"2", "maxlen")]


def test_a_dead_letter_comes_after_the_message_that_it_is_a_copy_of(
    peer: Any, channel: Channel
) -> None:
    exchange, refusing, taking = peer.name("x"), peer.name("q1"), peer.name("q2")
    channel.declare_exchange(exchange, "fanout")
    arguments = {
        "x-max-length": 0,
        "x-overflow": "reject-publish-dlx",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": taking,
    }
    channel.declare(refusing, arguments=arguments)
    channel.declare(taking)
    channel.bind(refusing, exchange)
    channel.bind(taking, exchange)
    channel.publish(exchange, "", b"1")
    channel.expect_ready(taking, 2)
    direct, dead = (channel.get(taking, no_ack=True) for _ in range(2))
    assert (direct.exchange, dead.exchange) == (exchange, "")


@pytest.mark.parametrize("overflow", REJECTS)
def test_a_requeue_is_never_refused(peer: Any, channel: Channel, overflow: str) -> None:
    queue = limited(peer, channel, overflow, x_max_length=1)
    publish(channel, queue, b"1")
    message = channel.get(queue)
    publish(channel, queue, b"2")
    channel.nack(message.delivery_tag)
    channel.expect_ready(queue, 2)
    assert channel.bodies(queue) == [b"1", b"2"]


@pytest.mark.parametrize("bounds", [{"x-max-length": 1}, {"x-max-length-bytes": 1}])
def test_what_comes_back_is_dropped_before_it_is_delivered_again(
    peer: Any, channel: Channel, bounds: dict[str, int]
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=bounds)
    channel.consume(queue)
    publish(channel, queue, b"1", b"2")
    last = channel.deliveries(2)[-1]
    channel.nack(last.delivery_tag, multiple=True)
    assert channel.delivery().body == b"2"
    channel.expect_nothing(queue)


def test_a_mandatory_publish_that_is_refused_is_not_returned(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, "reject-publish", x_max_length=0)
    channel.confirm()
    channel.publish("", queue, b"1", mandatory=True)
    assert outcomes(channel, 1) == {1: "nack"}


# -- transactions ----------------------------------------------------------------------------------


def test_a_refused_publish_fails_its_commit(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, "reject-publish", x_max_length=1)
    free = limited(peer, channel)
    channel.call(Tx.Select())
    for body in (b"1", b"2"):
        channel.publish("", queue, body)
        channel.publish("", free, body)
    with channel_error(406, "PRECONDITION_FAILED - partial tx completion", Tx.Commit):
        channel.call(Tx.Commit())
    other = channel.connection.channel()
    assert other.bodies(queue) == [b"1"]
    assert other.bodies(free) == [b"1", b"2"]


def test_a_commit_that_fits_succeeds(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, "reject-publish", x_max_length=1)
    channel.call(Tx.Select())
    channel.publish("", queue, b"1")
    channel.call(Tx.Commit())
    channel.publish("", queue, b"2")
    channel.call(Tx.Rollback())
    channel.call(Tx.Commit())
    assert channel.bodies(queue) == [b"1"]


def test_a_dropping_queue_fails_no_commit(peer: Any, channel: Channel) -> None:
    queue = limited(peer, channel, x_max_length=1)
    channel.call(Tx.Select())
    for body in (b"1", b"2"):
        channel.publish("", queue, body)
    channel.call(Tx.Commit())
    assert channel.bodies(queue) == [b"2"]
