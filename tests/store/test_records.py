"""Records: bytes of facts, and that nothing but Corrupt comes of bytes that are none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from amqpd.store import records
from amqpd.store.records import Addresses, Corrupt
from tests.store.things import message


def test_a_range_comes_back() -> None:
    out = BytesWriter()
    records.write_range(out, records.SETTLED, 2**31 - 1, 3, 2**40)
    data = out.getvalue()
    assert data[0] == records.SETTLED and int.from_bytes(data[1:5], "big") == 20
    assert records.decode_range(data[5:]) == (2**31 - 1, 3, 2**40)
    with pytest.raises(Corrupt):
        records.decode_range(data[5:-1])


@pytest.mark.parametrize("body", [b"", b"body", b"long" * 100_000], ids=len)
@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("redelivered", [True, False])
def test_a_message_comes_back(body: bytes, persistent: bool, redelivered: bool) -> None:
    sent = message(body, "ké", persistent)
    out = BytesWriter()
    records.write_message(out, sent, redelivered)
    data = out.getvalue()
    assert len(data) == records.message_bytes(sent)
    back, said = records.decode_message(b"xx" + data, 2, 2 + len(data), Addresses())
    assert said == redelivered
    for name in ("content", "header_bytes", "body_bytes", "frame_bytes", "channel", "persistent"):
        assert getattr(back, name) == getattr(sent, name)
    assert (back.address.exchange, back.address.routing_key) == ("x", "ké")
    assert back.address.encoded == sent.address.encoded


def test_alike_addresses_are_one_object() -> None:
    addresses = Addresses()
    assert addresses.of(b"\1x\1q\xce") is addresses.of(b"\1x\1q\xce")
    assert addresses.of(b"\1\xff\1q\xce").exchange == "\udcff"


def test_a_published_record_has_all_its_queues() -> None:
    out = BytesWriter()
    records.write_published(out, message(), False, [1, 2], [10, 20])
    data = out.getvalue()
    assert data[0] == records.PUBLISHED
    assert int.from_bytes(data[1:5], "big") == len(data) - 5
    assert data[5:7] == b"\0\2"
    assert data[7:31] == b"".join(
        queue.to_bytes(4, "big") + seq.to_bytes(8, "big") for queue, seq in ((1, 10), (2, 20))
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 127), st.integers(0, 200))
def test_only_corrupt_comes_of_spoilt_messages(place: int, flip: int, cut: int) -> None:
    out = BytesWriter()
    records.write_message(out, message(b"b" * 50), False)
    data = bytearray(out.getvalue())
    data[place % len(data)] ^= flip
    spoilt = bytes(data[: max(0, len(data) - cut)])
    try:
        records.decode_message(spoilt, 0, len(spoilt), Addresses())
    except Corrupt:
        pass
