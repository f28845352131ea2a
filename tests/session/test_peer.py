"""Facts about an accepted connection, and the name that they make."""

from amqpd.session.peer import Peer


def test_a_peer_keeps_its_facts() -> None:
    peer = Peer(
        "10.0.0.1", 5000, "10.0.0.2", 5671, loopback=False, tls=True, certificate_name="CN=me"
    )
    assert (peer.peer_host, peer.peer_port, peer.host, peer.port) == (
        "10.0.0.1",
        5000,
        "10.0.0.2",
        5671,
    )
    assert peer.tls and not peer.loopback
    assert peer.certificate_name == "CN=me"


def test_a_plain_peer_proves_nothing() -> None:
    peer = Peer("127.0.0.1", 5000, "127.0.0.1", 5672, loopback=True)
    assert peer.loopback and not peer.tls and peer.certificate_name == ""


def test_its_name_is_that_of_rabbitmq() -> None:
    peer = Peer("127.0.0.1", 5000, "127.0.0.1", 5672, loopback=True)
    assert peer.name == "127.0.0.1:5000 -> 127.0.0.1:5672"


def test_addresses_with_colons_are_put_in_brackets() -> None:
    peer = Peer("::1", 5000, "fe80::2", 5672, loopback=True)
    assert peer.name == "[::1]:5000 -> [fe80::2]:5672"
