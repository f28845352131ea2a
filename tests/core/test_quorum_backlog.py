"""What waits in a quorum queue, in its order."""

from amqpd.core.consumer import ACQUIRED_MAX, FAILED_MAX, Entry
from amqpd.core.quorum_backlog import QuorumBacklog
from tests.core.fakes import FakeJournal
from tests.store.things import message


def entry(seq: int, priority: int = 0) -> Entry:
    """Make an entry of a priority."""
    made = message(b"body")
    made.priority = priority
    return Entry(made, seq)


def filled(levels: int, *priorities: int) -> QuorumBacklog:
    """Make a backlog of entries with these priorities."""
    backlog = QuorumBacklog(FakeJournal(), 1, levels)
    for seq, priority in enumerate(priorities, 1):
        backlog.push(entry(seq, priority))
    backlog.validate()
    return backlog


def drained(backlog: QuorumBacklog) -> list[int]:
    """Take all. Returns the seqs."""
    seqs = []
    while backlog.count > 0:
        assert backlog.peek().seq == backlog.peek().seq
        seqs.append(int(backlog.pop().seq))
        backlog.validate()
    assert backlog.body_bytes == 0 and backlog.memory_bytes == 0
    return seqs


def test_what_came_back_is_first_in_the_order_in_which_it_did() -> None:
    backlog = filled(1, 0, 0, 0, 0, 0)
    taken = [backlog.pop() for _ in range(4)]
    backlog.restore([taken[2]])
    backlog.restore([taken[0], taken[3]])
    backlog.validate()
    assert drained(backlog) == [3, 1, 4, 5]


def test_two_levels_share_two_to_one() -> None:
    assert drained(filled(2, 0, 9, 1, 5, 4, 7, 8)) == [2, 4, 1, 6, 7, 3, 5]


def test_the_lower_level_alone() -> None:
    assert drained(filled(2, 0, 4, 2)) == [1, 2, 3]


def test_clearing_takes_all_with_what_is_unplaced() -> None:
    backlog = filled(1, 0, 0, 0)
    backlog.unplaced[1] = backlog.pop()
    backlog.restore([backlog.pop()])
    assert sorted(int(one.seq) for one in backlog.in_memory()) == [1, 2, 3]
    assert backlog.count == 2
    entries, pages = backlog.clear()
    assert sorted(int(one.seq) for one in entries) == [1, 2, 3] and not pages
    assert backlog.count == 0 and not backlog.unplaced
    backlog.validate()


def test_counts_fit_into_one_number() -> None:
    one = entry(1)
    one.count(5, 3, 4)
    assert (one.acquired(), one.failed(), one.reason()) == (5, 3, 4)
    one.count(1 << 40, 1 << 40, 4)
    assert (one.acquired(), one.failed(), one.reason()) == (ACQUIRED_MAX, FAILED_MAX, 4)
    assert one.counts < 1 << 31
