"""Changes of users, vhosts, permissions and policies in the worlds of `crash_world`.

Every change has one state after it: all facts, and the queues of the vhosts that come and go. After
a crash the broker must be in one of these states, as a whole, and not before the last one that was
safe: nothing promised is lost, nothing is half there, nothing comes back.
"""

import random
from collections.abc import Callable
from typing import Any

from amqpd.broker import Broker
from amqpd.core.facts import key_of
from amqpd.directory import Directory, Refused
from amqpd.wire import tables
from tests.store.client import NOW_MS

State = tuple[dict[Any, bytes], dict[str, tuple[str, ...]]]
USERS, VHOSTS, POLICIES = ("u0", "u1"), ("v0", "v1"), ("p0", "p1")


def state_of(broker: Broker) -> State:
    """All that is known of a broker's definitions, but for the queues of `/`."""
    known = broker.directory(NOW_MS).facts.by_key
    facts = {key: tables.encode_table(fact) for key, fact in known.items()}
    assert all(key == key_of(fact) for key, fact in known.items())
    assert {key[-1] for key in known if key[0] == "vhost"} == set(broker.vhosts)
    users = {key[-1] for key in known if key[0] == "user"}
    assert users == set(broker.users.users)
    rows = {(key[2], key[1]) for key in known if key[0] == "permission"}
    assert rows == set(broker.users.permissions)
    queues = {
        name: tuple(sorted(vhost.queues)) for name, vhost in broker.vhosts.items() if name != "/"
    }
    return facts, queues


class Definer:
    """Makes changes, and knows which states a crash may leave."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.states: list[tuple[int, State]] = []  # with the journal position of each
        self.found: State | None = None  # by the latest recovery

    def begin(self, broker: Broker) -> None:
        """Begin a life: what is there now is safe."""
        state = state_of(broker)
        if self.found is not None:
            assert self.found == state, "a second recovery finds other definitions"
        self.states = [(0, state)]

    def landed(self, position: int) -> None:
        """Learn that everything up to a position is safe."""
        while len(self.states) > 1 and self.states[1][0] <= position:
            del self.states[0]

    def compare(self, broker: Broker) -> None:
        """Compare what came back.

        It is safe only when the broker is up: a power loss before that may take what was not
        promised.
        """
        if not self.states:
            return  # the machine stopped before the first life had begun
        found = self.found = state_of(broker)
        if any(state == found for _, state in self.states):
            return
        names = [sorted(facts) for _, (facts, _) in self.states]
        raise AssertionError(f"definitions of no time: {sorted(found[0])}, not any of {names}")

    def change(self, broker: Broker) -> None:
        """Make a change, or several that belong together."""
        directory = broker.directory(NOW_MS)
        count = self.rng.choice((1, 1, 4))
        if count > 1:
            directory.begin()
        positions = [self.rng.choice(CHANGES)(self, broker, directory) for _ in range(count)]
        if count > 1:
            directory.end()
        self.states.append((max(positions), state_of(broker)))

    # Each returns its journal position; what is refused changes nothing.

    def user(self, broker: Broker, directory: Directory) -> int:
        """Add or change a user."""
        limits = self.rng.choice(({}, {"max-channels": 2000}))
        position = directory.add_user(
            self.rng.choice(USERS), "secret", self.rng.choice(((), ("t",)))
        )
        return max(position, directory.set_user_limits(self.rng.choice(("guest",)), limits))

    def no_user(self, broker: Broker, directory: Directory) -> int:
        """Delete a user."""
        return tried(lambda: directory.delete_user(self.rng.choice(USERS)))

    def permission(self, broker: Broker, directory: Directory) -> int:
        """Set a permission, of queues and of topics."""
        user, vhost = self.rng.choice(USERS), self.rng.choice(VHOSTS)
        pattern = self.rng.choice(("", ".*", "^a"))
        if self.rng.random() < 0.3:
            return tried(lambda: directory.set_topic_permissions(user, vhost, "x", pattern, ".*"))
        return tried(lambda: directory.set_permissions(user, vhost, pattern, "", ".*"))

    def no_permission(self, broker: Broker, directory: Directory) -> int:
        """Take a permission away."""
        return directory.clear_permissions(self.rng.choice(USERS), self.rng.choice(VHOSTS))

    def vhost(self, broker: Broker, directory: Directory) -> int:
        """Make a vhost, or queues in it."""
        name = self.rng.choice(VHOSTS)
        size = self.rng.choice((0, 40_000))  # more than one block takes: it is cut
        position = directory.set_vhost(
            name, {"tags": [self.rng.choice("ab")], "description": "d" * size}
        )
        queue = self.rng.choice(("q0", "q1", "q2"))
        vhost = broker.vhosts[name]
        if queue not in vhost.queues:
            arguments = {"x": tables.longstr("." * size)}
            position = vhost.declare_queue(
                queue, durable=True, owner=0, auto_delete=False, arguments=arguments
            )
        return position

    def no_vhost(self, broker: Broker, directory: Directory) -> int:
        """Delete a vhost."""
        return tried(lambda: directory.delete_vhost(self.rng.choice(VHOSTS)))

    def policy(self, broker: Broker, directory: Directory) -> int:
        """Set or clear a policy."""
        vhost, name = self.rng.choice(VHOSTS), self.rng.choice(POLICIES)
        operator = self.rng.random() < 0.5
        if self.rng.random() < 0.3:
            return tried(lambda: directory.clear_policy(vhost, name, operator=operator))
        definition = {"max-length": self.rng.randrange(100)}
        return tried(lambda: directory.set_policy(vhost, name, "^q", definition, operator=operator))

    def parameter(self, broker: Broker, directory: Directory) -> int:
        """Set a parameter of the broker."""
        return directory.set_global_parameter("g", {"n": self.rng.randrange(3)})


def tried(change: Callable[[], int]) -> int:
    """Do something that may be refused."""
    try:
        return change()
    except Refused:
        return 0


CHANGES = (
    Definer.user,
    Definer.no_user,
    Definer.permission,
    Definer.permission,
    Definer.no_permission,
    Definer.vhost,
    Definer.vhost,
    Definer.no_vhost,
    Definer.policy,
    Definer.policy,
    Definer.parameter,
)
