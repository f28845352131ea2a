"""What each command of a client must lead to, in the model.

`fault` says beforehand whether the broker has to refuse a command, and with which code; `apply`
carries a good one out. Answers that are due go into the channel's `replies`; what only the
broker's journal can tell (`needs`) is filled in by functions left in `model.after`.
"""

from dataclasses import dataclass
from typing import Any

from pamqp import base, commands

from tests.sim.model import (
    OUT,
    ChannelModel,
    ConfirmModel,
    ConsumerModel,
    EntryModel,
    Expected,
    MessageModel,
    Model,
    QueueModel,
    TransactionModel,
)
from tests.sim.topology import ExchangeModel, Row

Basic, Queue, Exchange, Tx = commands.Basic, commands.Queue, commands.Exchange, commands.Tx


@dataclass(eq=False)
class Command:
    """A method that a client sends; with a message if it is a publish."""

    method: base.Frame
    message: MessageModel | None = None


# Commands that take something away, or ask how much there is: they travel alone.
ALONE = (
    "Queue.Purge",
    "Queue.Delete",
    "Queue.Unbind",
    "Exchange.Delete",
    "Exchange.Unbind",
    "Basic.Cancel",
    "Basic.Qos",
    "Basic.Recover",
    "Channel.Close",
    "Tx.Commit",
    "Tx.Rollback",
)
# Of these, what is told apart from a single step: several queues or channels give back in turn.
IN_STEPS = ("Tx.Commit",)


def travels_alone(model: Model, channel: ChannelModel, command: Command) -> bool:
    """Say whether a command must not share a read with others."""
    method = command.method
    if method.name in ALONE or fault(model, channel, command):
        return True
    return bool(getattr(method, "delivery_tag", 1) == 0)


# -- faults ----------------------------------------------------------------------------------------


def fault(model: Model, channel: ChannelModel, command: Command) -> int:
    """Return the code with which a command has to be refused, 0 if it is good."""
    if channel.state != "open":
        return 0
    method: Any = command.method
    finder = _FAULTS.get(method.name)
    return 0 if finder is None else int(finder(model, channel, method))


def _locked(model: Model, channel: ChannelModel, name: str) -> int:
    """404 or 405 for a queue that the channel cannot use."""
    queue = model.queues.get(name)
    if queue is None:
        return 404
    return 405 if queue.owner not in (None, channel.connection) else 0


def _publish(model: Model, channel: ChannelModel, method: Any) -> int:
    if method.immediate:
        return 540
    if method.exchange and method.exchange not in model.topology.exchanges:
        return 404
    is_internal = method.exchange and model.topology.exchanges[method.exchange].internal
    return 403 if is_internal else 0


def _declare_queue(model: Model, channel: ChannelModel, method: Any) -> int:
    queue = model.queues.get(method.queue)
    if method.passive:
        return _locked(model, channel, method.queue)
    if queue is None:
        return 0
    if (queue.owner is not None) != method.exclusive or _locked(model, channel, method.queue):
        return 405
    same = queue.durable == (method.durable and not method.exclusive)
    return 0 if same and queue.auto_delete == method.auto_delete else 406


def _bind_queue(model: Model, channel: ChannelModel, method: Any) -> int:
    if method.exchange not in model.topology.exchanges:
        return 404
    return _locked(model, channel, method.queue)


def _unbind_queue(model: Model, channel: ChannelModel, method: Any) -> int:
    source, row = row_of(method)
    exchange = model.topology.exchanges.get(source)
    is_bound = exchange is not None and row in exchange.rows
    return _locked(model, channel, method.queue) if is_bound else 0


def _use_queue(model: Model, channel: ChannelModel, method: Any) -> int:
    return _locked(model, channel, method.queue)


def _delete_queue(model: Model, channel: ChannelModel, method: Any) -> int:
    queue = model.queues.get(method.queue)
    if queue is None:
        return 0
    refused = (method.if_unused and queue.consumers) or (method.if_empty and queue.ready)
    return _locked(model, channel, method.queue) or (406 if refused else 0)


def _consume(model: Model, channel: ChannelModel, method: Any) -> int:
    missing = _locked(model, channel, method.queue)
    if missing:
        return missing
    if method.consumer_tag in channel.consumers:
        return 530
    others = model.queues[method.queue].consumers
    taken = any(consumer.exclusive for consumer in others)
    return 403 if taken or (method.exclusive and others) else 0


