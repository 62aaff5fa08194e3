"""Whether the console can do its work."""

import asyncio
import sqlite3
from typing import Any

import pytest

from collector.console import health


async def test_it_is_alive_and_ready(console: Any) -> None:
    stranger = await console.stranger()
    assert (await stranger.get("/healthz"))[:2] == (200, "ok\n")
    assert (await stranger.get("/readyz"))[:2] == (200, "ledger: ok\nspool: ok\ndisk: ok\n")


async def test_a_store_that_is_broken_makes_it_not_ready(console: Any) -> None:
    stranger = await console.stranger()
    folder = console.settings.server.state_dir
    database = sqlite3.connect(folder / "spool.db")
    database.execute("DROP TABLE spooled_copies")
    database.commit()
    database.close()
    told = (503, "ledger: ok\nspool: can not be read\ndisk: ok\n")
    assert (await stranger.get("/readyz"))[:2] == told
    assert (await stranger.get("/healthz"))[0] == 200


async def test_a_store_that_does_not_answer_makes_it_not_ready(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_READ_TIMEOUT_S", 0.05)
    stranger = await console.stranger()
    # All its readers are busy.
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        done = asyncio.Event()

        async def hold(ready: asyncio.Event) -> None:
            async with console.stores.ledger.read():
                ready.set()
                await done.wait()

        holds = [asyncio.Event() for _ in range(4)]
        for ready in holds:
            group.create_task(hold(ready))
        for ready in holds:
            await ready.wait()
        status, text, _ = await stranger.get("/readyz")
        done.set()
    assert (status, text) == (503, "ledger: can not be read\nspool: ok\ndisk: ok\n")
    assert (await stranger.get("/readyz"))[0] == 200


async def test_mail_that_can_not_be_stored_makes_it_not_ready(console: Any) -> None:
    stranger = await console.stranger()
    console.stores.spool.fault = "disk I/O error"
    told = (503, "ledger: ok\nspool: can not be written\ndisk: ok\n")
    assert (await stranger.get("/readyz"))[:2] == told
    console.stores.spool.fault = None
    assert (await stranger.get("/readyz"))[0] == 200


async def test_a_ledger_that_was_taken_away_makes_it_not_ready(console: Any) -> None:
    stranger = await console.stranger()
    assert (await stranger.get("/readyz"))[0] == 200
    file = console.settings.server.state_dir / "ledger.db"
    file.rename(file.with_name("moved.db"))
    told = (503, "ledger: is not where it was\nspool: ok\ndisk: ok\n")
    assert (await stranger.get("/readyz"))[:2] == told
    file.with_name("moved.db").rename(file)
    assert (await stranger.get("/readyz"))[0] == 200


async def test_a_disk_that_is_short_makes_it_not_ready(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = await console.stranger()
    monkeypatch.setattr(health, "has_room", lambda _folder, _size: False)
    told = (503, "ledger: ok\nspool: ok\ndisk: has no room for more mail\n")
    assert (await stranger.get("/readyz"))[:2] == told
    assert (await stranger.get("/healthz"))[0] == 200
