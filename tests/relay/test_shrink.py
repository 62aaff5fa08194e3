import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert

from ledger import schema
from ledger.migrate import open_store
from relay import shrink
from relay.shrink import shrink_when_short


async def test_while_room_is_short_the_log_is_cut_and_what_it_held_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrink, "_LOOK_S", 0.01)
    short = False
    monkeypatch.setattr(shrink, "has_room", lambda _folder, _size: not short)
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    log = tmp_path / "spool.db-wal"
    task = asyncio.create_task(shrink_when_short((store,)))
    async with store.write() as connection:
        await connection.execute(insert(schema.owed_facts), {"fact": {}})
    assert log.stat().st_size
    await asyncio.sleep(0.05)
    assert log.stat().st_size
    short = True
    async with asyncio.timeout(5):
        while log.stat().st_size:  # noqa: ASYNC110 - it looks at a file
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with store.read() as connection:
        assert len((await connection.execute(schema.owed_facts.select())).all()) == 1
    await store.close()


async def test_a_log_that_somebody_reads_is_left_for_the_next_time(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    async with store.read() as connection:
        await connection.execute(schema.owed_facts.select())
        async with store.write() as writing:
            await writing.execute(insert(schema.owed_facts), {"fact": {}})
        await store.shrink()
        assert (tmp_path / "spool.db-wal").stat().st_size
    await store.close()
