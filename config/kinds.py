"""The kinds of values an option may have.

Each refusal says why and the mend; `config.load` adds the key and the line.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_PORT = 65_535

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_DOMAIN = re.compile(r"(?:\*\.)?[^\s@/:*?\[\]]+")
_PATTERN = re.compile(r"\S+")


def refuse(why: str, mend: str) -> NoReturn:
    """Raise the error that tells why a value is refused and what to write instead."""
    kind, context = "refused", {"why": why, "mend": mend}
    raise PydanticCustomError(kind, "{why}; {mend}", context)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens: host and port; port 0 lets the system choose."""

    host: str
    """Without brackets."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def any_address(self) -> bool:
        """Whether it is every address of the machine."""
        return self.host in _WILDCARDS

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def clashes(self, other: "Endpoint") -> bool:
        """Tell whether both can not be listened on at once."""
        if self.port != other.port or self.port == 0:
            return False
        return self.host == other.host or self.any_address or other.any_address


@dataclass(frozen=True, slots=True)
class Kind:
    """What an option is, in the words of the reference."""

    words: str


@dataclass(frozen=True, slots=True)
class Later:
    """What a later version brings: the values named here, or any value but the default."""

    values: tuple[object, ...] = ()
    default: object = None

    def __call__(self, value: object) -> object:
        """Return the value where this version has it."""
        if self.values:
            mend, here = "write another value, or remove it", value not in self.values
        else:
            mend, here = "remove it", not value or value == self.default
        if here:
            return value
        refuse("is not available in this version", mend)


def later(*values: object, default: object = None) -> AfterValidator:
    """Mark an option, or some of its values, as not available in this version."""
    return AfterValidator(Later(values, default))


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name or address alone."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def url_host(url: str) -> str:
    """Return the host of a URL, empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _endpoint(value: object) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    mend = 'write "ADDRESS:PORT", such as "127.0.0.1:2525" or "[::1]:2525"'
    if not isinstance(value, str):
        refuse("is no address and port", mend)
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        refuse("is no address and port", mend)
    if int(port) > MAX_PORT:
        refuse(f"has a port over {MAX_PORT}", mend)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in host and bare == host:
        refuse("is an IPv6 address without brackets", mend)
    return Endpoint(_host(bare), int(port))


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if value.replace(".", "").isdigit() or _HOST_NAME.fullmatch(value) is None:
        refuse("is no host name or IP address", 'write a name such as "smtp.example.net"')
    return value


def _network(value: object) -> IPNetwork:
    mend = 'write a network such as "192.0.2.0/24" or "2001:db8::/32"'
    try:
        return ipaddress.ip_network(value)  # type: ignore[arg-type] # anything else raises
    except (ValueError, TypeError) as error:
        if "host bits" in str(error):
            network = ipaddress.ip_network(str(value), strict=False)
            refuse("has bits set behind its prefix", f'write "{network}"')
        refuse("is no network", mend)


def _base_url(value: str) -> str:
    mend = 'write scheme and host, such as "https://t.example.com"'
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        refuse("is no URL", mend)
    if parts.scheme not in ("http", "https") or not host:
        refuse("is no http or https URL", mend)
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        refuse("has more than scheme, host and port", mend)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _token_url(value: str) -> str:
    host = url_host(value)
    if value.startswith("http:") and host and not is_loopback(host):
        refuse("would send the secret without TLS", f'write "https:{value[5:]}"')
    if value and (not host or not value.startswith(("https:", "http:")) or "#" in value):
        refuse("is no https URL", 'write such as "https://oauth2.googleapis.com/token"')
    return value


def _tracking_base(value: str) -> str:
    base = _base_url(value)
    if base.startswith("http:") and not is_loopback(url_host(base)):
        # Mail programs show a warning or nothing at all for images and links without TLS.
        refuse("is not https, and not on this machine", f'write "https:{base[5:]}"')
    return base


def _sqlite_url(value: str) -> str:
    if value.startswith("postgresql"):
        refuse(
            "is PostgreSQL, which is not available in this version",
            'write "sqlite+aiosqlite:///FILE"',
        )
    if not re.fullmatch(r"sqlite\+aiosqlite:///[^?#]+", value) or value.endswith(":memory:"):
        refuse("is no SQLite file", 'write "sqlite+aiosqlite:////var/lib/indicia/ledger.db"')
    return value


def is_pattern(text: str) -> bool:
    """Tell whether a text can be a pattern of addresses."""
    return _PATTERN.fullmatch(text) is not None


def _pattern(value: str) -> str:
    if not is_pattern(value):
        refuse("is no pattern of addresses", 'write "*@example.com", "example.com" or an address')
    return value


def _domain(value: str) -> str:
    if _DOMAIN.fullmatch(value) is None:
        refuse("is no domain", 'write "example.com", or "*.example.com" for all its subdomains')
    return value.lower()


def _signing_domain(value: str) -> str:
    if value.startswith("*"):
        refuse("is no single domain", "write each domain of From with a key of its own")
    return _domain(value)


def _selector(value: str) -> str:
    # RFC 6376 3.1: labels of a domain name.
    if _HOST_NAME.fullmatch(value) is None or value.endswith("."):
        refuse("is no selector", 'write a name such as "relay2026"')
    return value


def _click_switch(value: object) -> object:
    if value is True or value is False or value == "seats":
        return value
    refuse('is none of true, false and "seats"', "write true")


def _optional_file(value: object) -> object:
    return None if value == "" else value


Switch = Annotated[bool, Field(strict=True)]
ClickSwitch = Annotated[
    bool | Literal["seats"], BeforeValidator(_click_switch), Kind('true, false or "seats"')
]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Port = Annotated[int, Field(strict=True, ge=1, le=MAX_PORT), Kind("port")]
Text = Annotated[str, Field(min_length=1)]
Host = Annotated[str, AfterValidator(_host), Kind("host name or IP address")]
Listen = Annotated[Endpoint, BeforeValidator(_endpoint), Kind("address and port")]
Network = Annotated[IPNetwork, BeforeValidator(_network), Kind("network")]
BaseUrl = Annotated[str, AfterValidator(_base_url), Kind("URL of scheme and host")]
TokenUrl = Annotated[str, AfterValidator(_token_url), Kind("https URL")]
TrackingBase = Annotated[str, AfterValidator(_tracking_base), Kind("URL of scheme and host")]
SqliteUrl = Annotated[str, AfterValidator(_sqlite_url), Kind("database URL")]
Pattern = Annotated[str, AfterValidator(_pattern), Kind("pattern of addresses")]
Domain = Annotated[str, AfterValidator(_domain), Kind("domain")]
SigningDomain = Annotated[str, AfterValidator(_signing_domain), Kind("domain")]
Selector = Annotated[str, AfterValidator(_selector), Kind("selector")]
KeyFile = Annotated[Path, Kind("file")]
OptionalFile = Annotated[Path | None, BeforeValidator(_optional_file), Kind("file")]
OptionalFolder = Annotated[Path | None, BeforeValidator(_optional_file), Kind("folder")]
