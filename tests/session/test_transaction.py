"""Transactions: what is held until commit, in which order it is carried out, and rollback."""

from typing import Any

import pytest
from pamqp import commands

from amqpd.core.consumer import Entry
from amqpd.errors import SoftError
from amqpd.session.channel import Channel
from amqpd.session.transaction import HeldPublish, HeldSettle, Transaction
from tests.core.fakes import make_entry, make_message
from tests.peers import codec
from tests.session.fakes import Bench, link_of, publish, refusal, waiting


@pytest.fixture
def bench() -> Bench:
    """A vhost with a queue q."""
    made = Bench()
    made.queue("q")
    return made


def do(channel: Channel, kind: Any, **fields: Any) -> None:
    """Send a method."""
    method = codec.make(kind, **fields)
    channel.on_method(method.index, codec.encode_method(method))


def selected(bench: Bench) -> Channel:
    """Make a channel in transaction mode."""
    channel = bench.channel()
    do(channel, commands.Tx.Select)
    assert link_of(channel).names() == ["Tx.SelectOk"]
    return channel


def commit(channel: Channel) -> list[str]:
    """Commit; return the names of all that was said since."""
    do(channel, commands.Tx.Commit)
    return link_of(channel).names()


def rollback(channel: Channel) -> list[str]:
    """Roll back; return the names of all that was said since."""
    do(channel, commands.Tx.Rollback)
    return link_of(channel).names()


def ready(bench: Bench) -> int:
    """How many messages wait in q."""
    return int(bench.vhost.queues["q"].backlog.count)


def test_a_transaction_holds_publishes_and_settlements() -> None:
    transaction = Transaction()
    assert transaction.publishes == [] and transaction.settles == []
    first, second = [make_entry(1)], [make_entry(2), make_entry(3)]
    transaction.hold(first, False)
    transaction.hold(second, True)
    assert [held.requeue for held in transaction.settles] == [False, True]
    assert transaction.take_back() == first + second
    assert transaction.settles == []


def test_what_is_held_keeps_what_it_needs() -> None:
    message = make_message()
    publish_held = HeldPublish([], message, True)
    assert publish_held.queues == [] and publish_held.message is message and publish_held.mandatory
    entries: list[Entry] = [make_entry(1)]
    settle_held = HeldSettle(entries, True)
    assert settle_held.entries is entries and settle_held.requeue


def test_publishes_wait_for_the_commit(bench: Bench) -> None:
    channel = selected(bench)
    publish(channel, body=b"1")
    publish(channel, body=b"2")
    assert ready(bench) == 0
    assert commit(channel) == ["Tx.CommitOk"]
    bodies = [entry.message.content[-2:-1] for entry in waiting(bench.vhost.queues["q"])]
    assert bodies == [b"1", b"2"]


def test_a_rollback_forgets_publishes(bench: Bench) -> None:
    channel = selected(bench)
    publish(channel)
    assert rollback(channel) == ["Tx.RollbackOk"]
    assert commit(channel) == ["Tx.CommitOk"]
    assert ready(bench) == 0


def test_a_publish_to_a_missing_exchange_fails_at_once(bench: Bench) -> None:
    channel = selected(bench)
    refusal(lambda: publish(channel, "gone"), SoftError, 404)


def test_a_publish_goes_where_it_was_routed(bench: Bench) -> None:
    channel = selected(bench)
    bench.bind("amq.direct", bench.vhost.queues["q"], "k")
    publish(channel, "amq.direct", "k")
    bench.vhost.unbind("amq.direct", True, "q", "k", {})
    commit(channel)
    assert ready(bench) == 1


def test_a_queue_that_is_gone_at_the_commit_gets_nothing(bench: Bench) -> None:
    channel = selected(bench)
    publish(channel)
    bench.vhost.delete_queue(bench.vhost.queues["q"])
    assert commit(channel) == ["Tx.CommitOk"]


def test_returns_come_before_the_commit_ok(bench: Bench) -> None:
    channel = selected(bench)
    publish(channel, key="nowhere", mandatory=True)
    publish(channel, key="nowhere")
    assert link_of(channel).said() == []
    assert commit(channel) == ["Basic.Return", "Tx.CommitOk"]


def delivered(bench: Bench, count: int, **options: Any) -> Channel:
    """Make a channel in transaction mode with so many deliveries."""
    channel = selected(bench)
    bench.consume(channel, bench.vhost.queues["q"], **options)
    for _ in range(count):
        publish(bench.channel())
    link_of(channel).said()
    return channel


