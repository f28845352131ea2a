"""Facts: users, vhosts, permissions, parameters and policies, as plain tables with a key each.

One fact is one field table, the same in memory and in the journal. `kind` says what it is, and with
the other fields of `_KEY` it says which one; what else it holds belongs to its kind:

| kind | which one | what it holds |
|---|---|---|
| seeded | | nothing: the first users and vhosts have been made |
| user | name | hash, algorithm, tags (array), limits (table) |
| vhost | name | metadata (JSON: description, tags, default_queue_type, what else came) |
| permission | vhost, user | configure, write, read |
| topic-permission | vhost, user, exchange | write, read |
| parameter | vhost, component, name | value (JSON) |
| global-parameter | name | value (JSON) |

Policies, operator policies and vhost limits are parameters, as in RabbitMQ: of the components
`policy`, `operator_policy` and `vhost-limits`.

Rule 1: what belongs to a user or a vhost goes with it, by one fact that says that it is gone.
"""

from typing import Final

from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

SEEDED: Final = "seeded"
USER: Final = "user"
VHOST: Final = "vhost"
PERMISSION: Final = "permission"
TOPIC_PERMISSION: Final = "topic-permission"
PARAMETER: Final = "parameter"
GLOBAL_PARAMETER: Final = "global-parameter"

# Components of parameters that mean something here.
POLICY: Final = "policy"
OPERATOR_POLICY: Final = "operator_policy"
VHOST_LIMITS: Final = "vhost-limits"
LIMITS: Final = "limits"  # name of the one parameter of that component

_KEY: Final = ("kind", "vhost", "user", "component", "exchange", "name")

Key = tuple[str, ...]


def text_of(fact: Table, field: str) -> str:
    """Return a text of a fact, "" if it has none of that name."""
    found = fact.get(field)
    return tables.text(found) if found is not None and found.tag == "S" else ""


def texts_of(fact: Table, field: str) -> tuple[str, ...]:
    """Return an array of texts of a fact."""
    found = fact.get(field)
    if found is None or not isinstance(found.value, list):
        return ()
    return tuple([tables.text(item) for item in found.value if item.tag == "S"])


def key_of(fact: Table) -> Key:
    """Return what tells a fact from others."""
    return tuple([text_of(fact, field) for field in _KEY])


def make(kind: str, texts: dict[str, str]) -> Table:
    """Make a fact, or name one, of texts alone."""
    fact: Table = {"kind": tables.longstr(kind)}
    for name, value in texts.items():
        fact[name] = tables.longstr(value)
    return fact


def user(
    name: str, password_hash: str, algorithm: str, tags: tuple[str, ...], limits: dict[str, int]
) -> Table:
    """A user."""
    fact = make(USER, {"name": name, "hash": password_hash, "algorithm": algorithm})
    fact["tags"] = tables.array([tables.longstr(tag) for tag in tags])
    entries: dict[str, Field] = {key: tables.long(value) for key, value in limits.items()}
    fact["limits"] = tables.table(entries)
    return fact


def limits_of(fact: Table) -> dict[str, int]:
    """Return the limits of a user."""
    found = fact.get("limits")
    limits: dict[str, int] = {}
    if found is not None and isinstance(found.value, dict):
        for name, field in found.value.items():
            number = tables.integer(field)
            if number is not None:
                limits[name] = number
    return limits


class Facts:
    """All facts there are, in the order in which they came to be."""

    def __init__(self) -> None:
        self.by_key: Final[dict[Key, Table]] = {}

    def put(self, fact: Table) -> Table | None:
        """Take in a fact. Returns the one whose place it takes."""
        key = key_of(fact)
        before = self.by_key.get(key)
        self.by_key[key] = fact
        return before

    def drop(self, fact: Table) -> Table | None:
        """Forget a fact, and what belongs to it (rule 1). Returns it, None if it is not there.

        O(facts) for a user or a vhost.
        """
        gone = self.by_key.pop(key_of(fact), None)
        kind = text_of(fact, "kind")
        if kind == USER or kind == VHOST:
            name = text_of(fact, "name")
            for key in list(self.by_key):
                belongs = self.by_key[key].get(kind)
                if belongs is not None and tables.text(belongs) == name:
                    del self.by_key[key]
        return gone

    def find(self, kind: str, texts: dict[str, str]) -> Table | None:
        """Return a fact by what tells it from others."""
        return self.by_key.get(key_of(make(kind, texts)))

    def of(self, kind: str) -> list[Table]:
        """All facts of a kind."""
        return [fact for key, fact in self.by_key.items() if key[0] == kind]

    def clear(self) -> None:
        """Forget everything."""
        self.by_key.clear()
