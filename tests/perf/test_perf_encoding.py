"""The load generator's bytes, held against pamqp's."""

import random

import pamqp.encode
import pytest
from pamqp import body, commands, header
from pamqp.frame import marshal, unmarshal

from amqpd.perf.encoding import (
    ACK_BYTES,
    BLOCK_TAGS,
    AckCount,
    SingleAcks,
    ack,
    body_frames,
    content,
    publish,
    take_longstr,
    take_shortstr,
    take_table,
)


def frames_of(data: bytes) -> list[object]:
    """Cut whole frames with pamqp."""
    found: list[object] = []
    while data:
        size, channel, frame = unmarshal(data)
        assert channel == 1
        found.append(frame)
        data = data[size:]
    return found


def test_publish_is_what_pamqp_encodes() -> None:
    assert publish("a queue") == marshal(commands.Basic.Publish(routing_key="a queue"), 1)


@pytest.mark.parametrize("multiple", [False, True])
def test_ack_is_what_pamqp_encodes(multiple: bool) -> None:
    assert ack(2**40 + 7, multiple) == marshal(commands.Basic.Ack(2**40 + 7, multiple), 1)


@pytest.mark.parametrize("persistent", [False, True])
def test_content_has_a_delivery_mode_and_the_body(persistent: bool) -> None:
    properties, part = frames_of(content(b"x" * 100, persistent, 131072))
    assert isinstance(properties, header.ContentHeader)
    assert properties.body_size == 100
    assert properties.properties.delivery_mode == (2 if persistent else 1)
    assert isinstance(part, body.ContentBody)
    assert part.value == b"x" * 100


def test_an_empty_body_has_no_body_frame() -> None:
    assert len(frames_of(content(b"", False, 4096))) == 1


def test_a_long_body_is_cut_at_frame_max() -> None:
    whole = bytes(range(256)) * 40
    parts = frames_of(body_frames(whole, 4096))
    assert [len(part.value) for part in parts] == [4088, 4088, 2064]  # type: ignore[attr-defined]
    assert b"".join(part.value for part in parts) == whole  # type: ignore[attr-defined]


def naive_acks(acked: int, got: int) -> bytes:
    return b"".join(ack(tag, multiple=False) for tag in range(acked + 1, got + 1))


def test_single_acks_begin_with_tag_one() -> None:
    assert SingleAcks().after(0, 3) == naive_acks(0, 3)


def test_single_acks_of_nothing_are_no_bytes() -> None:
    assert SingleAcks().after(5, 5) == b""


@pytest.mark.parametrize("block", [1, 2, 255, 256, 257, 2**24, 2**40])
def test_single_acks_cross_the_border_of_a_block(block: int) -> None:
    border = block * BLOCK_TAGS
    assert SingleAcks().after(border - 3, border + 2) == naive_acks(border - 3, border + 2)


def test_single_acks_can_span_several_blocks() -> None:
    frames = SingleAcks().after(BLOCK_TAGS - 2, 3 * BLOCK_TAGS + 1)
    assert len(frames) == (2 * BLOCK_TAGS + 3) * ACK_BYTES
    assert frames[: 2 * ACK_BYTES] == naive_acks(BLOCK_TAGS - 2, BLOCK_TAGS)
    assert frames[-2 * ACK_BYTES :] == naive_acks(3 * BLOCK_TAGS - 1, 3 * BLOCK_TAGS + 1)


@pytest.mark.parametrize("seed", range(5))
def test_single_acks_of_a_whole_run_are_each_tag_once(seed: int) -> None:
    rng, acks, acked = random.Random(seed), SingleAcks(), 0
    while acked < 70_000:
        got = acked + rng.choice((1, 7, 100, 5000))
        frames = acks.after(acked, got)
        assert frames[:ACK_BYTES] == ack(acked + 1, multiple=False), f"seed={seed}"
        assert frames[-ACK_BYTES:] == ack(got, multiple=False), f"seed={seed}"
        assert len(frames) == (got - acked) * ACK_BYTES
        acked = got


CONFIRMS = ack(1, False) + ack(4, True) + ack(5, False) + ack(9, True)


def test_confirms_are_counted_whole() -> None:
    count = AckCount()
    count.receive(CONFIRMS)
    assert count.acked == 9


def test_confirms_are_counted_byte_by_byte() -> None:
    count = AckCount()
    seen = []
    for at in range(len(CONFIRMS)):
        count.receive(CONFIRMS[at : at + 1])
        seen.append(count.acked)
    assert seen[ACK_BYTES - 2 :: ACK_BYTES] == [0, 1, 4, 5]
    assert count.acked == 9


def test_confirms_are_counted_with_a_tail() -> None:
    count = AckCount()
    count.receive(CONFIRMS + ack(30, True)[:20])
    assert count.acked == 9
    count.receive(ack(30, True)[20:])
    assert count.acked == 30


def test_a_nack_is_not_a_confirm() -> None:
    with pytest.raises(ValueError, match=r"60\.120"):
        AckCount().receive(marshal(commands.Basic.Nack(1), 1))


def test_strings_are_taken_with_the_offset_past_them() -> None:
    assert take_shortstr(b"..\x03abc!", 2) == ("abc", 6)
    assert take_longstr(b".\0\0\0\x02ab!", 1) == (b"ab", 7)


def test_a_table_of_every_type_is_what_pamqp_encoded() -> None:
    table = {
        "text": "RabbitMQ",
        "yes": True,
        "number": 70_000,
        "big": 2**40,
        "nothing": None,
        "inner": {"list": ["a", 1, {"deep": False}]},
        "raw": bytearray(b"\xff"),
    }
    data = b"?" + pamqp.encode.field_table(table) + b"!"
    decoded, at = take_table(data, 1)
    assert decoded == {**table, "raw": b"\xff"}
    assert data[at:] == b"!"


def test_an_unknown_field_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="'?'"):
        take_table(b"\0\0\0\x04\x01a?x", 0)
