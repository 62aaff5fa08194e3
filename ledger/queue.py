"""The queue as people see it: copies that are not settled."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import AddressError, matches_pattern, parse_address
from ledger.engine import Store
from ledger.event import format_instant
from ledger.fate import Fate
from ledger.schema import spooled_copies, spooled_recipients, spooled_sends

NULL_SENDER = "<>"
"""As a pattern of senders: the reports."""

_PAGE = 500
"""Copies read at once: some 10 ms, after which others may write and truncate the log."""


class Waiting(StrEnum):
    """Why a copy is in the queue."""

    NEW = "new"
    """It was not tried yet."""
    DEFERRED = "deferred"
    """It was put off, and is tried again."""
    UNDER_WAY = "under_way"
    """It is being tried."""
    HELD = "held"
    """An admin holds it."""
    DROPPED = "dropped"
    """An admin has given it up while it was tried, or the relay is still to tell the sender."""
    DEAD = "dead"
    """A dead letter: it failed and has no sender to tell."""


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient of a copy, and how far it got for him."""

    recipient: str
    recipient_type: str
    state: str
    """pending, delivered or failed."""
    reply: str | None
    """The last one for him."""


@dataclass(frozen=True, slots=True)
class QueuedCopy:
    """A copy that waits or is being delivered, as the queue's pages show it."""

    copy_id: int
    send_id: str
    received_at: datetime
    sender: str | None
    subject: str | None
    message_id: str | None
    mode: str
    attempts: int
    tried_at: datetime | None
    upstream: str | None
    """Who was tried last."""
    due_at: datetime
    held: bool
    fate: str | None
    leased_until: datetime | None
    recipients: tuple[QueuedRecipient, ...]

    @property
    def leased(self) -> bool:
        """Whether a relay has claimed it."""
        return self.leased_until is not None

    def is_under_way(self, now: datetime) -> bool:
        """Tell whether a relay is trying it; a lease that has ended is nobody's."""
        return self.leased_until is not None and self.leased_until > now

    def why(self, now: datetime) -> Waiting:
        """Return why it waits."""
        if self.fate == Fate.DEAD and self.held:
            return Waiting.DEAD
        if self.fate in (Fate.SILENT, Fate.BOUNCE):
            return Waiting.DROPPED
        if self.is_under_way(now):
            return Waiting.UNDER_WAY
        if self.held:
            return Waiting.HELD
        return Waiting.DEFERRED if self.attempts else Waiting.NEW

    @property
    def pending(self) -> tuple[QueuedRecipient, ...]:
        """Who is still to get it; of a dead letter, whom it failed for."""
        waiting = tuple(one for one in self.recipients if one.state == "pending")
        return waiting or tuple(one for one in self.recipients if one.state == "failed")

    @property
    def reply(self) -> str | None:
        """The last reply for somebody who still waits."""
        return next((one.reply for one in self.pending if one.reply is not None), None)


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which copies are meant; what is left out does not matter."""

    copy_ids: tuple[int, ...] = ()
    send_ids: tuple[str, ...] = ()
    """With copy_ids: those of either."""
    received_before: datetime | None = None
    recipient: str | None = None
    """A pattern that somebody who waits matches: shell-like, or a bare domain."""
    sender: str | None = None
    """A pattern, or NULL_SENDER."""
    reply: str | None = None
    """Part of a last reply, in whatever case."""
    upstream: str | None = None
    waiting: frozenset[Waiting] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether every copy is meant."""
        return self == QueueFilter()

    def matches(self, copy: QueuedCopy, now: datetime) -> bool:
        """Tell whether a copy is meant, as far as its row alone does not tell."""
        return (
            (not self.waiting or copy.why(now) in self.waiting)
            and (self.sender is None or _is_from(self.sender, copy.sender))
            and (self.recipient is None or _waits_for(self.recipient, copy))
            and (self.reply is None or _was_told(self.reply.lower(), copy))
        )


Place = tuple[bool, datetime, int]
"""Where a page of the queue ends: held, due_at and copy_id of its last copy."""


def place_of(copy: QueuedCopy) -> Place:
    """Return where in the queue a copy stands: held ones last, else in the order they are due."""
    return copy.held, copy.due_at, copy.copy_id


async def list_queue(
    connection: AsyncConnection,
    limit: int,
    wanted: QueueFilter = QueueFilter(),
    after: Place | None = None,
) -> tuple[QueuedCopy, ...]:
    """Return copies that are not settled, from a place on, with all their recipients.

    Of `wanted` only what their rows tell is heeded; the rest is for QueueFilter.matches.
    """
    copies = spooled_copies.c
    place = (copies.held, copies.due_at, copies.copy_id)
    statement = _copies(wanted).order_by(*place).limit(limit)
    if after is not None:
        held, due_at, copy_id = after
        statement = statement.where(
            tuple_(*place)
            > tuple_(
                literal(held, copies.held.type),
                literal(due_at, copies.due_at.type),
                literal(copy_id, copies.copy_id.type),
            )
        )
    return await _read(connection, statement)