def _declare_exchange(model: Model, channel: ChannelModel, method: Any) -> int:
    current = model.topology.exchanges.get(method.exchange)
    if method.passive:
        return 404 if current is None else 0
    if current is None:
        return 0
    asked = (method.exchange_type, method.durable, method.auto_delete, method.internal)
    held = (current.kind, current.durable, current.auto_delete, current.internal)
    alternate = (method.arguments or {}).get("alternate-exchange")
    return 0 if asked == held and alternate == current.alternate else 406


def _delete_exchange(model: Model, channel: ChannelModel, method: Any) -> int:
    current = model.topology.exchanges.get(method.exchange)
    return 406 if method.if_unused and current is not None and current.rows else 0


def _bind_exchange(model: Model, channel: ChannelModel, method: Any) -> int:
    known = model.topology.exchanges
    return 0 if method.source in known and method.destination in known else 404


def _settle(model: Model, channel: ChannelModel, method: Any) -> int:
    if method.delivery_tag in channel.out:
        return 0
    return 0 if method.delivery_tag == 0 and getattr(method, "multiple", False) else 406


def _select_confirm(model: Model, channel: ChannelModel, method: Any) -> int:
    return 406 if channel.transaction is not None else 0


def _select_tx(model: Model, channel: ChannelModel, method: Any) -> int:
    return 406 if channel.confirming else 0


def _end_tx(model: Model, channel: ChannelModel, method: Any) -> int:
    return 406 if channel.transaction is None else 0


_FAULTS = {
    "Basic.Publish": _publish,
    "Queue.Declare": _declare_queue,
    "Queue.Bind": _bind_queue,
    "Queue.Unbind": _unbind_queue,
    "Queue.Purge": _use_queue,
    "Queue.Delete": _delete_queue,
    "Basic.Consume": _consume,
    "Basic.Get": _use_queue,
    "Exchange.Declare": _declare_exchange,
    "Exchange.Delete": _delete_exchange,
    "Exchange.Bind": _bind_exchange,
    "Basic.Ack": _settle,
    "Basic.Nack": _settle,
    "Basic.Reject": _settle,
    "Confirm.Select": _select_confirm,
    "Tx.Select": _select_tx,
    "Tx.Commit": _end_tx,
    "Tx.Rollback": _end_tx,
}


# -- effects ---------------------------------------------------------------------------------------


def apply(model: Model, channel: ChannelModel, command: Command, alone: bool) -> None:
    """Carry a command out in the model; `alone`: nothing else is in the same read."""
    if channel.state != "open":
        if command.method.name in ("Channel.Close", "Channel.CloseOk"):
            _leave_closing(channel, command.method)
        return
    code = fault(model, channel, command)
    if code in (530, 540):
        model.close_connection(channel.connection, code)
    elif code:
        model.close_channel(channel, code)
    else:
        method: Any = command.method
        if command.message is not None:
            publish(model, channel, command.message)
        else:
            _EFFECTS[method.name](model, channel, method, alone)


def _leave_closing(channel: ChannelModel, method: base.Frame) -> None:
    """A close or close-ok comes for a channel that the broker closed."""
    if channel.state == "closing":
        if method.name == "Channel.Close":
            channel.expect("Channel.CloseOk")
        channel.state = "closed"
        del channel.connection.channels[channel.number]


def publish(model: Model, channel: ChannelModel, message: MessageModel) -> None:
    """Carry out a publish, or hold it in the transaction."""
    queues = model.route(message)
    if channel.transaction is not None:
        channel.transaction.publishes.append((message, queues))
        return
    model.place(message, queues)
    is_returned = message.mandatory and not queues
    if is_returned:
        channel.returns.append(message)
    if channel.confirming:
        confirm = ConfirmModel(message, queues, is_returned=is_returned)
        channel.published.append(confirm)
        model.after.append(lambda: _fill(confirm, model.needs_of(message, queues)))


def _fill(promise: Expected | ConfirmModel, needs: int) -> None:
    promise.needs = max(promise.needs, needs)


def _await(model: Model, channel: ChannelModel, kind: str, *about: tuple[Any, ...]) -> None:
    """Expect an -ok that must not leave before the latest fact about these things is safe."""
    expected = channel.expect(kind)
    last = model.journal.last
    model.after.append(lambda: _fill(expected, max((last[thing] for thing in about), default=0)))


