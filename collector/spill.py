"""The spill: hits whose consent can not be asked yet, sealed.

A file of the process's own, beside its keys.  It is looked through latest first, a page at a time,
again and again while anything is in it: a copy becomes known some tenths of a second after its mail
was accepted, or when the ledger is back.
"""

import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector.sealed import seal_hit
from ledger.engine import Store
from ledger.hits import LATEST, delete_spilled, select_spilled, spill_hits
from ledger.keys import KeyRing
from ledger.seal import SALT_BYTES
from ledger.story import RecordedHit, SpilledHit

_log = structlog.get_logger()


class Spill:
    """The spill of one process."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        """Take the file and the keys that close it."""
        self._store = store
        self._keys = keys
        self._before = LATEST
        self._filled = True  # what an earlier process may have left
        self._traces = True

    async def keep(self, hits: Sequence[RecordedHit]) -> AbstractSet[str]:
        """Write hits; return which could not be written, by hit_id, once the others are on disk."""
        lost, sealed = set(), []
        for hit in hits:
            try:
                sealed.append(seal_hit(self._keys, hit, secrets.token_bytes(SALT_BYTES)))
            except (TypeError, ValueError) as error:
                lost.add(hit.hit_id)
                _log.error("hit.lost", hit_id=hit.hit_id, why=type(error).__name__)
        try:
            await self._store.transact(partial(spill_hits, found=sealed))
        except (SQLAlchemyError, OSError) as error:
            _log.error("hits.lost", hits=len(hits), why=type(error).__name__)
            return {hit.hit_id for hit in hits}
        self._filled, self._before = True, LATEST
        return lost

    async def next_page(self, limit: int) -> tuple[SpilledHit, ...]:
        """Return the hits after the page before, beginning anew after the last one.

        Raises SQLAlchemyError where the spill can not be read.
        """
        if not self._filled:
            return ()
        before, self._before = self._before, LATEST
        self._filled = False  # before the look: what is spilled meanwhile sets it again
        try:
            page = await self._store.transact(partial(self._select, limit, before))
        except BaseException:
            self._filled = True  # it is to be tried again
            raise
        if page or before != LATEST:
            self._filled = True
        elif self._traces:
            # Nothing is left, and the log must not tell what was there and when.
            self._traces = not await self._store.shrink()
            self._filled |= self._traces
        if len(page) == limit:
            self._before = page[-1].hit_id
        return page

    async def remove(self, hit_ids: Sequence[str]) -> None:
        """Erase hits, which are recorded or may not be.

        Raises SQLAlchemyError where the spill can not be written.
        """
        if hit_ids:
            self._traces = True
            await self._store.transact(partial(delete_spilled, hit_ids=hit_ids))

    @staticmethod
    def _select(limit: int, before: str, connection: Connection) -> tuple[SpilledHit, ...]:
        return select_spilled(connection, limit, before)
