"""The collector is killed, or its ledger is away: what was answered is told once."""

import asyncio
import os
import statistics
from pathlib import Path
from time import monotonic

import pytest

from ledger.keys import load_keys
from ledger.migrate import open_stores
from tests.durability.hits import Hits, kill_collectors, locked, told
from tests.durability.relays import Relay, running_parent, write_configuration
from tests.ports import free_port

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TEST_HIT_KILLS", "12"))
AWAY_S = float(os.environ.get("TEST_LEDGER_AWAY", "4"))
RATE = 200
"""Hits a second while the ledger is away: ten offices that all open a mail."""
MOST_S = 0.1
"""Of redirects, at the 99th percentile (promise D20)."""


async def test_every_answered_hit_is_told_once_after_kills(tmp_path: Path) -> None:
    with running_parent() as parent:
        hits, kills = await kill_collectors(parent, tmp_path, KILLS, seconds=3_600)
    print(told(hits, kills))  # noqa: T201 - the figure, by pytest -s
    assert hits.faults() == []
    assert kills == KILLS
    assert len(hits.answered) > KILLS * 10, "the clients hardly got through"


@pytest.mark.alone
async def test_while_the_ledger_is_locked_redirects_do_not_wait_and_all_is_told_after(
    tmp_path: Path,
) -> None:
    port = free_port()
    more = f'[collector]\nlisten = ["127.0.0.1:{port}"]\n'
    write_configuration(tmp_path, free_port(), free_port(), more)
    stores = await open_stores(
        f"sqlite+aiosqlite:///{tmp_path}/ledger.db", f"sqlite+aiosqlite:///{tmp_path}/spool.db"
    )
    hits = Hits(tmp_path, stores, load_keys(tmp_path / "keys"))
    took: list[float] = []

    async def ask(copy_id: int) -> None:
        began = monotonic()
        await hits.ask(port, copy_id)
        if copy_id % 2 == 0:
            took.append(monotonic() - began)

    with running_parent() as parent:
        collector = Relay(parent, tmp_path, port)
        await collector.start(program="collector")
        hits.known = int(AWAY_S * RATE)
        await hits.record(list(range(hits.known)))
        began, asking = monotonic(), []
        with locked(tmp_path):
            for number in range(hits.known):
                await asyncio.sleep(max(0.0, began + number / RATE - monotonic()))
                asking.append(asyncio.create_task(ask(number)))
            await asyncio.gather(*asking)
        async with asyncio.timeout(120):
            while await asyncio.to_thread(hits.left):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
        collector.kill()
    await stores.close()
    p99 = statistics.quantiles(took, n=100)[98]
    print(  # noqa: T201 - the figure, by pytest -s
        f"locked for {monotonic() - began:.0f} s, {len(hits.answered)} hits answered, redirects "
        f"p50 {statistics.median(took) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )
    assert len(hits.answered) == hits.known
    assert hits.faults() == []
    assert p99 < MOST_S
