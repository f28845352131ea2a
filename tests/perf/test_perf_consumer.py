"""Counting deliveries by their size: the consumer at one end of a socket pair, no broker."""

import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from amqpd.perf.connection import BrokerError
from amqpd.perf.consumer import Consumer
from amqpd.perf.encoding import ack, content, method, shortstr
from amqpd.perf.options import LoadOptions

QUEUE, TAG = "q", "c0"


class Wire:
    """As much of a connection as a consumer touches."""

    def __init__(self, near: socket.socket) -> None:
        self.socket = near
        self.pending = b""
        self.frame_max = 4096


def delivery(tag: int, options: LoadOptions, body: bytes) -> bytes:
    """A basic.deliver with its content, as a broker writes it."""
    facts = shortstr(TAG) + struct.pack(">QB", tag, 0) + shortstr("") + shortstr(QUEUE)
    return method(1, 60, 60, facts) + content(body, options.persistent, 4096)


Made = tuple[Consumer, socket.socket]


@pytest.fixture
def make() -> Iterator[Callable[[LoadOptions], Made]]:
    opened: list[socket.socket] = []

    def made(options: LoadOptions) -> Made:
        near, far = socket.socketpair()
        opened.extend((near, far))
        far.setblocking(False)
        return Consumer(options, Wire(near), QUEUE, TAG), far  # type: ignore[arg-type]

    yield made
    for each in opened:
        each.close()


@pytest.mark.parametrize("size", [0, 1, 100, 4088, 4089, 20_000])
def test_the_computed_size_is_that_of_a_delivery(
    make: Callable[[LoadOptions], Made], size: int
) -> None:
    options = LoadOptions(size=size)
    consumer, _ = make(options)
    assert consumer.delivery_bytes == len(delivery(1, options, bytes(size)))


def test_deliveries_are_counted_whole_byte_by_byte_and_with_a_tail(
    make: Callable[[LoadOptions], Made],
) -> None:
    options = LoadOptions(size=20)
    stream = b"".join(delivery(tag, options, bytes(20)) for tag in range(1, 5))
    for step in (len(stream), 1, 7, 90):
        consumer, _ = make(options)
        for at in range(0, len(stream), step):
            consumer.receive(stream[at : at + step])
        consumer.receive(delivery(5, options, bytes(20))[:-1])
        assert consumer.got == 4


def test_a_lost_message_is_an_error(make: Callable[[LoadOptions], Made]) -> None:
    options = LoadOptions(size=20)
    consumer, _ = make(options)
    consumer.receive(delivery(1, options, bytes(20)))
    with pytest.raises(BrokerError, match="delivery tag 3 where 2 messages"):
        consumer.receive(delivery(3, options, bytes(20)))


def test_each_message_alone_is_acknowledged_alone(make: Callable[[LoadOptions], Made]) -> None:
    options = LoadOptions(size=20, ack=1)
    consumer, far = make(options)
    for tags in (range(1, 3), range(3, 4)):
        consumer.receive(b"".join(delivery(tag, options, bytes(20)) for tag in tags))
        consumer.settle()
    assert far.recv(1000) == ack(1, False) + ack(2, False) + ack(3, False)


def test_messages_are_acknowledged_by_the_dozen(make: Callable[[LoadOptions], Made]) -> None:
    options = LoadOptions(size=20, ack=12)
    consumer, far = make(options)
    for tag in range(1, 30):
        consumer.receive(delivery(tag, options, bytes(20)))
        consumer.settle()
    assert far.recv(1000) == ack(12, True) + ack(24, True)


def test_without_acknowledgements_nothing_is_written(make: Callable[[LoadOptions], Made]) -> None:
    options = LoadOptions(size=20)
    consumer, far = make(options)
    consumer.receive(delivery(1, options, bytes(20)))
    consumer.settle()
    with pytest.raises(BlockingIOError):
        far.recv(1)


def test_a_stamped_message_gives_a_latency(make: Callable[[LoadOptions], Made]) -> None:
    options = LoadOptions(size=20, rate=10)
    consumer, _ = make(options)
    for tag in (1, 2):
        stamp = (time.monotonic_ns() - tag * 10**9).to_bytes(8, "big")
        consumer.receive(delivery(tag, options, stamp + bytes(12)))
    assert [int(latency) for latency in consumer.latencies_s] == [1, 2]
