"""What is told to people and programs: the event, in the form of docs/events.md."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from ledger.mode import TrackingMode


class EventType(StrEnum):
    """What happened."""

    ACCEPTED = "email.accepted"
    RELAYED = "email.relayed"
    DEFERRED = "email.deferred"
    FAILED = "email.failed"
    OPENED = "email.opened"
    CLICKED = "email.clicked"
    RECLASSIFIED = "event.reclassified"
    WITHDRAWN = "tracking.withdrawn"


class Attribution(StrEnum):
    """Whose act an open or click is."""

    RECIPIENT = "recipient"
    SHARED = "shared"
    ANONYMOUS = "anonymous"


class Agent(StrEnum):
    """What kind of agent made a hit: the `classification` of an event."""

    HUMAN_LIKELY = "human_likely"
    PROXY = "proxy"
    PREFETCH = "prefetch"
    SCANNER = "scanner"
    UNFURL = "unfurl"
    SELF = "self"
    UNKNOWN = "unknown"

    @property
    def machine(self) -> bool:
        """Whether no person need have looked."""
        return self in (Agent.PREFETCH, Agent.SCANNER, Agent.UNFURL)

    @property
    def attentive(self) -> bool:
        """Whether somebody looked: such events are notified and may be the first of their kind."""
        return self in (Agent.HUMAN_LIKELY, Agent.PROXY)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one send, as feed, log, API and webhooks show it."""

    event_id: str
    type: EventType
    timestamp: datetime
    send_id: str | None = None
    message_id: str | None = None
    """Without angle brackets."""
    sender: str | None = None
    subject: str | None = None
    recipient: str | None = None
    recipient_type: str | None = None
    """to, cc or bcc; None where the event is anonymous."""
    attribution: Attribution | None = None
    candidates: tuple[str, ...] = ()
    tracking_mode: TrackingMode | None = None
    url: str | None = None
    link_id: str | None = None
    link_text: str | None = None
    classification: Agent | None = None
    confidence: float | None = None
    """0 to 1: how sure the label is."""
    reasons: tuple[str, ...] = ()
    rules_version: str | None = None
    first: bool = False
    repeats: int = 0
    notice: str = "none"
    """none, held or sent."""
    inferred_from: str | None = None
    relabels: str | None = None
    """Of a re-labelling: the `event_id` of the event that has its label anew."""
    label_before: Agent | None = None
    """Of a re-labelling."""
    user_agent: str | None = None
    ip_address: str | None = None
    """Truncated as `privacy.keep_network` says."""
    reply: str | None = None
    """What the upstream said; of relayed, deferred and failed."""
    upstream: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


_DELIVERY = frozenset({EventType.ACCEPTED, EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})
_AGE = re.compile(r"(\d+)([smhdw])", re.ASCII)
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

MESSAGE_KEYS = ("send_id", "timestamp", "message_id", "sender", "subject", "recipients")
"""The keys of message_objects, in their order."""


def event_object(event: Event) -> dict[str, object]:
    """Return the event as the JSON object of the contract.

    Instants are UTC to the millisecond with `Z` (RFC 3339); `machine` follows from the label;
    `reply` and `upstream` are there for delivery events only, `from` and `to` for re-labellings,
    which bear the name of the event they are about.
    """
    shown: dict[str, object] = {
        attribute.name: getattr(event, attribute.name) for attribute in fields(Event)
    }
    shown["timestamp"] = format_instant(event.timestamp)
    shown["machine"] = bool(event.classification and event.classification.machine)
    shown["candidates"] = list(event.candidates)
    shown["reasons"] = list(event.reasons)
    shown["tags"] = list(event.tags)
    shown["metadata"] = dict(event.metadata)
    if event.type not in _DELIVERY:
        del shown["reply"], shown["upstream"]
    relabels, before = shown.pop("relabels"), shown.pop("label_before")
    if event.type is EventType.RECLASSIFIED:
        shown |= {"event_id": relabels, "from": before, "to": event.classification}
    return shown


def format_instant(at: datetime) -> str:
    """Return an aware instant as RFC 3339 in UTC to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_objects(events: Sequence[Event]) -> Iterator[dict[str, object]]:
    """Give one object for each send, from the events of its acceptance, which stand together."""
    for _, group in groupby(events, key=lambda event: event.send_id):
        copies = list(group)
        shown = event_object(copies[0])
        recipients = [
            {
                "recipient": copy.recipient,
                "recipient_type": copy.recipient_type,
                "tracking_mode": copy.tracking_mode,
            }
            for copy in copies
        ]
        yield {**{key: shown[key] for key in MESSAGE_KEYS[:-1]}, "recipients": recipients}


def read_instant(text: str, now: datetime) -> datetime:
    """Return the instant that an age such as `2d`, or an instant of RFC 3339, means.

    Raises ValueError.
    """
    match = _AGE.fullmatch(text.strip())
    try:
        if match:
            return now - timedelta(seconds=int(match[1]) * _AGES[match[2]])
        at = datetime.fromisoformat(text)
        # In UTC at once: an instant near the first or last year has none there.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        msg = f"{text!r} is no age or instant; write 2d, 12h, or 2026-11-23T12:00:00Z"
        raise ValueError(msg) from None


def read_event_type(text: str) -> EventType:
    """Return the type that a word names, `opened` for `email.opened`.  Raises ValueError."""
    for event_type in EventType:
        if text in (event_type.value, event_type.value.rpartition(".")[2]):
            return event_type
    known = ", ".join(event_type.value for event_type in EventType)
    msg = f"{text!r} is no event type; write one of {known}"
    raise ValueError(msg)
