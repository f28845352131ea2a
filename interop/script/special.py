"""Steps that are no methods: how a connection is opened, and bytes that no client would send."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from interop.address import Address
from interop.script.language import Step, show_said
from interop.wire.codec import END, Said, frame
from interop.wire.connection import Connection, Incoming, Refused, connect_socket
from interop.wire.handshake import Handshake

HELLO_S: Final = 10.0


def handshake_of(step: Step) -> tuple[Handshake, str | None, str | None]:
    """What a `connect` step says: the handshake, and user and password if not the usual ones."""
    fields = dict(step.fields)
    fields.pop("show", None)
    user, password = fields.pop("user", None), fields.pop("password", None)
    known = {name.replace("-", "_"): value for name, value in fields.items()}
    capabilities = known.get("capabilities")
    assert capabilities is None or isinstance(capabilities, Mapping)
    handshake = replace(Handshake(f"interop {step.connection}"), **known)  # type: ignore[arg-type]
    return handshake, _text(user), _text(password)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def connect(address: Address, step: Step) -> tuple[Connection | None, list[Said]]:
    """Open a connection as the step says. Returns it, or None if it was refused, and the words."""
    handshake, user, password = handshake_of(step)
    address = replace(address, user=user or address.user, password=password or address.password)
    try:
        connection = Connection(address, handshake)
    except Refused as refused:
        return None, refused.said
    return connection, connection.greeting


def greeting_lines(step: Step, connection: Connection | None, said: list[Said]) -> list[str]:
    """What is to be noted of a greeting: all with `show`, else only how it was refused."""
    shown = said if step.fields.get("show") else [s for s in said if s.name == "connection.close"]
    lines = [f"{step.connection} < {show_said(one)}" for one in shown]
    if connection is None and not any(one.name == "connection.close" for one in said):
        lines.append(f"{step.connection} < end of the connection")
    return lines


def hello(address: Address, step: Step) -> list[str]:
    """Send the first bytes of a connection; what comes until the end, or until a start."""
    lines = []
    incoming = Incoming()
    with connect_socket(address) as peer:
        peer.settimeout(HELLO_S)
        peer.sendall(bytes.fromhex(str(step.fields["bytes"])))
        try:
            while data := peer.recv(65536):
                for _, said in incoming.receive(data):
                    lines.append(f"{step.connection} < {show_said(said)}")
                    if said.name == "connection.start":
                        return [f"{step.connection} < connection.start"]
        except TimeoutError:
            return [*lines, f"{step.connection} < nothing more"]
        except OSError:
            pass
    return [*lines, f"{step.connection} < end of the connection"]


def bytes_of(step: Step) -> bytes:
    """The bytes of a `raw` or `frame` step."""
    if step.name == "raw":
        return bytes.fromhex(str(step.fields["bytes"]))
    kind = step.fields.get("kind", 1)
    assert isinstance(kind, int)
    payload = bytes.fromhex(str(step.fields.get("payload", "")))
    whole = frame(kind, step.channel, payload)
    end = step.fields.get("end")
    return whole if end is None else whole[: -len(END)] + bytes.fromhex(str(end))
