"""Publishes one message over and over, in blocks of frames encoded once.

With `confirm`, at most so many publishes wait for the broker's answer. With `rate`, messages go one
by one at their time, each with the moment of sending in its first 8 bytes.
"""

import os
import time
from typing import Final

from amqpd.perf.connection import BrokerError, Connection
from amqpd.perf.crew import Result, Signals
from amqpd.perf.encoding import AckCount, content, publish
from amqpd.perf.options import LoadOptions

LAST_CONFIRM_TIMEOUT_S: Final = 60.0
READ_BYTES: Final = 262144


def produce(options: LoadOptions, index: int, signals: Signals) -> Result:
    """Publish until the count or the time is reached and everything is taken by the broker."""
    connection = Connection(options.target)
    if options.confirm:
        connection.call((85, 10), (85, 11), b"\0")
    producer = Producer(options, connection, options.published_queues(index))
    signals.ready()
    signals.start.wait()
    began = time.perf_counter()
    if options.rate:
        producer.publish_at_rate()
    else:
        producer.publish_at_full_speed()
    producer.finish()
    took = time.perf_counter() - began
    connection.close()
    return Result("producer", producer.sent, took, producer.latencies_s)


class Producer:
    """The publishing side of one connection.

    `latencies_s` holds the seconds from writing a block to the confirm of its last message.
    """

    def __init__(self, options: LoadOptions, connection: Connection, queues: list[str]) -> None:
        self.sent = 0
        self.latencies_s: list[float] = []
        self._options = options
        self._socket = connection.socket
        self._connection = connection
        self._confirms = AckCount()
        self._blocks: list[tuple[int, float]] = []  # (last message of a block, when it was written)
        self._block = 1 if options.rate else min(options.block, options.confirm or options.block)
        body = os.urandom(options.size)
        message = content(body, options.persistent, connection.frame_max)
        one = b"".join(publish(queue) + message for queue in queues)
        if options.spread:
            self._block = len(queues)
        self._stamp_at = one.index(body)
        self._data = one if options.spread else one * self._block

    def publish_at_full_speed(self) -> None:
        """Write block after block, as far as the confirms let it."""
        options, data, block = self._options, self._data, self._block
        limit, ends = options.count // options.producers, time.perf_counter() + options.seconds
        while self.sent < limit if limit else time.perf_counter() < ends:
            if options.confirm:
                if self.sent + block - self._confirms.acked > options.confirm:
                    self._read_confirms()
                    continue
                self._blocks.append((self.sent + block, time.perf_counter()))
            self._socket.sendall(data)
            self.sent += block

    def publish_at_rate(self) -> None:
        """Write one stamped message at a time, each when it is due."""
        options, at = self._options, self._stamp_at
        head, rest = self._data[:at], self._data[at + 8 :]
        limit, began = options.count // options.producers, time.perf_counter()
        limit = limit or int(options.seconds * options.rate)
        while self.sent < limit:
            if options.confirm and self.sent + 1 - self._confirms.acked > options.confirm:
                self._read_confirms()
                continue
            ahead = began + self.sent / options.rate - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            stamp = time.monotonic_ns().to_bytes(8, "big")
            self._socket.sendall(head + stamp + rest)
            self.sent += 1

    def finish(self) -> None:
        """Return when the broker has taken all that was sent.

        Without confirms a round trip says so: channel.flow is answered after what came before it.
        """
        if not self._options.confirm:
            self._connection.call((20, 20), (20, 21), b"\1")
            return
        self._socket.settimeout(LAST_CONFIRM_TIMEOUT_S)
        while self._confirms.acked < self.sent:
            self._read_confirms()

    def _read_confirms(self) -> None:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise BrokerError("the broker closed the connection of a producer")
        self._confirms.receive(data)
        now, acked = time.perf_counter(), self._confirms.acked
        confirmed = 0
        while confirmed < len(self._blocks) and self._blocks[confirmed][0] <= acked:
            self.latencies_s.append(now - self._blocks[confirmed][1])
            confirmed += 1
        del self._blocks[:confirmed]
