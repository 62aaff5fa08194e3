"""Which addresses are on the internet, and nobody's own.

Law: what a public address is embedded in, or is embedded in one, is no way to any other address.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address

_GLOBAL_UNICAST = ip_network("2000::/3")
"""All that is given to anybody of IPv6 (RFC 4291 2.4); what is mapped, compatible, local, NAT64 or
multicast lies outside of it."""

_OWN = tuple(
    map(
        ip_network,
        (
            # IANA IPv4 Special-Purpose Address Registry (RFC 6890), as of 2024
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",  # with 169.254.169.254, where clouds tell a machine its secrets
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            # Azure's wire server, which looks public and is a machine's own (Microsoft Learn,
            # "What is IP address 168.63.129.16?")
            "168.63.129.16/32",
            # IANA IPv6 Special-Purpose Address Registry, of what is in 2000::/3
            "2001::/23",  # Teredo, ORCHID and their like
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address of any kind is in it
            "3fff::/20",
        ),
    )
)


def is_public(address: IpAddress) -> bool:
    """Tell whether an address is on the internet: no machine's own, no network's own."""
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _GLOBAL_UNICAST):
        return False
    return not any(address in network for network in _OWN)


def read_address(text: str) -> IpAddress | None:
    """Return the address that a host is, with or without brackets; None where it is a name."""
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None
