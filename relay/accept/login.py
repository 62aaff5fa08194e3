"""Who may submit, and as whom.

Peers in the trusted networks may send as anyone, signed in or not.  Who has signed in may send as
himself and as an admin lets him; what From says is not looked at, for that is the author's and
need not be the sender's (RFC 5322 3.6.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from ledger.address import Address, AddressError, matches_pattern, parse_address
from relay.mail import Credential

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who has shown who he is."""

    account: str
    send_as: tuple[str, ...] | None
    """Patterns of addresses besides his own; None: whatever the upstream lets him send as."""
    credential: Credential | None = None
    """What the upstream is to be shown; None where it is not his own."""
    proof: str = field(default="", repr=False)
    """Changes when he must sign in anew."""


def peer_address(peername: object) -> IPAddress | None:
    """Return the address of a socket's peer; None where it has none, as on a Unix socket.

    An IPv4 peer of an IPv6 socket is IPv4 (RFC 4291 2.5.5.2), and a zone is left out.
    """
    if not isinstance(peername, tuple) or not peername:
        return None
    try:
        return plain_address(ip_address(str(peername[0]).partition("%")[0]))
    except ValueError:
        return None


def plain_address(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_trusted(address: IPAddress | None, networks: Sequence[Network]) -> bool:
    """Tell whether an address is in one of the networks."""
    return address is not None and any(address in network for network in networks)


def account_key(username: str) -> str:
    """Return the spelling by which names are compared that people sign in with."""
    try:
        return parse_address(username).key
    except AddressError:
        return username.casefold()


def may_send_as(signed_in: SignedIn, sender: Address | None) -> bool:
    """Tell whether somebody may use a sender.

    The null sender is everybody's: mail programs confirm reading with it (RFC 8098 3), and RFC 6409
    6.1 has nothing against it.
    """
    if sender is None or signed_in.send_as is None:
        return True
    if account_key(signed_in.account) == sender.key:
        return True
    return any(matches_pattern(pattern, sender) for pattern in signed_in.send_as)
