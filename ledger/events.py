"""The record of events: added once each, read page by page.

Law: recording the same event again changes nothing.
A page is cut by the number of an event, its place in the order of recording.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, parse_address
from ledger.event import Agent, Attribution, Event, EventType
from ledger.mode import TrackingMode
from ledger.owner import Owner, of_owner_events
from ledger.rows import RowInsert
from ledger.schema import copy_recipients, events
from ledger.webhooks import all_wanting, last_event, owe_deliveries

EventRow = dict[str, object]
"""The columns of an event but its number, in their order."""

_EMPTY: Mapping[str, object] = {
    "candidates": [],
    "reasons": [],
    "first": False,
    "repeats": 0,
    "notice": "none",
    "tags": [],
    "metadata": {},
}
_NOTHING_SAID: EventRow = {
    column.name: _EMPTY.get(column.name) for column in events.c if column.name != "number"
}
_INSERT = RowInsert(events, tuple(_NOTHING_SAID), once=True)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and what it is about, as the ledger keeps it."""

    event: Event
    copy_id: int | None = None
    hit_id: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; what is left out does not narrow."""

    since: datetime | None = None
    """At this instant or later."""
    until: datetime | None = None
    """Before this instant."""
    sender: Address | None = None
    recipient: Address | None = None
    """His own events, and the shared ones of a copy that he got."""
    message_id: str | None = None
    """With or without angle brackets."""
    send_id: str | None = None
    subject: str | None = None
    """A part of it, in upper or lower case."""
    url: str | None = None
    """A part of the link that was clicked, as `subject`."""
    reply: str | None = None
    """A part of what the upstream said, as `subject`."""
    owner: Owner | None = None
    """Of mail that this person sent or signed in to send."""
    types: frozenset[EventType] = frozenset()
    classifications: frozenset[Agent] = frozenset()
    history: bool = False
    """Re-labellings too; without them each event is there once, as it stands now."""


async def insert_events(connection: AsyncConnection, rows: Iterable[RecordedEvent]) -> None:
    """Add events in the order given; one whose `event_id` is known is left as it stands."""
    await insert_event_rows(connection, map(_row_of, rows))


def record_events(connection: Connection, rows: Iterable[RecordedEvent]) -> None:
    """Add events, as insert_events does, within a thread of their store."""
    insert_rows(connection, map(_row_of, rows))


async def insert_event_rows(connection: AsyncConnection, rows: Iterable[EventRow]) -> None:
    """Add events, as insert_events does, whose rows were made by event_row."""
    await connection.run_sync(insert_rows, rows)


def insert_rows(connection: Connection, rows: Iterable[EventRow]) -> None:
    """Add events, as insert_event_rows does, within a thread of their store.

    In the same transaction they are owed to the webhooks.
    """
    wanting = all_wanting(connection)
    last = last_event(connection) if wanting else 0
    # Row by row, so numbers follow this order; an ignored row leaves a gap.
    _INSERT.run(connection, (tuple(row.values()) for row in rows))
    if wanting:
        owe_deliveries(connection, wanting, last)


def event_row(**said: object) -> EventRow:
    """Return the row that says this, and nothing else; `at`, `event_id` and `type` must be said."""
    return {**_NOTHING_SAID, **said}


async def select_events(
    connection: AsyncConnection,
    wanted: EventFilter,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int,
) -> tuple[tuple[int, Event], ...]:
    """Return at most `limit` events, each with its number.

    With `after`, oldest first, from the next higher number on; else newest first, below `before`
    where it is given.  The last number of a page is the cursor of the next one.
    """
    conditions = _conditions(wanted)
    if after is not None:
        conditions.append(events.c.number > after)
    if before is not None:
        conditions.append(events.c.number < before)
    order = events.c.number.desc() if after is None else events.c.number
    statement: Select[Any] = select(events).where(*conditions).order_by(order).limit(limit)
    found = await connection.execute(statement)
    return tuple((row.number, read_event(row)) for row in found)


async def select_accepted(
    connection: AsyncConnection, wanted: EventFilter, *, before: str | None = None, limit: int
) -> tuple[Event, ...]:
    """Return the events of acceptance of at most `limit` sends, the latest send first.

    Those of one send stand together, and are all there where one of them is wanted; `before` is
    the last `send_id` of the page before.
    """
    accepted = replace(wanted, types=frozenset({EventType.ACCEPTED}))
    page = select(events.c.send_id).where(*_conditions(accepted))
    if before is not None:
        page = page.where(events.c.send_id < before)
    latest = page.group_by(events.c.send_id).order_by(events.c.send_id.desc()).limit(limit)
    send_ids = (await connection.scalars(latest)).all()
    statement: Select[Any] = select(events).where(
        events.c.send_id.in_(send_ids), events.c.type == EventType.ACCEPTED.value
    )
    found = await connection.execute(statement.order_by(events.c.send_id.desc(), events.c.number))
    return tuple(map(read_event, found))


async def last_number(connection: AsyncConnection) -> int:
    """Return the highest number given so far, 0 where there is no event."""
    return (await connection.scalar(select(func.max(events.c.number)))) or 0


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(events.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(events.c.at < wanted.until)
    if wanted.sender is not None:
        conditions.append(events.c.sender_key == wanted.sender.key)
    if wanted.recipient is not None:
        conditions.append(_concerns(wanted.recipient.key))
    if wanted.message_id is not None:
        conditions.append(events.c.message_id == wanted.message_id.strip().strip("<>"))
    if wanted.send_id is not None:
        conditions.append(events.c.send_id == wanted.send_id)
    conditions.extend(parts_of(wanted))
    if wanted.owner is not None:
        conditions.append(of_owner_events(wanted.owner))
    if wanted.types:
        conditions.append(events.c.type.in_(sorted(wanted.types)))
    if not wanted.history and EventType.RECLASSIFIED not in wanted.types:
        conditions.append(events.c.type != EventType.RECLASSIFIED.value)
    if wanted.classifications:
        conditions.append(events.c.classification.in_(sorted(wanted.classifications)))
    return conditions


def parts_of(wanted: EventFilter) -> Iterator[ColumnElement[bool]]:
    """Give the conditions of texts of which a part is asked for."""
    for column, part in (
        (events.c.subject, wanted.subject),
        (events.c.url, wanted.url),
        (events.c.reply, wanted.reply),
    ):
        if part is not None:
            # SQLite's LIKE takes no notice of case; lower() on both sides takes twice the time.
            yield column.contains(part, autoescape=True)


def _concerns(recipient_key: str) -> ColumnElement[bool]:
    got = select(copy_recipients.c.copy_id).where(copy_recipients.c.recipient_key == recipient_key)
    shared = and_(events.c.attribution == Attribution.SHARED.value, events.c.copy_id.in_(got))
    return or_(events.c.recipient_key == recipient_key, shared)


def _row_of(recorded: RecordedEvent) -> EventRow:
    event = recorded.event
    return event_row(
        event_id=event.event_id,
        type=event.type.value,
        at=event.timestamp,
        send_id=event.send_id,
        copy_id=recorded.copy_id,
        hit_id=recorded.hit_id,
        message_id=event.message_id,
        sender=event.sender,
        sender_key=_key(event.sender),
        subject=event.subject,
        recipient=event.recipient,
        recipient_key=_key(event.recipient),
        recipient_type=event.recipient_type,
        attribution=event.attribution,
        candidates=list(event.candidates),
        tracking_mode=event.tracking_mode,
        url=event.url,
        link_id=event.link_id,
        link_text=event.link_text,
        classification=event.classification,
        confidence=event.confidence,
        reasons=list(event.reasons),
        rules_version=event.rules_version,
        first=event.first,
        repeats=event.repeats,
        notice=event.notice,
        inferred_from=event.inferred_from,
        relabels=event.relabels,
        label_before=event.label_before,
        user_agent=event.user_agent,
        ip_address=event.ip_address,
        reply=event.reply,
        upstream=event.upstream,
        tags=list(event.tags),
        metadata=dict(event.metadata),
    )


def read_event(row: Row[Any]) -> Event:
    """Return the event of a row with all columns of `events`."""
    return Event(
        event_id=row.event_id,
        type=EventType(row.type),
        timestamp=row.at,
        send_id=row.send_id,
        message_id=row.message_id,
        sender=row.sender,
        subject=row.subject,
        recipient=row.recipient,
        recipient_type=row.recipient_type,
        attribution=None if row.attribution is None else Attribution(row.attribution),
        candidates=tuple(row.candidates),
        tracking_mode=None if row.tracking_mode is None else TrackingMode(row.tracking_mode),
        url=row.url,
        link_id=row.link_id,
        link_text=row.link_text,
        classification=None if row.classification is None else Agent(row.classification),
        confidence=row.confidence,
        reasons=tuple(row.reasons),
        rules_version=row.rules_version,
        first=row.first,
        repeats=row.repeats,
        notice=row.notice,
        inferred_from=row.inferred_from,
        relabels=row.relabels,
        label_before=None if row.label_before is None else Agent(row.label_before),
        user_agent=row.user_agent,
        ip_address=row.ip_address,
        reply=row.reply,
        upstream=row.upstream,
        tags=tuple(row.tags),
        metadata=dict(row.metadata),
    )


def _key(address: str | None) -> str | None:
    return None if address is None else parse_address(address).key
