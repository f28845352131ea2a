"""The directory: users, vhosts, permissions, parameters and policies, changed through one door.

Each change is one fact (see `core.facts`): checked, appended to the journal, taken in, and only
then put into effect where it counts: in `Users`, in a vhost, on connections. Methods return the
journal position after which the change is safe; who promises it to somebody waits for that.

Rule 1: what is refused has changed nothing. `Refused` says why, in RabbitMQ's words where it has
some. Rule 2: a fact that says what is so already is not appended again. Rule 3: observers are told
of a change when it has taken effect, with RabbitMQ's names (RabbitMQ: event exchange).
"""

import json
from typing import Final

from mypy_extensions import mypyc_attr

from amqpd import auth
from amqpd.auth import Users
from amqpd.core import facts
from amqpd.core.facts import Facts, make, text_of
from amqpd.core.policy_check import fault_of, policy_of
from amqpd.core.ports import Journal, Log
from amqpd.core.vhost import VHost
from amqpd.wire import tables
from amqpd.wire.tables import Table

NAME_BYTES_MAX: Final = 255
VHOST_LIMITS: Final = ("max-connections", "max-queues")
USER_LIMITS: Final = (auth.MAX_CONNECTIONS, auth.MAX_CHANNELS)

_FAILED: Final = "Validation failed\n"


class Refused(ValueError):
    """A change that cannot be made: it is malformed, or what it is about is not there."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Who is told of changes: `event` as in `user.created`, and what RabbitMQ says of it."""

    def changed(self, event: str, fields: Table) -> None:
        """Take note of a change that has taken effect."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Host:
    """What the directory needs of the broker around it."""

    def make_vhost(self, name: str) -> VHost:
        """Make an empty vhost and let it be opened."""
        raise NotImplementedError

    def forget_vhost(self, vhost: VHost) -> None:
        """Close a vhost's connections and let nobody open it any more."""
        raise NotImplementedError

    def forget_user(self, name: str) -> None:
        """Close the connections of a user who is gone."""
        raise NotImplementedError

    def permissions_changed(self) -> None:
        """Let changed permissions count for what is remembered of older ones."""
        raise NotImplementedError


