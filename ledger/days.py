"""Events of which the day and the sender are kept, and no send.

They are opens and clicks of which it may not be told whose they are, and withdrawals by recipients
on their own page, for nobody opens that page but with the mail before him.
Until their day is over they lie in a table without order; then they become events, in an order
that is chance.
Law: nothing in the record tells of which send such an event was, nor when in its day.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import address_key
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import EventRow, event_row, insert_event_rows
from ledger.mode import TrackingMode
from ledger.rows import RowInsert
from ledger.schema import copies, day_events, events, sends

_COPIES: BindParameter[int] = bindparam("copies", expanding=True)
_SENDERS = (
    select(copies.c.copy_id, sends.c.sender)
    .join(sends, sends.c.send_id == copies.c.send_id)
    .where(copies.c.copy_id.in_(_COPIES))
)
_RELAYED = (
    select(events.c.copy_id, func.count(distinct(events.c.recipient_key)).label("people"))
    .where(events.c.copy_id.in_(_COPIES), events.c.type == EventType.RELAYED.value)
    .group_by(events.c.copy_id)
)
_INSERT = RowInsert(day_events, tuple(day_events.c.keys()), once=True)


@dataclass(frozen=True, slots=True)
class DayEvent:
    """An event that keeps no send."""

    event_id: str
    """It says nothing of the time; random, but the same for the same hit."""
    day: datetime
    """Its beginning."""
    type: EventType
    sender: str | None
    classification: Agent | None
    """Of a withdrawal None, as confidence and version of the rules."""
    confidence: float | None
    reasons: tuple[str, ...]
    rules_version: str | None
    recipient: str | None = None
    """Of a withdrawal; of an open or click nobody knows whose it is."""


def senders_of(connection: Connection, copy_ids: Collection[int]) -> Mapping[int, str | None]:
    """Return who sent each copy; one that is not on record is missing."""
    rows = connection.execute(_SENDERS, {"copies": list(copy_ids)})
    return {row.copy_id: row.sender for row in rows}


def count_relayed(connection: Connection, copy_ids: Collection[int]) -> Mapping[int, int]:
    """Return how many people got each copy, as far as it is known; of none it is missing."""
    rows = connection.execute(_RELAYED, {"copies": list(copy_ids)})
    return {row.copy_id: row.people for row in rows}


def insert_day_events(connection: Connection, found: Iterable[DayEvent]) -> None:
    """Add events to their day; one that is there is left as it stands."""
    _INSERT.run(
        connection,
        (
            (
                one.event_id,
                one.day,
                one.type.value,
                one.sender,
                None if one.sender is None else address_key(one.sender),
                one.recipient,
                None if one.recipient is None else address_key(one.recipient),
                None if one.classification is None else one.classification.value,
                one.confidence,
                one.rules_version,
                list(one.reasons),
            )
            for one in found
        ),
    )


async def days_about(connection: AsyncConnection, key: str) -> tuple[Event, ...]:
    """Return the events with an address as recipient whose day is not over."""
    his = select(day_events).where(day_events.c.recipient_key == key).order_by("day", "event_id")
    return tuple(
        Event(
            event_id=row.event_id,
            type=EventType(row.type),
            timestamp=row.day,
            sender=row.sender,
            recipient=row.recipient,
            reasons=tuple(row.reasons),
        )
        for row in await connection.execute(his)
    )


async def tell_days(connection: AsyncConnection, today: datetime, limit: int) -> int:
    """Make events of what lies in days before one, at most `limit`; return how many."""
    over = select(day_events).where(day_events.c.day < today)
    # Event ids are as random numbers, and so is this order.
    found = await connection.execute(over.order_by("day", "event_id").limit(limit))
    rows = found.all()
    await insert_event_rows(connection, map(_told, rows))
    done = [row.event_id for row in rows]
    await connection.execute(delete(day_events).where(day_events.c.event_id.in_(done)))
    return len(rows)


def _told(row: Row[Any]) -> EventRow:
    names_somebody = row.recipient is not None
    return event_row(
        event_id=row.event_id,
        type=row.type,
        at=row.day,
        sender=row.sender,
        sender_key=row.sender_key,
        recipient=row.recipient,
        recipient_key=row.recipient_key,
        attribution=None if names_somebody else Attribution.ANONYMOUS.value,
        tracking_mode=None if names_somebody else TrackingMode.ANONYMOUS.value,
        classification=row.classification,
        confidence=row.confidence,
        reasons=row.reasons,
        rules_version=row.rules_version,
    )
