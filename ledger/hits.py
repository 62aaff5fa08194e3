"""The record of hits: added at once, judged when their send is known.

Law: recording the same hit again changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rows import ByKeys, RowInsert
from ledger.schema import (
    copies,
    events,
    hits,
    links,
    spilled_hits,
    spilled_wishes,
)
from ledger.story import RecordedHit, SpilledHit, StoredLink
from ledger.token import HitKind

_MAX_COPY_ID = (1 << 63) - 1


_INSERT = RowInsert(hits, tuple(one.name for one in hits.c if one.name != "fault"), once=True)
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
_WAITING = (
    select(hits)
    # In the words of ix_hits_waiting, or SQLite does not take it: it goes through all hits then.
    .where(
        text("waiting"), select(copies.c.copy_id).where(copies.c.copy_id == hits.c.copy_id).exists()
    )
    .order_by(hits.c.at, hits.c.hit_id)
    .limit(bindparam("most"))
)
_SETTLE = ByKeys(
    lambda hit_ids: update(hits).where(hits.c.hit_id.in_(hit_ids)).values(waiting=False)
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


def select_waiting(connection: Connection, limit: int) -> tuple[RecordedHit, ...]:
    """Return hits not judged yet whose send is known, oldest first."""
    rows = connection.execute(_WAITING, {"most": limit})
    return tuple(read_hit(row) for row in rows)


def settle_hits(connection: Connection, hit_ids: Sequence[str]) -> None:
    """Note that hits are judged."""
    _SETTLE.run(connection, hit_ids)


def keep_features(connection: Connection, known: Iterable[RecordedHit]) -> None:
    """Keep what was learnt of hits when they were judged."""
    for hit in known:
        statement = update(hits).where(hits.c.hit_id == hit.hit_id)
        connection.execute(statement.values(features=dict(hit.features)))


def set_aside(connection: Connection, hit_id: str, fault: str) -> None:
    """Note that our code fails at a hit: it is kept, and judged when it is tried again."""
    connection.execute(
        update(hits).where(hits.c.hit_id == hit_id).values(waiting=False, fault=fault)
    )


def try_again(connection: Connection) -> int:
    """Let hits wait again that were set aside, and return how many they are; ix_hits_fault."""
    statement = update(hits).where(hits.c.fault.is_not(None)).values(waiting=True, fault=None)
    return connection.execute(statement).rowcount


def add_repeats(connection: Connection, repeats: Mapping[str, int]) -> None:
    """Add further requests of the same view to events, by `event_id`."""
    for event_id, count in repeats.items():
        statement = update(events).where(events.c.event_id == event_id)
        connection.execute(statement.values(repeats=events.c.repeats + count))


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
