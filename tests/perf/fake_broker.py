"""A broker of one file, as far as the load generator can tell: a program that listens on a port.

    python fake_broker.py --port N [--skip-tag N] [--refuse] [--mute]

It answers, delivers round-robin, ignores acknowledgements and confirms once per read. `--skip-tag`
leaves out one delivery tag as if a message were lost; `--refuse` closes every connection at open;
`--mute` accepts connections and says nothing.
"""

import argparse
import selectors
import socket
import struct
import sys
from collections import deque

from amqpd.perf.encoding import frame, longstr, method, shortstr, take_shortstr

PROPERTIES = shortstr("product") + b"S" + longstr(b"Fake") + shortstr("version") + b"S"
START = b"\0\x09" + longstr(PROPERTIES + longstr(b"1.0")) + longstr(b"PLAIN") + longstr(b"en_US")
REPLIES = {
    (10, 11): (0, 10, 30, struct.pack(">HIH", 2047, 131072, 60)),
    (10, 50): (0, 10, 51, b""),
    (20, 10): (1, 20, 11, longstr(b"")),
    (20, 20): (1, 20, 21, b"\1"),
    (60, 10): (1, 60, 11, b""),
    (85, 10): (1, 85, 11, b""),
}


class Queue:
    """Messages that wait, and who takes them: (peer, consumer tag) each."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.consumers: deque[tuple[Peer, str]] = deque()


class Peer:
    """One connection with channel 1."""

    def __init__(self, broker: "FakeBroker", accepted: socket.socket) -> None:
        self.broker, self.socket, self.data, self.out = broker, accepted, b"", bytearray()
        self.confirming, self.published, self.confirmed, self.delivered = False, 0, 0, 0
        self.routing_key, self.content, self.missing = "", b"", 0

    def receive(self, data: bytes) -> None:
        """Handle all whole frames, then confirm what was published."""
        self.data += data
        if self.data.startswith(b"AMQP"):
            self.data = self.data[8:]
            self.out += method(0, 10, 10, START)
        at = 0
        while len(self.data) - at >= 8:
            kind, _, length = struct.unpack_from(">BHI", self.data, at)
            if len(self.data) - at < length + 8:
                break
            self.on_frame(kind, self.data[at + 7 : at + 7 + length])
            at += length + 8
        self.data = self.data[at:]
        if self.confirming and self.published > self.confirmed:
            self.confirmed = self.published
            self.out += method(1, 60, 80, struct.pack(">QB", self.published, 1))

    def on_frame(self, kind: int, payload: bytes) -> None:
        """Answer a method; collect a content."""
        if kind == 1:
            self.on_method(struct.unpack_from(">HH", payload), payload)
        elif kind in (2, 3):
            self.content += frame(kind, 1, payload)
            if kind == 2:
                (self.missing,) = struct.unpack_from(">Q", payload, 4)
            else:
                self.missing -= len(payload)
            if not self.missing:
                self.broker.publish(self.routing_key, self.content)

    def on_method(self, ids: tuple[int, int], payload: bytes) -> None:
        """Answer one method."""
        if ids == (10, 40):
            closing = struct.pack(">H", 320) + shortstr("no one may enter") + b"\0\0\0\0"
            refuse = self.broker.refuse
            self.out += method(0, 10, 50, closing) if refuse else method(0, 10, 41, b"\0")
        elif ids in REPLIES:
            self.confirming |= ids == (85, 10)
            channel, class_id, method_id, arguments = REPLIES[ids]
            self.out += method(channel, class_id, method_id, arguments)
        elif ids == (50, 10):
            name, _ = take_shortstr(payload, 6)
            self.broker.queues.setdefault(name, Queue())
            self.out += method(1, 50, 11, shortstr(name) + bytes(8))
        elif ids == (50, 40):
            name, _ = take_shortstr(payload, 6)
            self.broker.queues.pop(name, None)
            self.out += method(1, 50, 41, bytes(4))
        elif ids == (60, 20):
            name, at = take_shortstr(payload, 6)
            tag, _ = take_shortstr(payload, at)
            self.out += method(1, 60, 21, shortstr(tag))
            self.broker.queues[name].consumers.append((self, tag))
            self.broker.dispatch(name)
        elif ids == (60, 40):
            _, at = take_shortstr(payload, 6)
            self.routing_key, _ = take_shortstr(payload, at)
            self.content, self.published = b"", self.published + 1

    def deliver(self, tag: str, name: str, content: bytes) -> None:
        """Write one basic.deliver with its content."""
        self.delivered += 1 + (self.delivered + 1 == self.broker.skip_tag)
        facts = struct.pack(">QB", self.delivered, 0)
        self.out += method(1, 60, 60, shortstr(tag) + facts + shortstr("") + shortstr(name))
        self.out += content


class FakeBroker:
    """Queues by name, and the loop."""

    def __init__(self, skip_tag: int, refuse: bool, mute: bool) -> None:
        self.queues: dict[str, Queue] = {}
        self.skip_tag, self.refuse, self.mute = skip_tag, refuse, mute

    def publish(self, name: str, content: bytes) -> None:
        """Put a message into the queue of that name, if there is one."""
        if name in self.queues:
            self.queues[name].waiting.append(content)
            self.dispatch(name)

    def dispatch(self, name: str) -> None:
        """Give waiting messages to the consumers in turn."""
        queue = self.queues[name]
        while queue.waiting and queue.consumers:
            peer, tag = queue.consumers[0]
            queue.consumers.rotate(-1)
            peer.deliver(tag, name, queue.waiting.popleft())

    def serve(self, listener: socket.socket) -> None:
        """Serve until the process is ended."""
        selector = selectors.DefaultSelector()
        selector.register(listener, selectors.EVENT_READ)
        peers: dict[socket.socket, Peer] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    accepted, _ = listener.accept()
                    peers[accepted] = Peer(self, accepted)
                    selector.register(accepted, selectors.EVENT_READ)
                elif not self.read(peers[key.fileobj]):
                    selector.unregister(key.fileobj)
                    self.forget(peers.pop(key.fileobj))
            for peer in list(peers.values()):
                self.write(peer)

    def read(self, peer: Peer) -> bool:
        """Take what came; False at the end of the connection."""
        try:
            data = peer.socket.recv(1 << 16)
        except OSError:
            return False
        if data and not self.mute:
            peer.receive(data)
        return bool(data)

    def write(self, peer: Peer) -> None:
        """Write all that the peer shall get."""
        try:
            peer.socket.sendall(peer.out)
        except OSError:
            pass  # its end is read in the next round
        peer.out.clear()

    def forget(self, peer: Peer) -> None:
        """Take its consumers out of all queues."""
        peer.socket.close()
        for queue in self.queues.values():
            queue.consumers = deque(each for each in queue.consumers if each[0] is not peer)


def main() -> None:
    """Listen, say so, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data-dir")
    parser.add_argument("--skip-tag", type=int, default=0)
    parser.add_argument("--refuse", action="store_true")
    parser.add_argument("--mute", action="store_true")
    args = parser.parse_args()
    with socket.create_server((args.bind, args.port)) as listener:
        print(listener.getsockname()[1], flush=True)
        FakeBroker(args.skip_tag, args.refuse, args.mute).serve(listener)


if __name__ == "__main__":
    sys.exit(main())
