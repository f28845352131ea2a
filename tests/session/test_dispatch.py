"""The table of handlers: every method that a client may send on a channel, and no other."""

from typing import Any

import pytest
from pamqp import commands

from amqpd.errors import HardError, StreamError
from amqpd.session.dispatch import HANDLERS, MethodDispatcher
from amqpd.wire import methods
from tests.session.fakes import Bench, link_of, refusal

# basic.publish and basic.ack do not go through the table.
FROM_CLIENTS = {
    "Channel.Open",
    "Channel.Flow",
    "Channel.FlowOk",
    "Channel.Close",
    "Channel.CloseOk",
    "Exchange.Declare",
    "Exchange.Delete",
    "Exchange.Bind",
    "Exchange.Unbind",
    "Queue.Declare",
    "Queue.Bind",
    "Queue.Purge",
    "Queue.Delete",
    "Queue.Unbind",
    "Basic.Qos",
    "Basic.Consume",
    "Basic.Cancel",
    "Basic.CancelOk",
    "Basic.Get",
    "Basic.Reject",
    "Basic.RecoverAsync",
    "Basic.Recover",
    "Basic.Nack",
    "Confirm.Select",
    "Tx.Select",
    "Tx.Commit",
    "Tx.Rollback",
}

ALL: dict[int, Any] = dict(commands.INDEX_MAPPING)

# What only a server says; a client that says it gets 503.
OTHERS = sorted(
    index
    for index, command in ALL.items()
    if not command.name.startswith("Connection.")
    and command.name not in FROM_CLIENTS | {"Basic.Publish", "Basic.Ack"}
)


def test_the_table_has_what_clients_may_send() -> None:
    assert {ALL[index].name for index in HANDLERS} == FROM_CLIENTS


@pytest.mark.parametrize("index", OTHERS, ids=lambda index: ALL[index].name)
def test_what_only_a_server_sends_is_a_503(index: int) -> None:
    channel = Bench().channel()
    payload = index.to_bytes(4, "big")
    text = refusal(lambda: MethodDispatcher().carry_out(channel, index, payload), HardError, 503)
    assert text == "unimplemented method"


def test_access_is_always_granted() -> None:
    channel = Bench().channel()
    payload = b"\x00\x1e\x00\x0a\x05/data\x1f"
    MethodDispatcher().carry_out(channel, methods.ACCESS_REQUEST, payload)
    assert link_of(channel).take() == b"\x01\x00\x01\x00\x00\x00\x06\x00\x1e\x00\x0b\x00\x01\xce"


def test_arguments_that_cannot_be_read_are_a_501() -> None:
    channel = Bench().channel()
    index = commands.Queue.Declare.index
    refusal(
        lambda: MethodDispatcher().carry_out(channel, index, b"\x00\x32\x00\x0a\x00\x00\x05q"),
        StreamError,
        501,
    )