class Directory:
    """All facts of one broker, and every way to change them."""

    def __init__(
        self,
        host: Host,
        users: Users,
        vhosts: dict[str, VHost],
        journal: Journal,
        log: Log,
        mirrors: bool = True,
    ) -> None:
        self.facts: Final = Facts()
        self.observers: Final[list[Observer]] = []
        self._host: Final = host
        self._users: Final = users
        self._vhosts: Final = vhosts
        self._journal: Final = journal
        self._log: Final = log
        self._mirrors: Final = mirrors  # ha-* in policies is known, and without effect
        for user in users.users.values():
            self.facts.put(facts.user(user.name, user.password_hash, user.algorithm, user.tags, {}))
        for row in users.permissions.values():
            self.facts.put(
                _permission(
                    row.user,
                    row.vhost,
                    row.pattern(auth.CONFIGURE),
                    row.pattern(auth.WRITE),
                    row.pattern(auth.READ),
                )
            )

    # -- changing ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin changes that survive a crash together or not at all."""
        self._journal.begin()

    def end(self) -> None:
        """End such changes."""
        self._journal.end()

    def _put(self, fact: Table) -> int:
        """Make it so. Returns the journal position."""
        before = self.facts.by_key.get(facts.key_of(fact))
        if before == fact:
            return self._journal.position
        position = self._journal.fact_changed(fact, False)
        self.facts.put(fact)
        self._take_effect(fact)
        return position

    def _drop(self, fact: Table) -> int:
        """Make it not so. Returns the journal position."""
        position = self._journal.fact_changed(fact, True)
        self.facts.drop(fact)
        return position

    def _tell(self, event: str, texts: dict[str, str]) -> None:
        if self.observers:
            self._tell_fields(event, {key: tables.longstr(texts[key]) for key in texts})

    def _tell_fields(self, event: str, fields: Table) -> None:
        for observer in self.observers:
            observer.changed(event, fields)

    def adopt(self, found: Facts) -> None:
        """Put recovered facts in the place of all that there is; nothing is appended."""
        self.facts.clear()
        self._users.clear_all()
        for fact in found.by_key.values():
            self.facts.put(fact)
        for fact in self.facts.of(facts.VHOST):
            self._take_effect(fact)
        for name in list(self._vhosts):
            if self.facts.find(facts.VHOST, {"name": name}) is None:
                self._host.forget_vhost(self._vhosts[name])
        for fact in self.facts.by_key.values():
            try:
                if text_of(fact, "kind") != facts.VHOST:
                    self._take_effect(fact)
            except ValueError as error:  # another version of Python may read patterns otherwise
                fields: dict[str, object] = {"what": facts.key_of(fact), "why": str(error)}
                self._log.event("error", "a definition is not used", fields)

    def _take_effect(self, fact: Table) -> None:
        kind = text_of(fact, "kind")
        name, vhost = text_of(fact, "name"), text_of(fact, "vhost")
        if kind == facts.USER:
            self._users.add_hashed(
                name,
                text_of(fact, "hash"),
                text_of(fact, "algorithm"),
                facts.texts_of(fact, "tags"),
                facts.limits_of(fact),
            )
        elif kind == facts.VHOST:
            target = self._vhosts.get(name)
            if target is None:
                target = self._host.make_vhost(name)
            target.metadata = _object(text_of(fact, "metadata"))
        elif kind == facts.PERMISSION:
            self._users.permit(
                text_of(fact, "user"),
                vhost,
                text_of(fact, "configure"),
                text_of(fact, "write"),
                text_of(fact, "read"),
            )
            self._host.permissions_changed()
        elif kind == facts.TOPIC_PERMISSION:
            self._users.permit_topic(
                text_of(fact, "user"),
                vhost,
                text_of(fact, "exchange"),
                text_of(fact, "write"),
                text_of(fact, "read"),
            )
            self._host.permissions_changed()
        elif kind == facts.PARAMETER and vhost in self._vhosts:
            component = text_of(fact, "component")
            value: object = json.loads(text_of(fact, "value"))
            self._set_up(self._vhosts[vhost], component, name, value)

    def _set_up(self, vhost: VHost, component: str, name: str, value: object) -> None:
        """Put a parameter of a vhost into effect; None takes it away."""
        if component == facts.POLICY or component == facts.OPERATOR_POLICY:
            operator = component == facts.OPERATOR_POLICY
            if value is None:
                vhost.policies.drop(name, operator=operator)
            else:
                vhost.policies.put(policy_of(name, value), operator=operator)
            vhost.policies_changed()
        elif component == facts.VHOST_LIMITS and name == facts.LIMITS:
            limits = value if isinstance(value, dict) else {}
            vhost.connection_max = _limit(limits, "max-connections")
            vhost.queue_max = _limit(limits, "max-queues")

    # -- users ------------------------------------------------------------------------------------

    def add_user(self, name: str, password: str, tags: tuple[str, ...] = ()) -> int:
        """Add a user, or change the password and tags of one. Returns the journal position."""
        return self.set_user(name, self._users.hashed(password), auth.SHA256, tags)

    def set_user(
        self,
        name: str,
        password_hash: str,
        algorithm: str,
        tags: tuple[str, ...],
        limits: dict[str, int] | None = None,
    ) -> int:
        """Add a user by the hash of the password ("" = none), or change one.

        Without `limits` those stay that there are. Returns the journal position.
        """
        _check_name("user", name)
        auth_fault = ""
        try:
            auth.check_hash(name, password_hash, algorithm)
        except ValueError as error:
            auth_fault = str(error)
        if auth_fault:
            raise Refused(auth_fault)
        before = self.facts.find(facts.USER, {"name": name})
        if limits is None:
            limits = facts.limits_of(before) if before is not None else {}
        _check_limits(limits, USER_LIMITS)
        position = self._put(facts.user(name, password_hash, algorithm, tags, limits))
        if before is None:
            self._tell("user.created", {"name": name})
        elif text_of(before, "hash") != password_hash:
            changed = "user.password.changed" if password_hash else "user.password.cleared"
            self._tell(changed, {"name": name})
        if before is None or facts.texts_of(before, "tags") != tags:
            listed = tables.array([tables.longstr(tag) for tag in tags])
            self._tell_fields("user.tags.set", {"name": tables.longstr(name), "tags": listed})
        return position

    def user(self, name: str) -> Table:
        """Return the fact of a user. Raises Refused if there is none of that name."""
        found = self.facts.find(facts.USER, {"name": name})
        if found is None:
            raise Refused(f'User "{name}" does not exist')
        return found

    def set_tags(self, name: str, tags: tuple[str, ...]) -> int:
        """Replace the tags of a user. Returns the journal position."""
        fact = self.user(name)
        return self.set_user(name, text_of(fact, "hash"), text_of(fact, "algorithm"), tags)

    def set_password(self, name: str, password: str) -> int:
        """Change the password of a user ("" = none that logs in). Returns the journal position."""
        fact = self.user(name)
        password_hash = self._users.hashed(password) if password else ""
        return self.set_user(name, password_hash, auth.SHA256, facts.texts_of(fact, "tags"))

    def set_user_limits(self, name: str, limits: dict[str, int]) -> int:
        """Replace the limits of a user ({} = none). Returns the journal position."""
        fact = self.user(name)
        position = self.set_user(
            name,
            text_of(fact, "hash"),
            text_of(fact, "algorithm"),
            facts.texts_of(fact, "tags"),
            limits,
        )
        self._tell("user.limits.set" if limits else "user.limits.cleared", {"name": name})
        return position

    def delete_user(self, name: str) -> int:
        """Delete a user, the permissions, and the connections. Returns the journal position."""
        fact = self.user(name)
        position = self._drop(fact)
        self._users.delete(name)
        self._host.forget_user(name)
        self._tell("user.deleted", {"name": name})
        return position

    # -- permissions ------------------------------------------------------------------------------

    def set_permissions(self, user: str, vhost: str, configure: str, write: str, read: str) -> int:
        """Set what a user may do in a vhost. Returns the journal position."""
        self.user(user)
        self.vhost(vhost)
        _check_patterns((configure, write, read))
        position = self._put(_permission(user, vhost, configure, write, read))
        told = {"user": user, "vhost": vhost, "configure": configure, "write": write, "read": read}
        self._tell("permission.created", told)
        return position

    def clear_permissions(self, user: str, vhost: str) -> int:
        """Take away what a user may do in a vhost. Returns the journal position."""
        fact = make(facts.PERMISSION, {"user": user, "vhost": vhost})
        if facts.key_of(fact) not in self.facts.by_key:
            return self._journal.position
        position = self._drop(fact)
        self._users.clear(user, vhost)
        self._host.permissions_changed()
        self._tell("permission.deleted", {"user": user, "vhost": vhost})
        return position

    def set_topic_permissions(
        self, user: str, vhost: str, exchange: str, write: str, read: str
    ) -> int:
        """Set what routing keys of a topic exchange a user may write and read."""
        self.user(user)
        self.vhost(vhost)
        _check_patterns((write, read))
        row = {"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read}
        position = self._put(make(facts.TOPIC_PERMISSION, row))
        self._tell("topic.permission.created", row)
        return position

    def clear_topic_permissions(self, user: str, vhost: str, exchange: str = "") -> int:
        """Take such permissions away, for one exchange or ("") for all of a vhost."""
        position = self._journal.position
        for fact in self.facts.of(facts.TOPIC_PERMISSION):
            if text_of(fact, "user") != user or text_of(fact, "vhost") != vhost:
                continue
            if exchange not in ("", text_of(fact, "exchange")):
                continue
            position = self._drop(fact)
            self._users.clear_topic(user, vhost, text_of(fact, "exchange"))
            row = {"user": user, "vhost": vhost, "exchange": text_of(fact, "exchange")}
            self._tell("topic.permission.deleted", row)
        self._host.permissions_changed()
        return position

    # -- vhosts -----------------------------------------------------------------------------------

    def set_vhost(self, name: str, metadata: dict[str, object] | None = None) -> int:
        """Make a vhost, or change what is said of it. Returns the journal position.

        `metadata` has description, tags and default_queue_type; without it what there is stays.
        """
        _check_name("vhost", name)
        before = self.facts.find(facts.VHOST, {"name": name})
        if before is not None and metadata is None:
            return self._journal.position
        fact = make(facts.VHOST, {"name": name, "metadata": _json(metadata or {})})
        position = self._put(fact)
        if before is None:
            self._tell("vhost.created", {"name": name})
        return position

    def vhost(self, name: str) -> VHost:
        """Return a vhost. Raises Refused if there is none of that name."""
        found = self._vhosts.get(name)
        if found is None:
            raise Refused(f"Virtual host '{name}' does not exist")
        return found

    def delete_vhost(self, name: str) -> int:
        """Delete a vhost with all that it has, and close its connections.

        Returns the journal position.
        """
        vhost = self.vhost(name)
        self._journal.begin()
        try:
            position = self._drop(make(facts.VHOST, {"name": name}))
            self._users.clear_vhost(name)
            self._host.forget_vhost(vhost)
            vhost.empty_out()
        finally:
            self._journal.end()
        self._tell("vhost.deleted", {"name": name})
        return position

    # -- parameters, policies, vhost limits -------------------------------------------------------

    def set_parameter(self, vhost: str, component: str, name: str, value: object) -> int:
        """Set a parameter of a vhost to a JSON value. Returns the journal position."""
        target = self.vhost(vhost)
        _check_parameter(component, name, value, self._mirrors)
        row = {"vhost": vhost, "component": component, "name": name, "value": _json(value)}
        position = self._put(make(facts.PARAMETER, row))
        assert target is self._vhosts[vhost]
        told = {"name": name, "vhost": vhost}
        if component in (facts.POLICY, facts.OPERATOR_POLICY):
            self._tell("policy.set", told)
        elif component == facts.VHOST_LIMITS:
            self._tell("vhost.limits.set", told)
        if component != facts.POLICY:
            self._tell("parameter.set", {"component": component} | told)
        return position

    def clear_parameter(self, vhost: str, component: str, name: str) -> int:
        """Take a parameter of a vhost away. Raises Refused if there is none of that name."""
        target = self.vhost(vhost)
        fact = make(facts.PARAMETER, {"vhost": vhost, "component": component, "name": name})
        if facts.key_of(fact) not in self.facts.by_key:
            raise Refused("Parameter does not exist")
        position = self._drop(fact)
        self._set_up(target, component, name, None)
        told = {"name": name, "vhost": vhost}
        if component == facts.POLICY:
            self._tell("policy.cleared", told)
        elif component == facts.OPERATOR_POLICY:
            self._tell("operator.policy.cleared", told)
        elif component == facts.VHOST_LIMITS:
            self._tell("vhost.limits.cleared", told)
        if component != facts.POLICY:
            self._tell("parameter.cleared", {"component": component} | told)
        return position

    def set_policy(
        self,
        vhost: str,
        name: str,
        pattern: str,
        definition: dict[str, object],
        *,
        priority: int = 0,
        apply_to: str = "all",
        operator: bool = False,
    ) -> int:
        """Set a policy or operator policy. Returns the journal position."""
        value: dict[str, object] = {
            "pattern": pattern,
            "definition": definition,
            "priority": priority,
            "apply-to": apply_to,
        }
        component = facts.OPERATOR_POLICY if operator else facts.POLICY
        return self.set_parameter(vhost, component, name, value)

    def clear_policy(self, vhost: str, name: str, *, operator: bool = False) -> int:
        """Take a policy away. Raises Refused if there is none of that name."""
        component = facts.OPERATOR_POLICY if operator else facts.POLICY
        return self.clear_parameter(vhost, component, name)

    def set_vhost_limits(self, vhost: str, limits: dict[str, int]) -> int:
        """Replace the limits of a vhost ({} = none). Returns the journal position."""
        if not limits:
            row = {"vhost": vhost, "component": facts.VHOST_LIMITS, "name": facts.LIMITS}
            if self.facts.find(facts.PARAMETER, row) is None:
                return self._journal.position
            return self.clear_parameter(vhost, facts.VHOST_LIMITS, facts.LIMITS)
        value: dict[str, object] = {key: limits[key] for key in limits}
        return self.set_parameter(vhost, facts.VHOST_LIMITS, facts.LIMITS, value)

    def set_global_parameter(self, name: str, value: object) -> int:
        """Set a parameter of the whole broker to a JSON value. Returns the journal position."""
        _check_name("global parameter", name)
        position = self._put(make(facts.GLOBAL_PARAMETER, {"name": name, "value": _json(value)}))
        self._tell("parameter.set", {"component": "global", "name": name})
        return position

    def clear_global_parameter(self, name: str) -> int:
        """Take a parameter of the whole broker away. Raises Refused if there is none such."""
        fact = make(facts.GLOBAL_PARAMETER, {"name": name})
        if facts.key_of(fact) not in self.facts.by_key:
            raise Refused("Parameter does not exist")
        position = self._drop(fact)
        self._tell("parameter.cleared", {"component": "global", "name": name})
        return position

    # -- the beginning ----------------------------------------------------------------------------

    @property
    def is_seeded(self) -> bool:
        """Whether the first users and vhosts have been made, now or in an earlier life."""
        return self.facts.find(facts.SEEDED, {}) is not None

    def seeded(self) -> int:
        """Note that the first users and vhosts have been made. Returns the journal position."""
        return self._put(make(facts.SEEDED, {}))


def _permission(user: str, vhost: str, configure: str, write: str, read: str) -> Table:
    row = {"user": user, "vhost": vhost, "configure": configure, "write": write, "read": read}
    return make(facts.PERMISSION, row)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _object(text: str) -> dict[str, object]:
    value: object = json.loads(text) if text else {}
    assert isinstance(value, dict)
    return value


def _limit(limits: dict[str, object], name: str) -> int:
    value = limits.get(name, -1)
    return value if isinstance(value, int) else -1


def _check_name(what: str, name: str) -> None:
    size = len(name.encode("utf-8", "surrogateescape"))
    if size == 0 or size > NAME_BYTES_MAX:
        raise Refused(f"a {what}'s name has 1 to {NAME_BYTES_MAX} bytes, not {size}")


def _check_patterns(patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        fault = _pattern_fault(pattern)
        if fault:
            raise Refused(fault)


def _pattern_fault(pattern: str) -> str:
    try:
        auth.check_pattern(pattern)
    except ValueError as error:
        return str(error)
    return ""


def _check_limits(limits: dict[str, int], known: tuple[str, ...]) -> None:
    for name, value in limits.items():
        if name not in known:
            raise Refused(f'{_FAILED}Unrecognised terms [{{<<"{name}">>,{value}}}] in limits')


def _check_parameter(component: str, name: str, value: object, mirrors: bool) -> None:
    """Raise Refused for a policy or limit that is none; other components are kept as they are."""
    _check_name("parameter", name)
    if component in (facts.POLICY, facts.OPERATOR_POLICY):
        operator = component == facts.OPERATOR_POLICY
        fault = fault_of(value, operator=operator, mirrors=mirrors)
        if not fault and isinstance(value, dict):
            fault = _pattern_fault(str(value["pattern"]))
        if fault:
            raise Refused(_FAILED + fault)
    elif component == facts.VHOST_LIMITS:
        if not isinstance(value, dict):
            raise Refused(f"{_FAILED}limits not a list {value}")
        for key, number in value.items():
            if key not in VHOST_LIMITS:
                raise Refused(f'{_FAILED}Unrecognised terms [{{<<"{key}">>,{number}}}] in limits')
            if not isinstance(number, int) or isinstance(number, bool):
                raise Refused(f"{_FAILED}{key} should be a number, actually was {number}")
