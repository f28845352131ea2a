"""Policies come into effect: which of them a queue or exchange goes by, and what it does then."""

from amqpd.core.arguments import type_of
from amqpd.core.exchange import Exchange
from amqpd.core.policy import Policies, merged
from amqpd.core.queue import Queue
from amqpd.wire import tables


def govern_exchange(exchange: Exchange, policies: Policies) -> bool:
    """Let an exchange go by what policies are there. Returns whether its alternate has changed."""
    exchange.policy = policies.for_exchange(exchange.name)
    alternate = exchange.arguments.get("alternate-exchange")
    if alternate is None and exchange.policy is not None:
        alternate = exchange.policy.definition.get("alternate-exchange")
    name = tables.text(alternate) if alternate is not None else None
    if name == exchange.alternate:
        return False
    exchange.alternate = name
    return True


def govern_queue(queue: Queue, policies: Policies) -> None:
    """Let a queue go by what policies are there; nothing is done if these are the same as before.

    O(policies) to find them.
    """
    if policies.is_empty and queue.policy is None and queue.operator_policy is None:
        return
    policy, operator = policies.for_queue(queue.name, type_of(queue.arguments))
    if policy is queue.policy and operator is queue.operator_policy:
        return
    queue.policy, queue.operator_policy = policy, operator
    queue.go_by(merged(queue.arguments, policy, operator))
