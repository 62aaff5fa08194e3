"""A recorded hit, and what is known of its copy: words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.event import Agent, EventType
from ledger.mode import TrackingMode
from ledger.token import HitKind


@dataclass(frozen=True, slots=True)
class RecordedHit:
    """A hit as it is kept."""

    hit_id: str
    at: datetime
    kind: HitKind
    copy_id: int
    slot: int
    html: bool
    url: str | None = None
    """Destination of a click, as it was answered."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """What the rules look at; the collector's own form, no full address."""


@dataclass(frozen=True, slots=True)
class SpilledHit:
    """A hit that waits in the spill, whose consent is still to be asked."""

    hit_id: str
    at: datetime
    kind: HitKind
    copy_id: int
    slot: int
    html: bool
    sealed: bytes
    """Where it led and what the rules look at; the collector's own form."""


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A tracked link as the relay recorded it."""

    url: str
    """With its fragment."""
    text: str


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An open or click of the copy that is on record."""

    event_id: str
    type: EventType
    at: datetime
    hit_id: str | None
    first: bool
    agent: Agent | None = None
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    rules_version: str | None = None
    inferred_from: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class Relabelling:
    """An open or click that is judged anew."""

    event_id: str
    at: datetime
    """When it was judged anew."""
    agent: Agent
    confidence: float
    reasons: tuple[str, ...]
    rules_version: str
    first: bool
    told: bool = True
    """Whether an `event.reclassified` tells of it: its label, or whether it is first, is new."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of a copy when its hits are judged."""

    copy_id: int
    mode: TrackingMode
    send_id: str
    message_id: str | None
    sender: str | None
    subject: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    recipients: tuple[tuple[str, str], ...] = ()
    """Address and type (to, cc, bcc), in their order."""
    links: Mapping[int, StoredLink] = field(default_factory=dict)
    """By slot."""
    history: tuple[RecordedHit, ...] = ()
    """In order of time, from two minutes before the first hit to be judged."""
    relayed_at: datetime | None = None
    infers_opens: bool = False
    """Whether a click may tell of an open: nobody has wished that opens are not tracked."""
    nearby: tuple[tuple[int, datetime, str], ...] = ()
    """Hits of the send's other copies: copy, moment, network."""
    events: tuple[PastEvent, ...] = ()
    """Opens and clicks of that time, and the first of each kind."""
