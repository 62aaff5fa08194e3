"""Which addresses are on the internet: the lists of the registries, and what hides in others."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.public import is_public, read_address

OWN = [
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's
    "169.254.169.254",  # everybody's
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle's
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",  # SIIT
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",  # NAT64 of one's own
    "100::1",
    "2001::7f00:1",  # Teredo
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%eth0",
]
PUBLIC = ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "168.63.129.17"]
PUBLIC += ["2606:4700::1111", "2001:200::1", "2a00:1450::1", "2003::1"]


@pytest.mark.parametrize("text", OWN)
def test_what_is_a_machine_s_or_a_network_s_own_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_given_to_anybody_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0/96", "64:ff9b::/96", "::/96"]))
def test_law_an_address_within_an_address_is_no_way(within: IPv4Address, around: str) -> None:
    """Law: what a public address is embedded in, or is embedded in one, is no way to any other."""
    network = ip_network(around)
    assert not is_public(IPv6Address(int(network.network_address) | int(within)))
    assert not is_public(IPv6Address(0x2002 << 112 | int(within) << 80))


@given(st.ip_addresses())
def test_what_python_knows_as_not_global_is_not_public(one: IPv4Address | IPv6Address) -> None:
    if not one.is_global or one.is_multicast:
        assert not is_public(one)


def test_a_host_is_an_address_or_a_name() -> None:
    assert read_address("[::1]") == ip_address("::1")
    assert read_address("127.0.0.1") == ip_address("127.0.0.1")
    assert read_address("example.com") is None
    assert read_address("127.1") is None
