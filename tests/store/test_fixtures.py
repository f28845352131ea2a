"""Directories that this version and older ones wrote are read in full."""

from pathlib import Path

import pytest

from amqpd.store.volume import FORMAT
from tests.store.client import NOW_MS
from tests.store.make_fixtures import FOLDER, PAD, unpack
from tests.store.things import Store

PACKED = sorted(FOLDER.glob("format-*.json.gz"))


def test_every_format_has_its_fixtures() -> None:
    names = {
        f"format-{number}-{kind}.json.gz"
        for number in range(1, FORMAT + 1)
        for kind in ("clean", "crashed")
    }
    assert {path.name for path in PACKED} == names


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.name)
def test_a_directory_of_any_format_is_read(path: Path) -> None:
    clean = "clean" in path.name
    store = Store(unpack(path))
    assert not store.found.damage and store.found.is_clean == clean
    assert store.found.pages
    assert store.queue_names() == ["arguments", "long", "short"]
    vhost = store.broker.vhosts["/"]
    bindings = sorted((b.source.name, b.key, b.destination) for b in vhost.bindings())
    assert bindings == [("x", "a.#", "arguments"), ("x", "a.*", "short")]
    assert vhost.exchanges["x"].kind == "topic" and "a" in vhost.exchanges["x"].arguments
    assert set(vhost.queues["arguments"].arguments) == {"x-max-length", "t"}
    short = [store.get("short") for _ in range(4)]
    assert short == [(b"one", True), (b"two", not clean), (b"both", not clean), None]
    assert store.drain("arguments") == [b"both"]
    long = store.drain("long")
    assert long == [b"%02d" % number + PAD for number in range(12, 30)]
    if "format-1-" not in path.name:
        check_facts(store)
    store.flush()
    assert not store.journal.failed
    assert not [name for name in store.disk.names() if name.startswith("page-")]


def check_facts(store: Store) -> None:
    """What formats know of users and vhosts since the second one."""
    broker = store.broker
    facts = broker.directory(NOW_MS).facts
    assert broker.directory(NOW_MS).is_seeded
    assert set(broker.vhosts) == {"/", "kept"} and set(broker.users.users) == {"guest", "alice"}
    assert broker.users.authenticate("alice", "secret")
    alice = broker.users.users["alice"]
    assert alice.tags == ("monitoring", "other") and alice.channel_max == 5
    assert set(broker.users.permissions) == {("guest", "/"), ("alice", "kept")}
    assert set(broker.users.topic_permissions) == {("alice", "kept", "x")}
    kept = broker.vhosts["kept"]
    assert kept.metadata == {"description": "d", "tags": ["a"], "default_queue_type": "x"}
    assert kept.queue_max == 7
    policy, operator = kept.policies.for_queue("q", "classic")
    assert policy is not None and (policy.name, policy.priority) == ("p", 2)
    assert operator is not None and operator.name == "o"
    found = {key[3:] for key in facts.by_key if "parameter" in key[0]}
    assert found == {
        ("vhost-limits", "", "limits"),
        ("policy", "", "p"),
        ("operator_policy", "", "o"),
        ("federation-upstream", "", "f"),
        ("", "", "cluster_name"),
    }
