"""New mail that goes straight out: stored under a lease that is ours.

A copy for which there is room is written as claimed by this process, which carries it as soon as
it is durable.  Nobody reads it back, and were the process to end, the lease does too.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from relay.mail import Copy
from relay.promise import Claim, Stored
from relay.retry import Tries


class Carrier(Protocol):
    """Who carries copies out."""

    def leased_until(self) -> datetime | None:
        """Return the end of a lease that begins now; None where nothing may be leased."""

    def lane_of(self, claim: Claim) -> str:
        """Return in which lane a copy waits when there is no room."""

    def reserve(self, claim: Claim) -> bool:
        """Return whether there is room for a copy, which is then kept for it."""

    def carry(self, claim: Claim) -> None:
        """Carry a copy, which is durable now and for which there is room."""

    def release(self, claim: Claim) -> None:
        """Give the room of a copy to others, for it was not stored."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a new copy goes."""

    lane: str = ""
    claim: Claim | None = None
    """None: it is to be claimed as others are."""
    until: datetime | None = None


def place_copies(stored: Stored, carrier: Carrier, lease: str | None) -> dict[int, Placed]:
    """Return where each copy of a send goes, by copy_id.

    Those for which room is kept have a claim; the others wait, and without a `lease` all do.
    """
    until = None if lease is None else carrier.leased_until()
    placed: dict[int, Placed] = {}
    for copy in stored.copies:
        claim = first_claim(stored, copy, lease or "")
        lane = carrier.lane_of(claim)
        taken = until is not None and carrier.reserve(claim)
        placed[copy.copy_id] = Placed(lane, claim, until) if taken else Placed(lane)
    return placed


def first_claim(stored: Stored, copy: Copy, lease: str) -> Claim:
    """Return what claiming a copy would give, had it been stored and nobody had tried it."""
    submission, envelope = stored.submission, stored.submission.envelope
    return Claim(
        copy=copy,
        lease=lease,
        sender=envelope.sender,
        template=stored.template,
        tries=Tries(),
        received_at=submission.received_at,
        message_id=stored.fact.message_id,
        subject=stored.fact.subject,
        account=submission.account,
        smtputf8=envelope.smtputf8,
        body_8bit=envelope.body_8bit,
        delay_noticed=False,
        sealed=stored.sealed,
    )
