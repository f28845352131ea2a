"""The directory: every change, what it is told as, what it does at once, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from amqpd.auth import CONFIGURE, MD5, READ, SHA256, WRITE
from amqpd.core.ports import Journal, MemoryJournal
from amqpd.directory import Directory, Observer, Refused
from amqpd.wire import tables
from tests.peers.errors import PeerError
from tests.peers.memory import MemoryPeer
from tests.store.client import NOW_MS
from tests.store.sim_disk import SimDisk
from tests.store.things import Store


class Recorder(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, tables.Table]] = []

    def changed(self, event: str, fields: tables.Table) -> None:
        """See Observer."""
        self.events.append((event, fields))

    def take(self) -> list[str]:
        """Take the events, as `name key=value`."""
        taken, self.events = self.events, []
        return [
            " ".join([event, *(f"{k}={tables.text(f)}" for k, f in fields.items() if f.tag == "S")])
            for event, fields in taken
        ]


class Desk:
    """A store, its directory, and somebody who listens."""

    def __init__(self, disk: SimDisk | None = None) -> None:
        self.store = Store(disk)
        self.broker = self.store.broker
        self.directory: Directory = self.broker.directory(NOW_MS)
        self.recorder = Recorder()
        self.directory.observers.append(self.recorder)

    def again(self) -> "Desk":
        """Sync, crash, and start again; what is there must be the same."""
        self.store.flush()
        other = Desk(self.store.disk.copy())
        assert other.directory.facts.by_key == self.directory.facts.by_key
        return other


@pytest.fixture
def desk() -> Desk:
    """A fresh one."""
    return Desk()


# -- users -----------------------------------------------------------------------------------------


def test_a_user_comes_changes_and_goes(desk: Desk) -> None:
    directory, users = desk.directory, desk.broker.users
    assert directory.add_user("u", "secret", ("management",)) > 0
    assert users.authenticate("u", "secret") and users.users["u"].tags == ("management",)
    assert desk.recorder.take() == ["user.created name=u", "user.tags.set name=u"]
    directory.set_password("u", "other")
    assert users.authenticate("u", "other") and not users.authenticate("u", "secret")
    directory.set_tags("u", ("a", "b"))
    directory.set_user_limits("u", {"max-channels": 3, "max-connections": 2})
    user = desk.again().broker.users.users["u"]
    assert (user.tags, user.channel_max, user.connection_max) == (("a", "b"), 3, 2)
    assert desk.again().broker.users.authenticate("u", "other")
    directory.set_user_limits("u", {})
    directory.set_password("u", "")
    assert not users.authenticate("u", "") and not users.authenticate("u", "other")
    directory.delete_user("u")
    assert desk.recorder.take() == [
        "user.password.changed name=u",
        "user.tags.set name=u",
        "user.limits.set name=u",
        "user.limits.cleared name=u",
        "user.password.cleared name=u",
        "user.deleted name=u",
    ]
    assert "u" not in desk.again().broker.users.users


def test_a_user_by_a_hash_of_rabbitmqs(desk: Desk) -> None:
    hashed = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    desk.directory.set_user("u", hashed, SHA256, ())
    assert desk.broker.users.authenticate("u", "test12")
    assert desk.again().broker.users.authenticate("u", "test12")
    for algorithm in ("md4", MD5):
        with pytest.raises(Refused):
            desk.directory.set_user("u", hashed, algorithm, ())


def test_what_a_user_may_do_goes_with_the_user(desk: Desk) -> None:
    directory, users = desk.directory, desk.broker.users
    directory.add_user("u", "secret")
    directory.set_permissions("u", "/", "^c", "^w", "")
    directory.set_topic_permissions("u", "/", "x", "^a", "^b")
    assert users.allows("u", "/", CONFIGURE, "c") and not users.allows("u", "/", READ, "c")
    other = desk.again().broker.users
    assert other.allows("u", "/", WRITE, "w") and not other.allows_topic("u", "/", "x", WRITE, "b")
    desk.recorder.take()
    directory.delete_user("u")
    assert users.permissions.keys() == {("guest", "/")} and not users.topic_permissions
    directory.add_user("u", "secret")
    assert not desk.again().broker.users.may_open("u", "/")


def test_permissions_are_taken_away(desk: Desk) -> None:
    directory = desk.directory
    directory.add_user("u", "secret")
    directory.set_permissions("u", "/", "", "", "")
    for exchange in "xyz":
        directory.set_topic_permissions("u", "/", exchange, "", "")
    desk.recorder.take()
    directory.clear_permissions("u", "/")
    directory.clear_permissions("u", "/")
    directory.clear_topic_permissions("u", "/", "y")
    assert desk.recorder.take() == [
        "permission.deleted user=u vhost=/",
        "topic.permission.deleted user=u vhost=/ exchange=y",
    ]
    assert {key[2] for key in desk.again().broker.users.topic_permissions} == {"x", "z"}
    directory.clear_topic_permissions("u", "/")
    assert not desk.again().broker.users.topic_permissions


# -- vhosts ----------------------------------------------------------------------------------------


def test_a_vhost_comes_with_what_is_said_of_it(desk: Desk) -> None:
    directory = desk.directory
    directory.set_vhost("v", {"description": "d", "tags": ["t"]})
    assert desk.again().broker.vhosts["v"].metadata == {"description": "d", "tags": ["t"]}
    before = desk.broker.vhosts["v"]
    directory.set_vhost("v", {"description": "e"})
    directory.set_vhost("v")
    assert desk.broker.vhosts["v"] is before and before.metadata == {"description": "e"}
    assert desk.recorder.take() == ["vhost.created name=v"]


def test_a_deleted_vhost_is_gone_with_all_it_had(desk: Desk) -> None:
    directory, broker = desk.directory, desk.broker
    directory.set_vhost("v")
    directory.set_permissions("guest", "v", ".*", ".*", ".*")
    directory.set_policy("v", "p", ".*", {"max-length": 1})
    vhost = broker.vhosts["v"]
    flags: dict[str, Any] = {"durable": True, "auto_delete": False, "arguments": {}}
    vhost.declare_queue("q", owner=0, **flags)
    vhost.declare_exchange("x", "fanout", internal=False, **flags)
    assert desk.again().broker.vhosts["v"].queues.keys() == {"q"}
    desk.recorder.take()
    directory.delete_vhost("v")
    assert desk.recorder.take() == ["vhost.deleted name=v"]
    assert "v" not in broker.vhosts and not broker.users.may_open("guest", "v")
    assert vhost.queues == {} and vhost.exchanges == {}
    other = desk.again()
    assert other.broker.vhosts.keys() == {"/"}
    other.directory.set_vhost("v")
    assert other.broker.vhosts["v"].queues == {} and other.broker.vhosts["v"].policies.is_empty


def test_the_default_vhost_can_be_deleted(desk: Desk) -> None:
    desk.directory.delete_vhost("/")
    assert desk.again().broker.vhosts == {}


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_policies_and_limits(desk: Desk) -> None:
    directory, vhost = desk.directory, desk.broker.vhosts["/"]
    directory.set_policy("/", "p", "^q", {"max-length": 1}, priority=3, apply_to="queues")
    directory.set_policy("/", "o", "^q", {"max-length": 2}, operator=True)
    directory.set_vhost_limits("/", {"max-queues": 5, "max-connections": 6})
    directory.set_parameter("/", "shovel", "s", {"src-uri": "amqp://"})
    directory.set_global_parameter("cluster_name", "c")
    assert (vhost.queue_max, vhost.connection_max) == (5, 6)
    other = desk.again().broker.vhosts["/"]
    policy, operator = other.policies.for_queue("q", "classic")
    assert policy is not None and operator is not None
    assert (policy.name, operator.name, other.queue_max) == ("p", "o", 5)
    assert desk.recorder.take() == [
        "policy.set name=p vhost=/",
        "policy.set name=o vhost=/",
        "parameter.set component=operator_policy name=o vhost=/",
        "vhost.limits.set name=limits vhost=/",
        "parameter.set component=vhost-limits name=limits vhost=/",
        "parameter.set component=shovel name=s vhost=/",
        "parameter.set component=global name=cluster_name",
    ]
    directory.clear_policy("/", "p")
    directory.clear_policy("/", "o", operator=True)
    directory.set_vhost_limits("/", {})
    directory.set_vhost_limits("/", {})
    directory.clear_parameter("/", "shovel", "s")
    directory.clear_global_parameter("cluster_name")
    assert desk.recorder.take() == [
        "policy.cleared name=p vhost=/",
        "operator.policy.cleared name=o vhost=/",
        "parameter.cleared component=operator_policy name=o vhost=/",
        "vhost.limits.cleared name=limits vhost=/",
        "parameter.cleared component=vhost-limits name=limits vhost=/",
        "parameter.cleared component=shovel name=s vhost=/",
        "parameter.cleared component=global name=cluster_name",
    ]
    assert vhost.queue_max == -1
    assert desk.again().broker.vhosts["/"].policies.is_empty


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.add_user("", "p"), "a user's name has 1 to 255 bytes"),
        (lambda d: d.set_tags("nobody", ()), 'User "nobody" does not exist'),
        (lambda d: d.delete_user("nobody"), 'User "nobody" does not exist'),
        (lambda d: d.set_user_limits("guest", {"max": 1}), "Validation failed"),
        (lambda d: d.set_permissions("nobody", "/", "", "", ""), "does not exist"),
        (lambda d: d.set_permissions("guest", "v", "", "", ""), "Virtual host 'v' does not exist"),
        (lambda d: d.set_permissions("guest", "/", "(", "", ""), "no regular expression"),
        (lambda d: d.set_topic_permissions("guest", "/", "x", "(", ""), "no regular expression"),
        (lambda d: d.set_vhost("é" * 128), "a vhost's name has 1 to 255 bytes, not 256"),
        (lambda d: d.delete_vhost("v"), "Virtual host 'v' does not exist"),
        (lambda d: d.set_policy("v", "p", "", {"expires": 1}), "does not exist"),
        (lambda d: d.set_policy("/", "p", "(", {"expires": 1}), "Validation failed"),
        (lambda d: d.set_policy("/", "p", "", {"expires": 0}), "not a valid queue expiry"),
        (lambda d: d.clear_policy("/", "p"), "Parameter does not exist"),
        (lambda d: d.clear_global_parameter("p"), "Parameter does not exist"),
        (lambda d: d.set_vhost_limits("/", {"max-queue": 1}), "Unrecognised terms"),
        (lambda d: d.set_parameter("/", "vhost-limits", "limits", 1), "not a list"),
        (lambda d: d.set_parameter("/", "vhost-limits", "limits", {"max-queues": "1"}), "number"),
    ],
)
def test_what_is_refused_has_changed_nothing(
    desk: Desk, change: Callable[[Directory], int], words: str
) -> None:
    before = dict(desk.directory.facts.by_key)
    position = desk.store.journal.position
    with pytest.raises(Refused) as refused:
        change(desk.directory)
    assert words in str(refused.value)
    assert desk.directory.facts.by_key == before and desk.recorder.take() == []
    assert desk.store.journal.position == position


def test_what_is_so_already_is_not_appended_again(desk: Desk) -> None:
    desk.directory.set_policy("/", "p", "", {"expires": 1})
    position = desk.store.journal.position
    assert desk.directory.set_policy("/", "p", "", {"expires": 1}) == position
    assert desk.store.journal.position == position


def test_a_pattern_that_no_longer_compiles_is_named_and_left_out(desk: Desk) -> None:
    row = {"user": "guest", "vhost": "/", "configure": "(", "write": "", "read": ""}
    fact = {"kind": tables.longstr("permission")}
    fact |= {key: tables.longstr(value) for key, value in row.items()}
    desk.store.journal.fact_changed(fact, False)
    desk.store.flush()
    store = Store(desk.store.disk)
    assert not store.broker.users.may_open("guest", "/")
    assert "a definition is not used" in [event for _, event, _ in store.log.events]


# -- connections -----------------------------------------------------------------------------------


def closed(peer: MemoryPeer, change: Callable[[Directory], int], **options: Any) -> Any:
    """Return how a connection is closed by a change."""
    connection = peer.connect(**options)
    bystander = peer.connect()
    channel = connection.channel()
    change(peer.broker.directory(peer.now_ms))
    peer.run()
    with pytest.raises(PeerError) as error:
        channel.declare("q")
    bystander.channel().declare("q", exclusive=True)
    return error.value


def test_deleting_a_user_closes_its_connections() -> None:
    peer = MemoryPeer()
    error = closed(peer, lambda d: d.delete_user("amqpd-anyone"), user="amqpd-anyone")
    assert error.reply_code == 320
    assert error.reply_text == "CONNECTION_FORCED - user 'amqpd-anyone' is deleted"
    peer.close()


def test_deleting_a_vhost_closes_its_connections() -> None:
    peer = MemoryPeer()
    peer.broker.directory(peer.now_ms).set_vhost("v")
    peer.broker.directory(peer.now_ms).set_permissions("guest", "v", "", "", "")
    error = closed(peer, lambda d: d.delete_vhost("v"), vhost="v")
    assert error.reply_code == 320
    assert error.reply_text == "CONNECTION_FORCED - vhost 'v' is deleted"
    peer.close()


def test_changed_permissions_count_for_publishes_that_were_allowed() -> None:
    peer = MemoryPeer()
    channel = peer.connect().channel()
    for _ in range(2):
        channel.publish("amq.fanout", "")
    channel.sync()
    peer.broker.directory(peer.now_ms).set_permissions("guest", "/", "", "", "")
    channel.publish("amq.fanout", "")
    with pytest.raises(PeerError, match="ACCESS_REFUSED"):
        channel.expect_close()
    peer.close()


def test_a_journal_need_not_know_of_facts() -> None:
    assert Journal(is_immediate=True).fact_changed({}, False) == 0
    assert MemoryJournal().fact_changed({}, True) == 1
