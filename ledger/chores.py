"""What one process does for all, once a day: who does it, and when it was done.

Law: of any number of processes one at a time does a chore, and who dies holds up the others no
longer than his hold lasts.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ledger.schema import chores

HOLD_LASTS = timedelta(minutes=10)
"""Longer than any step, after each of which the hold is renewed."""

PURGE = "purge"


def take_chore(
    connection: Connection, name: str, holder: str, now: datetime, not_since: datetime | None = None
) -> bool:
    """Return True where the chore is now this holder's; with `not_since` if not done since."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    never = {"name": name, "held_until": datetime.fromtimestamp(0, now.tzinfo)}
    connection.execute(insert(chores).values(**never).on_conflict_do_nothing())
    free = or_(chores.c.holder.is_(None), chores.c.held_until <= now, chores.c.holder == holder)
    statement = update(chores).where(chores.c.name == name, free)
    if not_since is not None:
        statement = statement.where(or_(chores.c.done_at.is_(None), chores.c.done_at < not_since))
    taken = connection.execute(statement.values(holder=holder, held_until=now + HOLD_LASTS))
    return taken.rowcount == 1


def end_chore(connection: Connection, name: str, holder: str, done_at: datetime | None) -> None:
    """Give a chore back; `done_at` says that it is done, None that it was broken off."""
    mine = update(chores).where(chores.c.name == name, chores.c.holder == holder)
    values = {"holder": None} | ({} if done_at is None else {"done_at": done_at})
    connection.execute(mine.values(**values))


def chore_holder(connection: Connection, name: str, now: datetime) -> str | None:
    """Return who does a chore now."""
    held = select(chores.c.holder).where(chores.c.name == name, chores.c.held_until > now)
    return connection.scalar(held)
