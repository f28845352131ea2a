"""Direct reply-to: a name made for the channel that asks, and gone with its consumer."""

from typing import Any

import pytest
from pamqp import commands

from amqpd.errors import HardError, SoftError
from amqpd.session import reply_to
from amqpd.session.channel import Channel
from tests.peers import codec
from tests.session.fakes import Bench, link_of, publish, refusal

NAME = "amq.rabbitmq.reply-to"


@pytest.fixture
def bench() -> Bench:
    """A vhost with a queue q for requests."""
    made = Bench()
    made.queue("q")
    return made


def consume(channel: Channel, tag: str = "reply", *, no_ack: bool = True, **fields: Any) -> None:
    """Send basic.consume of the pseudo-queue."""
    method = codec.make(
        commands.Basic.Consume, queue=NAME, consumer_tag=tag, no_ack=no_ack, **fields
    )
    channel.on_method(method.index, codec.encode_method(method))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(NAME, True), (NAME + ".abc", True), (NAME + "s", False), ("amq", False), ("", False)],
)
def test_which_names_are_meant(name: str, is_one: bool) -> None:
    assert reply_to.is_reply_queue(name) == is_one


def test_consuming_makes_a_name_for_the_channel(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel)
    (item,) = link_of(channel).said()
    assert (item.name, item.method.consumer_tag) == ("Basic.ConsumeOk", "reply")
    assert channel.reply_queue.startswith(NAME + ".")
    assert channel.reply_queue in bench.vhost.queues
    assert bench.journal.facts == []


def test_a_tag_is_made_up_if_none_is_given(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel, "")
    assert link_of(channel).said()[0].method.consumer_tag.startswith("amq.ctag-")


def test_no_wait_says_nothing(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel, nowait=True)
    assert link_of(channel).said() == []


def test_it_must_be_consumed_without_acks(bench: Bench) -> None:
    channel = bench.channel()
    text = refusal(lambda: consume(channel, no_ack=False), SoftError, 406)
    assert text == "reply consumer cannot acknowledge"


def test_a_channel_consumes_it_once(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel)
    text = refusal(lambda: consume(channel, "second"), SoftError, 406)
    assert text == "reply consumer already set"


def test_a_used_tag_is_a_530(bench: Bench) -> None:
    channel = bench.channel()
    bench.consume(channel, bench.vhost.queues["q"], "reply")
    refusal(lambda: consume(channel), HardError, 530)


def test_a_request_and_its_answer(bench: Bench) -> None:
    asker, answerer = bench.channel(), bench.channel()
    consume(asker)
    bench.consume(answerer, bench.vhost.queues["q"], no_ack=True)
    publish(asker, body=b"ask", reply_to=NAME)
    (request,) = link_of(answerer).said()
    address = codec.decode_properties(request.properties).reply_to
    assert address == asker.reply_queue
    publish(answerer, key=address, body=b"answer", mandatory=True)
    answer = link_of(asker).said()[-1]
    assert (answer.name, answer.body) == ("Basic.Deliver", b"answer")
    assert (answer.method.consumer_tag, answer.method.redelivered) == ("reply", False)
    assert (answer.method.exchange, answer.method.routing_key) == ("", address)
    assert link_of(answerer).said() == []


def test_cancelling_ends_it_and_it_may_begin_anew(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel)
    first = channel.reply_queue
    channel.cancel(channel.consumers["reply"])
    assert channel.reply_queue == "" and first not in bench.vhost.queues
    consume(channel)
    assert channel.reply_queue not in ("", first)


def test_deleting_its_queue_ends_it_too(bench: Bench) -> None:
    channel = bench.channel()
    consume(channel)
    bench.vhost.delete_queue(bench.vhost.queues[channel.reply_queue])
    assert channel.reply_queue == "" and channel.consumers == {}
    consume(channel)


def test_an_answer_to_whoever_is_gone_comes_back_if_mandatory(bench: Bench) -> None:
    asker, answerer = bench.channel(), bench.channel()
    consume(asker)
    address = asker.reply_queue
    asker.end()
    publish(answerer, key=address, mandatory=True)
    assert link_of(answerer).names() == ["Basic.Return"]
