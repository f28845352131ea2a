"""When the loop syncs a group itself."""

from amqpd.server.shortcut import (
    PROBE_EVERY,
    QUICK_NS,
    QUIET_GROUPS,
    SMALL_BYTES,
    Shortcut,
    is_small,
)
from amqpd.store.volume import CREATE, WRITE_SYNCED, Group


def quiet() -> Shortcut:
    """One that has seen enough groups while nobody sent anything."""
    shortcut = Shortcut()
    for _ in range(QUIET_GROUPS):
        assert not shortcut.is_open()
        shortcut.thread_took(QUICK_NS, False)
    return shortcut


def group(size: int, *others: int) -> Group:
    """A group with one write to the journal, and other steps."""
    made = Group(1, 1)
    made.add(WRITE_SYNCED, "file", 0, bytes(size))
    for kind in others:
        made.add(kind, "other")
    return made


def test_it_opens_after_quiet_quick_groups_and_probes_now_and_then() -> None:
    shortcut = quiet()
    chosen = [shortcut.is_open() for _ in range(3 * PROBE_EVERY)]
    assert chosen == ([True] * (PROBE_EVERY - 1) + [False]) * 3


def test_a_client_that_did_not_wait_closes_it() -> None:
    shortcut = quiet()
    shortcut.thread_took(1, True)
    assert not shortcut.is_open()


def test_a_slow_sync_closes_it_wherever_it_was() -> None:
    for learn in (
        lambda it: it.thread_took(QUICK_NS + 1, False),
        lambda it: it.loop_took(QUICK_NS + 1),
    ):
        shortcut = quiet()
        learn(shortcut)
        assert not shortcut.is_open()


def test_a_quick_sync_of_the_loop_leaves_it_open() -> None:
    shortcut = quiet()
    shortcut.loop_took(QUICK_NS)
    assert shortcut.is_open()


def test_only_one_short_write_is_small() -> None:
    assert is_small(group(SMALL_BYTES))
    assert not is_small(group(SMALL_BYTES + 1))
    assert not is_small(group(1, CREATE))
    assert not is_small(Group(1, 1))
