"""The one header field we add: Received.

RFC 5321 4.4, with the protocol of RFC 3848 and RFC 6531 4.3.  It has no `for`, for that would
tell each recipient of a copy who another is.
"""

import ipaddress
import re
from email.utils import format_datetime

from ledger.address import domain_key
from relay.mail import Client, Submission

# RFC 5321 4.1.2: what a domain or a literal consists of; 255 is the longest (4.5.3.1.2).
_HELO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}|\[[A-Za-z0-9:.]{2,253}\]")


def received_field(submission: Submission, hostname: str) -> bytes:
    """Return the field, folded, ASCII, with its line ends.

    Law: whatever the client said, it is one field of lines of at most 998 printable characters.
    """
    by = _ascii(domain_key(hostname))
    lines = (
        f"Received: from {_from_domain(submission.client)}",
        f"\tby {by} with {_protocol(submission)} id {submission.send_id};",
        f"\t{format_datetime(submission.received_at)}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _from_domain(client: Client) -> str:
    literal = _literal(client.ip)
    said = client.helo if _HELO.fullmatch(client.helo) else literal
    return f"{said} ({literal})"


def _literal(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"  # noqa: PLR2004 - IPv6


def _protocol(submission: Submission) -> str:
    # RFC 3848: S for TLS, A for AUTH; RFC 6531 4.3: UTF8SMTP in place of ESMTP.
    base = "UTF8SMTP" if submission.envelope.smtputf8 else "ESMTP"
    return base + "S" * submission.client.tls + "A" * (submission.account is not None)


def _ascii(text: str) -> str:
    return "".join(char if "!" <= char <= "~" else "?" for char in text)
