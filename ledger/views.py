"""Saved views: questions to the log that a person asks again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, address_key
from ledger.schema import saved_views

MOST_VIEWS = 50
"""Of one person: more is a list that nobody looks through."""
MAX_NAME = 60
MAX_QUERY = 2_000
"""Characters; a browser keeps no longer address than that in a link."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A question to the log, by the name that a person gave it."""

    name: str
    query: str
    """As the URL of the page has it."""


async def list_views(connection: AsyncConnection, person: str) -> tuple[SavedView, ...]:
    """Return the views of a person, by name."""
    mine = saved_views.c.person == person
    rows = await connection.execute(
        select(saved_views.c.name, saved_views.c.query).where(mine).order_by(saved_views.c.name)
    )
    return tuple(SavedView(*row) for row in rows)


async def save_view(
    connection: AsyncConnection, person: str, view: SavedView, now: datetime
) -> bool:
    """Keep a view in place of one of the same name; False where a person has too many."""
    await drop_view(connection, person, view.name)
    mine = saved_views.c.person == person
    count = await connection.scalar(select(func.count()).select_from(saved_views).where(mine))
    if (count or 0) >= MOST_VIEWS:
        return False
    row: dict[str, Any] = {"name": view.name, "query": view.query, "saved_at": now}
    await connection.execute(saved_views.insert().values(person=person, **row))
    return True


async def drop_view(connection: AsyncConnection, person: str, name: str) -> None:
    """Take a view away; where there is none, nothing is done."""
    mine = (saved_views.c.person == person, saved_views.c.name == name)
    await connection.execute(delete(saved_views).where(*mine))


def forget_views(connection: Connection, address: Address) -> None:
    """Erase the views of a person, and those that ask for or are named after him."""
    found = connection.execute(select(saved_views)).all()
    for row in found:
        said = [row.name, *(value for _, value in parse_qsl(row.query))]
        if row.person == address.key or any(_names(text, address) for text in said):
            mine = (saved_views.c.person == row.person, saved_views.c.name == row.name)
            connection.execute(delete(saved_views).where(*mine))


def _names(text: str, address: Address) -> bool:
    spelled = (address.key, str(address).lower())
    return any(one in text.lower() for one in spelled) or _key(text) == address.key


def _key(text: str) -> str | None:
    return address_key(text)
