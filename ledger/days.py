"""Opens and clicks of which the day and the sender are kept.

Until their day is over they lie in a table without order; then they become events, in an order
that is chance.
Law: nothing in the record tells of which send such an event was, nor when in its day.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, Connection, bindparam, delete, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import parse_address
from ledger.event import Agent, Attribution, EventType
from ledger.events import event_row, insert_event_rows
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
    """An open or click that keeps no send."""

    event_id: str
    """It says nothing of the time; the same for the same hit."""
    day: datetime
    """Its beginning."""
    type: EventType
    sender: str | None
    classification: Agent
    confidence: float
    reasons: tuple[str, ...]
    rules_version: str


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
                None if one.sender is None else parse_address(one.sender).key,
                one.classification.value,
                one.confidence,
                list(one.reasons),
                one.rules_version,
            )
            for one in found
        ),
    )


async def tell_days(connection: AsyncConnection, today: datetime, limit: int) -> int:
    """Make events of what lies in days before one, at most `limit`; return how many."""
    over = select(day_events).where(day_events.c.day < today)
    # Event ids are as random numbers, and so is this order.
    found = await connection.execute(over.order_by("day", "event_id").limit(limit))
    rows = found.all()
    told = (
        event_row(
            event_id=row.event_id,
            type=row.type,
            at=row.day,
            sender=row.sender,
            sender_key=row.sender_key,
            attribution=Attribution.ANONYMOUS.value,
            tracking_mode=TrackingMode.ANONYMOUS.value,
            classification=row.classification,
            confidence=row.confidence,
            reasons=row.reasons,
            rules_version=row.rules_version,
        )
        for row in rows
    )
    await insert_event_rows(connection, told)
    done = [row.event_id for row in rows]
    await connection.execute(delete(day_events).where(day_events.c.event_id.in_(done)))
    return len(rows)
