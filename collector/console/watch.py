"""Who waits for news: tells listeners that the ledger has more events.

The ledger itself is watched, because hits and deliveries are recorded by other processes too.
It is only read while somebody listens.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ledger.engine import Store
from ledger.events import last_number

LOOK_EVERY_S = 0.2
"""With what it takes to draw the page, news is seen within half a second; a look costs 0.3 ms."""


class Watch:
    """One look at the ledger for all who listen."""

    def __init__(self, ledger: Store, look_every_s: float = LOOK_EVERY_S) -> None:
        """Begin without having looked."""
        self._ledger = ledger
        self._look_every_s = look_every_s
        self._looking: asyncio.Task[int] | None = None
        self._closed = asyncio.Event()

    async def number_after(self, number: int, listens: Callable[[], bool]) -> int | None:
        """Return the highest event number as soon as it differs from this one.

        Lower counts as different: the record was made anew and what is shown is not in it.
        None once `listens` says no, which is asked at each look, or at the end.
        """
        latest = await self._look()
        while latest == number and listens() and not self._closed.is_set():
            latest = await self._look_later()
        return latest if latest != number and not self._closed.is_set() else None

    async def close(self) -> None:
        """Send all listeners home; the ledger is not read any more afterwards."""
        self._closed.set()
        if self._looking is not None:
            await asyncio.wait([self._looking])

    async def _look_later(self) -> int:
        # All listeners share the look that is under way; the first one begins it.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._pause_and_look())
        return await asyncio.shield(self._looking)

    async def _pause_and_look(self) -> int:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), self._look_every_s)
        # Once closed nobody wants the number, and the store may be gone.
        return 0 if self._closed.is_set() else await self._look()

    async def _look(self) -> int:
        async with self._ledger.read() as connection:
            return await last_number(connection)
