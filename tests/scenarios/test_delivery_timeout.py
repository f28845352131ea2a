"""Deliveries that nobody acknowledges (RabbitMQ: delivery acknowledgement timeout)."""

from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers.channel import Channel
from tests.peers.errors import ChannelClosed, channel_error

MINUTE_MS = 60_000
TIMEOUT_MS = 30 * MINUTE_MS

# RabbitMQ can be asked where it is set to look every second, with a timeout of two.
pytestmark = pytest.mark.distances(
    "memory", "sim", why="nobody waits for half an hour, and the clock is not ours"
)


def text(channel: Channel, timeout_ms: int) -> str:
    """What the broker says of it."""
    return (
        f"PRECONDITION_FAILED - delivery acknowledgement on channel {channel.number} timed out."
        f" Timeout value used: {timeout_ms} ms. This timeout value can be configured, see"
        " consumers doc guide to learn more"
    )


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue with a message in it."""
    name: str = peer.name("q")
    channel.declare(name)
    channel.publish("", name, b"1")
    channel.sync()
    return name


@pytest.fixture
def consumer(channel: Channel, queue: str) -> Channel:
    """A consumer, on a channel of its own, that has the message."""
    other: Channel = channel.connection.channel()
    other.consume(queue)
    assert other.delivery().body == b"1"
    return other


def wait(peer: Any, minutes: float) -> None:
    """Let time pass, a minute at a time at most."""
    left_ms = int(minutes * MINUTE_MS)
    while left_ms > 0:
        peer.advance(min(MINUTE_MS, left_ms))
        left_ms -= MINUTE_MS


def test_its_channel_is_closed(peer: Any, channel: Channel, queue: str, consumer: Channel) -> None:
    wait(peer, 30)
    consumer.sync()
    wait(peer, 2)
    with channel_error(406, text(consumer, TIMEOUT_MS), None):
        consumer.expect_close()
    again = channel.get(queue)
    assert again.body == b"1" and again.redelivered


def test_what_is_acknowledged_in_time_is_fine(peer: Any, consumer: Channel) -> None:
    wait(peer, 29)
    consumer.ack(1)
    wait(peer, 60)
    consumer.sync()


def test_each_delivery_has_its_own_time(peer: Any, channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    other.consume(queue)
    assert other.delivery().delivery_tag == 1
    for tag in range(2, 8):
        wait(peer, 20)
        channel.publish("", queue)
        assert other.delivery().delivery_tag == tag
        other.ack(tag - 1)
    wait(peer, 32)
    with channel_error(406, text(other, TIMEOUT_MS), None):
        other.expect_close()


def test_what_a_get_has_taken_counts_too(peer: Any, channel: Channel, queue: str) -> None:
    other = channel.connection.channel()
    assert other.get(queue) is not None
    wait(peer, 32)
    with channel_error(406, text(other, TIMEOUT_MS), None):
        other.expect_close()


def test_without_acknowledgements_there_is_no_limit(
    peer: Any, channel: Channel, queue: str
) -> None:
    channel.consume(queue, no_ack=True)
    assert channel.delivery().body == b"1"
    wait(peer, 120)
    channel.sync()


def test_a_channel_that_was_idle_is_looked_at_again(
    peer: Any, channel: Channel, queue: str
) -> None:
    assert channel.get(queue) is not None
    channel.ack(1)
    wait(peer, 100)
    channel.publish("", queue, b"2")
    assert channel.get(queue).body == b"2"
    wait(peer, 29)
    channel.sync()
    wait(peer, 3)
    with channel_error(406, text(channel, TIMEOUT_MS), None):
        channel.expect_close()


def test_a_cancelled_consumer_is_held_to_it(peer: Any, channel: Channel, queue: str) -> None:
    tag = channel.consume(queue)
    channel.delivery()
    channel.cancel(tag)
    wait(peer, 32)
    with channel_error(406, text(channel, TIMEOUT_MS), None):
        channel.expect_close()


@pytest.mark.parametrize("timeout_ms", [2 * MINUTE_MS, 120 * MINUTE_MS])
def test_a_queue_may_have_its_own(peer: Any, channel: Channel, timeout_ms: int) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments={"x-consumer-timeout": timeout_ms})
    channel.publish("", queue, b"1")
    channel.consume(queue)
    channel.delivery()
    wait(peer, timeout_ms / MINUTE_MS)
    channel.sync()
    wait(peer, 2)
    with channel_error(406, text(channel, timeout_ms), None):
        channel.expect_close()


def test_a_policy_may_give_one(peer: Any, channel: Channel, queue: str) -> None:
    directory = peer.broker.directory(peer.now_ms)
    directory.set_policy("/", "hasty", f"^{queue}$", {"consumer-timeout": 5 * MINUTE_MS})
    channel.consume(queue)
    channel.delivery()
    wait(peer, 5)
    channel.sync()
    wait(peer, 2)
    with channel_error(406, text(channel, 5 * MINUTE_MS), None):
        channel.expect_close()


def test_the_oldest_delivery_of_a_channel_counts(peer: Any, channel: Channel, queue: str) -> None:
    hasty = peer.name("q")
    channel.declare(hasty, arguments={"x-consumer-timeout": MINUTE_MS})
    channel.consume(queue)
    channel.delivery()
    channel.publish("", hasty)
    channel.consume(hasty)
    channel.delivery()
    wait(peer, 20)
    channel.sync()
    channel.ack(1)
    wait(peer, 2)
    with channel_error(406, text(channel, MINUTE_MS), None):
        channel.expect_close()


def test_other_channels_go_on(peer: Any, channel: Channel, queue: str, consumer: Channel) -> None:
    wait(peer, 33)
    with pytest.raises(ChannelClosed):
        consumer.expect_close()
    channel.sync()
    fresh = channel.connection.channel(consumer.number)
    fresh.consume(queue)
    assert fresh.delivery().body == b"1"


# -- 4.3 -------------------------------------------------------------------------------------------

QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Any:
    """The profile that a scenario names."""
    name = getattr(request, "param", "")
    if not name:
        return None
    from amqpd.profile import profile_of

    return profile_of(name)


in_4_3 = pytest.mark.parametrize("profile", ["4.3"], indirect=True)


@in_4_3
def test_classic_queues_have_no_limit_any_more(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True)
    channel.publish("", queue)
    channel.consume(queue)
    channel.delivery()
    wait(peer, 120)
    channel.sync()


@in_4_3
def test_a_late_consumer_is_cancelled(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.publish("", queue, b"1")
    channel.consume(queue, "late")
    channel.delivery()
    wait(peer, 32)
    assert channel.expect(Basic.Cancel).consumer_tag == "late"
    again = channel.get(queue)
    assert again.body == b"1" and again.redelivered
    assert channel.declare(queue, passive=True).consumer_count == 0


@in_4_3
def test_a_consumer_may_have_its_own(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.publish("", queue, b"1")
    channel.consume(queue, "late", arguments={"x-consumer-timeout": 2 * MINUTE_MS})
    channel.delivery()
    wait(peer, 4)
    assert channel.expect(Basic.Cancel).consumer_tag == "late"


@in_4_3
def test_who_cannot_be_told_loses_the_channel(peer: Any) -> None:
    channel = peer.connect(capabilities=()).channel()
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.publish("", queue, b"1")
    channel.consume(queue)
    channel.delivery()
    wait(peer, 32)
    with channel_error(406, text(channel, -1), None):
        channel.expect_close()
