"""HUB, the care of the queue: what no attempt and no settlement does.

Law: no copy waits longer than the longest wait there is, whatever the clock was set to.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ledger.acts import QueueAct, read_acts, take_acts
from ledger.engine import Store
from ledger.lapsed import delete_dead, has_dead, has_strays, recall_strays
from relay.clock import utc_now

LOOK_S = 5.0
"""As dispatch looks for what others have set free."""

DEAD_LETTERS = timedelta(days=30)
"""How long they are kept: who looks at the queue once a month still finds them."""

_SLACK = timedelta(seconds=10)
"""Between a due time and its commit, and for a clock that is slewed."""

_CHUNK = 200
_LANE_WAIT_S = 300
"""The longest wait that relay.lane gives; a test holds the two together."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waits:
    """How far ahead a copy can be due."""

    longest_s: float
    lease_s: float


async def tend_queue(spool: Store, waits: Waits, now: Callable[[], datetime] = utc_now) -> None:
    """Look after the queue until cancelled."""
    while True:
        try:
            await tend_once(spool, waits, now())
        except (SQLAlchemyError, OSError) as error:
            _log.error("queue.not_tended", error=str(error))
        await asyncio.sleep(LOOK_S)


async def tend_once(spool: Store, waits: Waits, now: datetime) -> None:
    """Recall what was put too far ahead, tell what people did, delete old dead letters."""
    await _recall(spool, waits, now)
    await _tell_acts(spool)
    await _delete_dead(spool, now - DEAD_LETTERS)


async def _recall(spool: Store, waits: Waits, now: datetime) -> None:
    lease = timedelta(seconds=waits.lease_s)
    longest = max(timedelta(seconds=max(waits.longest_s, _LANE_WAIT_S)), lease) + _SLACK

    async with spool.read() as looking:
        if not await has_strays(looking, now, longest):
            return

    def recall(connection: Connection) -> int:
        return recall_strays(connection, now, longest, lease)

    if recalled := await spool.transact(recall):
        _log.warning("copies.recalled", copies=recalled, now=now.isoformat())


async def _delete_dead(spool: Store, before: datetime) -> None:
    async with spool.read() as connection:
        if not await has_dead(connection, before):
            return
    while deleted := await spool.transact(partial(delete_dead, before=before, limit=_CHUNK)):
        _log.info("dead_letters.deleted", copies=deleted)


async def _tell_acts(spool: Store) -> None:
    async with spool.read() as connection:
        known = await read_acts(connection, 1)
    while known:
        # Taken away in one transaction: of several processes one tells each.
        known = await spool.transact(partial(take_acts, limit=_CHUNK))
        for act in known:
            _tell(act)


def _tell(act: QueueAct) -> None:
    _log.info(
        f"queue.{act.action}",
        copy_id=act.copy_id,
        send_id=act.send_id,
        actor=act.actor,
        at=act.at.isoformat(),
    )
