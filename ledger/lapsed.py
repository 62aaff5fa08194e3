"""Copies whose due time, lease or place in the spool has lost its meaning.

Each function is one step inside the caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.fate import Fate
from ledger.schema import Instant, spooled_copies, spooled_sends

_COPY = spooled_copies.c
_UNLEASED: dict[str, Any] = {"lease": None, "lessee": None, "leased_until": None}


async def has_strays(connection: AsyncConnection, now: datetime, longest: timedelta) -> bool:
    """Tell whether recall_strays would find a copy."""
    stray = select(_COPY.copy_id).where(_COPY.held.is_(False), _COPY.due_at > now + longest)
    return await connection.scalar(stray.limit(1)) is not None


def recall_strays(
    connection: Connection, now: datetime, longest: timedelta, lease: timedelta
) -> int:
    """Return how many copies were due further ahead than any wait is; they are due now.

    Only a clock that was ahead has put them there.  A lease of that time ends after `lease`: who
    holds it and lives renews it before.
    """
    stray = update(spooled_copies).where(_COPY.held.is_(False), _COPY.due_at > now + longest)
    free = stray.where(_COPY.lease.is_(None)).values(due_at=now)
    leased = stray.where(_COPY.lease.is_not(None)).values(
        due_at=now + lease, leased_until=now + lease
    )
    return connection.execute(free).rowcount + connection.execute(leased).rowcount


def free_leases(connection: Connection, lessees: Sequence[str], now: datetime) -> int:
    """Return how many leases of processes that are dead have been ended.

    It reads all copies, once at a start; an index for it would cost every claim.
    """
    at = literal(now, Instant)
    freed = (
        update(spooled_copies)
        .where(_COPY.lessee.in_(lessees))
        .values(**_UNLEASED, due_at=case((_COPY.due_at < at, _COPY.due_at), else_=at))
    )
    return connection.execute(freed).rowcount


async def has_dead(connection: AsyncConnection, before: datetime) -> bool:
    """Tell whether delete_dead would find a copy."""
    return (await connection.execute(_dead(before).limit(1))).first() is not None


def delete_dead(connection: Connection, before: datetime, limit: int) -> int:
    """Return how many dead letters of before an instant have been deleted, at most `limit`."""
    rows = connection.execute(_dead(before).limit(limit)).all()
    delete_copies(connection, {row.copy_id: row.send_id for row in rows})
    return len(rows)


def delete_copies(connection: Connection, copies: dict[int, str]) -> None:
    """Delete copies (copy_id to send_id), and each send of which nothing is left."""
    if not copies:
        return
    connection.execute(delete(spooled_copies).where(_COPY.copy_id.in_(list(copies))))
    left = select(_COPY.send_id).where(_COPY.send_id == spooled_sends.c.send_id).exists()
    sends = spooled_sends.c.send_id.in_(sorted(set(copies.values())))
    connection.execute(delete(spooled_sends).where(sends, ~left))


def _dead(before: datetime) -> Select[tuple[int, str]]:
    # It was due last when it was tried last, and that is in the index.
    old = _COPY.held.is_(True), _COPY.due_at < before
    return select(_COPY.copy_id, _COPY.send_id).where(*old, _COPY.fate == Fate.DEAD)
