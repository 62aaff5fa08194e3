"""Hits a second and CPU a hit: the collector beside a bare aiohttp handler, in turns.

`python bench/collector/hits.py [--hits 3000] [--clients 32] [--rounds 3]`
New connections, pixels of distinct copies whose sends are known: every hit becomes an event.
CPU is that of the whole server process until the last event is on record.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from aiohttp import web
from sqlalchemy import func, insert, select

from collector.answer import GIF
from collector.app import run_collector
from config.settings import Settings
from ledger import schema
from ledger.keys import load_keys
from ledger.migrate import Stores, open_stores
from ledger.token import HitKind, Token, write_token

HEADERS = (
    "Host: t.example.com\r\nConnection: close\r\nAccept-Language: sv\r\n"
    "User-Agent: Mozilla/5.0 (X11; rv:128.0) Gecko/20100101 Thunderbird/128.3.0\r\n\r\n"
)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def serve_bare(pipe: Connection) -> None:
    async def handle(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=GIF, content_type="image/gif")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    before = cpu_s()
    pipe.send(runner.addresses[0][1])
    await asyncio.to_thread(pipe.recv)
    pipe.send(cpu_s() - before)
    await runner.cleanup()


async def serve_collector(pipe: Connection, folder: Path, hits: int) -> None:
    settings = Settings.model_validate(
        {
            "server": {"state_dir": folder},
            "collector": {"listen": ["127.0.0.1:0"]},
            "tracking": {"base_url": "http://127.0.0.1:8025"},
        }
    )
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    await add_sends(stores, hits)
    async with run_collector(settings, stores, load_keys(settings.keys_dir)) as ports:
        before = cpu_s()
        pipe.send(ports[0])
        await asyncio.to_thread(pipe.recv)
        while await count_events(stores) < hits:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.02)
        pipe.send(cpu_s() - before)
    await stores.close()


async def add_sends(stores: Stores, hits: int) -> None:
    async with stores.ledger.write() as connection:
        send = {"send_id": "S", "accepted_at": datetime.now(UTC), "size_bytes": 1, "base_url": ""}
        lists = {"verdict": [], "tags": [], "metadata": {}, "sender": "a@example.com"}
        await connection.execute(insert(schema.sends), send | lists)
        copies = [{"copy_id": n, "send_id": "S", "mode": "individual"} for n in range(hits)]
        await connection.execute(insert(schema.copies), copies)
        people = [
            {"copy_id": n, "number": 0, "recipient": f"r{n}@example.org", "recipient_key": f"r{n}"}
            | {"recipient_type": "to"}
            for n in range(hits)
        ]
        await connection.execute(insert(schema.copy_recipients), people)


async def count_events(stores: Stores) -> int:
    async with stores.ledger.read() as connection:
        return (await connection.scalar(select(func.count()).select_from(schema.events))) or 0


async def load(port: int, targets: Sequence[str], clients: int) -> float:
    waiting = iter(targets)

    async def client() -> None:
        for target in waiting:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {target} HTTP/1.1\r\n{HEADERS}".encode())
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - began


def run_server(kind: str, pipe: Connection, folder: Path, hits: int) -> None:
    server = serve_bare(pipe) if kind == "bare" else serve_collector(pipe, folder, hits)
    uvloop.run(server)


def measure(kind: str, hits: int, clients: int) -> tuple[float, float]:
    """Return hits a second and milliseconds of CPU a hit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = load_keys(folder / "keys").current
        targets = [
            f"/o/{write_token(key, Token(HitKind.OPEN, key.key_id, n, 0)).decode()}.gif"
            for n in range(hits)
        ]
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=run_server, args=(kind, theirs, folder, hits))
        server.start()
        took_s = uvloop.run(load(ours.recv(), targets, clients))
        ours.send("done")
        used_s = ours.recv()
        server.join()
    return hits / took_s, used_s / hits * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    for option, default in (("--hits", 3000), ("--clients", 32), ("--rounds", 3)):
        parser.add_argument(option, type=int, default=default)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, {given.clients} clients, {given.hits} hits a round")
    for _ in range(given.rounds):
        for kind in ("bare", "collector"):
            rate, cost_ms = measure(kind, given.hits, given.clients)
            print(f"{kind:10} {rate:6.0f} hits/s {cost_ms:6.3f} ms CPU a hit", flush=True)


if __name__ == "__main__":
    main()
