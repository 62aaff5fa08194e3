from datetime import date
from ipaddress import ip_address, ip_network

import pytest

from collector.networks import (
    GOOGLE,
    MICROSOFT_MAIL,
    OWN,
    client_address,
    lists_with,
    network_mark,
    parse_ip,
    shown_address,
)

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
SECRET = b"s" * 32
DAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # nobody's proxy
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", ["198.51.100.1, unknown"], None),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("fe80::1%eth0", [], "fe80::1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_trusted_proxy(
    peer: str | None, forwarded: list[str], client: str | None
) -> None:
    found = client_address(peer, forwarded, PROXIES)
    assert (None if found is None else str(found)) == client


@pytest.mark.parametrize(
    ("address", "keep", "shown"),
    [
        ("203.0.113.77", "truncated", "203.0.113.0"),
        ("2001:db8:1:2::3", "truncated", "2001:db8:1::"),
        ("203.0.113.77", "full", "203.0.113.77"),
        ("203.0.113.77", "none", None),
    ],
)
def test_as_much_of_an_address_is_shown_as_may_be_kept(
    address: str, keep: str, shown: str | None
) -> None:
    assert shown_address(ip_address(address), keep) == shown  # type: ignore[arg-type] # a table


def test_an_unknown_address_is_in_no_list_and_has_no_mark() -> None:
    assert shown_address(None, "full") is None
    assert lists_with(None, PROXIES) == ()
    assert network_mark(None, DAY, SECRET) == ""


def test_networks_are_compared_within_a_day_and_found_by_nobody() -> None:
    mark = network_mark(ip_address("203.0.113.77"), DAY, SECRET)
    assert mark == network_mark(ip_address("203.0.113.1"), DAY, SECRET)
    others = {
        network_mark(ip_address("203.0.114.77"), DAY, SECRET),
        network_mark(ip_address("203.0.113.77"), date(2026, 11, 24), SECRET),
        network_mark(ip_address("203.0.113.77"), DAY, b"t" * 32),
    }
    assert len(others | {mark}) == 4


def test_known_ranges_and_own_networks_are_told() -> None:
    assert lists_with(parse_ip("66.249.93.84"), ()) == (GOOGLE,)
    assert lists_with(parse_ip("108.177.2.32"), ()) == (GOOGLE,)
    assert lists_with(parse_ip("40.107.1.2"), ()) == (MICROSOFT_MAIL,)
    assert lists_with(parse_ip("10.1.2.3"), PROXIES) == (OWN,)
    assert lists_with(parse_ip("2001:db8::1"), PROXIES) == ()
