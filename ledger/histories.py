"""What came for copies, as a whole: for rules that run again over what was kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from ledger.event import EventType
from ledger.hits import read_hit
from ledger.schema import copies, copy_recipients, events, hits, links
from ledger.stories import read_past
from ledger.story import PastEvent, RecordedHit, StoredLink

Near = tuple[datetime, int, str]
"""Moment, copy and network of a hit."""


@dataclass(frozen=True, slots=True)
class History:
    """One copy's hits, and the events that were made of them."""

    copy_id: int
    relayed_at: datetime | None
    readers: int
    hits: tuple[RecordedHit, ...]
    """In order of time."""
    events: tuple[PastEvent, ...]
    """Opens and clicks, in order of recording."""
    links: dict[int, StoredLink]
    """By slot."""
    nearby: Sequence[Near]
    """Hits of all copies of the send, this one too, in order of time."""


def read_histories(
    connection: Connection, since: datetime | None, after: int, limit: int
) -> tuple[History, ...]:
    """Return the histories of the next copies with a hit since then, by copy, `after` left out."""
    wanted = select(hits.c.copy_id).where(hits.c.copy_id > after)
    if since is not None:
        wanted = wanted.where(hits.c.at >= since)
    page = wanted.group_by(hits.c.copy_id).order_by(hits.c.copy_id).limit(limit)
    asked = list(connection.execute(page).scalars())
    if not asked:
        return ()
    heads = select(copies.c.copy_id, copies.c.send_id, copies.c.relayed_at)
    known = {
        row.copy_id: row for row in connection.execute(heads.where(copies.c.copy_id.in_(asked)))
    }
    send_ids = sorted({row.send_id for row in known.values()})
    came = _by_copy(connection, select(hits).where(hits.c.copy_id.in_(asked)).order_by(hits.c.at))
    told = _by_copy(connection, _told(asked))
    readers = _by_copy(
        connection, select(copy_recipients.c.copy_id).where(copy_recipients.c.copy_id.in_(asked))
    )
    stored = _links(connection, send_ids)
    nearby = _nearby(connection, send_ids)
    return tuple(
        History(
            copy_id=copy_id,
            relayed_at=known[copy_id].relayed_at if copy_id in known else None,
            readers=max(1, len(readers.get(copy_id, ()))),
            hits=tuple(map(read_hit, came.get(copy_id, ()))),
            events=tuple(map(read_past, told.get(copy_id, ()))),
            links=stored.get(known[copy_id].send_id, {}) if copy_id in known else {},
            nearby=nearby.get(known[copy_id].send_id, ()) if copy_id in known else (),
        )
        for copy_id in asked
    )


def _told(copy_ids: Sequence[int]) -> Select[Any]:
    kinds = (EventType.OPENED.value, EventType.CLICKED.value)
    mine = (events.c.copy_id.in_(copy_ids), events.c.type.in_(kinds))
    return select(events).where(*mine).order_by(events.c.number)


def _by_copy(connection: Connection, statement: Select[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.copy_id, []).append(row)
    return found


def _links(connection: Connection, send_ids: Sequence[str]) -> dict[str, dict[int, StoredLink]]:
    found: dict[str, dict[int, StoredLink]] = {}
    for row in connection.execute(select(links).where(links.c.send_id.in_(send_ids))):
        found.setdefault(row.send_id, {})[row.slot] = StoredLink(row.url, row.text)
    return found


def _nearby(connection: Connection, send_ids: Sequence[str]) -> dict[str, list[Near]]:
    network = hits.c.features["network"].as_string().label("network")
    statement = (
        select(copies.c.send_id, hits.c.at, hits.c.copy_id, network)
        .join(hits, hits.c.copy_id == copies.c.copy_id)
        .where(copies.c.send_id.in_(send_ids))
        .order_by(hits.c.at)
    )
    found: dict[str, list[Near]] = {}
    for row in connection.execute(statement):
        if row.network:
            found.setdefault(row.send_id, []).append((row.at, row.copy_id, row.network))
    return found
