"""Records hits before they are answered.

Law: a hit that `record` has returned from is on disk, in the ledger or in the spill, as far as
consent allows it to be recorded at all.
Law: a spilled hit enters the ledger once, whenever it is killed in between.
Law: a hit that can not be written holds up no other.
All hits of the last few milliseconds share one commit.
"""

import asyncio
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.daybook import Daybook
from collector.failing import is_down
from collector.permits import Bounds, Permits
from collector.sealed import open_hit
from collector.spill import Spill
from ledger.engine import Store, Where
from ledger.hits import link_of
from ledger.keys import KeyRing
from ledger.seal import SealError
from ledger.story import RecordedHit, SpilledHit, StoredLink
from ledger.token import HitKind

LEDGER_WAIT_MS = 20
"""How long a hit waits for another writer of the ledger; then it goes to the spill."""

GATHER_S = 0.002
"""What comes within it shares a commit; a flush takes about as long."""

PATIENCE_S = 0.01
"""The same while nobody is to be redirected: pixels are answered later than that anyhow."""

SETTLE_S = 0.1
"""What is recorded within it is judged together: judging one hit costs ten times one of many. By
then its pixel is answered, which judging must not hold up."""

_FORGETTING = 0.98
"""Of the slowest commit with each one that follows: half of it is forgotten after 34."""

BREAK_S = 1.0
"""After a failure all hits go to the spill at once for so long."""

CHUNK = 100
"""Spilled hits loaded in one transaction: it holds the writer for some 10 ms."""

UNKNOWN_LASTS = timedelta(hours=24)
"""How long a hit waits for its copy to become known, from when the ledger could be read."""

_log = structlog.get_logger()


class Journal:
    """The writer of one process."""

    def __init__(
        self,
        ledger: Store,
        hasty: Store,
        spill: Store,
        keys: KeyRing,
        bounds: Bounds,
    ) -> None:
        """Take the ledger to read, the same with a wait of LEDGER_WAIT_MS to write, the spill."""
        self._withdrawn, self._look_again = bounds.withdrawn, bounds.look_again
        self._ledger = ledger
        self._hasty = hasty
        self._spill = Spill(spill, keys)
        self._keys = keys
        self._permits = Permits(bounds)
        self._daybook = Daybook(hasty)
        self._queue: list[tuple[RecordedHit | None, asyncio.Future[bool]]] = []
        self._arrived = asyncio.Event()
        self._hurried = asyncio.Event()
        self._recorded = asyncio.Event()
        self._refused: set[str] = set()
        self._closed_until = 0.0
        self._readable_since: datetime | None = None
        self.slowest_s = 0.0
        """How long a hit waits for its commit, as far as it has lately been seen."""
        self.stopped = False

    async def record(self, hit: RecordedHit) -> bool:
        """Return when the hit is on disk; False where neither ledger nor spill could take it."""
        durable = self._enqueue(hit)
        if hit.kind is HitKind.CLICK:
            self._hurried.set()
        return await durable

    async def stand_by(self) -> None:
        """Return when the hits that came at about the same time are on disk, if there are any."""
        await self._enqueue(None)

    def _enqueue(self, hit: RecordedHit | None) -> asyncio.Future[bool]:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((hit, done))
        self._arrived.set()
        return done

    async def write_batches(self) -> None:
        """Write what arrives, until stopped."""
        while not self.stopped:
            await self._arrived.wait()
            await asyncio.sleep(GATHER_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S - GATHER_S):
                    await self._hurried.wait()
            self._arrived.clear()
            self._hurried.clear()
            batch, self._queue = self._queue, []
            began_at = monotonic()
            lost = await self._write([hit for hit, _ in batch if hit is not None])
            took_s = PATIENCE_S + monotonic() - began_at
            self.slowest_s = max(took_s, self.slowest_s * _FORGETTING)
            for hit, waiting in batch:
                if not waiting.done():  # its client may be gone
                    waiting.set_result(hit is None or hit.hit_id not in lost)

    def stop(self) -> None:
        """Let the loops end after what they are at; nobody may call `record` any more."""
        self.stopped = True
        self._arrived.set()
        self._hurried.set()
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

    async def load_spill(self) -> int:
        """Bring spilled hits of a page into the ledger, as consent allows it by now.

        Return how many have left the spill.
        Raises SQLAlchemyError where one of the two can not be read or written now.
        """
        page = await self._spill.next_page(CHUNK)
        if not page:
            return 0
        if self._look_again is not None:
            await self._look_again()
        opened = [hit for hit in self._opened(page) if hit.hit_id not in self._refused]
        try:
            return await self._load(opened)
        except Exception as error:
            if is_down(error):
                raise
        return sum([await self._load_alone(hit) for hit in opened])

    async def _load(self, opened: Sequence[RecordedHit]) -> int:
        waiting = await self._enter(opened)
        # Killed here, the hits are loaded again and ignored.
        kept = {hit.hit_id for hit in waiting if not self._is_over(hit)}
        gone = [hit.hit_id for hit in opened if hit.hit_id not in kept]
        await self._spill.remove(gone)
        return len(gone)

    async def _load_alone(self, hit: RecordedHit) -> int:
        try:
            return await self._load([hit])
        except Exception as error:
            if is_down(error):
                raise
            # It stays in the spill: after the next start it is tried again.
            self._refused.add(hit.hit_id)
            _log.exception("hit.refused", hit_id=hit.hit_id)
            return 0

    async def tend_days(self) -> None:
        """Tell the days that are over, and let nothing tell when in its day a hit was.

        Raises SQLAlchemyError where the ledger can not be written now.
        """
        await self._daybook.tend(datetime.now(UTC))

    def _opened(self, page: Sequence[SpilledHit]) -> Iterator[RecordedHit]:
        for spilled in page:
            try:
                yield open_hit(self._keys, spilled)
            except SealError as error:
                # It stays: the key may come back.
                _log.error("hit.sealed", hit_id=spilled.hit_id, why=str(error))

    def _is_over(self, hit: RecordedHit) -> bool:
        """Tell whether a hit has waited long enough for its copy to become known."""
        since = max(hit.at, self._readable_since or datetime.max.replace(tzinfo=UTC))
        return datetime.now(UTC) - since > UNKNOWN_LASTS

    async def _write(self, batch: Sequence[RecordedHit]) -> AbstractSet[str]:
        """Write hits to the one or the other; return which neither could take, by hit_id."""
        waiting = batch
        if batch and monotonic() >= self._closed_until:
            try:
                waiting = await self._enter(batch)
            except Exception as error:  # noqa: BLE001 - house style 29: the second way takes it, whatever it is
                self._closed_until = monotonic() + BREAK_S
                self._readable_since = None
                _log.warning("ledger.unwritten", hits=len(batch), why=_brief(error))
            else:
                self._recorded.set()
        withdrawn = self._withdrawn()
        waiting = [hit for hit in waiting if hit.copy_id not in withdrawn]
        return await self._spill.keep(waiting) if waiting else frozenset()

    async def _enter(self, batch: Sequence[RecordedHit]) -> Sequence[RecordedHit]:
        """Record hits as consent and the switch allow it; return those of unknown copies.

        Raises SQLAlchemyError or OSError where the ledger can not be written now.
        """
        waiting = await self._hasty.transact(
            partial(self._permits.enter, batch=batch, withdrawn=self._withdrawn()), Where.LOOP
        )
        self._readable_since = self._readable_since or datetime.now(UTC)
        return waiting


def _brief(error: Exception) -> str:
    """Return what the database said, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}"[:200]
