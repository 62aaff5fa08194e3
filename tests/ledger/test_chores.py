"""Who does a chore, over a real store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ledger import schema
from ledger.chores import HOLD_LASTS, PURGE, end_chore, take_chore
from ledger.engine import Store
from ledger.migrate import open_store

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


async def take(ledger: Store, holder: str, now: datetime, since: datetime | None = None) -> bool:
    taken: bool = await ledger.transact(
        partial(take_chore, name=PURGE, holder=holder, now=now, not_since=since)
    )
    return taken


async def end(ledger: Store, holder: str, done_at: datetime | None) -> None:
    await ledger.transact(partial(end_chore, name=PURGE, holder=holder, done_at=done_at))


async def test_one_at_a_time_and_who_dies_holds_up_nobody_for_long(ledger: Store) -> None:
    """Law: of any number of processes one at a time does a chore, and who dies holds up the others
    no longer than his hold lasts.
    """
    assert await take(ledger, "one", NOW)
    assert not await take(ledger, "two", NOW)
    assert await take(ledger, "one", NOW + timedelta(minutes=5))  # it renews its hold
    assert not await take(ledger, "two", NOW + HOLD_LASTS)
    assert await take(ledger, "two", NOW + timedelta(minutes=5) + HOLD_LASTS)
    await end(ledger, "one", NOW)  # too late: it is not its any more
    assert not await take(ledger, "three", NOW + timedelta(minutes=16))


async def test_what_was_done_is_not_done_again_so_soon(ledger: Store) -> None:
    assert await take(ledger, "one", NOW, NOW - timedelta(days=1))
    await end(ledger, "one", NOW)
    later = NOW + timedelta(hours=1)
    assert not await take(ledger, "two", later, later - timedelta(days=1))
    assert await take(ledger, "two", later)  # by command it is done whenever it is asked for
    await end(ledger, "two", None)
    tomorrow = NOW + timedelta(hours=25)
    assert await take(ledger, "three", tomorrow, tomorrow - timedelta(days=1))
