"""Due times, leases and dead letters that have lost their meaning, over a real spool."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ledger import schema
from ledger.engine import Store
from ledger.lapsed import delete_dead, free_leases, has_dead, has_strays, recall_strays
from ledger.migrate import open_store
from ledger.queue import QueuedCopy, list_queue

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

Put = Callable[..., Awaitable[str]]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


async def queue(spool: Store) -> dict[int, QueuedCopy]:
    async with spool.read() as connection:
        return {copy.copy_id: copy for copy in await list_queue(connection, 100)}


async def strays(spool: Store) -> bool:
    async with spool.read() as connection:
        return await has_strays(connection, NOW, HOUR)


async def test_what_is_due_further_ahead_than_any_wait_is_due_now(
    spool: Store, put_in_queue: Put
) -> None:
    years = timedelta(days=3650)
    await put_in_queue(spool, 1, due_at=NOW + HOUR)
    await put_in_queue(spool, 2, due_at=NOW + HOUR + MINUTE)
    await put_in_queue(spool, 3, due_at=NOW + years, held=True)
    await put_in_queue(spool, 4, due_at=NOW + years, leased_until=NOW + years, lease="L")
    await put_in_queue(spool, 5, due_at=NOW - years)
    assert await strays(spool)
    recall = partial(recall_strays, now=NOW, longest=HOUR, lease=MINUTE)
    assert await spool.transact(recall) == 2
    found = await queue(spool)
    assert {number: copy.due_at - NOW for number, copy in found.items()} == {
        1: HOUR,
        2: timedelta(),
        3: years,
        # Whoever holds it, if he lives, has a minute to renew it.
        4: MINUTE,
        5: -years,
    }
    assert found[4].leased_until == NOW + MINUTE
    assert not await strays(spool)
    assert await spool.transact(recall) == 0


async def test_the_leases_of_the_dead_end_and_no_others(spool: Store, put_in_queue: Put) -> None:
    leased = {"lease": "L", "leased_until": NOW + MINUTE, "due_at": NOW + MINUTE}
    await put_in_queue(spool, 1, lessee="DEAD", **leased)
    await put_in_queue(spool, 2, lessee="ALIVE", **leased)
    await put_in_queue(spool, 3, lessee="DEAD", **(leased | {"due_at": NOW - HOUR}))
    await put_in_queue(spool, 4, due_at=NOW + HOUR)
    free = partial(free_leases, lessees=("DEAD", "GONE"), now=NOW)
    assert await spool.transact(free) == 2
    found = await queue(spool)
    assert {number for number, copy in found.items() if copy.leased} == {2}
    assert [found[number].due_at for number in (1, 2, 3, 4)] == [
        NOW,
        NOW + MINUTE,
        NOW - HOUR,
        NOW + HOUR,
    ]


async def test_old_dead_letters_go_and_their_content_with_them(
    spool: Store, put_in_queue: Put
) -> None:
    dead = {"held": True, "fate": "dead", "sender": None}
    for number in (1, 2, 3):
        await put_in_queue(spool, number, due_at=NOW - 2 * HOUR, tried_at=NOW - 2 * HOUR, **dead)
    await put_in_queue(spool, 4, due_at=NOW, tried_at=NOW, **dead)
    await put_in_queue(spool, 5, due_at=NOW - 2 * HOUR, held=True)
    delete = partial(delete_dead, before=NOW - HOUR, limit=2)
    async with spool.read() as connection:
        assert await has_dead(connection, NOW - HOUR)
    assert [await spool.transact(delete) for _ in range(3)] == [2, 1, 0]
    assert sorted(await queue(spool)) == [4, 5]
    async with spool.read() as connection:
        assert not await has_dead(connection, NOW - HOUR)
        sends = select(func.count()).select_from(schema.spooled_sends)
        assert await connection.scalar(sends) == 2
