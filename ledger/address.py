"""A mailbox, parsed once by the grammar of SMTP.

The grammar is RFC 5321 4.1.2 with the UTF-8 of RFC 6531 3.3: quoted local parts and address
literals are mailboxes too, for whatever mail may carry must be deniable and forgettable.
"""

import ipaddress
import re
from dataclasses import dataclass

from ada_url import idna_to_ascii

MAX_LOCAL_BYTES = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_BYTES = 255  # RFC 5321 4.5.3.1.2

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_QUOTED_STRING = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
_LABEL = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9_\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[!-Z^-~]+\]"
_MAILBOX = re.compile(rf"(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})")
_PLAIN_LOCAL = re.compile(_DOT_STRING)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class AddressError(ValueError):
    """What was given is no mailbox; the text says why, and what a mailbox looks like."""

    def __init__(self, given: str, why: str) -> None:
        """Keep what was given and why it is refused."""
        super().__init__(f"{given!r} is not a mail address: {why}; write name@example.com")
        self.given = given
        self.why = why


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox `local@domain`."""

    local: str
    """As written, quotes included; only the receiving host may interpret it (RFC 5321 2.4)."""
    domain: str
    """Lower case; a literal keeps its brackets."""

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """The spelling by which addresses are compared.

        Without regard to case, U-label as A-label, and a quoted local part unquoted where both
        mean the same (RFC 5321 4.1.2).

        Law: two spellings of one mailbox have one key, and a key parses to itself.
        """
        return f"{_local_key(self.local)}@{domain_key(self.domain)}"

    @property
    def key_without_detail(self) -> str:
        """The key without `+detail`, by which a denial is compared."""
        local = _local_key(self.local)
        if local.startswith('"'):
            return f"{local}@{domain_key(self.domain)}"
        return f"{local.partition('+')[0] or local}@{domain_key(self.domain)}"

    @property
    def is_ascii(self) -> bool:
        """Whether it may travel without SMTPUTF8 (RFC 6531 3.1)."""
        return self.local.isascii() and self.domain.isascii()


def parse_address(text: str) -> Address:
    """Return the mailbox that `text` is, without angle brackets or display name.

    Raises AddressError where it is none, or longer than SMTP permits.
    """
    match = _MAILBOX.fullmatch(text)
    if match is None or _CONTROL.search(text):
        raise AddressError(text, _why_not(text))
    local, domain = match["local"], match["domain"].lower()
    if len(local.encode()) > MAX_LOCAL_BYTES:
        raise AddressError(text, f"the part before @ is over {MAX_LOCAL_BYTES} bytes")
    if len(domain.encode()) > MAX_DOMAIN_BYTES:
        raise AddressError(text, f"the domain is over {MAX_DOMAIN_BYTES} bytes")
    if domain.startswith("[") and not _is_literal(domain[1:-1]):
        raise AddressError(text, "the address in brackets is no IP address")
    return Address(local, domain)


def domain_key(domain: str) -> str:
    """Return the spelling by which domains are compared: lower case, A-labels where they exist."""
    if domain.isascii():
        return domain.lower()
    return idna_to_ascii(domain).decode() or domain.lower()


def matches_pattern(pattern: str, address: Address) -> bool:
    """Tell whether a shell-like pattern of the configuration matches the whole address.

    `*` is any run and `?` one character, all else stands for itself; a pattern without `@` means
    the addresses of that domain.  Compared by `Address.key`.
    """
    local, at, domain = pattern.rpartition("@")
    wanted = domain_key(domain)
    whole = f"{_local_key(local)}@{wanted}" if at else f"*@{wanted}"
    if not at and pattern == "*":
        return True
    return _shell_regex(whole).fullmatch(address.key) is not None


def matches_domain(patterns: tuple[str, ...], domain: str) -> bool:
    """Tell whether a domain is in a list: `d` is itself, `*.d` its subdomains, nothing else."""
    key = domain_key(domain)
    return any(
        key.endswith(domain_key(pattern[1:])) if pattern.startswith("*.") else key == domain_key(pattern)
        for pattern in patterns
    )


def _shell_regex(pattern: str) -> re.Pattern[str]:
    parts = ({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _local_key(local: str) -> str:
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        bare = re.sub(r"\\(.)", r"\1", local[1:-1])
        if _PLAIN_LOCAL.fullmatch(bare):
            return bare.lower()
        return '"' + re.sub(r'(["\\])', r"\\\1", bare).lower() + '"'
    return local.lower()


def _is_literal(text: str) -> bool:
    # RFC 5321 4.1.3: IPv4, or a tag and a colon; IPv6 is the only tag in use.
    tag, colon, rest = text.partition(":")
    try:
        if colon and tag.lower() == "ipv6":
            ipaddress.IPv6Address(rest)
        else:
            ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _why_not(text: str) -> str:
    if not text:
        return "it is empty"
    if _CONTROL.search(text):
        return "it has a control character"
    local, at, domain = text.rpartition("@")
    if not at:
        return "there is no @"
    if not local or not domain:
        return "there is nothing before or after the @"
    if not re.fullmatch(rf"{_DOMAIN}|{_LITERAL}", domain):
        return f"{domain!r} is no domain"
    return f"{local!r} has characters that need quotes, or a dot too many"
