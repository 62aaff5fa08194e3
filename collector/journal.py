"""Records hits before they are answered, and what they mean after.

Law: a hit that `record` has returned from is on disk, in the ledger or in the spill.
Law: a spilled hit enters the ledger once, whenever it is killed in between.
All hits of the last few milliseconds share one commit.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.attribute import Settlement
from ledger.engine import Store
from ledger.events import insert_events
from ledger.hits import (
    add_repeats,
    delete_spilled,
    erase_hits,
    insert_hits,
    link_of,
    select_spilled,
    select_stories,
    select_waiting,
    settle_hits,
    spill_hits,
)
from ledger.story import RecordedHit, StoredLink, Story

LEDGER_WAIT_MS = 20
"""How long a hit waits for another writer of the ledger; then it goes to the spill."""

GATHER_S = 0.002
"""What comes within it shares a commit; a flush takes about as long."""

SETTLE_S = 0.05
"""What is recorded within it is judged together: judging one hit costs ten times one of many."""

BREAK_S = 1.0
"""After a failure all hits go to the spill at once for so long."""

CHUNK = 100
"""Hits judged or loaded in one transaction: it holds the writer for some 20 ms."""

Attribute = Callable[[Sequence[RecordedHit], Mapping[int, Story]], Settlement]

_log = structlog.get_logger()


class Journal:
    """The writer of one process."""

    def __init__(self, ledger: Store, hasty: Store, spill: Store) -> None:
        """Take the ledger to read, the same with a wait of LEDGER_WAIT_MS to write, the spill."""
        self._ledger = ledger
        self._hasty = hasty
        self._spill = spill
        self._queue: list[tuple[RecordedHit, asyncio.Future[bool]]] = []
        self._arrived = asyncio.Event()
        self._recorded = asyncio.Event()
        self._closed_until = 0.0
        self._spilled = True  # what an earlier process may have left
        self.stopped = False

    async def record(self, hit: RecordedHit) -> bool:
        """Return when the hit is on disk; False where neither ledger nor spill could take it."""
        durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((hit, durable))
        self._arrived.set()
        return await durable

    async def write_batches(self) -> None:
        """Write what arrives, until stopped."""
        while not self.stopped:
            await self._arrived.wait()
            await asyncio.sleep(GATHER_S)
            self._arrived.clear()
            batch, self._queue = self._queue, []
            durable = not batch or await self._write([hit for hit, _ in batch])
            for _, waiting in batch:
                if not waiting.done():  # its client may be gone
                    waiting.set_result(durable)

    def stop(self) -> None:
        """Let the loops end after what they are at; nobody may call `record` any more."""
        self.stopped = True
        self._arrived.set()
        self._recorded.set()

    async def wait_recorded(self, timeout_s: float) -> None:
        """Return soon after hits have been recorded since the last time, or after the timeout."""
        try:
            await asyncio.wait_for(self._recorded.wait(), timeout_s)
        except TimeoutError:
            return
        await asyncio.sleep(SETTLE_S)
        self._recorded.clear()

    async def link_of(self, copy_id: int, slot: int) -> StoredLink | None:
        """Return the stored link of a copy's slot; None where the ledger knows none, or is down."""
        try:
            async with self._ledger.read() as connection:
                return await link_of(connection, copy_id, slot)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("ledger.unread", why=_brief(error))
            return None

    async def settle(self, attribute: Attribute) -> int:
        """Judge up to CHUNK hits whose send is known, and return how many they were.

        Raises SQLAlchemyError where the ledger can not be read or written now.
        """
        async with self._ledger.read() as connection:
            if not await select_waiting(connection, 1):
                return 0
        async with self._hasty.write() as connection:
            waiting = await select_waiting(connection, CHUNK)  # another process may have been first
            if not waiting:
                return 0
            settlement = attribute(waiting, await select_stories(connection, waiting))
            await insert_events(connection, settlement.events)
            await add_repeats(connection, settlement.repeats)
            await settle_hits(connection, settlement.settled)
            await erase_hits(connection, settlement.erased)
            return len(waiting)

    async def load_spill(self) -> int:
        """Bring up to CHUNK spilled hits into the ledger, and return how many they were.

        Raises SQLAlchemyError where the ledger can not be written now.
        """
        if not self._spilled:
            return 0
        found = await self._look_into_spill()
        if not found:
            return 0
        async with self._hasty.write() as connection:
            await insert_hits(connection, found)
        # Killed here, the hits are loaded again and ignored.
        async with self._spill.write() as connection:
            await delete_spilled(connection, [hit.hit_id for hit in found])
        return len(found)

    async def _look_into_spill(self) -> tuple[RecordedHit, ...]:
        self._spilled = False  # before the look: what is spilled meanwhile sets it again
        found: tuple[RecordedHit, ...] | None = None
        try:
            async with self._spill.read() as connection:
                found = await select_spilled(connection, CHUNK)
        finally:
            # None: it could not be looked at, so it is to be tried again.
            self._spilled = self._spilled or found is None or bool(found)
        return found

    async def _write(self, batch: list[RecordedHit]) -> bool:
        if monotonic() >= self._closed_until:
            try:
                async with self._hasty.write() as connection:
                    await insert_hits(connection, batch)
            except (SQLAlchemyError, OSError) as error:
                self._closed_until = monotonic() + BREAK_S
                _log.warning("ledger.unwritten", hits=len(batch), why=_brief(error))
            else:
                self._recorded.set()
                return True
        return await self._write_spill(batch)

    async def _write_spill(self, batch: list[RecordedHit]) -> bool:
        try:
            async with self._spill.write() as connection:
                await spill_hits(connection, batch)
        except (SQLAlchemyError, OSError) as error:
            _log.error("hits.lost", hits=len(batch), why=_brief(error))
            return False
        self._spilled = True
        return True


def _brief(error: Exception) -> str:
    """Return what the database said, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}"[:200]
