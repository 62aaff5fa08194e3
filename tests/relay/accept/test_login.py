"""Who is trusted, by the peer of a socket."""

from ipaddress import ip_address, ip_network

import pytest

from relay.accept.login import is_trusted, peer_address

NETWORKS = (ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fe80::/10"))


@pytest.mark.parametrize(
    ("peername", "expected"),
    [
        (("10.1.2.3", 4000), "10.1.2.3"),
        (("::1", 4000, 0, 0), "::1"),
        (("::ffff:10.1.2.3", 4000, 0, 0), "10.1.2.3"),
        (("fe80::1%eth0", 4000, 0, 2), "fe80::1"),
    ],
)
def test_a_peer_has_an_address(peername: object, expected: str) -> None:
    assert peer_address(peername) == ip_address(expected)


@pytest.mark.parametrize("peername", [None, "", "/run/socket", (), ("nonsense", 1)])
def test_a_peer_without_address_is_nobody(peername: object) -> None:
    assert peer_address(peername) is None
    assert not is_trusted(None, NETWORKS)


@pytest.mark.parametrize("address", ["127.9.9.9", "10.1.255.255", "fe80::5"])
def test_a_peer_in_a_network_is_trusted(address: str) -> None:
    assert is_trusted(ip_address(address), NETWORKS)


@pytest.mark.parametrize("address", ["10.2.0.1", "::1", "192.0.2.1", "::127.0.0.1"])
def test_a_peer_outside_is_not(address: str) -> None:
    assert not is_trusted(ip_address(address), NETWORKS)
