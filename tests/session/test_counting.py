"""What consumers are told of earlier deliveries."""

import pytest

from amqpd.core.consumer import Entry
from amqpd.core.deadletter import headers_of
from amqpd.profile import profile_of
from amqpd.session.counting import counted
from amqpd.wire import tables
from tests.store.things import entry as make_entry


def told(entry: Entry, name: str) -> dict[str, int | None]:
    """The headers that a delivery has with this profile."""
    headers = headers_of(counted(entry, profile_of(name)))
    return {key: tables.integer(field) for key, field in headers.items()}


@pytest.mark.parametrize("name", ["3.13", "4.0", "4.3"])
def test_what_never_came_back_is_left_as_it_is(name: str) -> None:
    entry = make_entry(1)
    assert counted(entry, profile_of(name)) is entry.message


def test_how_often_it_came_back() -> None:
    entry = make_entry(1)
    entry.count(3, 2)
    assert told(entry, "3.13") == told(entry, "4.0") == {"x-delivery-count": 3}
    assert told(entry, "4.3") == {"x-acquired-count": 3, "x-delivery-count": 2}
    entry.count(3, 0)
    assert told(entry, "4.3") == {"x-acquired-count": 3}


def test_the_message_itself_stays_as_it_was() -> None:
    entry = make_entry(1)
    before = entry.message.content
    entry.count(1, 1)
    message = counted(entry, profile_of("3.13"))
    assert entry.message.content == before
    assert message.body_bytes == entry.message.body_bytes
    assert message.content.endswith(before[entry.message.header_bytes :])
