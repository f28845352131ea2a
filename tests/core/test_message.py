"""Messages and addresses keep what they are given, and are small."""

import gc
import sys

import pytest

from amqpd.core.consumer import Entry
from amqpd.core.message import Address, Message
from tests.core.fakes import make_message


def test_an_address_keeps_names_and_their_encoding() -> None:
    address = Address("x", "key", b"\x01x\x03key\xce")
    assert (address.exchange, address.routing_key) == ("x", "key")
    assert address.encoded == b"\x01x\x03key\xce"


def test_a_message_keeps_content_and_sizes() -> None:
    address = Address("", "q", b"")
    message = Message(address, b"content", 22, 5, 13, 3, True)
    assert message.address is address
    assert message.content == b"content"
    assert (message.header_bytes, message.body_bytes, message.frame_bytes) == (22, 5, 13)
    assert message.channel == 3
    assert message.persistent


@pytest.mark.parametrize("name", ["unknown", "redelivered"])
def test_a_message_has_no_room_for_anything_else(name: str) -> None:
    """A dictionary per message would double what it costs."""
    with pytest.raises(AttributeError):
        setattr(make_message(), name, 1)


def test_many_entries_share_one_message() -> None:
    message = make_message()
    entries = [Entry(message, seq) for seq in range(3)]
    assert all(entry.message is message for entry in entries)
    assert [entry.seq for entry in entries] == [0, 1, 2]


def test_a_settled_entry_is_freed_without_the_garbage_collector() -> None:
    """Entries and messages are `acyclic`: counting references has to be enough."""
    content = bytes(1000)
    before = sys.getrefcount(content)
    gc.disable()
    try:
        message = Message(Address("", "q", b""), content, 0, 0, 0, 1, False)
        entry = Entry(message, 1)
        assert sys.getrefcount(content) == before + 1
        del message, entry
        assert sys.getrefcount(content) == before
    finally:
        gc.enable()
