"""What clients see of the RabbitMQ version that is imitated (see `amqpd.profile`)."""

from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.errors import channel_error, connection_error
from tests.scenarios.things import deaths

pytestmark = pytest.mark.distances("memory", "sim", why="a broker has one version")

QUORUM = {"x-queue-type": "quorum"}
NAMES = ("3.13", "4.0", "4.3")


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Any:
    """The profile that a scenario names, maybe with permissions behind it."""
    from amqpd.profile import profile_of

    named = request.param
    return profile_of(*named) if isinstance(named, tuple) else profile_of(named)


def like(*names: Any) -> pytest.MarkDecorator:
    """Run a scenario with these profiles."""
    return pytest.mark.parametrize("profile", names, indirect=True)


@like(*NAMES)
def test_the_version_is_shown(peer: Any, profile: Any) -> None:
    properties: Any = peer.greet().start.server_properties
    assert properties["product"] == "RabbitMQ"
    assert properties["version"] == profile.version
    assert profile.version.startswith(profile.name)


@like(*NAMES)
def test_the_mechanisms(peer: Any, profile: Any) -> None:
    offered = set(peer.greet().start.mechanisms.split())
    expected = {"PLAIN", "AMQPLAIN"}
    assert offered == (expected if profile.name == "3.13" else expected | {"ANONYMOUS"})


@like("4.0", "4.3")
def test_an_anonymous_client_is_guest(peer: Any) -> None:
    connection = peer.greet()
    connection.start_ok(mechanism="ANONYMOUS", response=b"whoever")
    connection.tune = connection.zero.expect(commands.Connection.Tune)
    connection.tune_ok().open()
    channel = connection.channel()
    channel.declare(exclusive=True)


@like("3.13", "4.0", ("4.3", {"transient_nonexcl_queues": True}))
def test_transient_queues(channel: Channel, peer: Any) -> None:
    channel.declare(peer.name("q"))
    channel.declare(peer.name("q"), auto_delete=True)


@like("4.3", ("3.13", {"transient_nonexcl_queues": False}))
def test_no_transient_queues(channel: Channel, peer: Any) -> None:
    channel.declare("", exclusive=True)
    channel.declare(peer.name("q"), durable=True)
    text = (
        "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n"
        "By default, this feature is not permitted anymore.\n"
        "The feature will be removed from a future major RabbitMQ version, regardless of the"
        " configuration; actual version to be determined.\n"
    )
    text = text + "To continue using this feature when it is not permitted"
    with connection_error(541, text[:252] + "...", Queue.Declare):
        channel.declare(peer.name("q"))


@like("3.13", "4.0", ("4.3", {"global_qos": True}))
def test_a_shared_window(channel: Channel, peer: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True)
    for _ in range(4):
        channel.publish("", queue)
    channel.qos(1, global_=True)
    channel.consume(queue)
    channel.consume(queue)
    channel.delivery()
    channel.expect_nothing()


@like("4.3")
def test_a_shared_window_means_nothing(channel: Channel, peer: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True)
    for _ in range(4):
        channel.publish("", queue)
    channel.qos(1, global_=True)
    channel.consume(queue)
    channel.consume(queue)
    channel.deliveries(2)
    channel.expect_nothing()


@like("4.3")
def test_the_master_locator(channel: Channel, peer: Any) -> None:
    arguments = {"x-queue-master-locator": "min-masters"}
    with pytest.raises(Exception, match="`queue_master_locator` is deprecated"):
        channel.declare(peer.name("q"), durable=True, arguments=arguments)


@like(*NAMES)
def test_the_largest_message(channel: Channel, peer: Any, profile: Any) -> None:
    if profile.name == "3.13":
        assert profile.message_bytes_max == 128 * 1024 * 1024
        return
    text = "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216"
    with channel_error(406, text, Basic.Publish):
        channel.publish("", "q", bytes(16777217))
        channel.sync()


# -- quorum queues ---------------------------------------------------------------------------------


def came_back(channel: Channel, queue: str, times: int, reject: bool) -> int:
    """Get a message again and again, and give it back. Returns how often it came."""
    for came in range(times):
        message = channel.get(queue)
        if message is None:
            return came
        if reject:
            channel.reject(message.delivery_tag)
        else:
            channel.nack(message.delivery_tag)
    return times


