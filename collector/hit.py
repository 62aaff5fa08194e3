"""A request for one of our URLs, and what is thought of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from urllib.parse import urlsplit

from ledger.event import Agent
from ledger.token import HitKind

IpAddress = IPv4Address | IPv6Address

MAX_HEADER_CHARACTERS = 400
"""Longer values are cut: the longest User-Agent seen of a mail program is 290 characters."""

_KEPT = ("sec-purpose", "purpose", "x-purpose", "x-moz", "sec-gpc", "sec-fetch-dest")
# What a reader prefers would help to tell him apart: it is kept that he said it, not what.
_KEPT_AS_PRESENT = ("accept", "accept-language", "via")


@dataclass(frozen=True, slots=True)
class Hit:
    """One request, as it came."""

    at: datetime
    kind: HitKind
    client: IpAddress | None
    headers: Mapping[str, str]
    """By lower-case name."""

    @property
    def withheld(self) -> bool:
        """Whether the reader's browser asks not to be told of (Global Privacy Control, 3.1)."""
        return self.headers.get("sec-gpc") == "1"


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of a hit, and all that rules look at: no address."""

    at: datetime
    kind: HitKind
    slot: int
    agent: str = ""
    """User-Agent."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By lower-case name; of Referer the host only."""
    network: str = ""
    """Keyed hash of day and network; empty where it is not known."""
    lists: tuple[str, ...] = ()
    """Which lists of addresses the client stands in."""
    signs: tuple[str, ...] = ()
    """What the same network did about this copy just before, of which there is no record."""
    leaves: bool = False
    """Whether the link is one to unsubscribe."""
    gateway: str = ""
    """Which gateway scans the recipient's mail, as far as it was known when the hit was judged."""

    def same_view(self, other: "Trace") -> bool:
        """Tell whether both ask for the same thing with the same agent from the same network."""
        return (self.kind, self.slot, self.agent, self.network) == (
            other.kind,
            other.slot,
            other.agent,
            other.network,
        )


@dataclass(frozen=True, slots=True)
class Nearby:
    """A hit of another copy of the same send."""

    copy_id: int
    at: datetime
    network: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A hit among the others of its copy."""

    hit: Trace
    others: tuple[Trace, ...] = ()
    """Hits of the same copy from two minutes before to ten seconds after, as far as known."""
    readers: int = 1
    """How many people got the copy."""
    relayed_at: datetime | None = None
    """When the upstream took the copy; None where it is not known."""
    nearby: tuple[Nearby, ...] = ()
    """Hits of the send's other copies of the same time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one rule has to say."""

    rule: str
    """Its code, the reason shown."""
    agent: Agent
    """What it speaks for."""
    weight: float
    """0 to 1; under 0.5 it is weak and never decides alone."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Classification:
    """A judgement that can be made again."""

    agent: Agent
    confidence: float
    """0 to 1, in the label."""
    reasons: tuple[str, ...]
    """Codes of the rules that spoke, the weightiest first."""
    rules_version: str


def trace_of(hit: Hit, slot: int, network: str, lists: tuple[str, ...]) -> Trace:
    """Return what is kept of a hit."""
    kept = {
        name: hit.headers[name][:MAX_HEADER_CHARACTERS] for name in _KEPT if name in hit.headers
    }
    kept |= dict.fromkeys((name for name in _KEPT_AS_PRESENT if hit.headers.get(name)), "present")
    if (referer := hit.headers.get("referer")) and (host := _host_of(referer)):
        kept["referer"] = host
    return Trace(
        at=hit.at,
        kind=hit.kind,
        slot=slot,
        agent=hit.headers.get("user-agent", "").strip()[:MAX_HEADER_CHARACTERS],
        headers=kept,
        network=network,
        lists=lists,
    )


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "")[:MAX_HEADER_CHARACTERS]
    except ValueError:  # "http://[" is no URL
        return ""
