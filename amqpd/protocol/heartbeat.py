"""Heartbeats: when a quiet connection must say something, and when a silent peer is dead.

RabbitMQ: heartbeats. With an interval of H seconds agreed at tune-ok:
Rule 1: every H/2, if nothing was written since the last look, a heartbeat frame is due; the first
look always sends one. Rule 2: every H the octets received are looked at; two looks in a row
without any new ones mean that the peer is gone, between 2H and 3H after its last octet. Any
traffic counts. Rule 3: while the broker itself does not read, rule 2 rests.
"""

from typing import Final


class Heartbeat:
    """The two watches of one connection, driven by a tick each half interval."""

    def __init__(self, interval_s: int) -> None:
        assert interval_s > 0
        self.tick_ms: Final = interval_s * 500
        self._sent_bytes = -1
        self._received_bytes = -1
        self._silences = 0
        self._is_half = False

    def must_send(self, sent_bytes: int) -> bool:
        """Say whether a heartbeat is due; called at each tick with the octets written so far."""
        quiet = self._sent_bytes < 0 or sent_bytes == self._sent_bytes
        self._sent_bytes = sent_bytes
        return quiet

    def is_dead(self, received_bytes: int, reading: bool) -> bool:
        """Say whether the peer is gone; called at each tick with the octets received so far."""
        self._is_half = not self._is_half
        if self._is_half:
            return False
        if received_bytes != self._received_bytes or not reading:
            self._silences = 0
        else:
            self._silences += 1
        self._received_bytes = received_bytes
        return self._silences >= 2
