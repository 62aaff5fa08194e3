"""What the relay tells the ledger: facts, owed in the transaction that made them true.

They travel through the spool's `owed_facts` as JSON and are recorded at most once each,
by send_id and event_id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.event import EventType
from ledger.mode import TrackingMode


@dataclass(frozen=True, slots=True)
class RecipientFact:
    """One recipient of an accepted copy; it makes one `email.accepted` event."""

    event_id: str
    recipient: str
    recipient_type: str


@dataclass(frozen=True, slots=True)
class CopyFact:
    """One copy of an accepted send."""

    copy_id: int
    mode: TrackingMode
    recipients: tuple[RecipientFact, ...]


@dataclass(frozen=True, slots=True)
class LinkFact:
    """One tracked link, the stored second way to its destination."""

    slot: int
    part: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class SendAccepted:
    """A send was answered 250."""

    send_id: str
    accepted_at: datetime
    message_id: str | None
    sender: str | None
    account: str | None
    client: str
    subject: str | None
    size_bytes: int
    base_url: str
    verdict: tuple[Mapping[str, object], ...]
    """The objects of `explain --json`, one a recipient, frozen."""
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    copies: tuple[CopyFact, ...]
    links: tuple[LinkFact, ...]


@dataclass(frozen=True, slots=True)
class RecipientTold:
    """The upstream answered for one recipient, or we gave up on him."""

    event_id: str
    type: EventType
    """RELAYED, DEFERRED or FAILED."""
    at: datetime
    send_id: str
    copy_id: int
    recipient: str
    recipient_type: str
    reply: str
    upstream: str


Fact = SendAccepted | RecipientTold
