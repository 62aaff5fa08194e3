"""Retention: what is old enough goes, daily while Indicia runs, and by command.

Law: of any number of processes one at a time purges.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from indicia.failure import Failure
from indicia.printing import print_json, print_line, table
from indicia.storage import existing_stores, spill_url
from ledger import schema
from ledger.chores import PURGE, end_chore, take_chore
from ledger.ident import RANDOM_BITS, new_ident
from ledger.migrate import StoreError, Stores, open_store
from ledger.purge import Places, Purged, Terms, count_old, purge

LOOK_S = 3600.0
"""How often it is looked whether a purge is due, and the logs of the stores are cut."""

DAILY = timedelta(hours=23)
"""After the last one was done: an hour less than a day, so that it does not wander."""

_log = structlog.get_logger()


def purge_now(settings: Settings, *, dry: bool, as_json: bool) -> None:
    """Delete what is old enough, or count it, and print how much of each class.

    Raises Failure where another process is at it.
    """
    done = asyncio.run(_purge_now(settings, dry=dry))
    if as_json:
        for one in done:
            print_json({"class": one.name, "rows": one.rows, "deleted": not dry})
        return
    rows = [(one.name, one.rows) for one in done if one.rows]
    print_line(("would be deleted:" if dry else "deleted:") if rows else "nothing is old enough")
    for line in table(rows, "  ") if rows else ():
        print_line(line)


@asynccontextmanager
async def purging(settings: Settings, stores: Stores) -> AsyncIterator[None]:
    """Look hourly, while the block runs, whether a purge is due; cut the logs."""
    task = asyncio.create_task(_keep_purging(settings, stores))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def terms_of(settings: Settings, now: datetime) -> Terms:
    """Return what is old enough now."""
    privacy = settings.privacy
    return Terms(
        now,
        events_before=now - timedelta(seconds=privacy.retain_events_s),
        content_before=now - timedelta(seconds=privacy.retain_content_s),
    )


async def purge_if_due(settings: Settings, places: Places, now: datetime) -> bool:
    """Purge where nobody has since a day; return whether it was done here."""
    holder = _name(now)
    take = partial(take_chore, name=PURGE, holder=holder, now=now, not_since=now - DAILY)
    if not await places.ledger.transact(take):
        return False
    await _purge_as(holder, settings, places, _tell)
    return True


async def _look(settings: Settings, stores: Stores) -> None:
    # Opened for the look alone: a process that relays must not end because it can not be.
    spill = await open_store(spill_url(settings), schema.spill)
    try:
        places = Places(stores.ledger, stores.spool, spill)
        await purge_if_due(settings, places, datetime.now(UTC))
        for store in (places.ledger, places.spool, places.spill):
            await store.shrink()
    finally:
        await spill.close()


async def _keep_purging(settings: Settings, stores: Stores) -> None:
    while True:
        try:
            await _look(settings, stores)
        except (SQLAlchemyError, OSError, StoreError) as error:
            _log.error("purge.failed", error=str(error))
        await asyncio.sleep(LOOK_S)


async def _purge_now(settings: Settings, *, dry: bool) -> list[Purged]:
    now, done = datetime.now(UTC), list[Purged]()
    async with existing_stores(settings) as stores:
        spill = await open_store(spill_url(settings), schema.spill)
        places, holder = Places(stores.ledger, stores.spool, spill), _name(now)
        try:
            if dry:
                return [one async for one in count_old(places, terms_of(settings, now))]
            if not await stores.ledger.transact(
                partial(take_chore, name=PURGE, holder=holder, now=now)
            ):
                msg = "another process is purging; its log tells what it deletes"
                raise Failure(msg)
            await _purge_as(holder, settings, places, done.append)
        finally:
            await spill.close()
    return done


async def _purge_as(
    holder: str, settings: Settings, places: Places, tell: Callable[[Purged], None]
) -> None:
    """Purge under a hold that was taken, renewing it after each class."""
    ended: datetime | None = None
    try:
        async for one in purge(places, terms_of(settings, datetime.now(UTC))):
            tell(one)
            now = datetime.now(UTC)
            await places.ledger.transact(partial(take_chore, name=PURGE, holder=holder, now=now))
        ended = datetime.now(UTC)
    finally:
        end = partial(end_chore, name=PURGE, holder=holder, done_at=ended)
        await places.ledger.transact(end)


def _tell(one: Purged) -> None:
    if one.rows:
        _log.info("purge.done", what=one.name, rows=one.rows)


def _name(now: datetime) -> str:
    return new_ident(int(now.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
