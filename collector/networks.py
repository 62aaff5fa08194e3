"""Networks: whence a hit comes, and lists of known ranges.

A list only ever supports other evidence: people sit behind clouds and proxies too.
Ranges of 2026-11, from the registrations of the owners.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, inet_pton
from typing import Literal

from collector.hit import IpAddress

IpNetwork = IPv4Network | IPv6Network

OWN = "own"
"""The operator's own networks (`privacy.own_networks`)."""
GOOGLE = "google"
MICROSOFT_MAIL = "microsoft_mail"
LISTED = "listed"
"""Of a list that the operator keeps: `listed:scanner:NAME:DATE`, by what it speaks for."""

_PREFIX = {4: 24, 6: 48}
"""What is taken for one network: what providers hand to one site (RFC 6177 2; IPv4 by custom)."""

_KNOWN: tuple[tuple[str, tuple[IPv4Network, ...]], ...] = (
    (
        GOOGLE,
        # ARIN, Google LLC; Gmail's proxy was seen at 66.249.93.84, its prefetch at 108.177.2.32
        tuple(
            IPv4Network(text)
            for text in (
                "64.233.160.0/19",
                "66.102.0.0/20",
                "66.249.64.0/19",
                "72.14.192.0/18",
                "74.125.0.0/16",
                "108.177.0.0/17",
                "142.250.0.0/15",
                "172.217.0.0/16",
                "172.253.0.0/16",
                "173.194.0.0/16",
                "209.85.128.0/17",
                "216.58.192.0/19",
                "216.239.32.0/19",
            )
        ),
    ),
    # Exchange Online Protection; scans of links: github.com/gophish/gophish/issues/973
    (MICROSOFT_MAIL, (IPv4Network("40.107.0.0/16"),)),
)
# Compared as numbers, for every hit: a tenth of what the objects take.
_RANGES = tuple(
    (name, tuple((int(one.network_address), int(one.broadcast_address)) for one in networks))
    for name, networks in _KNOWN
)


def client_address(
    peer: str | None, forwarded: Iterable[str], trusted: tuple[IpNetwork, ...]
) -> IpAddress | None:
    """Return who asked: the peer, or the right-most forwarded address that is no trusted proxy.

    `forwarded` are the X-Forwarded-For fields in their order; they are believed only where a
    trusted proxy sent them.  None where the address can not be told.
    """
    address = parse_ip(peer or "")
    chain = [entry for line in forwarded for entry in line.split(",")]
    while address is not None and chain and in_networks(address, trusted):
        address = parse_ip(chain.pop())
    return address


def parse_ip(text: str) -> IpAddress | None:
    """Return the address in a peer name or a field, with or without port; None where it is none."""
    with suppress(OSError, ValueError):  # nearly always; a fifth of the time of what follows
        return IPv4Address(inet_pton(AF_INET, text))
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    # RFC 4291 2.5.5.2: what a dual-stack socket makes of an IPv4 peer
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def in_networks(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    """Tell whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def lists_with(address: IpAddress | None, own: tuple[IpNetwork, ...]) -> tuple[str, ...]:
    """Return the names of the lists that hold an address."""
    if address is None:
        return ()
    known: tuple[str, ...] = ()
    if isinstance(address, IPv4Address):
        number = int(address)
        known = tuple(
            name
            for name, ranges in _RANGES
            if any(first <= number <= last for first, last in ranges)
        )
    return (OWN, *known) if in_networks(address, own) else known


def shown_address(
    address: IpAddress | None, keep: Literal["none", "truncated", "full"]
) -> str | None:
    """Return as much of an address as `privacy.keep_network` lets one keep."""
    if address is None or keep == "none":
        return None
    return str(address if keep == "full" else _network_of(address))


def network_mark(address: IpAddress | None, day: date, secret: bytes) -> str:
    """Return a name for the network of an address, of use on that day only.

    Hits of one day can be compared by it; the address can not be found from it without the secret.
    """
    if address is None:
        return ""
    said = f"{day.isoformat()} {_network_of(address)}/{_PREFIX[address.version]}".encode()
    return hashlib.blake2b(said, key=secret, digest_size=9, person=b"indicia network").hexdigest()


def _network_of(address: IpAddress) -> IpAddress:
    """Return the first address of the network of one."""
    host_bits = address.max_prefixlen - _PREFIX[address.version]
    return type(address)(int(address) >> host_bits << host_bits)
