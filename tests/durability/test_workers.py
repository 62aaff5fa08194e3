"""Collectors that share sockets and stores, of which some are killed under load."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from ledger.keys import load_keys
from ledger.migrate import open_stores
from tests.durability.hits import CLIENTS, Hits, locked, told
from tests.durability.relays import write_configuration
from tests.ports import free_port

pytestmark = pytest.mark.crash

COMMAND = Path(sys.executable).with_name("indicia")
KILLS = int(os.environ.get("TEST_WORKER_KILLS", "4"))
WORKERS = 2
PATIENCE_S = 30.0


def children(pid: int) -> list[int]:
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextmanager
def collectors(folder: Path, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run so many collectors until they have ended by SIGTERM."""
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            [COMMAND, "--config", folder / "indicia.toml", "collector", "--workers", str(workers)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


async def all_work(port: int, parent: int) -> None:
    """Return when there are as many workers as asked for, and one answers."""
    async with asyncio.timeout(PATIENCE_S):
        while len(await asyncio.to_thread(children, parent)) < WORKERS:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    await answers(port)


async def answers(port: int) -> None:
    """Return when one answers: who still starts heeds no signal."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await reader.read()
        writer.close()


async def load(hits: Hits, port: int, copies: list[int]) -> None:
    """Ask for each copy once, whatever becomes of who would answer."""
    waiting = iter(copies)

    async def client() -> None:
        for copy_id in waiting:
            try:
                await hits.ask(port, copy_id)
            except ConnectionResetError:  # the one who had taken it was killed
                continue

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def settled(hits: Hits) -> None:
    async with asyncio.timeout(120):
        while await asyncio.to_thread(hits.left):  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.05)


async def test_workers_that_are_killed_lose_no_answered_hit_and_their_spill_is_anothers(
    tmp_path: Path,
) -> None:
    dice, port = random.Random(1), free_port()
    write_configuration(
        tmp_path, free_port(), free_port(), f'[collector]\nlisten = ["127.0.0.1:{port}"]\n'
    )
    stores = await open_stores(
        f"sqlite+aiosqlite:///{tmp_path}/ledger.db", f"sqlite+aiosqlite:///{tmp_path}/spool.db"
    )
    hits = Hits(tmp_path, stores, load_keys(tmp_path / "keys"))
    with collectors(tmp_path, WORKERS) as parent:
        for number in range(KILLS):
            await all_work(port, parent.pid)
            loading = asyncio.create_task(load(hits, port, await hits.add_copies(dice)))
            victim = dice.choice(children(parent.pid))
            if number % 2:
                with locked(tmp_path):  # what it has answered is in the spill
                    await asyncio.sleep(dice.uniform(0.1, 0.4))
                    os.kill(victim, signal.SIGKILL)
            else:
                await asyncio.sleep(dice.uniform(0.02, 0.2))
                os.kill(victim, signal.SIGKILL)
            await loading
        # The last round is spilled, and fewer processes come after these.
        copies = await hits.add_copies(dice)
        with locked(tmp_path):
            await load(hits, port, copies)
            for victim in children(parent.pid):
                os.kill(victim, signal.SIGKILL)
            parent.terminate()
            assert await asyncio.to_thread(parent.wait, PATIENCE_S) == 0
    await hits.end()
    assert hits.left() > 0, "the spill is what is to be looked at"
    with collectors(tmp_path, 1):
        await answers(port)
        await settled(hits)
    await stores.close()
    print(told(hits, KILLS))  # noqa: T201 - the figure, by pytest -s
    assert hits.faults() == []
    log = (tmp_path / "output.txt").read_text()
    assert log.count("event=worker.died") >= KILLS
    assert len(hits.answered) > KILLS * 50, "the clients hardly got through"


async def test_all_workers_end_while_hits_come_in_and_each_answered_hit_is_kept(
    tmp_path: Path,
) -> None:
    port = free_port()
    write_configuration(
        tmp_path, free_port(), free_port(), f'[collector]\nlisten = ["127.0.0.1:{port}"]\n'
    )
    stores = await open_stores(
        f"sqlite+aiosqlite:///{tmp_path}/ledger.db", f"sqlite+aiosqlite:///{tmp_path}/spool.db"
    )
    hits = Hits(tmp_path, stores, load_keys(tmp_path / "keys"))
    copies = await hits.add_copies(random.Random(2))
    await hits.end()
    with collectors(tmp_path, WORKERS) as parent:
        await all_work(port, parent.pid)
        loading = asyncio.create_task(hits.load(port, copies))
        await asyncio.sleep(0.2)
        began = monotonic()
        parent.terminate()
        await loading
        assert await asyncio.to_thread(parent.wait, PATIENCE_S) == 0
        assert monotonic() - began < 10, "they end what they are at, and no more"
    assert len(hits.answered) > 10
    with collectors(tmp_path, WORKERS) as parent:
        await all_work(port, parent.pid)
        await settled(hits)
    await stores.close()
    assert hits.faults() == []
