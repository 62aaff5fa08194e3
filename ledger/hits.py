"""The record of hits: added at once, judged when their send is known.

Law: recording the same hit again changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import EventType
from ledger.mode import TrackingMode
from ledger.schema import (
    copies,
    copy_recipients,
    events,
    hits,
    links,
    sends,
    spilled_hits,
    spilled_wishes,
)
from ledger.story import PastEvent, RecordedHit, SpilledHit, StoredLink, Story
from ledger.token import HitKind

HISTORY_BEFORE = timedelta(seconds=120)
HISTORY_AFTER = timedelta(seconds=10)
_MAX_HISTORY = 2_000
"""Of a batch: more hits of its copies within two minutes are a flood, and its latest say enough."""

_MAX_COPY_ID = (1 << 63) - 1


_INSERT = insert(hits).on_conflict_do_nothing(index_elements=["hit_id"])
_SPILL = insert(spilled_hits).on_conflict_do_nothing(index_elements=["hit_id"])
_SPILLED = (
    select(spilled_hits)
    .where(spilled_hits.c.hit_id < bindparam("before"))
    .order_by(spilled_hits.c.hit_id.desc())
    .limit(bindparam("most"))
)
_DELETE_SPILLED = delete(spilled_hits).where(
    spilled_hits.c.hit_id.in_(bindparam("ids", expanding=True))
)
LATEST = "\x7f"
"""Comes after every hit_id."""


def insert_hits(connection: Connection, found: Iterable[RecordedHit]) -> None:
    """Add hits that wait to be judged; one whose `hit_id` is known is left as it stands."""
    if rows := [_row_of(hit) | {"waiting": True} for hit in found]:
        connection.execute(_INSERT, rows)


def spill_hits(connection: Connection, found: Iterable[SpilledHit]) -> None:
    """Add hits to the spill."""
    if rows := [_spilled_row(hit) for hit in found]:
        connection.execute(_SPILL, rows)


def select_spilled(
    connection: Connection, limit: int, before: str = LATEST
) -> tuple[SpilledHit, ...]:
    """Return hits of the spill, latest first; `before` is the hit_id that a page ended with."""
    rows = connection.execute(_SPILLED, {"before": before, "most": limit})
    return tuple(
        SpilledHit(
            row.hit_id, row.at, HitKind(row.kind), row.copy_id, row.slot, row.html, row.sealed
        )
        for row in rows
    )


def delete_spilled(connection: Connection, hit_ids: Sequence[str]) -> None:
    """Remove hits from the spill: they are recorded, or may not be."""
    connection.execute(_DELETE_SPILLED, {"ids": hit_ids})


def delete_spilled_of(connection: Connection, copy_ids: Sequence[int]) -> int:
    """Remove the hits of copies from the spill, and what is wished about them."""
    gone = 0
    for table in (spilled_hits, spilled_wishes):
        gone += connection.execute(delete(table).where(table.c.copy_id.in_(copy_ids))).rowcount
    return gone


async def link_of(connection: AsyncConnection, copy_id: int, slot: int) -> StoredLink | None:
    """Return the stored link of a copy's slot, None where none is known."""
    if copy_id > _MAX_COPY_ID:  # no copy has such a number, and no database such a column
        return None
    statement = (
        select(links.c.url, links.c.text)
        .join(copies, copies.c.send_id == links.c.send_id)
        .where(copies.c.copy_id == copy_id, links.c.slot == slot)
    )
    row = (await connection.execute(statement)).first()
    return None if row is None else StoredLink(row.url, row.text)


async def select_waiting(connection: AsyncConnection, limit: int) -> tuple[RecordedHit, ...]:
    """Return hits not judged yet whose send is known, oldest first."""
    statement = (
        select(hits)
        .where(hits.c.waiting, hits.c.copy_id.in_(select(copies.c.copy_id)))
        .order_by(hits.c.at, hits.c.hit_id)
        .limit(limit)
    )
    return tuple(read_hit(row) for row in await connection.execute(statement))


async def select_stories(
    connection: AsyncConnection, waiting: Sequence[RecordedHit]
) -> Mapping[int, Story]:
    """Return what is known of the copies of some hits, by copy."""
    copy_ids = sorted({hit.copy_id for hit in waiting})
    since = min(hit.at for hit in waiting) - HISTORY_BEFORE
    until = max(hit.at for hit in waiting) + HISTORY_AFTER
    heads = await _heads(connection, copy_ids)
    slots = sorted({hit.slot for hit in waiting if hit.kind is HitKind.CLICK})
    recipients = await _recipients(connection, copy_ids)
    stored = await _links(connection, sorted({head.send_id for head in heads}), slots)
    history = await _history(connection, copy_ids, since, until)
    past = await _past_events(connection, copy_ids, since)
    return {
        head.copy_id: Story(
            copy_id=head.copy_id,
            mode=TrackingMode(head.mode),
            send_id=head.send_id,
            message_id=head.message_id,
            sender=head.sender,
            subject=head.subject,
            tags=tuple(head.tags),
            metadata=head.metadata,
            recipients=tuple(recipients.get(head.copy_id, ())),
            links=stored.get(head.send_id, {}),
            history=tuple(history.get(head.copy_id, ())),
            events=tuple(past.get(head.copy_id, ())),
        )
        for head in heads
    }