def _on_declare_queue(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    queue = model.queues.get(method.queue)
    if queue is None:
        durable = method.durable and not method.exclusive
        owner = channel.connection if method.exclusive else None
        queue = QueueModel(method.queue, durable, method.auto_delete, owner)
        model.queues[queue.name] = queue
        if durable:
            model.after.append(lambda: _learn_id(model, queue))
    expected = channel.expect("Queue.DeclareOk")
    if alone:
        counts = len(queue.ready), len(queue.consumers)
        expected.check = lambda said: _same((said.message_count, said.consumer_count), counts)
    if queue.durable and not method.passive:
        model.after.append(lambda: _fill(expected, model.journal.last["queue", queue.name]))


def _learn_id(model: Model, queue: QueueModel) -> None:
    queue.id = model.journal.ids[queue.name]


def _same(said: Any, due: Any) -> None:
    assert said == due, f"{due} was due, not {said}"


def _on_delete_queue(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    queue = model.queues.get(method.queue)
    count = model.delete_queue(queue) if queue is not None else 0
    if queue is None or queue.durable:
        _await(model, channel, "Queue.DeleteOk", ("queue", method.queue))
    else:
        channel.expect("Queue.DeleteOk")
    channel.replies[-1].check = lambda said: _same(said.message_count, count)


def _on_purge(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    queue = model.queues[method.queue]
    count = len(queue.ready)
    for index in queue.ready:
        queue.settle(queue.entries[index])
    queue.ready = []
    channel.expect("Queue.PurgeOk", lambda said: _same(said.message_count, count))


def row_of(method: Any) -> tuple[str, Row]:
    """Return the source and the row of a bind or unbind."""
    arguments = tuple(sorted((method.arguments or {}).items()))
    if method.name.startswith("Queue."):
        return method.exchange, (True, method.queue, method.routing_key, arguments)
    return method.source, (False, method.destination, method.routing_key, arguments)


def _on_bind(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    source, row = row_of(method)
    model.topology.bind(source, row)
    durable = model.topology.is_durable(source, row)
    _await(model, channel, f"{method.name}Ok", *([("binding", source, *row)] if durable else []))


def _on_unbind(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    source, row = row_of(method)
    about: list[tuple[Any, ...]] = [("binding", source, *row)]
    about += [("exchange", name) for name in model.topology.unbind(source, row)]
    _await(model, channel, f"{method.name}Ok", *about)


def _on_declare_exchange(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    if not method.passive and method.exchange not in model.topology.exchanges:
        model.topology.exchanges[method.exchange] = ExchangeModel(
            method.exchange,
            method.exchange_type,
            method.durable,
            method.auto_delete,
            method.internal,
            (method.arguments or {}).get("alternate-exchange"),
        )
    durable = method.durable and not method.passive
    _await(model, channel, "Exchange.DeclareOk", *([("exchange", method.exchange)] * durable))


def _on_delete_exchange(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    exchange = model.topology.exchanges.get(method.exchange)
    gone = [method.exchange]
    if exchange is not None:
        gone = model.topology.delete_exchange(method.exchange)
        gone = gone if exchange.durable else gone[1:]  # an older life of the name may be durable
    _await(model, channel, "Exchange.DeleteOk", *[("exchange", name) for name in gone])


def _on_consume(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    queue = model.queues[method.queue]
    consumer = ConsumerModel(
        method.consumer_tag, channel, queue, method.no_ack, method.exclusive, channel.prefetch
    )
    channel.consumers[consumer.tag] = consumer
    queue.consumers.append(consumer)
    channel.expect("Basic.ConsumeOk", lambda said: _same(said.consumer_tag, consumer.tag))


def _on_cancel(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    consumer = channel.consumers.get(method.consumer_tag)
    about: list[tuple[Any, ...]] = []
    if consumer is not None and model.cancel(consumer) and consumer.queue.durable:
        about = [("queue", consumer.queue.name)]
    _await(model, channel, "Basic.CancelOk", *about)


def _on_get(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    queue = model.queues[method.queue]
    expected = channel.expect("Basic.GetOk")
    expected.check = lambda said: _got(model, channel, queue, method.no_ack, said, alone)


def _got(
    model: Model, channel: ChannelModel, queue: QueueModel, no_ack: bool, said: Any, alone: bool
) -> None:
    """Take the answer to basic.get: get-empty, or a whole message."""
    if said.method.name == "Basic.GetEmpty":
        assert not alone or not queue.ready, f"{queue.name} is not empty"
        return
    taker = ConsumerModel("", channel, queue, no_ack)
    model.said_delivery(taker, said.method, said.properties, said.body)
    assert not alone or said.method.message_count == len(queue.ready)


def _on_qos(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    if method.global_:
        channel.window = method.prefetch_count
    else:
        channel.prefetch = method.prefetch_count
        channel.window = 0
    channel.expect("Basic.QosOk")


def _on_settle(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    """basic.ack, nack and reject."""
    tag = method.delivery_tag
    if getattr(method, "multiple", False):
        taken = [mine for mine in channel.out if tag == 0 or mine <= tag]
    else:
        taken = [tag]
    entries: list[EntryModel] = [channel.out.pop(mine) for mine in taken]
    assert all(entry.state == OUT for entry in entries)
    requeue = getattr(method, "requeue", False)
    if channel.transaction is not None:
        channel.transaction.settles.append((entries, requeue))
    elif requeue:
        model.give_back(entries)
    else:
        model.settle(entries)


def _on_recover(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    entries = list(channel.out.values())
    channel.out = {}
    model.give_back(entries)
    channel.expect("Basic.RecoverOk")


def _on_select_confirm(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    channel.confirming = True
    channel.expect("Confirm.SelectOk")


def _on_select_tx(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    if channel.transaction is None:
        channel.transaction = TransactionModel()
    channel.expect("Tx.SelectOk")


def _on_commit(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    transaction = channel.transaction
    assert transaction is not None
    channel.transaction = TransactionModel()
    for message, queues in transaction.publishes:
        model.place(message, queues)
        if message.mandatory and not queues:
            channel.returns.append(message)
    for entries, requeue in transaction.settles:
        if requeue:
            model.give_back(entries)
        else:
            model.settle(entries)
    expected = channel.expect("Tx.CommitOk", lambda said: _same(len(channel.returns), 0))
    model.after.append(lambda: _fill(expected, _needs_of_commit(model, transaction)))


def _needs_of_commit(model: Model, transaction: TransactionModel) -> int:
    last = model.journal.last
    needs = 0
    for message, queues in transaction.publishes:
        if any(not queue.is_dead for queue in queues):
            alive = [queue for queue in queues if not queue.is_dead]
            needs = max(needs, model.needs_of(message, alive))
    for entries, requeue in transaction.settles:
        for entry in entries:
            durable = entry.queue.durable and entry.message.persistent
            if durable and not requeue and not entry.queue.is_dead:
                position = last["settled", entry.queue.id, entry.index]
                assert position, "a settled message is not in the journal"
                needs = max(needs, position)
    return needs


def _on_rollback(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    transaction = channel.transaction
    assert transaction is not None
    channel.transaction = TransactionModel()
    for entries, _ in transaction.settles:
        channel.out.update({entry.tag: entry for entry in entries})
    channel.out = dict(sorted(channel.out.items()))
    channel.expect("Tx.RollbackOk")


def _on_close(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    model.end_channel(channel)
    channel.state = "closed"
    del channel.connection.channels[channel.number]
    channel.expect("Channel.CloseOk")


def _on_nothing(model: Model, channel: ChannelModel, method: Any, alone: bool) -> None:
    """A close-ok or cancel-ok that needs no answer."""


_EFFECTS = {
    "Queue.Declare": _on_declare_queue,
    "Queue.Delete": _on_delete_queue,
    "Queue.Purge": _on_purge,
    "Queue.Bind": _on_bind,
    "Queue.Unbind": _on_unbind,
    "Exchange.Declare": _on_declare_exchange,
    "Exchange.Delete": _on_delete_exchange,
    "Exchange.Bind": _on_bind,
    "Exchange.Unbind": _on_unbind,
    "Basic.Consume": _on_consume,
    "Basic.Cancel": _on_cancel,
    "Basic.CancelOk": _on_nothing,
    "Basic.Get": _on_get,
    "Basic.Qos": _on_qos,
    "Basic.Ack": _on_settle,
    "Basic.Nack": _on_settle,
    "Basic.Reject": _on_settle,
    "Basic.Recover": _on_recover,
    "Confirm.Select": _on_select_confirm,
    "Tx.Select": _on_select_tx,
    "Tx.Commit": _on_commit,
    "Tx.Rollback": _on_rollback,
    "Channel.Close": _on_close,
    "Channel.CloseOk": _on_nothing,
}
