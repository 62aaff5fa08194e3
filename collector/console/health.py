"""Whether the console is alive, and whether it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.console.desk import DESK
from ledger.engine import Store
from ledger.events import last_number
from ledger.room import has_room
from ledger.spooled import next_due_at

_READ_TIMEOUT_S = 2.0
"""A probe is asked every few seconds; a store that needs longer to answer is not there."""


async def tell_alive(_request: web.Request) -> web.Response:
    """Answer that the process answers."""
    return web.Response(text="ok\n")


async def tell_ready(request: web.Request) -> web.Response:
    """Answer 200 where both stores can be read and mail can be stored, else 503.

    One line for each of what that takes.  Of a relay in another process only the reading is known
    here, and the disk, by which it answers 452 4.3.1.
    """
    desk = request.app[DESK]
    faults = {
        "ledger": await _fault(desk.ledger, last_number),
        "spool": await _fault(desk.spool, next_due_at),
        "disk": "" if has_room(desk.spool.file.parent, 0) else "has no room for more mail",
    }
    lines = (f"{name}: {fault or 'ok'}\n" for name, fault in faults.items())
    return web.Response(text="".join(lines), status=503 if any(faults.values()) else 200)


async def _fault(store: Store, read: Callable[[AsyncConnection], Awaitable[object]]) -> str:
    """Return what is wrong with a store; empty: nothing."""
    if not store.is_in_place():
        return "is not where it was"
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S), store.read() as connection:
            await read(connection)
    except (SQLAlchemyError, TimeoutError):
        return "can not be read"
    return "" if store.fault is None else "can not be written"
