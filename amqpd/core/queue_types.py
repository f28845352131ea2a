"""The types of queue: which class each is, and which declares it refuses."""

from amqpd import errors
from amqpd.core.arguments import CLASSIC, QUORUM, STREAM, type_of
from amqpd.core.duplicates import UniqueQueue, asks_for_it
from amqpd.core.ports import Journal
from amqpd.core.queue import Queue, Undertaker
from amqpd.core.quorum_queue import QuorumQueue
from amqpd.core.timers import Timers
from amqpd.profile import MASTER_LOCATOR, TRANSIENT_QUEUES, Profile
from amqpd.wire.tables import Table


def check_new(
    name: str,
    vhost: str,
    durable: bool,
    owner: int,
    auto_delete: bool,
    arguments: Table,
    profile: Profile,
) -> None:
    """Raise an error for what a new queue, with valid arguments, cannot be: 406, 540 or 541."""
    queue_type = type_of(arguments)
    if queue_type == CLASSIC:
        if not durable and not owner and not profile.permits(TRANSIENT_QUEUES):
            raise errors.deprecated(TRANSIENT_QUEUES)
        if "x-queue-master-locator" in arguments and not profile.permits(MASTER_LOCATOR):
            raise errors.deprecated(MASTER_LOCATOR)
        return
    if auto_delete:
        raise errors.invalid_property("auto-delete", name, vhost)
    if owner:
        raise errors.invalid_property("exclusive-owner", name, vhost)
    if not durable:
        raise errors.invalid_property("non-durable", name, vhost)
    if queue_type == STREAM:
        raise errors.no_streams(name, vhost)


def make_queue(
    journal: Journal,
    queue_id: int,
    vhost: str,
    name: str,
    durable: bool,
    owner: int,
    auto_delete: bool,
    arguments: Table,
    timers: Timers,
    undertaker: Undertaker,
    profile: Profile,
) -> Queue:
    """Make a queue of the type that its arguments name."""
    if type_of(arguments) == QUORUM:
        return QuorumQueue(
            journal,
            queue_id,
            vhost,
            name,
            arguments=arguments,
            timers=timers,
            undertaker=undertaker,
            profile=profile,
        )
    if asks_for_it(arguments):
        return UniqueQueue(
            journal,
            queue_id,
            vhost,
            name,
            durable=durable and owner == 0,
            owner=owner,
            auto_delete=auto_delete,
            arguments=arguments,
            timers=timers,
            undertaker=undertaker,
            profile=profile,
        )
    return Queue(
        journal,
        queue_id,
        vhost,
        name,
        durable=durable and owner == 0,
        owner=owner,
        auto_delete=auto_delete,
        arguments=arguments,
        timers=timers,
        undertaker=undertaker,
        profile=profile,
    )
