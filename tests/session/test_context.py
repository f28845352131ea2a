"""What connections share: made-up names, and what an alarm is called."""

import base64
import re

import pytest

from amqpd.protocol.channel import ChannelConversation
from amqpd.session.context import Dispatcher
from tests.session.fakes import Bench, FakeEntropy


def test_a_context_starts_quiet() -> None:
    context = Bench().context
    assert context.open_connections == 0 and context.now_ms == 0
    assert context.alarms == {} and not context.is_alarmed
    assert context.timers.next_ms() == -1
    assert context.settlement.synced == 0


def test_made_up_names_are_the_prefix_and_22_characters() -> None:
    bench = Bench()
    for prefix in ("amq.gen-", "amq.ctag-"):
        name = bench.context.random_name(prefix)
        assert re.fullmatch(re.escape(prefix) + "[A-Za-z0-9_-]{22}", name)


def test_they_are_url_safe_base64_of_16_octets() -> None:
    bench = Bench()
    name = bench.context.random_name("")
    token = FakeEntropy()
    token.count = bench.entropy.count - 1
    assert base64.urlsafe_b64decode(name + "==") == token.token(16)


def test_no_two_names_are_the_same() -> None:
    bench = Bench()
    assert len({bench.context.random_name("") for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("alarms", "reason"),
    [
        ({"memory": True}, "low on memory"),
        ({"disk": True, "memory": False}, "low on disk"),
        ({"memory": True, "disk": True}, "low on disk & memory"),
    ],
)
def test_the_reason_of_an_alarm(alarms: dict[str, bool], reason: str) -> None:
    context = Bench().context
    context.alarms.update(alarms)
    assert context.alarm_reason() == reason


def test_a_dispatcher_has_to_say_what_it_does() -> None:
    with pytest.raises(NotImplementedError):
        Dispatcher().carry_out(ChannelConversation(1), 0, b"")
