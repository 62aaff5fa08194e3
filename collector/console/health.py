"""Whether the console is alive, and whether it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.console.desk import DESK
from ledger.engine import Store
from ledger.events import last_number
from ledger.spooled import next_due_at

_READ_TIMEOUT_S = 2.0
"""A probe is asked every few seconds; a store that needs longer to answer is not there."""


async def tell_alive(_request: web.Request) -> web.Response:
    """Answer that the process answers."""
    return web.Response(text="ok\n")


async def tell_ready(request: web.Request) -> web.Response:
    """Answer 200 where both stores can be read, else 503; one line for each."""
    desk = request.app[DESK]
    found = {
        "ledger": await _readable(desk.ledger, last_number),
        "spool": await _readable(desk.spool, next_due_at),
    }
    lines = (f"{name}: {'ok' if good else 'can not be read'}\n" for name, good in found.items())
    return web.Response(text="".join(lines), status=200 if all(found.values()) else 503)


async def _readable(store: Store, read: Callable[[AsyncConnection], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S), store.read() as connection:
            await read(connection)
    except (SQLAlchemyError, TimeoutError):
        return False
    return True
