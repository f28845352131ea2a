"""A definitions document put into a broker: all of it or nothing.

As in RabbitMQ, an import merges. Users, permissions, parameters and policies are as the document
says; queues, exchanges and bindings are added where there are none of their names, and nothing is
ever deleted. What is there and differs is left alone and named.

Rule 1: the document is first put into a broker of paper, with the same facts and with the queues
and exchanges that it speaks of. What is wrong with it comes out there, and nothing has happened.
Rule 2: all that is then appended to the journal is one group: a crash leaves all or nothing of it.
"""

import base64
import binascii
from typing import Final

from amqpd import auth
from amqpd.auth import Users
from amqpd.core import facts
from amqpd.core.arguments import type_of
from amqpd.core.exchange import Binding
from amqpd.core.ports import Entropy, Log, MemoryJournal
from amqpd.core.vhost import QueueIds, VHost
from amqpd.definitions import document as sections
from amqpd.definitions.document import BadDefinitions, Document, Row, as_object
from amqpd.directory import Directory, Host, Refused
from amqpd.errors import AmqpError
from amqpd.profile import V3_13, Profile
from amqpd.wire import tables

_DIGESTS: Final = {16: auth.MD5, 32: auth.SHA256, 64: auth.SHA512}
_SALT_BYTES: Final = 4


class _PaperEntropy(Entropy):
    """What is random does not matter on paper."""

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return bytes(count)


class _Paper(Host):
    """A broker that nobody can connect to, to try an import on."""

    def __init__(self, directory: Directory, profile: Profile) -> None:
        self._profile: Final = profile
        self.vhosts: Final[dict[str, VHost]] = {}
        self._journal: Final = MemoryJournal()
        self._ids: Final = QueueIds()
        users = Users(_PaperEntropy())
        self.directory: Final = Directory(
            self, users, self.vhosts, self._journal, Log(), profile.mirrors
        )
        self.directory.adopt(directory.facts)

    def make_vhost(self, name: str) -> VHost:
        """See Host."""
        vhost = self.vhosts[name] = VHost(name, self._journal, self._ids, profile=self._profile)
        return vhost

    def forget_vhost(self, vhost: VHost) -> None:
        """See Host."""
        del self.vhosts[vhost.name]

    def forget_user(self, name: str) -> None:
        """See Host."""

    def permissions_changed(self) -> None:
        """See Host."""

    def copy_ends(self, documents: list[Document], vhosts: dict[str, VHost]) -> None:
        """Make the exchanges and queues that documents speak of and that are there."""
        for document in documents:
            for section in (sections.QUEUES, sections.EXCHANGES, sections.BINDINGS):
                for row in document.of(section):
                    vhost = vhosts.get(_text(row, "vhost"))
                    if vhost is not None:
                        for key in ("name", "source", "destination"):
                            self._copy(vhost, _text(row, key))

    def _copy(self, vhost: VHost, name: str) -> None:
        mine = self.vhosts[vhost.name]
        exchange, queue = vhost.exchanges.get(name), vhost.queues.get(name)
        if exchange is not None and name not in mine.exchanges:
            mine.declare_exchange(
                name,
                exchange.kind,
                durable=exchange.durable,
                auto_delete=exchange.auto_delete,
                internal=exchange.internal,
                arguments=exchange.arguments,
            )
        if queue is not None and name not in mine.queues:
            mine.declare_queue(
                name,
                durable=queue.durable,
                owner=0,
                auto_delete=queue.auto_delete,
                arguments=queue.arguments,
            )


def _text(row: Row, key: str) -> str:
    value = row.values.get(key)
    return value if isinstance(value, str) else ""


