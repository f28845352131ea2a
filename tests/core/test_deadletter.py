"""Dead letters: their history, cycles, and what else changes in a message."""

from typing import Any

import pytest

from amqpd.core import deadletter
from amqpd.core.deadletter import EXPIRED, MAXLEN, REJECTED
from amqpd.core.message import Message, make_address
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Table
from tests.peers import codec


def message(body: bytes = b"1", **fields: Any) -> Message:
    """Make a message that was published to exchange x with key k."""
    raw = codec.encode_properties(fields)
    content = codec.content_frames(1, raw, body, 1 << 20)
    header_bytes = len(codec.content_frames(1, raw, b"", 1 << 20))
    made = Message(
        make_address("x", "k"),
        content,
        header_bytes,
        len(body),
        len(body) + 8,
        1,
        fields.get("delivery_mode") == 2,
    )
    made.read_properties()
    return made


def decoded(dead: Message) -> Any:
    """The properties of a message."""
    header = dead.content[7 : dead.header_bytes - 1]
    return codec.decode_properties(header[12:])


def die(headers: Table, queue: str, reason: str, of: Message | None = None, at: int = 5) -> Any:
    """Record a death. Returns the history, as (queue, reason, count)."""
    history = deadletter.record_death(headers, of or message(), queue, reason, at, ["k", "cc"])
    return [
        (tables.text(entry["queue"]), tables.text(entry["reason"]), entry["count"].value)
        for entry in history
    ]


def test_a_first_death() -> None:
    headers: Table = {}
    assert die(headers, "q", EXPIRED) == [("q", EXPIRED, 1)]
    (entry,) = deadletter.history_of(headers)
    shown = [(key, field.tag, field.value) for key, field in entry.items()]
    assert shown[:5] == [
        ("count", "l", 1),
        ("reason", "S", b"expired"),
        ("queue", "S", b"q"),
        ("time", "T", 5),
        ("exchange", "S", b"x"),
    ]
    assert entry["routing-keys"] == tables.array([tables.longstr("k"), tables.longstr("cc")])
    for which in ("first", "last"):
        for what, wanted in (("reason", "expired"), ("queue", "q"), ("exchange", "x")):
            assert tables.text(headers[f"x-{which}-death-{what}"]) == wanted


def test_the_latest_death_is_first() -> None:
    headers: Table = {}
    die(headers, "a", EXPIRED)
    die(headers, "b", REJECTED)
    assert die(headers, "a", MAXLEN) == [
        ("a", MAXLEN, 1),
        ("b", REJECTED, 1),
        ("a", EXPIRED, 1),
    ]
    assert tables.text(headers["x-first-death-reason"]) == EXPIRED
    assert tables.text(headers["x-last-death-reason"]) == MAXLEN


def test_a_repeat_counts_up_and_moves_to_the_front() -> None:
    headers: Table = {}
    die(headers, "a", EXPIRED, at=5)
    die(headers, "b", REJECTED, at=6)
    assert die(headers, "a", EXPIRED, at=7) == [("a", EXPIRED, 2), ("b", REJECTED, 1)]
    assert deadletter.history_of(headers)[0]["time"].value == 5


def test_the_original_expiration_comes_first() -> None:
    headers: Table = {}
    die(headers, "q", EXPIRED, message(expiration="60"))
    (entry,) = deadletter.history_of(headers)
    assert list(entry)[:2] == ["original-expiration", "count"]
    assert tables.text(entry["original-expiration"]) == "60"


@pytest.mark.parametrize(
    "field",
    [
        tables.longstr("no history"),
        tables.array([tables.longstr("no entry"), tables.long(1)]),
        tables.array([]),
    ],
)
def test_what_is_no_history_is_replaced(field: Field) -> None:
    headers = {"x-death": field, "k": tables.long(1)}
    assert die(headers, "q", EXPIRED) == [("q", EXPIRED, 1)]
    assert headers["k"].value == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"queue": tables.long(1), "reason": tables.longstr(EXPIRED)},
        {"queue": tables.longstr("q")},
        {},
    ],
)
def test_odd_entries_are_left_alone(entry: Table) -> None:
    headers = {"x-death": tables.array([tables.table(entry)])}
    history = deadletter.record_death(headers, message(), "q", EXPIRED, 5, [])
    assert len(history) == 2
    assert history[1] == entry


def test_a_count_that_is_none_begins_anew() -> None:
    entry = {
        "queue": tables.longstr("q"),
        "reason": tables.longstr(EXPIRED),
        "count": tables.longstr("many"),
    }
    headers = {"x-death": tables.array([tables.table(entry)])}
    assert die(headers, "q", EXPIRED) == [("q", EXPIRED, 1)]


# -- cycles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deaths, target, wanted",
    [
        ([("q", EXPIRED)], "q", True),
        ([("q", MAXLEN)], "q", True),
        ([("q", REJECTED)], "q", False),
        ([("q", EXPIRED)], "other", False),
        ([("a", EXPIRED), ("b", EXPIRED)], "a", True),
        ([("work", REJECTED), ("retry", EXPIRED)], "work", False),
        ([("a", EXPIRED), ("work", REJECTED), ("retry", EXPIRED)], "a", False),
        ([("work", REJECTED), ("a", EXPIRED), ("b", MAXLEN)], "a", True),
        ([("a", EXPIRED), ("b", EXPIRED), ("c", REJECTED)], "a", False),
    ],
)
def test_cycles(deaths: list[tuple[str, str]], target: str, wanted: bool) -> None:
    headers: Table = {}
    for queue, reason in deaths:
        die(headers, queue, reason)
    history = deadletter.history_of(headers)
    assert deadletter.is_cycle(history, deaths[-1][1], target) is wanted


# -- the message -----------------------------------------------------------------------------------


def test_copies_are_the_texts_in_cc() -> None:
    field = tables.array([tables.longstr("a"), tables.long(1), tables.longstr("b")])
    assert deadletter.copies_of({"CC": field, "BCC": field}) == ["a", "b"]
    assert deadletter.copies_of({"CC": tables.longstr("a")}) == []
    assert deadletter.copies_of({}) == []


def test_headers_are_decoded() -> None:
    assert deadletter.headers_of(message()) == {}
    assert deadletter.headers_of(message(headers={"a": 1}))["a"].value == 1


def test_a_renamed_message_keeps_all_but_its_expiration() -> None:
    old = message(
        b"body", content_type="t", headers={"a": 1}, delivery_mode=2, priority=7, expiration="60"
    )
    address = make_address("dlx", "dead")
    new = deadletter.renamed(old, {"b": tables.long(2)}, address)
    assert new.address is address
    assert (new.persistent, new.priority, new.expiration_ms) == (True, 7, -1)
    assert (new.body_bytes, new.frame_bytes, new.channel) == (4, 12, 1)
    found = decoded(new)
    assert (found.content_type, found.headers, found.priority) == ("t", {"b": 2}, 7)
    assert (found.delivery_mode, found.expiration) == (2, None)
    assert new.content[new.header_bytes :] == old.content[old.header_bytes :]
    assert properties.flags_of(new.content) & properties.EXPIRATION == 0
    assert decoded(old).expiration == "60"


def test_a_message_without_headers_gets_some() -> None:
    new = deadletter.renamed(message(), {"b": tables.long(2)}, make_address("", "q"))
    assert decoded(new).headers == {"b": 2}