def test_acks_wait_for_the_commit(bench: Bench) -> None:
    channel = delivered(bench, 2)
    channel.on_ack(1, False)
    assert (channel.unacked.count, channel.uncommitted_count) == (1, 1)
    assert bench.vhost.queues["q"].unacked_count == 2
    commit(channel)
    assert channel.uncommitted_count == 0
    assert bench.vhost.queues["q"].unacked_count == 1


def test_an_ack_is_looked_up_when_it_comes(bench: Bench) -> None:
    channel = delivered(bench, 1)
    channel.on_ack(1, False)
    text = refusal(lambda: channel.on_ack(1, False), SoftError, 406)
    assert text == "unknown delivery tag 1"


def test_requeues_wait_for_the_commit(bench: Bench) -> None:
    channel = delivered(bench, 2)
    channel.cancel(channel.consumers["c"])
    channel.settle_through(2, True, True)
    assert ready(bench) == 0
    commit(channel)
    assert ready(bench) == 2


def test_publishes_come_before_settlements(bench: Bench) -> None:
    bench.queue("d", durable=True)
    channel = selected(bench)
    bench.consume(channel, bench.vhost.queues["d"])
    publish(bench.channel(), key="d", delivery_mode=2)
    channel.cancel(channel.consumers["c"])
    channel.on_ack(1, False)
    publish(channel, key="d", delivery_mode=2)
    before = len(bench.journal.facts)
    commit(channel)
    assert [fact[0] for fact in bench.journal.facts[before:]] == ["published", "settled"]


def test_a_rollback_leaves_deliveries_unacked(bench: Bench) -> None:
    channel = delivered(bench, 3)
    channel.on_ack(1, False)
    channel.settle_through(3, False, True)
    assert rollback(channel) == ["Tx.RollbackOk"]
    assert (channel.unacked.count, channel.uncommitted_count) == (3, 0)
    channel.on_ack(2, True)
    commit(channel)
    assert bench.vhost.queues["q"].unacked_count == 1


@pytest.mark.parametrize("shared", [False, True])
def test_an_ack_makes_room_when_it_is_committed(bench: Bench, shared: bool) -> None:
    channel = selected(bench)
    if shared:
        channel.set_window(1)
    bench.consume(channel, bench.vhost.queues["q"], prefetch=0 if shared else 1)
    publish(bench.channel())
    channel.on_ack(1, False)
    publish(bench.channel())
    assert ready(bench) == 1
    commit(channel)
    channel.link.resume_consumers()
    assert ready(bench) == 0


def test_a_rollback_does_not_leave_more_out_than_the_window_lets(bench: Bench) -> None:
    channel = selected(bench)
    channel.set_window(2)
    bench.consume(channel, bench.vhost.queues["q"])
    for _ in range(2):
        publish(bench.channel())
    channel.on_ack(2, True)
    for _ in range(2):
        publish(bench.channel())
    rollback(channel)
    channel.link.resume_consumers()
    assert channel.unacked.count == 2


def test_a_commit_of_something_durable_waits_for_its_sync(bench: Bench) -> None:
    bench.queue("d", durable=True)
    bench.end_turn()
    channel = selected(bench)
    publish(channel, key="d", delivery_mode=2)
    assert commit(channel) == []
    bench.context.settlement.on_synced(bench.journal.position)
    assert link_of(channel).names() == ["Tx.CommitOk"]


def test_a_commit_of_nothing_durable_does_not_wait(bench: Bench) -> None:
    channel = selected(bench)
    bench.journal.append("of somebody else")
    publish(channel)
    assert commit(channel) == ["Tx.CommitOk"]


@pytest.mark.parametrize("kind", [commands.Tx.Commit, commands.Tx.Rollback])
def test_commit_and_rollback_need_a_transaction(bench: Bench, kind: Any) -> None:
    text = refusal(lambda: do(bench.channel(), kind), SoftError, 406)
    assert text == "channel is not transactional"


def test_transactions_and_confirms_exclude_each_other(bench: Bench) -> None:
    channel = selected(bench)
    text = refusal(lambda: do(channel, commands.Confirm.Select), SoftError, 406)
    assert text == "cannot switch from tx to confirm mode"
    other = bench.channel()
    do(other, commands.Confirm.Select)
    text = refusal(lambda: do(other, commands.Tx.Select), SoftError, 406)
    assert text == "cannot switch from confirm to tx mode"


def test_selecting_again_keeps_the_transaction(bench: Bench) -> None:
    channel = selected(bench)
    publish(channel)
    do(channel, commands.Tx.Select)
    commit(channel)
    assert ready(bench) == 1
