"""Listening sockets: which addresses, one port for all of them, one line when it cannot be."""

import socket

import pytest

from amqpd.server import listener as module
from amqpd.server.listener import addresses, open_sockets, printed
from amqpd.server.settings import Listener, SocketSettings
from amqpd.server.startup import StartupError


def has_ipv6() -> bool:
    return module._ipv6_works()


def refusal(listener: Listener) -> str:
    with pytest.raises(StartupError) as refused:
        open_sockets(listener, SocketSettings())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_port_0_is_a_free_port():
    (opened,) = open_sockets(Listener("127.0.0.1", 0), SocketSettings())
    with opened:
        host, port = opened.getsockname()
        assert host == "127.0.0.1" and port > 0
        socket.create_connection((host, port)).close()


def test_every_interface_is_both_families_on_one_port():
    opened = open_sockets(Listener("", 0), SocketSettings())
    names = {one.getsockname()[:2] for one in opened}
    for one in opened:
        one.close()
    (port,) = {port for _, port in names}
    expected = {("0.0.0.0", port)} | ({("::", port)} if has_ipv6() else set())
    assert names == expected


def test_without_ipv6_every_interface_is_ipv4(monkeypatch):
    monkeypatch.setattr(module, "_ipv6_works", lambda: False)
    assert addresses(Listener("", 1)) == [(socket.AF_INET, "0.0.0.0", 1)]


def test_a_name_is_looked_up():
    found = addresses(Listener("localhost", 1))
    assert {host for _, host, _ in found} <= {"127.0.0.1", "::1"} and found


def test_a_taken_port_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert (
            refusal(Listener("127.0.0.1", port))
            == f"cannot listen on 127.0.0.1:{port}: address already in use"
        )


def test_a_port_taken_in_one_family_leaves_the_other_free():
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refusal(Listener("", port)).startswith(f"cannot listen on *:{port}: address")
        with socket.socket() as free:
            free.bind(("0.0.0.0", port))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "\udcff", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_is_one_clear_line(host):
    assert "cannot listen on" in refusal(Listener(host, 0))


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_one_clear_line(port):
    assert refusal(Listener("127.0.0.1", port)).endswith("a port is 0 to 65535")


def test_accepted_sockets_keep_alive_if_so_set():
    for wanted in (False, True):
        (opened,) = open_sockets(Listener("127.0.0.1", 0), SocketSettings(keepalive=wanted))
        with opened:
            kept = opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert bool(kept) is wanted


def test_addresses_are_printed_as_people_write_them():
    assert printed("::1", 5672) == "[::1]:5672"
    assert printed("127.0.0.1", 5672) == "127.0.0.1:5672"
    assert printed("", 5672) == "*:5672"