async def settle_hits(connection: AsyncConnection, hit_ids: Sequence[str]) -> None:
    """Note that hits are judged."""
    await connection.execute(update(hits).where(hits.c.hit_id.in_(hit_ids)).values(waiting=False))


async def add_repeats(connection: AsyncConnection, repeats: Mapping[str, int]) -> None:
    """Add further requests of the same view to events, by `event_id`."""
    for event_id, count in repeats.items():
        statement = update(events).where(events.c.event_id == event_id)
        await connection.execute(statement.values(repeats=events.c.repeats + count))


async def _heads(connection: AsyncConnection, copy_ids: Sequence[int]) -> Sequence[Row[Any]]:
    statement: Select[Any] = (
        select(
            copies.c.copy_id,
            copies.c.mode,
            sends.c.send_id,
            sends.c.message_id,
            sends.c.sender,
            sends.c.subject,
            sends.c.tags,
            sends.c.metadata,
        )
        .join(sends, sends.c.send_id == copies.c.send_id)
        .where(copies.c.copy_id.in_(copy_ids))
    )
    rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
    return rows


async def _recipients(
    connection: AsyncConnection, copy_ids: Sequence[int]
) -> Mapping[int, list[tuple[str, str]]]:
    statement = (
        select(copy_recipients)
        .where(copy_recipients.c.copy_id.in_(copy_ids))
        .order_by(copy_recipients.c.copy_id, copy_recipients.c.number)
    )
    found: dict[int, list[tuple[str, str]]] = {}
    for row in await connection.execute(statement):
        found.setdefault(row.copy_id, []).append((row.recipient, row.recipient_type))
    return found


async def _links(
    connection: AsyncConnection, send_ids: Sequence[str], slots: Sequence[int]
) -> Mapping[str, dict[int, StoredLink]]:
    if not slots:
        return {}
    statement = select(links).where(links.c.send_id.in_(send_ids), links.c.slot.in_(slots))
    found: dict[str, dict[int, StoredLink]] = {}
    for row in await connection.execute(statement):
        found.setdefault(row.send_id, {})[row.slot] = StoredLink(row.url, row.text)
    return found


async def _history(
    connection: AsyncConnection, copy_ids: Sequence[int], since: datetime, until: datetime
) -> Mapping[int, list[RecordedHit]]:
    statement = (
        select(hits)
        .where(hits.c.copy_id.in_(copy_ids), hits.c.at >= since, hits.c.at <= until)
        .order_by(hits.c.at.desc(), hits.c.hit_id.desc())
        .limit(_MAX_HISTORY)
    )
    found: dict[int, list[RecordedHit]] = {}
    for row in reversed((await connection.execute(statement)).all()):
        found.setdefault(row.copy_id, []).append(read_hit(row))
    return found


async def _past_events(
    connection: AsyncConnection, copy_ids: Sequence[int], since: datetime
) -> Mapping[int, list[PastEvent]]:
    kinds = (EventType.OPENED.value, EventType.CLICKED.value)
    statement = (
        select(
            events.c.copy_id,
            events.c.event_id,
            events.c.type,
            events.c.at,
            events.c.hit_id,
            events.c.first,
        )
        .where(
            events.c.copy_id.in_(copy_ids),
            events.c.type.in_(kinds),
            or_(events.c.at >= since, events.c.first),
        )
        .order_by(events.c.number)
    )
    found: dict[int, list[PastEvent]] = {}
    for row in await connection.execute(statement):
        past = PastEvent(row.event_id, EventType(row.type), row.at, row.hit_id, row.first)
        found.setdefault(row.copy_id, []).append(past)
    return found


def _spilled_row(hit: SpilledHit) -> dict[str, Any]:
    return {
        "hit_id": hit.hit_id,
        "at": hit.at,
        "kind": hit.kind.value,
        "copy_id": hit.copy_id,
        "slot": hit.slot,
        "html": hit.html,
        "sealed": hit.sealed,
    }


def _row_of(hit: RecordedHit) -> dict[str, Any]:
    return {
        "hit_id": hit.hit_id,
        "at": hit.at,
        "kind": hit.kind.value,
        "copy_id": hit.copy_id,
        "slot": hit.slot,
        "html": hit.html,
        "url": hit.url,
        "features": dict(hit.features),
    }


def read_hit(row: Row[Any]) -> RecordedHit:
    """Return the hit of a row with all columns of `hits`."""
    return RecordedHit(
        hit_id=row.hit_id,
        at=row.at,
        kind=HitKind(row.kind),
        copy_id=row.copy_id,
        slot=row.slot,
        html=row.html,
        url=row.url,
        features=row.features,
    )