def import_all(
    documents: list[Document],
    directory: Directory,
    vhosts: dict[str, VHost],
    profile: Profile = V3_13,
) -> int:
    """Put documents into a broker of this profile, in their order. Returns the journal position.

    Raises BadDefinitions if anything is wrong with any of them; then nothing has changed.
    `notes` of the documents say afterwards what of them was not used.
    """
    paper = _Paper(directory, profile)
    paper.copy_ends(documents, vhosts)
    for document in documents:
        count = len(document.notes)
        _Import(document, paper.directory, paper.vhosts).run()
        del document.notes[count:]
    position = 0
    directory.begin()
    try:
        for document in documents:
            position = max(position, _Import(document, directory, vhosts).run())
    finally:
        directory.end()
    return position


class _Import:
    """One document on its way into one broker."""

    def __init__(self, document: Document, directory: Directory, vhosts: dict[str, VHost]) -> None:
        self._document: Final = document
        self._directory: Final = directory
        self._vhosts: Final = vhosts
        self._position = 0

    def run(self) -> int:
        """Take in all sections, in RabbitMQ's order. Returns the journal position."""
        for section in (
            sections.USERS,
            sections.VHOSTS,
            sections.PERMISSIONS,
            sections.EXCHANGES,
            sections.TOPIC_PERMISSIONS,
            sections.GLOBAL_PARAMETERS,
            sections.POLICIES,
            sections.PARAMETERS,
            sections.QUEUES,
            sections.BINDINGS,
        ):
            for row in self._document.of(section):
                try:
                    self._position = max(self._position, self._take(section, row))
                except Refused as error:
                    raise row.bad(str(error)) from None
                except AmqpError as error:
                    raise row.bad(error.text.partition(" - ")[2] or error.text) from None
        self._document.note_unasked()
        return self._position

    def _take(self, section: str, row: Row) -> int:
        if section == sections.USERS:
            return self._user(row)
        if section == sections.VHOSTS:
            return self._vhost(row)
        if section == sections.PERMISSIONS:
            return self._directory.set_permissions(
                row.name("user"),
                row.name("vhost"),
                row.text("configure"),
                row.text("write"),
                row.text("read"),
            )
        if section == sections.TOPIC_PERMISSIONS:
            return self._directory.set_topic_permissions(
                row.name("user"),
                row.name("vhost"),
                row.name("exchange"),
                row.text("write"),
                row.text("read"),
            )
        if section == sections.GLOBAL_PARAMETERS:
            return self._directory.set_global_parameter(row.text("name"), row.value("value"))
        if section == sections.PARAMETERS:
            return self._parameter(row)
        if section == sections.POLICIES:
            return self._policy(row)
        if section == sections.EXCHANGES:
            return self._exchange(row)
        if section == sections.QUEUES:
            return self._queue(row)
        assert section == sections.BINDINGS
        return self._binding(row)

    def _note(self, row: Row, what: str) -> None:
        self._document.notes.append(f"{row.title}: {what}")

    # -- facts ------------------------------------------------------------------------------------

    def _user(self, row: Row) -> int:
        name, tags = row.name("name"), row.words("tags")
        limits: dict[str, int] = {}
        for key, value in row.mapping("limits").items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise row.bad(f"limits: {key}: expected a number, not {sections.shown(value)}")
            limits[key] = value
        password_hash = row.text("password_hash", "")
        algorithm = row.text("hashing_algorithm", _algorithm_of(password_hash))
        if row.has("password"):
            if password_hash:
                raise row.bad("both a password and a password_hash")
            self._directory.add_user(name, row.text("password"), tags)
            return self._directory.set_user_limits(name, limits)
        return self._directory.set_user(name, password_hash, algorithm, tags, limits)

    def _vhost(self, row: Row) -> int:
        metadata = row.mapping("metadata")
        for key in ("description", "default_queue_type"):
            if row.has(key):
                metadata[key] = row.text(key)
        if row.has("tags") or "tags" in metadata:
            values = row.values if row.has("tags") else metadata
            metadata["tags"] = list(Row(row.place, 0, values).words("tags"))
        if row.flag("tracing", False):
            self._note(row, "tracing is not switched on")
        row.has("limits")  # the same as the parameter of component vhost-limits, for show
        return self._directory.set_vhost(row.name("name"), metadata)

    def _parameter(self, row: Row) -> int:
        component, value = row.text("component"), row.value("value")
        if component in (facts.POLICY, facts.OPERATOR_POLICY, facts.VHOST_LIMITS):
            mapping = as_object(value)
            if mapping is not None:
                value = mapping
                definition = as_object(mapping.get("definition"))
                if definition is not None:
                    mapping["definition"] = definition
        return self._directory.set_parameter(row.name("vhost"), component, row.text("name"), value)

    def _policy(self, row: Row) -> int:
        priority = row.value("priority")
        value: dict[str, object] = {
            "pattern": row.text("pattern"),
            "definition": row.mapping("definition"),
            "priority": 0 if priority is None else priority,
            "apply-to": row.text("apply-to", "all"),
        }
        return self._directory.set_parameter(
            row.name("vhost"), facts.POLICY, row.text("name"), value
        )

    # -- topology ---------------------------------------------------------------------------------

    def _vhost_of(self, row: Row) -> VHost:
        if "vhost" not in row.values:
            raise row.bad("vhost is missing: files of a single vhost cannot be imported as a whole")
        return self._directory.vhost(row.name("vhost"))

    def _exchange(self, row: Row) -> int:
        vhost, name = self._vhost_of(row), row.name("name")
        kind, arguments = row.text("type"), row.arguments()
        durable, auto_delete = row.flag("durable", True), row.flag("auto_delete", False)
        internal = row.flag("internal", False)
        if name == "" or name.startswith("amq."):
            self._note(row, "exchanges of this name are made by the broker alone")
            return 0
        current = vhost.exchanges.get(name)
        if current is not None:
            alike = current.kind == kind and current.arguments == arguments
            flags = (current.durable, current.auto_delete, current.internal)
            if not alike or flags != (durable, auto_delete, internal):
                self._note(row, "there is an exchange of this name that differs; it stays")
            return 0
        return vhost.declare_exchange(
            name,
            kind,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )

    def _queue(self, row: Row) -> int:
        vhost, name = self._vhost_of(row), row.name("name")
        kind, arguments = row.text("type", ""), row.arguments()
        durable, auto_delete = row.flag("durable", True), row.flag("auto_delete", False)
        if row.flag("exclusive", False) or name == "" or name.startswith("amq."):
            self._note(row, "queues like this are made by their clients alone")
            return 0
        if kind and "x-queue-type" not in arguments and kind != type_of(arguments):
            arguments["x-queue-type"] = tables.longstr(kind)
        current = vhost.queues.get(name)
        if current is not None:
            flags = (current.durable, current.auto_delete)
            if current.arguments != arguments or flags != (durable, auto_delete):
                self._note(row, "there is a queue of this name that differs; it stays")
            return 0
        vhost.check_queue_limit(name)
        return vhost.declare_queue(
            name, durable=durable, owner=0, auto_delete=auto_delete, arguments=arguments
        )

    def _binding(self, row: Row) -> int:
        vhost, key = self._vhost_of(row), row.name("routing_key")
        source, destination = row.name("source"), row.name("destination")
        kind, arguments = row.text("destination_type"), row.arguments()
        row.has("properties_key")  # made of the other values, for the HTTP API
        if source == "":
            return 0  # every queue is bound to the default exchange
        if kind == "queue":
            binding = Binding(
                vhost.exchange(source), key, arguments, queue=vhost.queue(destination, 0)
            )
        elif kind == "exchange":
            binding = Binding(
                vhost.exchange(source), key, arguments, exchange=vhost.exchange(destination)
            )
        else:
            raise row.bad(f'destination_type: expected "queue" or "exchange", not "{kind}"')
        return vhost.bind(binding)


def _algorithm_of(password_hash: str) -> str:
    """Tell the algorithm of a hash by its length: old files do not name it."""
    try:
        size = len(base64.b64decode(password_hash, validate=True)) - _SALT_BYTES
    except (binascii.Error, ValueError):
        return auth.SHA256
    return _DIGESTS.get(size, auth.SHA256)


__all__ = ["BadDefinitions", "import_all"]
