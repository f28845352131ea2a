"""Definitions put into a broker and taken out again: all or nothing, and nothing is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from amqpd.broker import Broker
from amqpd.definitions.document import BadDefinitions, Document, read
from amqpd.definitions.exporting import as_text, export, plain
from amqpd.definitions.importing import import_all
from amqpd.wire import tables
from amqpd.wire.tables import Decimal, Field
from tests.store.client import NOW_MS
from tests.store.things import Store

RABBITMQ = Path(__file__).with_name("rabbitmq-3.10.8.json")
HASH = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def put(broker: Broker, *parts: Any) -> Document:
    """Import values, or a text; return the (last) document."""
    documents = [read(p if isinstance(p, bytes) else json.dumps(p).encode()) for p in parts]
    import_all(documents, broker.directory(NOW_MS), broker.vhosts)
    return documents[-1]


def taken(broker: Broker) -> Any:
    """Export, by way of the text."""
    known = broker.directory(NOW_MS).facts
    return json.loads(as_text(export(known, broker.vhosts, "3.13.7")))


def in_order(definitions: Any) -> dict[str, list[str]]:
    """Sections with their rows in an order of their own."""
    return {
        key: sorted(json.dumps(row, sort_keys=True) for row in value)
        for key, value in definitions.items()
        if isinstance(value, list)
    }


@pytest.fixture
def store() -> Store:
    """A fresh one."""
    return Store()


# -- what RabbitMQ wrote ---------------------------------------------------------------------------


def test_what_rabbitmq_exported_is_taken_in_whole(store: Store) -> None:
    document = put(store.broker, RABBITMQ.read_bytes())
    assert document.notes == []
    broker = store.broker
    assert set(broker.vhosts) == {"/", "v é"}
    assert broker.users.authenticate("bob", "pw") and broker.users.users["bob"].connection_max == 3
    assert broker.users.users["bob"].tags == ("monitoring", "management")
    assert broker.users.authenticate("guest", "guest")
    vhost = broker.vhosts["v é"]
    assert vhost.metadata["description"] == "my vhost" and vhost.metadata["tags"] == ["a", "b"]
    assert (vhost.connection_max, vhost.queue_max) == (20, 30)
    assert set(vhost.queues) == {"q1", "q2", "qq"}
    q1 = vhost.queues["q1"]
    assert q1.policy is not None and q1.operator_policy is not None and q1.rules is not None
    assert q1.rules.length_max == 5 and q1.rules.dead_letter_exchange == "dlx"
    assert vhost.exchanges["dlx"].alternate == "amq.fanout"
    assert len(vhost.bindings()) == 3
    row = broker.users.topic_permissions["bob", "v é", "amq.topic"]
    assert row.write == "^{username}"


def test_what_rabbitmq_exported_comes_out_again(store: Store) -> None:
    put(store.broker, RABBITMQ.read_bytes())
    ours, theirs = taken(store.broker), json.loads(RABBITMQ.read_bytes())
    for exchange in ours["exchanges"]:
        assert exchange.pop("internal") is False  # RabbitMQ leaves it out
    theirs["parameters"][0]["value"]["definition"] = {"max-length": 5}  # pairs in 3.10
    for vhost in theirs["vhosts"]:
        if vhost["metadata"]["tags"] == "a,b":  # so in 3.10
            vhost["metadata"]["tags"] = ["a", "b"]
    assert in_order(ours) == in_order(theirs)


def test_what_was_imported_survives_a_crash(store: Store) -> None:
    put(store.broker, RABBITMQ.read_bytes())
    store.flush()
    again = Store(store.disk)
    before, after = in_order(taken(store.broker)), in_order(taken(again.broker))
    assert [row for row in before["queues"] if '"durable": true' in row] == after["queues"]
    for section in ("users", "vhosts", "permissions", "parameters", "policies"):
        assert before[section] == after[section]


def test_an_export_comes_back_as_it_was(store: Store) -> None:
    put(store.broker, RABBITMQ.read_bytes())
    other = Store()
    put(other.broker, taken(store.broker))
    assert in_order(taken(other.broker)) == in_order(taken(store.broker))


def test_importing_again_appends_nothing(store: Store) -> None:
    put(store.broker, RABBITMQ.read_bytes())
    position = store.journal.position
    assert put(store.broker, RABBITMQ.read_bytes()).notes == []
    assert store.journal.position == position


# -- users -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ({"password_hash": HASH, "hashing_algorithm": "rabbit_password_hashing_sha256"}, "test12"),
        ({"password_hash": HASH}, "test12"),
        ({"password_hash": "AAAAAClzsI3H7Qz8dd3dzcSYFIA="}, "pw"),
        ({"password": "plain"}, "plain"),
    ],
)
def test_passwords_as_files_have_them(store: Store, user: Any, password: str) -> None:
    if "AAAA" in str(user):
        import base64
        import hashlib

        digest = hashlib.md5(b"\0\0\0\0pw", usedforsecurity=False).digest()
        user = {"password_hash": base64.b64encode(b"\0\0\0\0" + digest).decode()}
    put(store.broker, {"users": [{"name": "u", "tags": "management", **user}]})
    assert store.broker.users.authenticate("u", password)
    assert store.broker.users.users["u"].tags == ("management",)


def test_a_user_without_a_password_cannot_log_in_by_one(store: Store) -> None:
    put(store.broker, {"users": [{"name": "u", "password_hash": "", "tags": []}]})
    assert not store.broker.users.authenticate("u", "")


def test_a_user_who_is_there_is_changed(store: Store) -> None:
    put(store.broker, {"users": [{"name": "guest", "password_hash": HASH, "tags": ["x"]}]})
    assert store.broker.users.authenticate("guest", "test12")
    assert store.broker.users.may_open("guest", "/")


# -- what is there already -------------------------------------------------------------------------


def test_queues_and_exchanges_that_differ_stay_and_are_named(store: Store) -> None:
    put(
        store.broker,
        {
            "queues": [{"name": "q", "vhost": "/", "durable": True, "arguments": {}}],
            "exchanges": [{"name": "x", "vhost": "/", "type": "topic", "durable": True}],
        },
    )
    document = put(
        store.broker,
        {
            "queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": 1}}],
            "exchanges": [{"name": "x", "vhost": "/", "type": "direct"}],
        },
    )
    assert document.notes == [
        'exchanges[0] "x": there is an exchange of this name that differs; it stays',
        'queues[0] "q": there is a queue of this name that differs; it stays',
    ]
    assert store.broker.vhosts["/"].exchanges["x"].kind == "topic"


def test_a_binding_between_what_is_there(store: Store) -> None:
    store.declare("q")
    binding = {
        "vhost": "/",
        "source": "amq.topic",
        "destination": "q",
        "destination_type": "queue",
        "routing_key": "a.*",
        "arguments": {},
        "properties_key": "a.%2A",
    }
    for _ in range(2):
        assert put(store.broker, {"bindings": [binding]}).notes == []
    (bound,) = store.broker.vhosts["/"].bindings()
    assert bound.key == "a.*" and bound.durable


# -- what is not used is named ---------------------------------------------------------------------


def test_nothing_is_dropped_without_a_word(store: Store) -> None:
    document = put(
        store.broker,
        {
            "more": [],
            "users": [{"name": "u", "password_hash": HASH, "tags": [], "colour": "red"}],
            "vhosts": [{"name": "v", "tracing": True, "protected": True}],
            "queues": [
                {"name": "amq.gen-1", "vhost": "v"},
                {"name": "e", "vhost": "v", "exclusive": True},
            ],
            "exchanges": [{"name": "amq.topic", "vhost": "v", "type": "topic"}],
            "bindings": [
                {
                    "source": "",
                    "vhost": "v",
                    "destination": "q",
                    "destination_type": "queue",
                    "routing_key": "q",
                    "arguments": {},
                }
            ],
        },
    )
    assert sorted(document.notes) == [
        'exchanges[0] "amq.topic": exchanges of this name are made by the broker alone',
        'queues[0] "amq.gen-1": queues like this are made by their clients alone',
        'queues[1] "e": queues like this are made by their clients alone',
        "the section more is not known here",
        'users[0] "u": colour is not known here',
        'vhosts[0] "v": protected is not known here',
        'vhosts[0] "v": tracing is not switched on',
    ]


def test_parameters_of_plugins_and_metadata_are_kept(store: Store) -> None:
    upstream = {
        "component": "federation-upstream",
        "vhost": "/",
        "name": "f",
        "value": {"uri": "amqp://"},
    }
    vhost = {"name": "v", "metadata": {"description": "d", "tags": [], "other": {"x": 1}}}
    put(store.broker, {"parameters": [upstream], "vhosts": [vhost]})
    out = taken(store.broker)
    assert out["parameters"] == [upstream]
    assert out["vhosts"][1]["metadata"] == vhost["metadata"]


# -- what is wrong ---------------------------------------------------------------------------------

USER = {"name": "u", "password_hash": HASH, "tags": []}
BINDING = {"vhost": "/", "source": "amq.topic", "destination": "q", "routing_key": ""}


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ({"users": [USER, {"tags": []}]}, "users[1]: name is missing"),
        (
            {"users": [{"name": "u", "password_hash": "?", "tags": []}]},
            "users[0] \"u\": the password hash of user 'u' is not base64",
        ),
        ({"users": [USER | {"hashing_algorithm": "md4"}]}, "unknown password hashing algorithm"),
        ({"users": [USER | {"password": "x"}]}, "both a password and a password_hash"),
        ({"users": [USER | {"limits": {"max-channels": "x"}}]}, "limits: max-channels: expected"),
        ({"users": [USER | {"limits": {"max": 1}}]}, "Unrecognised terms"),
        (
            {"permissions": [{"user": "u", "vhost": "/", "configure": "", "write": ""}]},
            'permissions[0] "u": read is missing',
        ),
        (
            {
                "users": [USER],
                "permissions": [
                    {"user": "u", "vhost": "v", "configure": "", "write": "", "read": ""}
                ],
            },
            "permissions[0] \"u\": Virtual host 'v' does not exist",
        ),
        (
            {
                "policies": [
                    {"vhost": "/", "name": "p", "pattern": "", "definition": {"expires": 0}}
                ]
            },
            'policies[0] "p": Validation failed\n0 is not a valid queue expiry',
        ),
        (
            {"parameters": [{"vhost": "/", "component": "operator_policy", "name": "p"}]},
            'parameters[0] "p": Validation failed\nundefined is no policy',
        ),
        (
            {"queues": [{"vhost": "/", "name": "q", "arguments": {"x-max-length": -1}}]},
            "queues[0] \"q\": invalid arg 'x-max-length' for queue 'q' in vhost '/'",
        ),
        ({"queues": [{"vhost": "/", "name": "q", "type": "stream"}]}, 'queues[0] "q": '),
        ({"queues": [{"name": "q"}]}, "vhost is missing: files of a single vhost"),
        ({"queues": [{"vhost": "v", "name": "q"}]}, "Virtual host 'v' does not exist"),
        (
            {"exchanges": [{"vhost": "/", "name": "x", "type": "odd"}]},
            "exchanges[0] \"x\": unknown exchange type 'odd'",
        ),
        (
            {"bindings": [BINDING | {"destination_type": "queue"}]},
            "bindings[0] \"amq.topic\": no queue 'q' in vhost '/'",
        ),
        ({"bindings": [BINDING | {"destination_type": "x"}]}, 'expected "queue" or "exchange"'),
        (
            {
                "parameters": [
                    {
                        "vhost": "/",
                        "component": "vhost-limits",
                        "name": "limits",
                        "value": {"max-queues": 1},
                    }
                ],
                "queues": [{"vhost": "/", "name": "a"}, {"vhost": "/", "name": "b"}],
            },
            "queues[1] \"b\": cannot declare queue 'b': queue limit in vhost '/' (1) is reached",
        ),
    ],
)
def test_a_mistake_is_named_and_nothing_has_happened(
    store: Store, definitions: Any, words: str
) -> None:
    before, position = taken(store.broker), store.journal.position
    good = {"users": [{"name": "other", "password_hash": HASH, "tags": []}], "vhosts": []}
    good["vhosts"] = [{"name": "new"}]
    with pytest.raises(BadDefinitions) as bad:
        put(store.broker, good, definitions)
    assert words in str(bad.value)
    assert taken(store.broker) == before and store.journal.position == position


# -- what is not exported --------------------------------------------------------------------------


def test_what_belongs_to_nobody_else_is_not_exported(store: Store) -> None:
    vhost = store.broker.vhosts["/"]
    flags: dict[str, Any] = {"auto_delete": False, "arguments": {}}
    vhost.declare_queue("mine", durable=False, owner=7, **flags)
    vhost.declare_queue("all", durable=False, owner=0, **flags)
    vhost.declare_exchange("inside", "fanout", durable=True, internal=True, **flags)
    out = taken(store.broker)
    assert [queue["name"] for queue in out["queues"]] == ["all"]
    assert out["exchanges"] == []


def test_fields_of_all_types_as_json() -> None:
    table = {
        "x": Field("x", b"bin"),
        "f": Field("f", 1.5),
        "D": Field("D", Decimal(2, 314)),
        "T": tables.timestamp(7),
        "V": Field("V", None),
        "A": tables.array([tables.long(1), tables.table({"k": tables.boolean(True)})]),
        "u": Field("u", 9),
        "s": Field("S", b"\xff"),
    }
    assert plain(table) == {
        "x": "bin",
        "f": 1.5,
        "D": 3.14,
        "T": 7,
        "V": None,
        "A": [1, {"k": True}],
        "u": 9,
        "s": "\udcff",
    }
    assert json.loads(as_text(plain(table)))["s"] == "\udcff"
