"""Checkpoint: an old message does not pin the journal, and disk use follows what is live."""

from amqpd.store.segments import SEGMENT_NAME
from tests.store.things import Store


def test_one_old_message_does_not_pin_the_journal() -> None:
    store = Store(segment_bytes=20_000, slack_bytes=30_000)
    store.declare("old")
    store.declare("q")
    store.publish("old", b"old")
    store.flush()
    for number in range(200):
        store.publish("q", b"%d" % number + bytes(3000))
        store.flush()
        assert store.get("q") is not None
        store.flush()
        assert store.disk.used_bytes() < 200_000
    segments = [name for name in store.disk.names() if name.startswith(SEGMENT_NAME)]
    assert segments[0] != "journal-0000000001"
    store = Store(store.disk)
    assert store.drain("old") == [b"old"] and store.drain("q") == []


def test_what_is_out_unacknowledged_moves_too_and_keeps_its_place() -> None:
    store = Store(segment_bytes=20_000, slack_bytes=30_000)
    store.declare("old")
    store.declare("q")
    store.publish("old", b"1", b"2", b"3")
    store.flush()
    store.get("old", no_ack=False)
    for _ in range(100):
        store.publish("q", bytes(3000))
        store.flush()
        store.get("q")
        store.flush()
    assert "journal-0000000001" not in store.disk.names()
    store.broker.validate()
    store = Store(store.disk)
    got = [store.get("old") for _ in range(3)]
    assert [one[0] for one in got if one] == [b"1", b"2", b"3"]


def test_nothing_moves_while_there_is_room() -> None:
    store = Store(segment_bytes=20_000, slack_bytes=10_000_000)
    store.declare("old")
    store.publish("old", b"old")
    store.declare("q")
    for _ in range(30):
        store.publish("q", bytes(3000))
        store.flush()
        store.get("q")
    assert "journal-0000000001" in store.disk.names()
