"""What declares of each type of queue are refused (RabbitMQ: x-queue-type, optional arguments)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.errors import channel_error, connection_error
from tests.scenarios.texts import inequivalent

QUORUM = {"x-queue-type": "quorum"}
CLASSIC = {"x-queue-type": "classic"}


def refused(channel: Channel, queue: str, why: str, **fields: Any) -> None:
    """Declare what must be refused with 406 and this text."""
    with channel_error(406, f"PRECONDITION_FAILED - {why}", Queue.Declare):
        channel.declare(queue, **fields)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"durable": False}, "non-durable"),
        ({"durable": True, "exclusive": True}, "exclusive-owner"),
        ({"durable": True, "auto_delete": True}, "auto-delete"),
        ({"durable": False, "exclusive": True, "auto_delete": True}, "auto-delete"),
        ({"durable": False, "exclusive": True}, "exclusive-owner"),
    ],
)
@pytest.mark.parametrize("queue_type", ["quorum", "stream"])
def test_what_replicated_queues_cannot_be(
    peer: Any, channel: Channel, queue_type: str, flags: dict[str, bool], named: str
) -> None:
    queue = peer.name("q")
    why = f"invalid property '{named}' for queue '{queue}' in vhost '/'"
    refused(channel, queue, why, arguments={"x-queue-type": queue_type}, **flags)


@pytest.mark.parametrize("queue_type", ["quorum", "stream"])
def test_they_need_a_name(channel: Channel, queue_type: str) -> None:
    why = f"Cannot declare a server-named queue for type rabbit_{queue_type}_queue"
    refused(channel, "", why, arguments={"x-queue-type": queue_type, "x-message-ttl": -1})


FOREIGN = [
    ("classic", "x-delivery-limit", 3),
    ("classic", "x-dead-letter-strategy", "at-least-once"),
    ("classic", "x-quorum-initial-group-size", 3),
    ("classic", "x-max-in-memory-length", 3),
    ("classic", "x-queue-leader-locator", "balanced"),
    ("classic", "x-max-age", "7D"),
    ("classic", "x-initial-cluster-size", 3),
    ("quorum", "x-max-priority", 3),
    ("quorum", "x-queue-mode", "lazy"),
    ("quorum", "x-queue-version", 2),
    ("quorum", "x-queue-master-locator", "min-masters"),
    ("quorum", "x-stream-max-segment-size-bytes", 3),
    ("stream", "x-expires", 3),
    ("stream", "x-max-length", 3),
    ("stream", "x-message-ttl", 3),
    ("stream", "x-overflow", "drop-head"),
]


@pytest.mark.parametrize(("queue_type", "key", "value"), FOREIGN)
def test_an_argument_of_another_type(
    peer: Any, channel: Channel, queue_type: str, key: str, value: Any
) -> None:
    queue = peer.name("q")
    kind = f"rabbit_{queue_type}_queue"
    why = f"invalid arg '{key}' for queue '{queue}' in vhost '/' of queue type {kind}"
    refused(channel, queue, why, arguments={"x-queue-type": queue_type, key: value})


def test_a_bad_value_is_told_before_an_argument_of_another_type(
    peer: Any, channel: Channel
) -> None:
    queue = peer.name("q")
    arguments = {**QUORUM, "x-max-priority": 3, "x-message-ttl": -1}
    why = f"invalid arg 'x-message-ttl' for queue '{queue}' in vhost '/': {{value_negative,-1}}"
    refused(channel, queue, why, arguments=arguments)


BAD = [
    ("x-quorum-initial-group-size", 0, "{value_zero,0}"),
    ("x-quorum-initial-group-size", "3", '"expected integer, got longstr"'),
    ("x-max-in-memory-length", -1, "{value_negative,-1}"),
    ("x-max-in-memory-bytes", True, '"expected integer, got bool"'),
    ("x-dead-letter-strategy", "sometimes", "invalid_dlx_strategy"),
    ("x-dead-letter-strategy", 1, "{unacceptable_type,signedint}"),
    ("x-queue-leader-locator", "min-masters", "invalid_queue_locator_arg"),
    ("x-queue-leader-locator", 1, "{unacceptable_type,signedint}"),
    ("x-overflow", "explode", "invalid_overflow"),
    ("x-expires", 0, "{value_zero,0}"),
]


@pytest.mark.parametrize(("key", "value", "reason"), BAD)
def test_a_bad_argument_of_a_quorum_queue(
    peer: Any, channel: Channel, key: str, value: Any, reason: str
) -> None:
    queue = peer.name("q")
    why = f"invalid arg '{key}' for queue '{queue}' in vhost '/': {reason}"
    refused(channel, queue, why, durable=True, arguments={**QUORUM, key: value})


GOOD = [
    ("x-quorum-initial-group-size", 7),
    ("x-max-in-memory-length", 0),
    ("x-max-in-memory-bytes", 10),
    ("x-delivery-limit", -1),
    ("x-delivery-limit", "no number"),
    ("x-dead-letter-strategy", "at-least-once"),
    ("x-overflow", "reject-publish-dlx"),
    ("x-queue-leader-locator", "client-local"),
    ("x-queue-leader-locator", "least-leaders"),
    ("x-consumer-timeout", 1000),
    ("x-anything", "else"),
]


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_a_good_argument_of_a_quorum_queue(
    peer: Any, channel: Channel, key: str, value: Any
) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments={**QUORUM, key: value})
    channel.declare(queue, durable=True, arguments={**QUORUM, key: value})


QUOTED = "the value 'quorum' of type 'longstr'"
UNEQUAL = [
    (QUORUM, {}, "x-queue-type", "none", QUOTED),
    ({}, QUORUM, "x-queue-type", QUOTED, "none"),
    (CLASSIC, QUORUM, "x-queue-type", "'quorum'", "'classic'"),
    (QUORUM, CLASSIC, "x-queue-type", "'classic'", "'quorum'"),
    (QUORUM, {"x-queue-type": "no-such"}, "x-queue-type", "'no-such'", "'quorum'"),
    (
        {**QUORUM, "x-delivery-limit": 2},
        {**QUORUM, "x-delivery-limit": 3},
        "x-delivery-limit",
        "'3'",
        "'2'",
    ),
    (
        QUORUM,
        {**QUORUM, "x-message-ttl": -1},
        "x-message-ttl",
        "the value '-1' of type 'signedint'",
        "none",
    ),
    (
        {"x-queue-mode": "lazy"},
        {},
        "x-queue-mode",
        "none",
        "the value 'lazy' of type 'longstr'",
    ),
    ({"x-queue-version": 2}, {"x-queue-version": 1}, "x-queue-version", "'1'", "'2'"),
]


@pytest.mark.parametrize(("first", "second", "key", "received", "current"), UNEQUAL)
def test_declares_that_differ(
    peer: Any,
    channel: Channel,
    first: dict[str, Any],
    second: dict[str, Any],
    key: str,
    received: str,
    current: str,
) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=first)
    text = inequivalent(key, f"queue '{queue}'", received, current)
    with channel_error(406, text, Queue.Declare):
        channel.declare(queue, durable=True, arguments=second)


def test_what_the_type_does_not_know_is_not_compared(peer: Any, channel: Channel) -> None:
    queue, other = peer.name("q"), peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.declare(queue, durable=True, arguments={**QUORUM, "x-max-priority": 3})
    channel.declare(other)
    channel.declare(other, arguments={"x-delivery-limit": 3, "x-queue-type": "classic"})


@pytest.mark.parametrize("flag", ["if_unused", "if_empty"])
def test_a_conditional_delete_of_a_quorum_queue(peer: Any, channel: Channel, flag: str) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    text = (
        f"NOT_IMPLEMENTED - cannot delete queue '{queue}' in vhost '/'. queue.delete operations"
        f" with {flag.replace('_', '-')} flag set are not supported by quorum queues"
    )
    with connection_error(540, text, Queue.Delete):
        channel.delete(queue, **{flag: True})


def test_of_two_conditions_the_use_is_told(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    text = (
        f"NOT_IMPLEMENTED - cannot delete queue '{queue}' in vhost '/'. queue.delete operations"
        " with if-unused flag set are not supported by quorum queues"
    )
    with connection_error(540, text, Queue.Delete):
        channel.delete(queue, if_empty=True, if_unused=True)


@pytest.mark.parametrize("no_ack", [False, True])
def test_quorum_queues_have_no_shared_window(peer: Any, channel: Channel, no_ack: bool) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.qos(5, global_=True)
    assert channel.get(queue) is None
    text = f"NOT_IMPLEMENTED - queue '{queue}' in vhost '/' does not support global qos"
    with connection_error(540, text, Basic.Consume):
        channel.consume(queue, no_ack=no_ack)


def test_a_consumer_of_a_quorum_queue_is_never_alone(peer: Any, channel: Channel) -> None:
    queue, single = peer.name("q"), peer.name("q")
    channel.declare(queue, durable=True, arguments=QUORUM)
    channel.consume(queue, exclusive=True)
    channel.consume(queue, exclusive=True)
    channel.declare(single, durable=True, arguments={**QUORUM, "x-single-active-consumer": True})
    channel.consume(single, exclusive=True)


def test_no_get_past_a_single_active_consumer(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments={**QUORUM, "x-single-active-consumer": True})
    text = (
        f"RESOURCE_LOCKED - cannot obtain access to locked queue '{queue}' in vhost '/'."
        " basic.get operations are not supported by quorum queues with single active consumer"
    )
    with channel_error(405, text, Basic.Get):
        channel.get(queue)


CONSUMERS = [
    ({}, "x-cancel-on-ha-failover", 5, ": {unacceptable_type,signedint}"),
    (QUORUM, "x-cancel-on-ha-failover", True, " of queue type rabbit_quorum_queue"),
    ({}, "x-stream-offset", "first", " of queue type rabbit_classic_queue"),
    (QUORUM, "x-priority", "a", ': "expected integer, got longstr"'),
]


@pytest.mark.parametrize(("arguments", "key", "value", "reason"), CONSUMERS)
def test_a_bad_argument_of_a_consumer(
    peer: Any, channel: Channel, arguments: dict[str, Any], key: str, value: Any, reason: str
) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, arguments=arguments)
    text = f"PRECONDITION_FAILED - invalid arg '{key}' for queue '{queue}' in vhost '/'{reason}"
    with channel_error(406, text, Basic.Consume):
        channel.consume(queue, arguments={key: value})


@pytest.mark.distances("memory", "sim", "socket", why="RabbitMQ has streams")
def test_there_are_no_streams_yet(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    text = (
        f"NOT_IMPLEMENTED - queue '{queue}' in vhost '/' is of type 'stream',"
        " which this broker does not have"
    )
    with connection_error(540, text, Queue.Declare):
        channel.declare(queue, durable=True, arguments={"x-queue-type": "stream"})
