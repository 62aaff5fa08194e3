"""Wishes in the spill: what recipients have asked for, till done.

Each function is one step inside the caller's transaction, in the store's thread (Store.transact).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from ledger.schema import spilled_wishes


@dataclass(frozen=True, slots=True)
class SpilledWish:
    """A wish as its row has it."""

    wish_id: str
    at: datetime
    kind: str
    """A WishKind of the collector's."""
    copy_id: int | None
    sealed: bytes


def insert_wish(connection: Connection, wish: SpilledWish) -> None:
    """Add a wish."""
    row = {name: getattr(wish, name) for name in SpilledWish.__slots__}
    connection.execute(insert(spilled_wishes).values(**row))


def select_wishes(
    connection: Connection, kinds: Collection[str], after: str, limit: int
) -> tuple[SpilledWish, ...]:
    """Return wishes of some kinds, the oldest first; `after` is the wish_id of the page before."""
    statement = (
        select(spilled_wishes)
        .where(spilled_wishes.c.kind.in_(sorted(kinds)), spilled_wishes.c.wish_id > after)
        .order_by(spilled_wishes.c.wish_id)
        .limit(limit)
    )
    return tuple(
        SpilledWish(row.wish_id, row.at, row.kind, row.copy_id, row.sealed)
        for row in connection.execute(statement)
    )


def copies_wished(connection: Connection, kinds: Collection[str]) -> frozenset[int]:
    """Return the copies of which something is wished."""
    statement = select(spilled_wishes.c.copy_id).where(
        spilled_wishes.c.kind.in_(sorted(kinds)), spilled_wishes.c.copy_id.is_not(None)
    )
    return frozenset(connection.scalars(statement))


def change_wish(connection: Connection, wish_id: str, kind: str) -> None:
    """Let a wish be of another kind from now on."""
    changed = spilled_wishes.c.wish_id == wish_id
    connection.execute(update(spilled_wishes).where(changed).values(kind=kind))


def delete_wish(connection: Connection, wish_id: str) -> None:
    """Remove a wish that is done."""
    connection.execute(delete(spilled_wishes).where(spilled_wishes.c.wish_id == wish_id))
