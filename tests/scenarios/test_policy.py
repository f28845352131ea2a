"""Policies and operator policies: what they do to queues and exchanges that are there, and to new
ones (RabbitMQ: policies)."""

from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers.channel import Channel
from tests.peers.errors import ChannelClosed
from tests.scenarios.things import deaths, let_pass


@pytest.fixture
def channel(peer: Any, admin: Any) -> Channel:
    """An open channel in the administrator's vhost."""
    return peer.connect(vhost=admin.vhost).channel()


def publish(channel: Channel, queue: str, *bodies: bytes) -> None:
    """Publish these, and wait until that is done."""
    for body in bodies:
        channel.publish("", queue, body)
    channel.sync()


def kept(channel: Channel, queue: str, count: int) -> int:
    """Publish so many. Returns how many stay."""
    publish(channel, queue, *[b"%d" % number for number in range(count)])
    return len(channel.bodies(queue))


# -- which policy ----------------------------------------------------------------------------------


def test_a_policy_counts_for_queues_that_are_there_and_for_new_ones(
    admin: Any, channel: Channel
) -> None:
    channel.declare("q-old")
    channel.declare("other")
    admin.set_policy("p", "^q-", {"max-length": 2})
    channel.declare("q-new")
    counts = [kept(channel, queue, 5) for queue in ("q-old", "q-new", "other")]
    assert counts == [2, 2, 5]


def test_what_is_over_a_new_limit_is_dropped_at_once(
    peer: Any, admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    publish(channel, "q", b"1", b"2", b"3", b"4")
    admin.set_policy("p", ".*", {"max-length": 1})
    peer.until(lambda: channel.ready("q") == 1)
    assert channel.bodies("q") == [b"4"]


def test_a_policy_that_is_cleared_counts_no_more(admin: Any, channel: Channel) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"max-length": 2})
    assert kept(channel, "q", 5) == 2
    admin.clear_policy("p")
    assert kept(channel, "q", 5) == 5


def test_a_policy_that_is_changed_counts_as_it_is_now(admin: Any, channel: Channel) -> None:
    channel.declare("q")
    for length in (3, 1, 4):
        admin.set_policy("p", ".*", {"max-length": length})
        assert kept(channel, "q", 5) == length


def test_of_several_policies_one_counts_that_of_the_highest_priority(
    admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    admin.set_policy("low", ".*", {"max-length": 1}, priority=1)
    admin.set_policy("high", "^q", {"max-length": 3, "max-length-bytes": 1000}, priority=2)
    assert kept(channel, "q", 5) == 3
    admin.set_policy("higher", "q$", {"message-ttl": 60000}, priority=3)
    assert kept(channel, "q", 5) == 5, "the others do not count beside it"
    admin.clear_policy("higher")
    admin.clear_policy("high")
    assert kept(channel, "q", 5) == 1


@pytest.mark.parametrize(("apply_to", "count"), [("all", 2), ("queues", 2), ("exchanges", 5)])
def test_what_a_policy_applies_to(admin: Any, channel: Channel, apply_to: str, count: int) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"max-length": 2}, apply_to=apply_to)
    assert kept(channel, "q", 5) == count


def test_a_policy_does_not_matter_to_a_declare_of_the_same_queue(
    admin: Any, channel: Channel
) -> None:
    admin.set_policy("p", ".*", {"max-length": 2, "message-ttl": 60000})
    channel.declare("q")
    channel.declare("q")
    channel.declare("r", arguments={"x-max-length": 7})
    channel.declare("r", arguments={"x-max-length": 7})
    with pytest.raises(ChannelClosed, match="inequivalent arg 'x-max-length'"):
        channel.declare("q", arguments={"x-max-length": 2})


# -- together with arguments and operator policies -------------------------------------------------


@pytest.mark.parametrize(("own", "theirs", "count"), [(2, 4, 2), (4, 2, 2)])
def test_of_argument_and_policy_the_lower_counts(
    admin: Any, channel: Channel, own: int, theirs: int, count: int
) -> None:
    channel.declare("q", arguments={"x-max-length": own})
    admin.set_policy("p", ".*", {"max-length": theirs})
    assert kept(channel, "q", 6) == count
    admin.clear_policy("p")
    assert kept(channel, "q", 6) == own


@pytest.mark.parametrize(("theirs", "operators", "count"), [(2, 4, 2), (4, 2, 2)])
def test_of_policy_and_operator_policy_the_lower_counts(
    admin: Any, channel: Channel, theirs: int, operators: int, count: int
) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"max-length": theirs}, apply_to="queues")
    admin.set_policy("o", ".*", {"max-length": operators}, apply_to="queues", operator=True)
    assert kept(channel, "q", 6) == count
    admin.clear_policy("p")
    assert kept(channel, "q", 6) == operators
    admin.clear_policy("o", operator=True)
    assert kept(channel, "q", 6) == 6


