"""A store that failed: nothing is promised any more, and what was stored can be taken."""

import errno

import pytest
from pamqp import commands

from amqpd import errors
from tests.store.sim_disk import SimDisk
from tests.store.things import Store

KINDS = ("write", "sync", "create", "sync_directory")


def fill(store: Store) -> None:
    store.declare("q")
    store.publish("q", b"one", b"two", b"three")
    store.flush()
    assert store.confirmed == 3


def fail(store: Store, code: int = errno.EIO) -> None:
    store.disk.fail_at = store.disk.operations + 1
    store.disk.fail_code = code


def operations() -> int:
    store = Store(segment_bytes=500)
    fill(store)
    before = store.disk.operations
    store.publish("q", b"x" * 2000)
    store.flush()
    return store.disk.operations - before


@pytest.mark.parametrize("number", range(1, operations() + 1))
@pytest.mark.parametrize("for_good", [True, False])
def test_never_a_confirm_after_a_failed_operation(number: int, for_good: bool) -> None:
    store = Store(segment_bytes=500)
    fill(store)
    store.disk.fail_at = store.disk.operations + number
    store.disk.fails_for_good = for_good
    store.publish("q", b"x" * 2000)
    told = []
    while store.try_flush() and store.disk.operations < store.disk.fail_at:
        told.append(store.confirmed)
    if store.journal.failed:
        confirmed = store.confirmed
        assert not store.try_flush() or store.confirmed == confirmed
        store.broker.synced(0, 0)
        store.client.hear()
        assert store.confirmed == confirmed
    store.disk.kill()
    again = Store(store.disk.copy(), segment_bytes=500)
    bodies = again.drain("q")
    assert bodies[:3] == [b"one", b"two", b"three"]
    if store.confirmed == 4:
        assert bodies[3:] == [b"x" * 2000]


def test_publishes_and_definitions_are_refused() -> None:
    text = errors.store_failed().text
    for say in (
        lambda s: s.publish("q", b"late"),
        lambda s: s.declare("r"),
        lambda s: s.client.say(1, commands.Queue.Delete, lambda method: None, queue="q"),
    ):
        store = Store()
        fill(store)
        fail(store)
        store.publish("q", b"lost")
        assert not store.try_flush()
        store.connect()
        assert store.client.closed is None
        say(store)
        assert store.client.closed is not None
        assert store.client.closed.reply_code == 541
        assert store.client.closed.reply_text == text
        assert store.confirmed == 3


def test_who_waits_for_a_promise_is_told_that_it_will_not_come() -> None:
    store = Store()
    fill(store)
    bystander = store.client
    store.connect()
    fail(store)
    store.publish("q", b"lost")
    assert not store.try_flush()
    assert store.client.closed is not None
    assert store.client.closed.reply_code == 541
    assert store.client.closed.reply_text == errors.store_failed().text
    bystander.hear()
    assert bystander.closed is None
    assert store.confirmed == 3


def test_consumers_drain() -> None:
    store = Store()
    fill(store)
    fail(store)
    store.publish("q", b"four")
    assert not store.try_flush()
    store.connect()
    gathered = store.journal.unsynced_bytes
    assert store.drain("q") == [b"one", b"two", b"three", b"four"]
    assert store.journal.unsynced_bytes == gathered, "what cannot be written must not pile up"
    assert store.client.closed is None
    store.publish("transient", b"to nowhere", persistent=False)
    assert store.client.closed is None
    store.broker.validate()


def test_the_log_says_what_to_do() -> None:
    store = Store()
    fill(store)
    fail(store, errno.ENOSPC)
    store.publish("q", b"four")
    assert not store.try_flush()
    level, _, fields = next(e for e in store.log.events if e[1] == "the message store has failed")
    assert level == "error" and "injected" in str(fields["why"]) and fields["advice"]


def test_a_full_disk_fails_the_store() -> None:
    store = Store(SimDisk(capacity=250_000))
    fill(store)
    confirmed = 3
    for _ in range(100):
        store.publish("q", b"x" * 20_000)
        if not store.try_flush():
            break
        assert store.confirmed == confirmed + 1
        confirmed = store.confirmed
    assert store.journal.failed and store.confirmed == confirmed
    store.connect()
    assert len(store.drain("q")) == confirmed + 1


def test_a_commit_is_not_answered() -> None:
    store = Store()
    fill(store)
    answers = []
    store.client.say(3, commands.Tx.Select, lambda method: None)
    store.client.publish(3, "", "q", b"\x10\x00\x02", b"in a transaction")
    fail(store)
    store.client.say(3, commands.Tx.Commit, answers.append)
    assert not store.try_flush()
    assert answers == []
