"""Brokers that can be restarted in the middle of a scenario, and scenarios in two halves.

A scenario is a generator: what comes before its `yield` is done before the restart, what comes
after it asserts what is left. All first halves are played on one broker, which is restarted once.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.crash.process import BrokerProcess
from tests.peers.peer import Oracle
from tests.peers.sockets import SocketPeer

STOP, KILL = "stop", "kill"
ENDINGS = (STOP, KILL)

Scenario = Callable[[Any], Iterator[None]]


class RestartPeer(SocketPeer):
    """A peer of a broker that is restarted, `ending` says how: names survive, connections not."""

    def __init__(self, broker: Any, run: str, ending: str) -> None:
        super().__init__(broker.host, broker.port, run)
        self.oracle = broker.oracle
        self.ending = ending

    def moved(self, broker: Any) -> None:
        """Learn where the broker is now; the connections from before are gone."""
        for connection in self._connections:
            connection.drop()
        self._connections = []
        self._port = broker.port


class Amqpd:
    """amqpd in a process of its own."""

    host = "127.0.0.1"
    oracle = Oracle(is_rabbitmq=False, version=(3, 13))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        impatient = "sockets.shutdown_ms=100"  # clients of a scenario answer no close
        self._process = BrokerProcess(self._folder / "data", self._folder / "log", impatient)
        assert self._process.is_up(), self._process.said()
        self.port = self._process.port

    def restart(self, ending: str) -> None:
        """End it, and start it again."""
        if ending == STOP:
            assert self._process.stop() == 0
        else:
            self._process.kill()
        self._start()
        assert "damaged" not in self._process.said()

    def close(self) -> None:
        """End it for good."""
        self._process.kill()


class ByCommand:
    """Any broker by URL that a command, followed by "stop" or "kill", restarts."""

    def __init__(self, broker: Any, command: str) -> None:
        self.host, self.port, self.oracle = broker.host, broker.port, broker.oracle
        self._command = command

    def restart(self, ending: str) -> None:
        """Have it restarted; the command returns when it answers again."""
        subprocess.run([self._command, ending], check=True, capture_output=True, timeout=180)

    def close(self) -> None:
        """Leave it running."""


class Halves:
    """Scenarios around one restart; `finish` plays the second half of one of them."""

    def __init__(self, broker: Any, ending: str, run: str, scenarios: list[Scenario]) -> None:
        self._played: dict[str, tuple[RestartPeer, Iterator[None]]] = {}
        self._failed: dict[str, BaseException] = {}
        for scenario in scenarios:
            name = scenario.__name__
            peer = RestartPeer(broker, f"{run}-{len(self._played)}", ending)
            generator = scenario(peer)
            self._played[name] = (peer, generator)
            try:
                next(generator)
            except BaseException as error:
                self._failed[name] = error
        broker.restart(ending)
        for peer, _ in self._played.values():
            peer.moved(broker)

    def finish(self, scenario: Scenario) -> None:
        """Play what comes after the restart."""
        name = scenario.__name__
        if name in self._failed:
            raise self._failed[name]
        assert next(self._played[name][1], "ended") == "ended", "one restart for each scenario"

    def close(self) -> None:
        """Delete what they left."""
        for peer, _ in self._played.values():
            peer.close()
