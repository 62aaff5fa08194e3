"""SETTLE: recorded hits are judged and become events.

Law: a hit at which our code fails holds up no other: it is set aside, kept, and tried again.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic

import structlog
from sqlalchemy import Connection

from collector.attribute import Settlement
from collector.failing import is_down
from ledger.engine import Store
from ledger.events import record_events
from ledger.hits import (
    add_repeats,
    keep_features,
    select_waiting,
    set_aside,
    settle_hits,
    try_again,
)
from ledger.notices import owe_notices
from ledger.relabelled import relabel_events
from ledger.stories import select_stories
from ledger.story import RecordedHit, Story

CHUNK = 50
"""Hits judged in one transaction: other writers, whose hits are to be answered, wait 10 ms."""

AGAIN_S = 3600.0
"""How often what was set aside is tried again: what it failed of may have passed, and each start
may be of a version that does better."""

Attribute = Callable[[Sequence[RecordedHit], Mapping[int, Story]], Settlement]
Know = Callable[[Sequence[RecordedHit], Mapping[int, Story]], Sequence[RecordedHit]]
"""Returns hits, in their order, with what is known of their copies' recipients; it never waits."""

_log = structlog.get_logger()


class _UnjudgedError(Exception):
    """Our code has failed at one hit."""

    def __init__(self, hit_id: str) -> None:
        super().__init__(hit_id)
        self.hit_id = hit_id


class Settling:
    """The judge of recorded hits; of the processes on one ledger one at a time should be."""

    def __init__(
        self, ledger: Store, hasty: Store, attribute: Attribute, know: Know | None = None
    ) -> None:
        """Take the ledger to read, the same to write, how hits become events, and who knows."""
        self._ledger = ledger
        self._hasty = hasty
        self._attribute = attribute
        self._know = know
        self._again_at = 0.0
        self._more = False

    async def settle(self) -> int:
        """Judge some hits whose send is known, and return how many they were.

        Raises SQLAlchemyError or OSError where the ledger can not be read or written now.
        """
        if monotonic() >= self._again_at:
            await self._hasty.transact(try_again)
            self._again_at = monotonic() + AGAIN_S
        if not (self._more or await self._anything_waits()):
            return 0  # nobody's turn to write is taken for nothing
        try:
            judged = await self._hasty.transact(partial(self._judge, most=CHUNK))
        except Exception as error:
            if is_down(error):
                raise
            judged = await self._judge_singly()
        self._more = judged >= CHUNK
        return judged

    async def _anything_waits(self) -> bool:
        async with self._ledger.read() as connection:
            return bool(await connection.run_sync(select_waiting, 1))

    async def _judge_singly(self) -> int:
        done = 0
        while done < CHUNK:
            try:
                judged = await self._hasty.transact(partial(self._judge, most=1))
            except _UnjudgedError as failure:
                _log.exception("hit.set_aside", hit_id=failure.hit_id, again_s=AGAIN_S)
                fault = type(failure.__cause__).__name__
                await self._hasty.transact(partial(set_aside, hit_id=failure.hit_id, fault=fault))
                judged = 1
            if not judged:
                break
            done += judged
        return done

    def _judge(self, connection: Connection, most: int) -> int:
        waiting = select_waiting(connection, most)  # another process may have been first
        if not waiting:
            return 0
        try:
            stories = select_stories(connection, waiting)
            known = waiting if self._know is None else self._know(waiting, stories)
            settlement = self._attribute(known, stories)
            both = zip(known, waiting, strict=True)
            keep_features(connection, [hit for hit, was in both if hit is not was])
            record_events(connection, settlement.events)
            relabel_events(connection, settlement.relabelled)
            owe_notices(connection, settlement.notices)
            add_repeats(connection, settlement.repeats)
            settle_hits(connection, settlement.settled)
        except Exception as error:
            if is_down(error):
                raise
            raise _UnjudgedError(waiting[0].hit_id) from error
        return len(waiting)
