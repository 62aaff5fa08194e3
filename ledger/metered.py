"""What is counted for whoever watches Indicia run.

Each read is of a bounded part or of an index, so that it is as cheap on a big record: news is read
by the primary key from where it was left, the queue is as long as the queue is.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Error as SqliteError
from sqlite3 import connect

from sqlalchemy import case, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.chores import PURGE
from ledger.event import EventType
from ledger.fact import UNOBSERVED, Json, unpack_verdict
from ledger.fate import Fate
from ledger.queue import Waiting
from ledger.schema import (
    audit,
    chores,
    events,
    hits,
    owed_facts,
    refused_facts,
    sends,
    spooled_copies,
    spooled_sends,
)

_SPILL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class News:
    """What was recorded after some event, as far as it was read."""

    last: int
    """The number of the last event that was read."""
    events: Mapping[tuple[str, str], int]
    """By type and classification, which is empty where there is none."""
    recipients: Mapping[tuple[str, str], int]
    """Of mail that was accepted: by tracking mode and what decided it."""


@dataclass(frozen=True, slots=True)
class Depths:
    """How much of the ledger waits, and when what was last done."""

    last_event: int
    hits_waiting: int
    hits_faulty: int
    audit_entries: int
    audited_at: datetime | None
    purged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Queue:
    """How long the queue is, and what else of the spool waits."""

    copies: Mapping[Waiting, int]
    oldest_at: datetime | None
    """When the oldest mail was accepted that is still to be delivered; None: there is none."""
    owed_facts: int
    refused_facts: int


async def read_news(connection: AsyncConnection, after: int, limit: int) -> News:
    """Return what the next `limit` events tell; there may be more."""
    columns = events.c["number", "type", "classification", "send_id", "recipient", "tracking_mode"]
    statement = select(*columns).where(events.c.number > after).order_by(events.c.number)
    rows = (await connection.execute(statement.limit(limit))).all()
    accepted = [row for row in rows if row.type == EventType.ACCEPTED.value]
    why = await _deciders(connection, {row.send_id for row in accepted})
    return News(
        last=rows[-1].number if rows else after,
        events=Counter((row.type, row.classification or "") for row in rows),
        recipients=Counter(
            (row.tracking_mode or "", why.get((row.send_id, row.recipient), "")) for row in accepted
        ),
    )


async def read_depths(connection: AsyncConnection) -> Depths:
    """Return how far the ledger is behind, and when chores were done."""
    last_entry = select(audit.c.number, audit.c.at).order_by(audit.c.number.desc()).limit(1)
    entry = (await connection.execute(last_entry)).one_or_none()
    purged = select(chores.c.done_at).where(chores.c.name == PURGE)
    faulty = select(func.count()).select_from(hits).where(hits.c.fault.is_not(None))
    # In the words of ix_hits_waiting: SQLite does not see that `waiting = 1` is the same.
    waiting = select(func.count()).select_from(hits).where(text("waiting"))
    return Depths(
        last_event=await connection.scalar(select(func.max(events.c.number))) or 0,
        hits_waiting=await connection.scalar(waiting) or 0,
        hits_faulty=await connection.scalar(faulty) or 0,
        audit_entries=entry.number if entry else 0,
        audited_at=entry.at if entry else None,
        purged_at=await connection.scalar(purged),
    )


async def read_queue(connection: AsyncConnection, now: datetime) -> Queue:
    """Return how many copies wait, by why they do, as ledger.queue says it."""
    copies = spooled_copies.c
    dead = copies.fate.is_not_distinct_from(Fate.DEAD.value)
    why = case(
        (dead & copies.held, Waiting.DEAD.value),
        (copies.fate.in_([Fate.SILENT.value, Fate.BOUNCE.value]), Waiting.DROPPED.value),
        (copies.leased_until > now, Waiting.UNDER_WAY.value),
        (copies.held, Waiting.HELD.value),
        (copies.attempts > 0, Waiting.DEFERRED.value),
        else_=Waiting.NEW.value,
    )
    found = await connection.execute(select(why, func.count()).group_by(why))
    alive = or_(copies.fate.is_(None), copies.fate != Fate.DEAD.value)
    # The primary key serves: names of sends sort as their moments do.
    oldest = (
        select(spooled_sends.c.received_at)
        .join(spooled_copies)
        .where(alive)
        .order_by(spooled_sends.c.send_id)
        .limit(1)
    )
    return Queue(
        copies={Waiting(name): count for name, count in found},
        oldest_at=await connection.scalar(oldest),
        owed_facts=await connection.scalar(select(func.count()).select_from(owed_facts)) or 0,
        refused_facts=await connection.scalar(select(func.count()).select_from(refused_facts)) or 0,
    )


def count_spilled(file: Path) -> int | None:
    """Return how many hits wait in a collector's spill; None where there is none to be read."""
    if not file.exists():
        return None
    try:
        with closing(connect(f"file:{file}?mode=ro", uri=True, timeout=_SPILL_WAIT_S)) as spill:
            count: int = spill.execute("SELECT count(*) FROM spilled_hits").fetchone()[0]
    except SqliteError:
        return None
    return count


async def _deciders(connection: AsyncConnection, send_ids: set[str]) -> dict[tuple[str, str], str]:
    """Return what decided the mode of each recipient of some sends: of a rule, that it was one."""
    statement = select(sends.c.send_id, sends.c.verdict).where(sends.c.send_id.in_(send_ids))
    return {
        (row.send_id, said["recipient"]): _decider(said)
        for row in await connection.execute(statement)
        for said in unpack_verdict(row.verdict)
    }


def _decider(said: Json) -> str:
    shown = said.get(UNOBSERVED, said)
    why = next((one for one in shown["reasons"] if one["of"] == "mode"), None)
    if why is None:
        return ""
    # The name of content is why it was left alone, of a closed list; other names are people's.
    return str(why["name"] if why["because"] == "content" else why["because"])
