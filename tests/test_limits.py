"""The bounds: their defaults are RabbitMQ's, and every one can be set."""

import inspect
from typing import Any

import pytest

import amqpd
from amqpd import limits
from amqpd.limits import Limits

DEFAULTS: dict[str, Any] = {
    "channel_max": 2047,
    "frame_max": 131072,
    "frame_min": 4096,
    "heartbeat_s": 60,
    "handshake_timeout_ms": 10_000,
    "silent_close_ms": 3_000,
    "closing_ms": 30_000,
    "message_bytes_max": 134_217_728,
    "connection_max": 0,
    "consumer_max_per_channel": 0,
    "consumer_timeout_ms": 1_800_000,
    "channel_tick_ms": 60_000,
    "product": "RabbitMQ",
    "mechanisms": ("PLAIN", "AMQPLAIN"),
    "loopback_users": ("guest",),
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_defaults_are_those_of_rabbitmq(name: str, value: Any) -> None:
    assert getattr(Limits(), name) == value


def test_the_version_is_one_that_clients_know() -> None:
    assert Limits().version.startswith("3.13.")


def test_constants() -> None:
    assert limits.CONTENT_BYTES_MAX == 512 * 1024 * 1024
    assert limits.FRAME_MIN_BYTES == 4096
    assert limits.TABLE_DEPTH_MAX >= 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channel_max", 5),
        ("frame_max", 8192),
        ("heartbeat_s", 0),
        ("handshake_timeout_ms", 1),
        ("silent_close_ms", 2),
        ("closing_ms", 3),
        ("message_bytes_max", 4),
        ("connection_max", 5),
        ("consumer_max_per_channel", 6),
        ("outbox_bytes", 7),
        ("consumer_timeout_ms", 8),
        ("channel_tick_ms", 9),
        ("anonymous_user", "a"),
        ("product", "p"),
        ("version", "v"),
        ("platform", "f"),
        ("cluster_name", "c"),
        ("information", "i"),
        ("mechanisms", ("EXTERNAL",)),
        ("loopback_users", ()),
    ],
)
def test_every_bound_can_be_set_and_stays(name: str, value: Any) -> None:
    changed: dict[str, Any] = {name: value}
    assert getattr(Limits(**changed), name) == value


def test_frame_min_can_be_lowered_with_frame_max() -> None:
    lowered = Limits(frame_max=1024, frame_min=1024)
    assert (lowered.frame_max, lowered.frame_min) == (1024, 1024)


@pytest.mark.parametrize(
    "changed",
    [
        {"channel_max": -1},
        {"channel_max": 65536},
        {"frame_max": 4095},
        {"heartbeat_s": -1},
        {"heartbeat_s": 65536},
        {"message_bytes_max": 0},
        {"message_bytes_max": limits.CONTENT_BYTES_MAX + 1},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Limits(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"channel_max": 0},
        {"channel_max": 65535},
        {"frame_max": 0},
        {"heartbeat_s": 65535},
        {"message_bytes_max": limits.CONTENT_BYTES_MAX},
    ],
    ids=str,
)
def test_the_ends_of_the_ranges_are_fine(changed: dict[str, Any]) -> None:
    Limits(**changed)


@pytest.mark.skipif(amqpd.build() == "compiled", reason="compiled classes have no docstring")
def test_the_table_of_bounds_has_all_of_them() -> None:
    """What the docstring says is what there is."""
    documented = inspect.getdoc(Limits) or ""
    made = Limits()
    names = [name for name in dir(made) if isinstance(getattr(made, name), int)]
    assert len(names) > 10
    for name in names:
        assert f"| {name} |" in documented, f"{name} is not in the table"
