"""Hits a second and CPU a hit: the collector beside a bare aiohttp handler and nginx, in turns.

`python bench/collector/hits.py [--hits 8000] [--clients 512] [--rounds 3]`
New connections from many networks; pixels of distinct copies of known sends, three to a send.
`bare`       aiohttp's low-level server with a handler that returns the pixel
`nginx`      its `empty_gif`, one worker, no log (where nginx is installed)
`answering`  the collector, until the last hit is on disk and answered: judging is held back
`collector`  the collector until the last hit has become an event
CPU is that of the whole server, in user and kernel mode.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from aiohttp import web
from sqlalchemy import Table, func, insert, select

from collector.answer import GIF
from collector.app import run_collector
from collector.collect import Collect
from config.settings import Settings
from indicia.serving import quiet_gc
from ledger import schema
from ledger.keys import load_keys
from ledger.migrate import Stores, open_stores
from ledger.token import HitKind, Token, write_token

COPIES_A_SEND = 3
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
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    before = cpu_s()
    pipe.send(runner.addresses[0][1])
    await asyncio.to_thread(pipe.recv)
    pipe.send(cpu_s() - before)
    await runner.cleanup()


async def serve_collector(pipe: Connection, folder: Path, hits: int, *, judged: bool) -> None:
    if not judged:
        Collect.classify_recorded = wait_for_the_end  # type: ignore[method-assign] # held back
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
        table = schema.events if judged else schema.hits
        while await count(stores, table) < hits:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.02)
        pipe.send(cpu_s() - before)
    await stores.close()


async def wait_for_the_end(collect: Collect) -> None:
    while not collect._journal.stopped:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.1)


async def add_sends(stores: Stores, hits: int) -> None:
    numbers = range(hits)
    said = {"accepted_at": datetime.now(UTC), "size_bytes": 1, "base_url": ""}
    said |= {"verdict": {}, "tags": [], "metadata": {}, "sender": "a@example.com"}
    async with stores.ledger.write() as connection:
        sends = [said | {"send_id": f"S{n}"} for n in numbers[::COPIES_A_SEND]]
        await connection.execute(insert(schema.sends), sends)
        copies = [
            {"copy_id": n, "send_id": f"S{n - n % COPIES_A_SEND}", "mode": "individual"}
            for n in numbers
        ]
        await connection.execute(insert(schema.copies), copies)
        people = [
            {"copy_id": n, "number": 0, "recipient": f"r{n}@example.org", "recipient_key": f"r{n}"}
            | {"recipient_type": "to"}
            for n in numbers
        ]
        await connection.execute(insert(schema.copy_recipients), people)


async def count(stores: Stores, table: Table) -> int:
    async with stores.ledger.read() as connection:
        return (await connection.scalar(select(func.count()).select_from(table))) or 0


class Client(asyncio.Protocol):
    """One request on a connection of its own; streams would cost more than what is measured."""

    def __init__(self, target: str, done: asyncio.Future[bytes]) -> None:
        self._request = f"GET {target} HTTP/1.1\r\n{HEADERS}".encode()
        self._done = done
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined] # asyncio's own naming

    def data_received(self, data: bytes) -> None:
        self._reply += data

    def connection_lost(self, _error: Exception | None) -> None:
        self._done.set_result(self._reply)


async def load(port: int, targets: Sequence[str], clients: int) -> float:
    waiting, loop = iter(targets), asyncio.get_running_loop()
    # From many networks, as people come.
    addresses = cycle(f"127.{n}.{m}.1" for m in range(1, 250) for n in range(1, 250))

    async def ask_on() -> None:
        for target in waiting:
            done: asyncio.Future[bytes] = loop.create_future()
            await loop.create_connection(
                partial(Client, target, done), "127.0.0.1", port, local_addr=(next(addresses), 0)
            )
            assert (await done).startswith(b"HTTP/1.1 200")

    began = time.perf_counter()
    await asyncio.gather(*(ask_on() for _ in range(clients)))
    return time.perf_counter() - began


def run_server(kind: str, pipe: Connection, folder: Path, hits: int) -> None:
    quiet_gc()  # as indicia.serving does; for the bare server, too
    if kind == "bare":
        uvloop.run(serve_bare(pipe))
    elif kind == "nginx":
        serve_nginx(pipe, folder)
    else:
        uvloop.run(serve_collector(pipe, folder, hits, judged=kind == "collector"))


def serve_nginx(pipe: Connection, folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 2000; }}
http {{ access_log off; server {{
  listen 127.0.0.1:{port} backlog=2048; location / {{ empty_gif; }} }} }}
"""
    )
    nginx = subprocess.Popen(["nginx", "-e", folder / "error", "-c", configuration])
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                break
        time.sleep(0.02)
    pipe.send(port)
    pipe.recv()
    nginx.terminate()
    nginx.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    pipe.send(used.ru_utime + used.ru_stime)


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
    for option, default in (("--hits", 8000), ("--clients", 512), ("--rounds", 3)):
        parser.add_argument(option, type=int, default=default)
    kinds = ["bare", *(["nginx"] if shutil.which("nginx") else []), "answering", "collector"]
    parser.add_argument("--kinds", nargs="+", default=kinds)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, {given.clients} clients, {given.hits} hits a round")
    for _ in range(given.rounds):
        bare_ms = 0.0
        for kind in given.kinds:
            rate, cost_ms = measure(kind, given.hits, given.clients)
            bare_ms = bare_ms or cost_ms
            told = f"{kind:10} {rate:6.0f} hits/s {cost_ms:6.3f} ms CPU a hit"
            print(f"{told} {cost_ms / bare_ms:5.2f}", flush=True)


if __name__ == "__main__":
    main()
