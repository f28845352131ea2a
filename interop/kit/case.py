"""One run of one scenario: where to connect, and names that nobody else uses."""

from interop.address import Address
from interop.scenarios import Scenario


class Case:
    """Hands out names for queues and exchanges and remembers them, so that they can be removed."""

    def __init__(self, scenario: Scenario, address: Address, prefix: str) -> None:
        self.scenario = scenario
        self.address = address
        self.queues: list[str] = []
        self.exchanges: list[str] = []
        self._prefix = f"{prefix}.{scenario.name}"

    @property
    def limit_s(self) -> float:
        """How long the scenario may take (s)."""
        return self.scenario.limit_s

    def name(self, what: str) -> str:
        """A name of this run for something that needs no removal."""
        return f"{self._prefix}.{what}"

    def queue(self, what: str = "queue") -> str:
        """A name for a queue; the client removes it at the end, if it is there."""
        self.queues.append(self.name(what))
        return self.queues[-1]

    def exchange(self, what: str = "exchange") -> str:
        """A name for an exchange; the client removes it at the end, if it is there."""
        self.exchanges.append(self.name(what))
        return self.exchanges[-1]
