"""Withdrawals by recipients on their own page, and their undoing.

Law: an undoing touches nothing but what this page has recorded and holds still, and grants nothing.
Each function is one step inside the caller's transaction.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import Enum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, parse_address
from ledger.audit import RECIPIENT, Author, SubjectKind, record_audit
from ledger.consent import Consent, Method, Subject, subject_of
from ledger.consents import ConsentTold, consents_of, tell_consent
from ledger.days import DayEvent, insert_day_events
from ledger.event import EventType
from ledger.mode import TrackingMode
from ledger.schema import consent_changes, consents, copies, copy_recipients, sends


class Withdrawn(Enum):
    """What came of withdrawing tracking of a copy."""

    UNKNOWN = "unknown"
    """The copy is not on record."""
    SOMEONE = "someone"
    """Several people have it, and who of them asked is not known."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CopyParty:
    """Whose a copy is."""

    mode: TrackingMode
    sender: str | None
    accepted_at: datetime
    base_url: str
    """Where its links lead; empty where it has none."""
    recipients: tuple[Address, ...]

    @property
    def one(self) -> Address | None:
        """The only recipient; None where a link of it can not name a person."""
        if self.mode is TrackingMode.ANONYMOUS or len(self.recipients) != 1:
            return None
        return self.recipients[0]


@dataclass(frozen=True, slots=True)
class PageWithdrawal:
    """A withdrawal by the page that holds."""

    subject: Subject
    number: int
    at: datetime


async def find_party(connection: AsyncConnection, copy_id: int) -> CopyParty | None:
    """Return whose a copy is; None where it is not on record."""
    statement = (
        select(copies.c.mode, sends.c.sender, sends.c.accepted_at, sends.c.base_url)
        .join(sends, sends.c.send_id == copies.c.send_id)
        .where(copies.c.copy_id == copy_id)
    )
    head = (await connection.execute(statement)).one_or_none()
    if head is None:
        return None
    recipients = await connection.scalars(
        select(copy_recipients.c.recipient)
        .where(copy_recipients.c.copy_id == copy_id)
        .order_by(copy_recipients.c.number)
    )
    return CopyParty(
        TrackingMode(head.mode),
        head.sender,
        head.accepted_at,
        head.base_url,
        tuple(map(parse_address, recipients)),
    )


async def withdraw_copy(
    connection: AsyncConnection, copy_id: int, told: ConsentTold, author: Author
) -> Withdrawn:
    """Record the denial of a copy's only recipient, and tell its sender."""
    party = await find_party(connection, copy_id)
    if party is None:
        return Withdrawn.UNKNOWN
    if party.one is None:
        return Withdrawn.SOMEONE
    if await deny_address(connection, party.one, told, author):
        await connection.run_sync(insert_day_events, [_withdrawn(party, told.at)])
    return Withdrawn.DONE


async def deny_address(
    connection: AsyncConnection, address: Address, told: ConsentTold, author: Author
) -> bool:
    """Return True when a denial is recorded, False where one holds already.

    Also the denial of who is forgotten holds, which is kept under a digest.
    """
    consents = await consents_of(connection, [address], author.pseudonym_key)
    if consents.of(address) is Consent.DENIED:
        return False
    await tell_consent(connection, subject_of(address), told)
    entry = author.entry("tracking.withdrawn", SubjectKind.RECIPIENT, address.key)
    await record_audit(connection, entry)
    return True


async def page_withdrawals(
    connection: AsyncConnection, address: Address
) -> tuple[PageWithdrawal, ...]:
    """Return what this page has recorded for an address, or a `+detail` of it, and holds still."""
    table, change = consents.c, consent_changes.c
    statement = (
        select(table.subject, table.denial_key, table.shown, change.number, change.at)
        .join(consent_changes, change.number == table.number)
        .where(
            table.denial_key == address.key_without_detail,
            change.state == Consent.DENIED.value,
            change.method == Method.FORM.value,
            change.actor == RECIPIENT,
        )
        .order_by(change.number)
    )
    return tuple(
        PageWithdrawal(Subject(row.subject, row.denial_key, row.shown), row.number, row.at)
        for row in await connection.execute(statement)
    )


async def undo_withdrawals(
    connection: AsyncConnection, address: Address, up_to: int, told: ConsentTold, author: Author
) -> bool:
    """Return whether something was undone: withdrawals by this page up to that change.

    `told` says how; its state is unknown.
    """
    undone = [one for one in await page_withdrawals(connection, address) if one.number <= up_to]
    for one in undone:
        # Without the key of digests: a denial kept under one is not of this page any more.
        await tell_consent(connection, one.subject, replace(told, state=Consent.UNKNOWN))
    if undone:
        entry = author.entry("tracking.restored", SubjectKind.RECIPIENT, address.key)
        await record_audit(connection, entry)
    return bool(undone)


def _withdrawn(party: CopyParty, at: datetime) -> DayEvent:
    """Return what the sender is told when the day is over.

    Sender, recipient and day, nothing of the send: that he had this mail before him just then is
    what he does not want to be told any more.
    """
    return DayEvent(
        event_id=secrets.token_hex(13),  # an ident would tell the millisecond
        day=datetime.combine(at.date(), time(), at.tzinfo),
        type=EventType.WITHDRAWN,
        sender=party.sender,
        classification=None,
        confidence=None,
        reasons=("by_recipient",),
        rules_version=None,
        recipient=str(party.one),
    )