def test_the_keys_of_policy_and_operator_policy_count_together(
    peer: Any, admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    channel.declare("dead")
    definition = {"dead-letter-exchange": "", "dead-letter-routing-key": "dead"}
    admin.set_policy("p", "^q$", definition, apply_to="queues")
    admin.set_policy("o", "^q$", {"max-length": 1}, apply_to="queues", operator=True)
    publish(channel, "q", b"1", b"2")
    peer.until(lambda: channel.ready("dead") == 1)
    assert channel.bodies("dead") == [b"1"]


def test_an_argument_wins_where_there_is_no_lower(peer: Any, admin: Any, channel: Channel) -> None:
    for queue in ("mine", "theirs"):
        channel.declare(queue)
    arguments = {
        "x-max-length": 1,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "mine",
    }
    channel.declare("q", arguments=arguments)
    definition = {"dead-letter-exchange": "amq.fanout", "dead-letter-routing-key": "theirs"}
    admin.set_policy("p", "^q$", definition)
    publish(channel, "q", b"1", b"2")
    peer.until(lambda: channel.ready("mine") == 1)
    assert channel.ready("theirs") == 0


# -- what a policy can do --------------------------------------------------------------------------


def test_messages_that_come_after_a_ttl_expire_by_it(
    peer: Any, admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    publish(channel, "q", b"before")
    admin.set_policy("p", ".*", {"message-ttl": 200})
    assert channel.bodies("q") == [b"before"]
    publish(channel, "q", b"after")
    let_pass(peer, channel, 400)
    peer.until(lambda: channel.ready("q") == 0)


def test_dead_letters_by_a_policy(peer: Any, admin: Any, channel: Channel) -> None:
    channel.declare("q")
    channel.declare("dead")
    definition = {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "dead",
        "max-length": 1,
    }
    admin.set_policy("p", "^q$", definition)
    publish(channel, "q", b"1", b"2")
    peer.until(lambda: channel.ready("dead") == 1)
    dead = channel.get("dead", no_ack=True)
    assert dead.body == b"1" and deaths(dead)[0]["reason"] == "maxlen"


def test_a_full_queue_refuses_by_a_policy(admin: Any, channel: Channel) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"max-length": 1, "overflow": "reject-publish"})
    channel.confirm()
    found = []
    for body in (b"1", b"2"):
        channel.publish("", "q", body)
        found += channel.take()
    assert [type(item) for item in found] == [Basic.Ack, Basic.Nack]
    assert channel.bodies("q") == [b"1"]


def test_an_alternate_exchange_by_a_policy(admin: Any, channel: Channel) -> None:
    channel.declare_exchange("x")
    channel.declare("lost")
    channel.bind("lost", "amq.fanout")
    channel.publish("x", "k", b"gone")
    channel.sync()
    admin.set_policy("p", "^x$", {"alternate-exchange": "amq.fanout"}, apply_to="exchanges")
    channel.publish("x", "k", b"kept")
    channel.sync()
    assert channel.bodies("lost") == [b"kept"]
    admin.clear_policy("p")
    channel.publish("x", "k", b"gone")
    channel.sync()
    assert channel.bodies("lost") == []


def test_an_alternate_exchange_by_an_argument_wins(admin: Any, channel: Channel) -> None:
    channel.declare_exchange("x", arguments={"alternate-exchange": "amq.direct"})
    for queue, exchange in (("mine", "amq.direct"), ("theirs", "amq.fanout")):
        channel.declare(queue)
        channel.bind(queue, exchange, "k")
    admin.set_policy("p", "^x$", {"alternate-exchange": "amq.fanout"})
    channel.publish("x", "k", b"1")
    channel.sync()
    assert (channel.bodies("mine"), channel.bodies("theirs")) == ([b"1"], [])


def test_a_queue_expires_by_a_policy_from_then_on(peer: Any, admin: Any, channel: Channel) -> None:
    channel.declare("q")
    channel.declare("used")
    channel.consume("used", no_ack=True)
    let_pass(peer, channel, 300)
    admin.set_policy("p", ".*", {"expires": 300})
    channel.publish("", "q", b"still there")
    assert channel.bodies("q") == [b"still there"]
    let_pass(peer, channel, 600)
    probe = channel.connection.channel()
    with pytest.raises(ChannelClosed, match="no queue 'q'"):
        probe.declare("q", passive=True)
    channel.declare("used", passive=True)


def test_an_expiry_that_is_taken_back_comes_to_nothing(
    peer: Any, admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"expires": 5000})
    admin.clear_policy("p")
    let_pass(peer, channel, 6000)
    channel.declare("q", passive=True)


def test_a_delivery_limit_by_a_policy(peer: Any, admin: Any, channel: Channel) -> None:
    channel.declare("q", durable=True, arguments={"x-queue-type": "quorum"})
    admin.set_policy("p", "^q$", {"delivery-limit": 1}, apply_to="queues")
    channel.publish("", "q", b"1")
    for _ in range(2):
        message = channel.get("q")
        channel.nack(message.delivery_tag)
    peer.until(lambda: channel.ready("q") == 0)


def test_a_policy_with_a_key_of_another_type_is_not_for_this_queue(
    admin: Any, channel: Channel
) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"delivery-limit": 1, "max-length": 1}, apply_to="queues")
    assert kept(channel, "q", 3) == 3


def test_mirroring_is_taken_and_means_nothing(admin: Any, channel: Channel) -> None:
    channel.declare("q")
    admin.set_policy("p", ".*", {"ha-mode": "all", "ha-sync-mode": "automatic", "max-length": 2})
    assert kept(channel, "q", 3) == 2


def test_a_server_named_queue_and_an_exclusive_one_go_by_policies(
    admin: Any, channel: Channel
) -> None:
    admin.set_policy("p", ".*", {"max-length": 2})
    queue = channel.declare(exclusive=True).queue
    assert kept(channel, queue, 5) == 2
