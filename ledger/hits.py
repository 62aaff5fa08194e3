"""The record of hits: added at once, judged when their send is known.

Law: recording the same hit again changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import Agent, EventType
from ledger.mode import TrackingMode
from ledger.rows import RowInsert
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

_MAX_BESIDE = 50
"""Other copies looked at with a batch: as many as are single by default (`tracking.max_copies`)."""

_MAX_COPY_ID = (1 << 63) - 1


_INSERT = RowInsert(hits, tuple(column.name for column in hits.c), once=True)
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
    _INSERT.run(connection, map(_row_of, found))


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
    """Return what is known of the copies of some hits, by copy.

    With them those copies of the same sends that were asked for from the same networks within
    seconds: the hits show their events in another light.
    """
    copy_ids = sorted({hit.copy_id for hit in waiting})
    since = min(hit.at for hit in waiting) - HISTORY_BEFORE
    until = max(hit.at for hit in waiting) + HISTORY_AFTER
    heads = list(await _heads(connection, copy_ids))
    nearby = await _nearby(connection, sorted({head.send_id for head in heads}), since, until)
    if beside := sorted(_beside(waiting, nearby) - set(copy_ids))[:_MAX_BESIDE]:
        copy_ids = [*copy_ids, *beside]
        heads.extend(await _heads(connection, beside))
    slots = sorted({hit.slot for hit in waiting if hit.kind is HitKind.CLICK})
    recipients = await _recipients(connection, copy_ids)
    stored = await _links(connection, sorted({head.send_id for head in heads}), slots)
    history = await _history(connection, copy_ids, since, until)
    past = await _past_events(connection, copy_ids, since)
    clicked = {hit.copy_id for hit in waiting if hit.kind is HitKind.CLICK}
    asked = sorted({head.send_id for head in heads if head.copy_id in clicked})
    inferring = await _inferring(connection, asked)
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
            relayed_at=head.relayed_at,
            infers_opens=any(
                (head.send_id, recipient) in inferring
                for recipient, _ in recipients.get(head.copy_id, ())
            ),
            nearby=tuple(one for one in nearby.get(head.send_id, ()) if one[0] != head.copy_id),
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
            copies.c.relayed_at,
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


def _beside(
    waiting: Sequence[RecordedHit], nearby: Mapping[str, Sequence[tuple[int, datetime, str]]]
) -> set[int]:
    came = [(hit.at, hit.features.get("network")) for hit in waiting]
    return {
        copy_id
        for found in nearby.values()
        for copy_id, at, network in found
        if any(network == one and abs(at - when) <= HISTORY_AFTER for when, one in came)
    }


async def _nearby(
    connection: AsyncConnection, send_ids: Sequence[str], since: datetime, until: datetime
) -> Mapping[str, list[tuple[int, datetime, str]]]:
    """Return what came for the copies of sends; ix_copies_send and ix_hits_copy serve."""
    network = hits.c.features["network"].as_string()
    statement = (
        select(copies.c.send_id, hits.c.copy_id, hits.c.at, network.label("network"))
        .join(hits, hits.c.copy_id == copies.c.copy_id)
        .where(copies.c.send_id.in_(send_ids), hits.c.at >= since, hits.c.at <= until)
        .order_by(hits.c.at.desc())
        .limit(_MAX_HISTORY)
    )
    found: dict[str, list[tuple[int, datetime, str]]] = {}
    for row in await connection.execute(statement):
        if row.network:
            found.setdefault(row.send_id, []).append((row.copy_id, row.at, row.network))
    return found


async def _inferring(
    connection: AsyncConnection, send_ids: Sequence[str]
) -> frozenset[tuple[str, str]]:
    """Return of whom a click may tell an open, by send.

    Opens of his copy are tracked, or nothing but the content is against it: plain text has no
    pixel, but nobody has wished that opens are not told.
    """
    if not send_ids:
        return frozenset()
    statement = select(sends.c.send_id, sends.c.verdict).where(sends.c.send_id.in_(send_ids))
    return frozenset(
        (row.send_id, own["recipient"])
        for row in await connection.execute(statement)
        for own, _ in row.verdict.get("recipients", ())
        if own.get("opens") or _for_content_only(own)
    )


def _for_content_only(own: Mapping[str, Any]) -> bool:
    against = {reason["because"] for reason in own.get("reasons", ()) if reason["of"] == "opens"}
    return against == {"content"}


async def _past_events(
    connection: AsyncConnection, copy_ids: Sequence[int], since: datetime
) -> Mapping[int, list[PastEvent]]:
    kinds = (EventType.OPENED.value, EventType.CLICKED.value)
    statement: Select[Any] = (
        select(
            events.c.copy_id,
            events.c.event_id,
            events.c.type,
            events.c.at,
            events.c.hit_id,
            events.c.first,
            events.c.classification,
            events.c.confidence,
            events.c.reasons,
            events.c.rules_version,
            events.c.inferred_from,
            events.c.user_agent,
            events.c.ip_address,
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
        found.setdefault(row.copy_id, []).append(read_past(row))
    return found


def read_past(row: Row[Any]) -> PastEvent:
    """Return the event of a row with all columns that judging looks at."""
    return PastEvent(
        row.event_id,
        EventType(row.type),
        row.at,
        row.hit_id,
        row.first,
        None if row.classification is None else Agent(row.classification),
        row.confidence,
        tuple(row.reasons),
        row.rules_version,
        row.inferred_from,
        row.user_agent,
        row.ip_address,
    )


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


def _row_of(hit: RecordedHit) -> tuple[Any, ...]:
    """Return the columns of a hit that waits, in their order."""
    kept = (hit.hit_id, hit.at, hit.kind.value, hit.copy_id, hit.slot, hit.html, hit.url)
    return (*kept, dict(hit.features), True)


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