async def list_by_id(
    connection: AsyncConnection, limit: int, wanted: QueueFilter, after: int
) -> tuple[QueuedCopy, ...]:
    """Return copies as list_queue does, by copy_id: an order that no action changes."""
    copy_id = spooled_copies.c.copy_id
    statement = _copies(wanted).where(copy_id > after).order_by(copy_id).limit(limit)
    return await _read(connection, statement)


async def find_queued(
    spool: Store, wanted: QueueFilter, now: datetime, after: Place | None = None
) -> AsyncIterator[QueuedCopy]:
    """Give the copies that are meant, in the queue's order from a place on, in short reads."""
    while True:
        async with spool.read() as connection:
            page = await list_queue(connection, _PAGE, wanted, after)
        for copy in page:
            if wanted.matches(copy, now):
                yield copy
        if len(page) < _PAGE:
            return
        after = place_of(page[-1])


def copy_object(copy: QueuedCopy, now: datetime) -> dict[str, object]:
    """Return a copy as a JSON object; copy_id is a string, for it is over 2**53 (RFC 8259 6)."""
    return {
        "copy_id": str(copy.copy_id),
        "send_id": copy.send_id,
        "waiting": copy.why(now).value,
        "received_at": format_instant(copy.received_at),
        "sender": copy.sender,
        "subject": copy.subject,
        "message_id": copy.message_id,
        "mode": copy.mode,
        "attempts": copy.attempts,
        "tried_at": None if copy.tried_at is None else format_instant(copy.tried_at),
        "due_at": None if copy.held else format_instant(copy.due_at),
        "upstream": copy.upstream,
        "reply": copy.reply,
        "recipients": [
            {
                "recipient": one.recipient,
                "recipient_type": one.recipient_type,
                "state": one.state,
                "reply": one.reply,
            }
            for one in copy.recipients
        ],
    }


def _copies(wanted: QueueFilter) -> Select[Any]:
    copies, sends = spooled_copies.c, spooled_sends.c
    statement = select(
        copies.copy_id,
        copies.send_id,
        sends.received_at,
        sends.sender,
        sends.subject,
        sends.message_id,
        copies.mode,
        copies.attempts,
        copies.tried_at,
        copies.upstream,
        copies.due_at,
        copies.held,
        copies.fate,
        copies.leased_until,
    ).join(spooled_sends)
    return statement.where(*_told_by_rows(wanted))


def _told_by_rows(wanted: QueueFilter) -> list[ColumnElement[bool]]:
    copies = spooled_copies.c
    told: list[ColumnElement[bool]] = []
    if wanted.copy_ids or wanted.send_ids:
        told.append(copies.copy_id.in_(wanted.copy_ids) | copies.send_id.in_(wanted.send_ids))
    if wanted.received_before is not None:
        told.append(spooled_sends.c.received_at <= wanted.received_before)
    if wanted.upstream is not None:
        told.append(copies.upstream == wanted.upstream)
    return told


async def _read(connection: AsyncConnection, statement: Select[Any]) -> tuple[QueuedCopy, ...]:
    queued = list((await connection.execute(statement)).mappings())
    told = await _told_recipients(connection, [row["copy_id"] for row in queued])
    return tuple(QueuedCopy(**row, recipients=told[row["copy_id"]]) for row in queued)


async def _told_recipients(
    connection: AsyncConnection, copy_ids: Sequence[int]
) -> dict[int, tuple[QueuedRecipient, ...]]:
    table = spooled_recipients.c
    rows = await connection.execute(
        select(table.copy_id, table.recipient, table.recipient_type, table.state, table.reply)
        .where(table.copy_id.in_(copy_ids))
        .order_by(table.copy_id, table.number)
    )
    return {
        copy_id: tuple(QueuedRecipient(*row[1:]) for row in some)
        for copy_id, some in groupby(rows, lambda row: row[0])
    }


def _is_from(pattern: str, sender: str | None) -> bool:
    if sender is None:
        return pattern == NULL_SENDER
    return pattern != NULL_SENDER and _matches(pattern, sender)


def _waits_for(pattern: str, copy: QueuedCopy) -> bool:
    return any(_matches(pattern, one.recipient) for one in copy.pending)


def _was_told(text: str, copy: QueuedCopy) -> bool:
    return any(text in (one.reply or "").lower() for one in copy.pending)


def _matches(pattern: str, address: str) -> bool:
    try:
        return matches_pattern(pattern, parse_address(address))
    except AddressError:  # pragma: no cover - what is in the spool was parsed when it came
        return False
