"""Takes deliveries of one fixed size and counts them without looking at each.

All deliveries of a run have the same length, so the number of bytes is the number of messages. The
delivery tag of the last message of each read is compared with that number: a lost message, a
doubled one, or a frame that is no delivery ends the run with an error.
"""

import socket
import struct
import time
from typing import Final

from amqpd.perf.connection import BrokerError, Connection
from amqpd.perf.crew import Result, Signals
from amqpd.perf.encoding import SingleAcks, ack, content, shortstr
from amqpd.perf.options import LoadOptions

READ_BYTES: Final = 1 << 20
SILENCE_S: Final = 0.25
SILENCES_TO_STOP: Final = 2


def consume(options: LoadOptions, index: int, signals: Signals) -> Result:
    """Consume until the count is reached or, after the publishers' end, nothing comes any more."""
    connection = Connection(options.target)
    queues = options.consumed_queues(index)
    consumer_tag = f"c{index}" if len(queues) == 1 else f"c{index}-00000"
    if options.prefetch:
        connection.call((60, 10), (60, 11), struct.pack(">IHB", 0, options.prefetch, 0))
    consumer = Consumer(options, connection, queues[0], consumer_tag)
    if options.drain:
        signals.ready()
        signals.start.wait()
        began = time.perf_counter()
        connection.consume(queues[0], consumer_tag, no_ack=not options.ack)
    else:
        connection.consume(queues[0], consumer_tag, no_ack=not options.ack)
        for number, queue in enumerate(queues[1:], 1):  # tags of one length
            connection.consume(queue, f"c{index}-{number:05d}", no_ack=not options.ack)
        signals.ready()
        signals.start.wait()
        began = time.perf_counter()
    last = consumer.run(options.count if options.drain else 0, signals)
    connection.close()
    return Result("consumer", consumer.got, max(0.0, last - began), consumer.latencies_s)


class Consumer:
    """The consuming side of one connection. `latencies_s` is filled when messages are stamped."""

    def __init__(
        self, options: LoadOptions, connection: Connection, queue: str, consumer_tag: str
    ) -> None:
        self.got = 0
        self.latencies_s: list[float] = []
        self._options = options
        self._connection = connection
        self._socket = connection.socket
        self._acked = 0
        self._single_acks = SingleAcks()
        self._tail = bytearray()
        names_bytes = len(shortstr("")) + len(shortstr(queue))
        self._tag_at = 7 + 4 + len(shortstr(consumer_tag))
        head_bytes = self._tag_at + 8 + 1 + names_bytes + 1
        message = content(bytes(options.size), options.persistent, connection.frame_max)
        self.delivery_bytes = head_bytes + len(message)
        self._body_at = self.delivery_bytes - 1 - options.size

    def run(self, wanted: int, signals: Signals) -> float:
        """Consume `wanted` messages (0: until `stop` is set and silence follows).

        Returns the time of the last message. The timeout is the kernel's, so that a read is one
        system call and a write may block as long as it likes.
        """
        timeout = struct.pack("ll", 0, int(SILENCE_S * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        window, silences, last = memoryview(bytearray(READ_BYTES)), 0, time.perf_counter()
        self.receive(self._connection.pending)
        self.settle()
        while not wanted or self.got < wanted:
            try:
                count = self._socket.recv_into(window)
            except BlockingIOError:
                silences = silences + 1 if signals.stop.is_set() else 0
                if silences >= SILENCES_TO_STOP:
                    break
                continue
            if not count:
                raise BrokerError(f"the broker closed a consumer after {self.got} messages")
            silences = 0
            self.receive(window[:count])
            self.settle()
            last = time.perf_counter()
        if self._tail and not wanted:
            raise BrokerError(f"a delivery broke off after {self.got} messages")
        if self._options.ack and self.got > self._acked:
            self._socket.sendall(ack(self.got, multiple=True))
        return last

    def receive(self, data: bytes | memoryview) -> None:
        """Count the deliveries in `data`; the beginning of another waits for the rest.

        Raises BrokerError if the last one's tag is not the count.
        """
        tail, size = self._tail, self.delivery_bytes
        tail += data
        messages = len(tail) // size
        if not messages:
            return
        self.got += messages
        whole = messages * size
        (tag,) = struct.unpack_from(">Q", tail, whole - size + self._tag_at)
        if tag != self.got:
            raise BrokerError(f"delivery tag {tag} where {self.got} messages were counted")
        if self._options.rate:
            self._note_latencies(whole)
        del tail[:whole]

    def settle(self) -> None:
        """Acknowledge what the options say is due."""
        every, got = self._options.ack, self.got
        if every == 1 and got > self._acked:
            self._socket.sendall(self._single_acks.after(self._acked, got))
            self._acked = got
        elif every and got - self._acked >= every:
            self._socket.sendall(ack(got, multiple=True))
            self._acked = got

    def _note_latencies(self, whole: int) -> None:
        now, tail = time.monotonic_ns(), self._tail
        for at in range(self._body_at, whole, self.delivery_bytes):
            self.latencies_s.append((now - int.from_bytes(tail[at : at + 8], "big")) / 1e9)
