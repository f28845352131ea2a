"""tx.* (spec 1.9, RabbitMQ: semantics, tx)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.session.channel import Channel
from amqpd.session.transaction import Transaction
from amqpd.wire import methods
from amqpd.wire.tables import Table


def on_tx_select(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """tx.select: hold publishes and settlements back until commit (spec 1.9.2.1)."""
    if channel.confirming:
        raise errors.confirm_to_tx()
    if channel.transaction is None:
        channel.transaction = Transaction()
    channel.send(methods.encode(commands.Tx.SelectOk()))


def on_tx_commit(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """tx.commit: publish, then settle what was held; the -ok says that it is safe (spec 1.9.2.3).

    Deviation: methods that a client sends before it has the -ok are carried out in turn, where
    RabbitMQ answers 504 if the commit happens to be still at work.
    """
    transaction = channel.transaction
    if transaction is None:
        raise errors.not_transactional()
    channel.transaction = Transaction()
    channel.uncommitted_count = 0
    journal = channel.link.context.journal
    before = journal.position
    journal.begin()
    try:
        for publish in transaction.publishes:
            channel.place(publish.queues, publish.message, publish.mandatory)
        for held in transaction.settles:
            channel.settle(held.entries, held.requeue, held.rejected, held.how)
    finally:
        journal.end()
    if channel.transaction.refused:
        raise errors.partial_tx()
    if journal.position > before:
        channel.hold(journal.position)
    channel.send(methods.encode(commands.Tx.CommitOk()))


def on_tx_rollback(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """tx.rollback: forget what was held; deliveries stay unacked (spec 1.9.2.5)."""
    transaction = channel.transaction
    if transaction is None:
        raise errors.not_transactional()
    channel.transaction = Transaction()
    channel.uncommitted_count = 0
    channel.unacked.put_back(transaction.take_back())
    channel.send(methods.encode(commands.Tx.RollbackOk()))
