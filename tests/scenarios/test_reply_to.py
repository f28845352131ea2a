"""Direct reply-to: answers without a queue (RabbitMQ: direct reply-to)."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts

REPLY_TO = "amq.rabbitmq.reply-to"


@pytest.fixture
def requests(peer: Any, channel: Channel) -> str:
    """A queue of requests."""
    name = peer.name("requests")
    channel.declare(name)
    return name


@pytest.fixture
def responder(peer: Any) -> Channel:
    """A channel of another connection."""
    return peer.connect().channel()


def ask(channel: Channel, requests: str, responder: Channel) -> str:
    """Send a request; returns the address that the responder sees."""
    channel.publish("", requests, b"?", reply_to=REPLY_TO, correlation_id="1")
    channel.sync()
    request = responder.get(requests, no_ack=True)
    assert request.properties.correlation_id == "1"
    return request.properties.reply_to


def test_a_reply_reaches_who_asked(
    channel: Channel, requests: str, responder: Channel
) -> None:
    tag = channel.consume(REPLY_TO, no_ack=True)
    for body in (b"first", b"second"):
        address = ask(channel, requests, responder)
        assert re.fullmatch(re.escape(REPLY_TO) + r"\..+", address)
        responder.publish("", address, body, correlation_id="1")
        reply = channel.delivery()
        assert (reply.body, reply.consumer_tag, reply.redelivered) == (body, tag, False)
        assert (reply.exchange, reply.routing_key) == ("", address)
        assert reply.properties.correlation_id == "1"


def test_a_reply_may_come_from_the_same_channel(channel: Channel, requests: str) -> None:
    channel.consume(REPLY_TO, no_ack=True)
    channel.publish("", requests, reply_to=REPLY_TO)
    address = channel.get(requests, no_ack=True).properties.reply_to
    channel.publish("", address, b"!")
    assert channel.delivery().body == b"!"


def test_each_channel_has_an_address_of_its_own(
    channel: Channel, requests: str, responder: Channel
) -> None:
    other = channel.connection.channel()
    addresses = {}
    for one in (channel, other):
        one.consume(REPLY_TO, no_ack=True)
        addresses[one] = ask(one, requests, responder)
    for one, address in addresses.items():
        responder.publish("", address, str(one.number).encode())
    for one in (channel, other):
        assert one.delivery().body == str(one.number).encode()


def test_a_reply_consumer_cannot_acknowledge(channel: Channel) -> None:
    text = "PRECONDITION_FAILED - reply consumer cannot acknowledge"
    with channel_error(406, text, Basic.Consume):
        channel.consume(REPLY_TO)


def test_a_channel_has_one_reply_consumer(channel: Channel) -> None:
    channel.consume(REPLY_TO, no_ack=True)
    text = "PRECONDITION_FAILED - reply consumer already set"
    with channel_error(406, text, Basic.Consume):
        channel.consume(REPLY_TO, no_ack=True)


def test_that_it_cannot_acknowledge_is_seen_before_a_second_one(channel: Channel) -> None:
    channel.consume(REPLY_TO, no_ack=True)
    text = "PRECONDITION_FAILED - reply consumer cannot acknowledge"
    with channel_error(406, text, Basic.Consume):
        channel.consume(REPLY_TO)


def test_its_declaration_is_the_last_one(peer: Any, channel: Channel) -> None:
    channel.declare(REPLY_TO, passive=True)
    exchange = peer.name("missing")
    with channel_error(404, texts.no_exchange(exchange), Queue.Bind):
        channel.bind("", exchange)


def test_a_request_without_a_reply_consumer_is_refused(channel: Channel, requests: str) -> None:
    channel.publish("", requests, reply_to=REPLY_TO)
    text = "PRECONDITION_FAILED - fast reply consumer does not exist"
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()


def test_a_reply_consumer_can_be_cancelled_and_set_again(
    channel: Channel, requests: str, responder: Channel
) -> None:
    tag = channel.consume(REPLY_TO, no_ack=True)
    channel.cancel(tag)
    channel.consume(REPLY_TO, "again", no_ack=True)
    responder.publish("", ask(channel, requests, responder), b"!")
    assert channel.delivery().consumer_tag == "again"


def test_a_reply_to_nobody_is_unroutable(
    channel: Channel, requests: str, responder: Channel
) -> None:
    other = channel.connection.channel()
    other.consume(REPLY_TO, no_ack=True)
    address = ask(other, requests, responder)
    other.close()
    responder.publish("", address, b"dropped")
    responder.publish("", address, b"returned", mandatory=True)
    assert responder.expect(Basic.Return).body == b"returned"
    responder.expect_nothing()


def test_a_responder_can_look_whether_someone_waits(
    channel: Channel, requests: str, responder: Channel
) -> None:
    other = channel.connection.channel()
    other.consume(REPLY_TO, no_ack=True)
    address = ask(other, requests, responder)
    for passive in (False, True):
        reply = responder.declare(address, passive=passive)
        assert (reply.queue, reply.message_count, reply.consumer_count) == (address, 0, 1)
    other.close()
    with channel_error(404, texts.no_queue(address), Queue.Declare):
        responder.declare(address)


def test_the_bare_name_can_be_declared(channel: Channel) -> None:
    assert channel.declare(REPLY_TO).queue == REPLY_TO


def test_replies_are_confirmed(channel: Channel, requests: str, responder: Channel) -> None:
    channel.consume(REPLY_TO, no_ack=True)
    address = ask(channel, requests, responder)
    responder.confirm()
    for _ in range(3):
        responder.publish("", address, b"!")
    responder.confirmed()
    assert len(channel.deliveries(3)) == 3


def test_other_reply_addresses_are_passed_on(channel: Channel, requests: str) -> None:
    for address in ("my-queue", "", "amq.rabbitmq.reply-to-not"):
        channel.publish("", requests, reply_to=address)
        assert channel.get(requests, no_ack=True).properties.reply_to == address