@like(*NAMES)
@pytest.mark.parametrize("reject", [False, True])
def test_the_delivery_limit_by_default(
    channel: Channel, peer: Any, profile: Any, reject: bool
) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.publish("", queue)
    endless = profile.name == "3.13" or (profile.name == "4.3" and not reject)
    assert came_back(channel, queue, 50, reject) == (50 if endless else 21)


@like("4.0", "4.3")
def test_a_negative_limit_is_none(channel: Channel, peer: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments={**QUORUM, "x-delivery-limit": -1})
    channel.publish("", queue)
    assert came_back(channel, queue, 50, True) == 50


@like("4.3")
def test_two_counts(channel: Channel, peer: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.publish("", queue)
    message = channel.get(queue)
    assert not message.properties.headers
    channel.nack(message.delivery_tag)
    message = channel.get(queue)
    assert message.properties.headers == {"x-acquired-count": 1}
    channel.reject(message.delivery_tag)
    message = channel.get(queue)
    assert message.properties.headers == {"x-acquired-count": 2, "x-delivery-count": 1}


@like("4.0")
def test_what_comes_back_is_ahead_by_default(channel: Channel, peer: Any) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    for body in (b"1", b"2"):
        channel.publish("", queue, body)
    channel.nack(channel.get(queue).delivery_tag)
    assert channel.bodies(queue) == [b"1", b"2"]


def prioritised(channel: Channel, queue: str) -> list[bytes]:
    """Publish with priorities. Returns the order in which they come."""
    channel.declare(queue, durable=True, arguments=QUORUM)
    for priority in (0, 9, None, 4, 5, 5, 40, 1):
        properties = {} if priority is None else {"priority": priority}
        channel.publish("", queue, str(priority).encode(), **properties)
    return channel.bodies(queue)


@like("3.13")
def test_no_priorities(channel: Channel, peer: Any) -> None:
    bodies = prioritised(channel, peer.name("q"))
    assert bodies == [b"0", b"9", b"None", b"4", b"5", b"5", b"40", b"1"]


@like("4.0")
def test_two_priorities_two_to_one(channel: Channel, peer: Any) -> None:
    bodies = prioritised(channel, peer.name("q"))
    assert bodies == [b"9", b"5", b"0", b"5", b"40", b"None", b"4", b"1"]


@like("4.3")
def test_thirty_two_priorities(channel: Channel, peer: Any) -> None:
    bodies = prioritised(channel, peer.name("q"))
    assert bodies == [b"40", b"9", b"5", b"5", b"None", b"4", b"1", b"0"]


# -- dead letters ----------------------------------------------------------------------------------


@like(*NAMES)
def test_whether_a_publishers_x_death_counts(channel: Channel, peer: Any, profile: Any) -> None:
    queue, grave = peer.name("q"), peer.name("dead")
    channel.declare(grave, durable=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave}
    channel.declare(queue, durable=True, arguments=arguments)
    channel.publish("", queue, b"1", headers={"own": "kept"})
    for times in (1, 2, 3):
        channel.reject(channel.get(queue).delivery_tag, requeue=False)
        dead = channel.get(grave, no_ack=True)
        headers: Any = dead.properties.headers
        (death,) = deaths(dead)
        assert death["count"] == (times if profile.name == "3.13" else 1)
        assert headers["own"] == "kept"
        assert headers["x-first-death-queue"] == queue
        channel.publish("", queue, b"1", raw_properties=dead.raw_properties)


@like(*NAMES)
def test_the_brokers_own_count_goes_on(channel: Channel, peer: Any) -> None:
    first, second = peer.name("q"), peer.name("q")
    back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": first}
    forth = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second}
    channel.declare(first, durable=True, arguments=forth)
    channel.declare(second, durable=True, arguments=back)
    channel.publish("", first)
    for _ in range(3):
        for queue in (first, second):
            message = channel.get(queue)
            channel.reject(message.delivery_tag, requeue=False)
    message = channel.get(first)
    assert [death["count"] for death in deaths(message)] == [3, 3]


@like(*NAMES)
def test_delivery_mode_2_alone_is_persistent(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True)
    for mode in (1, 2, 3):
        channel.publish("", queue, delivery_mode=mode)
        message = channel.get(queue, no_ack=True)
        assert message.properties.delivery_mode == mode
