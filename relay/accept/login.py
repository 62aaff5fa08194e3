"""Who may submit: so far, peers in the trusted networks."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def peer_address(peername: object) -> IPv4Address | IPv6Address | None:
    """Return the address of a socket's peer; None where it has none, as on a Unix socket.

    An IPv4 peer of an IPv6 socket is IPv4 (RFC 4291 2.5.5.2), and a zone is left out.
    """
    if not isinstance(peername, tuple) or not peername:
        return None
    try:
        address = ip_address(str(peername[0]).partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_trusted(address: IPv4Address | IPv6Address | None, networks: Sequence[Network]) -> bool:
    """Tell whether a peer may submit without signing in, as any sender."""
    return address is not None and any(address in network for network in networks)
