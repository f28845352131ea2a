"""The measurements of features, on a broker of this installation and in small."""

from pathlib import Path

import pytest

from amqpd.perf.connection import Connection
from amqpd.perf.features import HEAD_WAITS_MS, Leaving, expiring, measure_policy
from amqpd.perf.options import LoadOptions, encode_arguments
from amqpd.perf.spawn import SpawnedAmqpd


def test_arguments_become_a_table() -> None:
    assert encode_arguments("") == b""
    assert encode_arguments("n=5") == b"\x01nl" + (5).to_bytes(8, "big")
    assert encode_arguments("t=true,f=false") == b"\x01tt\x01\x01ft\x00"
    assert encode_arguments("s=,q=x") == b"\x01sS\0\0\0\0\x01qS\0\0\0\x01x"
    with pytest.raises(ValueError, match="'x' is not NAME=VALUE"):
        encode_arguments("x")
    options = LoadOptions(type="quorum", arguments="n=5")
    assert options.queue_arguments() == encode_arguments("x-queue-type=quorum,n=5")


def test_a_message_that_expires_waits_behind_one_that_does_not(tmp_path: Path) -> None:
    with SpawnedAmqpd(str(tmp_path)) as amqpd:
        control = Connection(amqpd.target)
        control.declare("q")
        first = expiring("q", HEAD_WAITS_MS, b"x", control.frame_max)
        control.socket.sendall(first + expiring("q", 0, b"x", control.frame_max) * 3)
        assert control.length("q") == 4
        control.delete("q")
        control.close()


def test_a_policy_is_measured_until_it_has_come_into_effect() -> None:
    assert measure_policy(3000) > 0


def test_the_text_of_what_left() -> None:
    assert Leaving(1000, 0.5, 3.2).text("expire") == (
        "1,000 messages expire in 0.50 s (2,000 msg/s), another client waits 3 ms at most"
    )
