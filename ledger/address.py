"""A mailbox, parsed once by the grammar of SMTP.

The grammar is RFC 5321 4.1.2 with the UTF-8 of RFC 6531 3.3: quoted local parts and address
literals are mailboxes too, for whatever mail may carry must be deniable and forgettable.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from ada_url import idna_to_ascii, idna_to_unicode

MAX_LOCAL_BYTES = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_BYTES = 255  # RFC 5321 4.5.3.1.2

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_QUOTED_STRING = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
_LET_DIG = r"[A-Za-z0-9\u0080-\U0010ffff]"
_LABEL = rf"{_LET_DIG}(?:(?:{_LET_DIG}|[_\-])*{_LET_DIG})?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[!-Z^-~]+\]"
_MAILBOX = re.compile(
    rf"(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})"
)
_HOST = re.compile(_DOMAIN)
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

        Law: spellings that differ in case, quotes or labels have one key, and a key is its own.
        """
        return f"{_local_key(self.local)}@{domain_key(self.domain)}"

    @property
    def key_without_detail(self) -> str:
        """The key without `+detail` (RFC 5233), by which a denial is compared.

        Law: no detail changes it, and it is its own.
        """
        bare = _bare(self.local)
        plus = bare.find("+", 1)  # a name that begins with + is no detail of nobody
        name = bare if plus < 0 else bare[:plus]
        return f"{_written(name)}@{domain_key(self.domain)}"

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
    # U+FF20 is mapped to @, U+00AD to nothing: a domain that IDNA turns into none has no host.
    if not domain.isascii() and not _HOST.fullmatch(idna_to_ascii(domain).decode()):
        raise AddressError(text, f"{domain!r} is no domain by IDNA")
    return Address(local, domain)


def address_key(text: str) -> str | None:
    """Return the key of what is a mailbox; None of what is none."""
    try:
        return parse_address(text).key
    except AddressError:
        return None


def parse_domain(text: str) -> str:
    """Return the domain that `text` is, in lower case.

    Raises AddressError where it is none.
    """
    try:
        return parse_address(f"postmaster@{text}").domain
    except AddressError as error:
        raise AddressError(text, error.why) from None


def domain_key(domain: str) -> str:
    """Return the spelling by which domains are compared: lower case, A-labels where they exist."""
    if domain.isascii():
        return domain.lower()
    return idna_to_ascii(domain).decode() or domain.lower()


def matches_pattern(pattern: str, address: Address) -> bool:
    """Tell whether a shell-like pattern of the configuration matches the whole address.

    `*` is any run and `?` one character, all else stands for itself; a pattern without `@` means
    the addresses of that domain.  Compared as `Address.key` is, and a domain with U-labels in
    that spelling too, where `?` is one letter.
    """
    return matches_key(pattern, address.key)


def matches_key(pattern: str, key: str) -> bool:
    """Tell what matches_pattern does, of an address whose key is known already."""
    ascii_form, unicode_form = _compiled(pattern)
    if ascii_form.fullmatch(key):
        return True
    if "xn--" not in key:
        return False
    local, _, domain = key.rpartition("@")
    return unicode_form.fullmatch(f"{local}@{_unicode_domain(domain)}") is not None


def matches_account(pattern: str, account: str) -> bool:
    """Tell whether a pattern matches who signed in: an address, or another name as it stands."""
    try:
        return matches_pattern(pattern, parse_address(account))
    except AddressError:
        return _shell_regex(pattern.lower()).fullmatch(account.lower()) is not None


def matches_domain(patterns: tuple[str, ...], domain: str) -> bool:
    """Tell whether a domain is in a list: `d` is itself, `*.d` its subdomains, nothing else."""
    key = domain_key(domain)
    return any(
        key.endswith(domain_key(pattern[1:]))
        if pattern.startswith("*.")
        else key == domain_key(pattern)
        for pattern in patterns
    )


def _unicode_domain(domain: str) -> str:
    return idna_to_unicode(domain_key(domain))


@lru_cache(maxsize=4096)  # patterns are those of the configuration, met with every recipient
def _compiled(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what matches a key, and a key whose domain has U-labels."""
    local, at, domain = pattern.rpartition("@")
    local = _local_key(local) if at else "*"
    return (
        _shell_regex(f"{local}@{domain_key(domain)}"),
        _shell_regex(f"{local}@{_unicode_domain(domain)}"),
    )


def _shell_regex(pattern: str) -> re.Pattern[str]:
    parts = ({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _local_key(local: str) -> str:
    return _written(_bare(local))


def _bare(local: str) -> str:
    """Return what a local part means: without quotes and case."""
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local.lower() if local.isascii() else "".join(map(_fold, local))


def _written(bare: str) -> str:
    """Return the shortest spelling of a local part: with quotes where it needs them."""
    if _PLAIN_LOCAL.fullmatch(bare):
        return bare
    return '"' + re.sub(r'(["\\])', r"\\\1", bare) + '"'


def _fold(char: str) -> str:
    # Simple case folding (Unicode 3.13): the full one makes one mailbox of strasse and straße,
    # lower() makes two of ΑΣ and ας.
    for folded in (char.casefold(), char.lower()):
        if len(folded) == 1:
            return folded
    return char


def _is_literal(text: str) -> bool:
    # RFC 5321 4.1.3: IPv4, or a tag and a colon; IPv6 is the only tag in use.
    tag, colon, rest = text.partition(":")
    try:
        if colon and tag.lower() == "ipv6":
            return ipaddress.IPv6Address(rest).scope_id is None
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
