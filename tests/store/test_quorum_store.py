"""What a quorum queue knows of its messages survives a restart, clean or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amqpd.core.consumer import Entry
from amqpd.core.queue import NACKED
from amqpd.core.quorum_backlog import QuorumBacklog
from tests.store.test_queue_rules import Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A broker on a data directory."""
    made = Station(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[True, False], ids=["clean", "crash"])
def clean(request: pytest.FixtureRequest) -> bool:
    """Whether the broker stops in good order."""
    return bool(request.param)


def taken(station: Station, name: str) -> Entry:
    """Take the next entry, unacked."""
    entry = station.queue(name).take(False)
    assert entry is not None
    return entry


def come_back(station: Station, name: str, times: int, how: int = NACKED) -> None:
    """Take an entry and give it back, again and again."""
    for _ in range(times):
        station.queue(name).restore([taken(station, name)], how)


def settle(station: Station, name: str, entry: Entry) -> None:
    """Acknowledge it."""
    station.queue(name).settle(entry)


@pytest.mark.parametrize("limit", [None, 10])
def test_counts_survive(station: Station, clean: bool, limit: int | None) -> None:
    arguments = {} if limit is None else {"x_delivery_limit": limit}
    station.declare("q", x_queue_type="quorum", **arguments)
    station.publish("q", body=b"1")
    for times in range(1, 7):
        come_back(station, "q", 1)
        station.restart(clean=clean)
        entry = taken(station, "q")
        assert entry.redelivered and entry.acquired() == times
        put_back(station, entry)


def put_back(station: Station, entry: Entry) -> None:
    """Put an entry back as if it had never been taken."""
    queue = station.queue("q")
    entry.consumer = None
    queue.unacked_count -= 1
    queue.backlog.restore([entry])


def test_the_limit_goes_on_counting(station: Station, clean: bool) -> None:
    station.declare("dead")
    station.declare(
        "q",
        x_queue_type="quorum",
        x_delivery_limit=3,
        x_dead_letter_exchange="",
        x_dead_letter_routing_key="dead",
    )
    station.publish("q", body=b"1")
    for _ in range(3):
        come_back(station, "q", 1)
        station.restart(clean=clean)
    assert station.queue("dead").backlog.count == 0
    come_back(station, "q", 1)
    station.restart(clean=clean)
    assert station.queue("q").backlog.count == 0
    assert station.bodies("dead") == [b"1"]


def test_what_came_back_behind_all_is_there_once(station: Station, clean: bool) -> None:
    station.declare("q", x_queue_type="quorum")
    for body in (b"1", b"2", b"3"):
        station.publish("q", body=body)
    come_back(station, "q", 2)
    station.restart(clean=clean)
    counts = []
    for _ in range(3):
        entry = taken(station, "q")
        counts.append(entry.acquired())
        settle(station, "q", entry)
    assert counts == [0, 1, 1]
    station.restart(clean=clean)
    assert station.queue("q").backlog.count == 0


def test_transient_messages_are_stored(station: Station, clean: bool) -> None:
    station.declare("q", x_queue_type="quorum")
    station.declare("c")
    station.publish_transient("q", "c", body=b"1")
    station.restart(clean=clean)
    assert station.bodies("q") == [b"1"]
    assert station.bodies("c") == []


def unplaced(station: Station) -> list[int]:
    """The seqs of the dead letters that have no place."""
    backlog = station.queue("q").backlog
    assert isinstance(backlog, QuorumBacklog)
    return list(backlog.unplaced)


def declare_safe(station: Station) -> None:
    """Declare a queue whose dead letters must not be lost."""
    station.declare(
        "q",
        x_queue_type="quorum",
        x_dead_letter_exchange="",
        x_dead_letter_routing_key="dead",
        x_dead_letter_strategy="at-least-once",
        x_overflow="reject-publish",
    )


def test_a_dead_letter_without_a_place_waits_for_it(station: Station, clean: bool) -> None:
    declare_safe(station)
    station.publish("q", body=b"1")
    station.publish("q", body=b"2")
    station.queue("q").reject(taken(station, "q"))
    assert unplaced(station) == [1]
    for _ in range(2):
        station.restart(clean=clean)
        assert unplaced(station) == [1]
        assert station.queue("q").backlog.count == 1
    station.declare("dead")
    station.advance(1100)
    assert unplaced(station) == []
    station.restart(clean=clean)
    assert station.bodies("dead") == [b"1"]
    assert station.bodies("q") == [b"2"]


def test_it_leaves_in_the_step_in_which_it_is_placed(station: Station, clean: bool) -> None:
    declare_safe(station)
    station.declare("dead")
    station.publish("q", body=b"1")
    station.queue("q").reject(taken(station, "q"))
    station.restart(clean=clean)
    assert (station.bodies("q"), station.bodies("dead")) == ([], [b"1"])


def test_counts_of_entries_that_came_from_a_page(tmp_path: Path, clean: bool) -> None:
    station = Station(tmp_path, waiting_bytes_max=200_000)
    station.declare("q", x_queue_type="quorum", x_delivery_limit=10)
    for number in range(4000):
        station.publish("q", body=b"%d " % number + bytes(2000))
    station.write()
    for _ in range(3000):
        settle(station, "q", taken(station, "q"))
    come_back(station, "q", 2)
    for _ in range(3):
        station.restart(clean=clean)
    entry = taken(station, "q")
    assert entry.acquired() == 2
    settle(station, "q", entry)
    assert len(station.bodies("q")) == 999
    station.close()


def test_counts_on_pages(tmp_path: Path, clean: bool) -> None:
    station = Station(tmp_path, waiting_bytes_max=200_000)
    station.declare("q", x_queue_type="quorum")
    for number in range(3000):
        station.publish("q", body=b"%d " % number + bytes(2000))
    come_back(station, "q", 3000)
    station.write()
    station.restart(clean=clean)
    for _ in range(3000):
        entry = taken(station, "q")
        assert entry.acquired() == 1 and entry.redelivered
        settle(station, "q", entry)
    assert station.queue("q").backlog.count == 0
    station.close()


def test_a_dead_letters_history_is_known_as_the_brokers_own(station: Station, clean: bool) -> None:
    station.declare("dead")
    station.declare(
        "q", x_dead_letter_exchange="", x_dead_letter_routing_key="dead", x_max_length=0
    )
    station.publish("q")
    station.restart(clean=clean)
    entry = taken(station, "dead")
    assert entry.message.died
