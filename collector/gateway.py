"""Which gateway scans a domain's mail, as its MX hosts tell."""

from collections.abc import Iterable
from typing import Final

_GATEWAYS: Final = (
    ("pphosted.com", "proofpoint"),
    ("mimecast.com", "mimecast"),
    ("barracudanetworks.com", "barracuda"),
    ("mail.protection.outlook.com", "microsoft"),
    ("iphmx.com", "cisco"),
)
"""Hosts under these names, of the vendors' own instructions for MX records."""


def gateway_of(hosts: Iterable[str]) -> str:
    """Return the gateway of the first MX host that is known; empty where none is."""
    for host in hosts:
        bare = host.rstrip(".").lower()
        for suffix, name in _GATEWAYS:
            if bare.endswith(f".{suffix}"):
                return name
    return ""


def domain_of(address: str) -> str:
    """Return the domain to look up; empty where there is none: address literals, single labels."""
    domain = address.rpartition("@")[2].rstrip(".").lower()
    return domain if "." in domain and not domain.startswith("[") else ""
