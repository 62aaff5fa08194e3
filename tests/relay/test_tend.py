"""The care of the queue, over a real spool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from ledger import schema
from ledger.acts import Action, act_on_queue
from ledger.audit import Author
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.queue import QueueFilter, list_queue
from relay import lane, tend
from relay.tend import DEAD_LETTERS, Waits, tend_once, tend_queue

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WAITS = Waits(3600, 60)

Put = Callable[..., Awaitable[str]]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


async def due(spool: Store) -> dict[int, timedelta]:
    async with spool.read() as connection:
        return {copy.copy_id: copy.due_at - NOW for copy in await list_queue(connection, 100)}


def test_the_longest_wait_of_a_lane_is_known() -> None:
    assert tend._LANE_WAIT_S >= lane._LONGEST_S


@pytest.mark.parametrize(
    ("waits", "longest_s"), [(Waits(3600, 60), 3600), (Waits(60, 30), 300), (Waits(60, 900), 900)]
)
async def test_no_copy_waits_longer_than_the_longest_wait_there_is(
    spool: Store, put_in_queue: Put, waits: Waits, longest_s: int
) -> None:
    """Law: no copy waits longer than the longest wait there is, whatever the clock was set to."""
    await put_in_queue(spool, 1, due_at=NOW + timedelta(seconds=longest_s))
    await put_in_queue(spool, 2, due_at=NOW + timedelta(seconds=longest_s + 60))
    await put_in_queue(spool, 3, due_at=NOW + timedelta(days=3650))
    with structlog.testing.capture_logs() as logs:
        await tend_once(spool, waits, NOW)
        await tend_once(spool, waits, NOW)
    assert await due(spool) == {1: timedelta(seconds=longest_s), 2: timedelta(), 3: timedelta()}
    assert [(line["event"], line["copies"]) for line in logs] == [("copies.recalled", 2)]


async def test_what_people_do_to_the_queue_is_in_the_log_once(
    spool: Store, put_in_queue: Put
) -> None:
    send_id = await put_in_queue(spool, 1)
    author = Author("operator", NOW, b"key")
    for action in (Action.HOLD, Action.RELEASE):
        assert [one async for one in act_on_queue(spool, action, QueueFilter(), author)]
    with structlog.testing.capture_logs() as logs:
        await tend_once(spool, WAITS, NOW)
        await tend_once(spool, WAITS, NOW)
    assert [(line["event"], line["send_id"], line["actor"]) for line in logs] == [
        ("queue.held", send_id, "operator"),
        ("queue.released", send_id, "operator"),
    ]


async def test_dead_letters_go_after_a_month(spool: Store, put_in_queue: Put) -> None:
    old = NOW - DEAD_LETTERS - timedelta(hours=1)
    dead: dict[str, Any] = {"held": True, "fate": "dead", "sender": None}
    await put_in_queue(spool, 1, due_at=old, tried_at=old, **dead)
    await put_in_queue(spool, 2, due_at=NOW, tried_at=NOW, **dead)
    with structlog.testing.capture_logs() as logs:
        await tend_once(spool, WAITS, NOW)
    assert list(await due(spool)) == [2]
    assert [line["event"] for line in logs] == ["dead_letters.deleted"]


async def test_a_spool_that_can_not_be_read_is_looked_at_again(
    spool: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, done = [], asyncio.Event()

    async def look(*_: Any) -> None:
        looks.append(1)
        if len(looks) == 1:
            statement = "SELECT"
            raise OperationalError(statement, {}, OSError("disk I/O error"))
        done.set()

    monkeypatch.setattr(tend, "LOOK_S", 0)
    monkeypatch.setattr(tend, "tend_once", look)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(tend_queue(spool, WAITS))
        await asyncio.wait_for(done.wait(), 5)
        task.cancel()
        await asyncio.wait([task])
    assert [line["event"] for line in logs] == ["queue.not_tended"]
