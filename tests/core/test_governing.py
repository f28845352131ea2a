"""Policies come into effect: at once for few queues, piece by piece for many."""

from typing import Any

from amqpd.core.governing import QUEUES_PER_TURN
from amqpd.core.policy import Policy
from amqpd.core.policy_check import fields_of
from amqpd.core.ports import MemoryJournal
from amqpd.core.timers import Timers
from amqpd.core.vhost import QueueIds, VHost

FLAGS: dict[str, Any] = {"durable": True, "owner": 0, "auto_delete": False, "arguments": {}}


def governed(vhost: VHost) -> int:
    """How many queues go by a policy."""
    return sum(queue.policy is not None for queue in vhost.queues.values())


def put(vhost: VHost, length: int) -> None:
    """Set a policy for all."""
    policy = Policy("p", "", "all", 0, fields_of({"max-length": length}))
    vhost.policies.put(policy, operator=False)
    vhost.policies_changed()


def test_many_queues_come_under_a_policy_in_pieces() -> None:
    timers = Timers()
    vhost = VHost("/", MemoryJournal(), QueueIds(), timers)
    count = 2 * QUEUES_PER_TURN + 1
    for number in range(count):
        vhost.declare_queue(f"q{number}", **FLAGS)
    put(vhost, 1)
    assert governed(vhost) == QUEUES_PER_TURN
    vhost.delete_queue(vhost.queues[f"q{count - 1}"])
    vhost.declare_queue("new", **FLAGS)
    assert vhost.queues["new"].policy is not None
    now_ms = timers.next_ms()
    timers.now_ms = now_ms
    timers.run(now_ms)
    assert governed(vhost) == 2 * QUEUES_PER_TURN + 1 and timers.next_ms() == now_ms + 1
    timers.now_ms = now_ms + 1
    timers.run(now_ms + 1)
    assert timers.next_ms() == -1
    put(vhost, 2)  # and another one before that is through
    put(vhost, 3)
    while (next_ms := timers.next_ms()) >= 0:
        timers.now_ms = next_ms
        timers.run(next_ms)
    assert all(q.rules is not None and q.rules.length_max == 3 for q in vhost.queues.values())


def test_without_policies_a_queue_keeps_the_arguments_that_it_had() -> None:
    vhost = VHost("/", MemoryJournal(), QueueIds())
    vhost.declare_queue("q", **FLAGS)
    queue = vhost.queues["q"]
    assert queue.rules is None and queue.effective is queue.arguments
    put(vhost, 1)
    vhost.policies.drop("p", operator=False)
    vhost.policies_changed()
    assert queue.rules is None and queue.policy is None and queue.effective is queue.arguments
