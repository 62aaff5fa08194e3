"""Who is trusted, by the peer of a socket."""

from ipaddress import ip_address, ip_network

import pytest

from ledger.address import parse_address
from relay.accept.login import SignedIn, account_key, is_trusted, may_send_as, peer_address
from relay.mail import Credential

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


@pytest.mark.parametrize(
    ("send_as", "sender", "may"),
    [
        ((), "alice@b.test", True),
        ((), '"alice"@B.TEST', True),
        ((), "alice+x@b.test", False),
        ((), "bob@b.test", False),
        (("*@sales.test", "info@b.test"), "any@sales.test", True),
        (("*@sales.test", "info@b.test"), "info@b.test", True),
        (("*@sales.test",), "any@x.sales.test", False),
        (("sales.test",), "any@sales.test", True),
        (None, "whoever@x.test", True),
    ],
)
def test_a_user_sends_as_himself_and_as_he_was_allowed(
    send_as: tuple[str, ...] | None, sender: str, may: bool
) -> None:
    signed_in = SignedIn("Alice@b.test", send_as)
    assert may_send_as(signed_in, parse_address(sender)) is may
    assert may_send_as(signed_in, None)


def test_names_are_compared_as_addresses_or_without_regard_to_case() -> None:
    assert account_key('"Alice"@B.test') == account_key("alice@b.TEST")
    assert account_key("EXAMPLE\\Alice") == account_key("example\\alice")


def test_nothing_of_a_credential_is_shown_by_who_signed_in() -> None:
    shown = repr(SignedIn("a", None, Credential("a", "canary"), proof="canary"))
    assert "canary" not in shown
