"""HUB, the way of the facts: from the spool to the ledger.

Law: every fact is recorded once, in order, however often the way is walked or broken off.
Mail does not wait for it: where the ledger can not be written, the facts lie in the spool.
"""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger.engine import Store
from ledger.outbox import delete_owed, read_owed
from ledger.sends import record_facts

_BATCH = 500
"""Facts in one transaction: it holds the ledger's writer for about 20 ms."""

_GATHER_S = 0.1
"""Between two small batches, so that a stream of facts costs ten commits a second, not hundreds."""

_LOOK_S = 5
"""Facts of other processes wake nobody here."""

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30
"""While the ledger is down: it doubles from the one to the other."""

_log = structlog.get_logger()


async def forward_facts(spool: Store, ledger: Store, owed: asyncio.Event) -> None:
    """Bring facts to the ledger until cancelled; `owed` says that there are some."""
    pause_s: float = _FIRST_PAUSE_S
    while True:
        owed.clear()
        try:
            moved = await forward_batch(spool, ledger, _BATCH)
        except (SQLAlchemyError, OSError, ValueError) as error:
            _log.warning("forward.failed", error=str(error), pause_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            continue
        pause_s = _FIRST_PAUSE_S
        if not moved:
            await _wait(owed)
        elif moved < _BATCH:
            await asyncio.sleep(_GATHER_S)


async def forward_batch(spool: Store, ledger: Store, limit: int) -> int:
    """Return how many facts were brought over, the oldest ones, at most `limit`.

    Raises what the stores raise; then the facts are owed as before.
    """
    async with spool.read() as connection:
        batch = await read_owed(connection, limit)
    if batch:
        async with ledger.write() as connection:
            await record_facts(connection, [one.fact for one in batch])
        async with spool.write() as connection:
            await delete_owed(connection, [one.number for one in batch])
    return len(batch)


async def _wait(owed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_LOOK_S):
            await owed.wait()
    except TimeoutError:
        return
