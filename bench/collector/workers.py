"""Hits a second that `indicia collector --workers N` records and answers, while judging goes on.

`python bench/collector/workers.py [--hits 12000] [--clients 384] [--workers 1 2]`
The load comes from the same machine and takes a third of a core.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from hits import add_sends, count, load

from ledger import schema
from ledger.keys import load_keys
from ledger.migrate import open_stores
from ledger.token import HitKind, Token, write_token

COMMAND = Path(sys.executable).with_name("indicia")


async def prepare(folder: Path, hits: int) -> None:
    stores = await open_stores(
        f"sqlite+aiosqlite:///{folder}/ledger.db", f"sqlite+aiosqlite:///{folder}/spool.db"
    )
    await add_sends(stores, hits)
    await stores.close()


async def judged(folder: Path) -> int:
    stores = await open_stores(
        f"sqlite+aiosqlite:///{folder}/ledger.db", f"sqlite+aiosqlite:///{folder}/spool.db"
    )
    events = await count(stores, schema.events)
    await stores.close()
    return events


def measure(workers: int, hits: int, clients: int) -> None:
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (folder / "indicia.toml").write_text(
            f'[server]\nstate_dir = "{folder}"\n[collector]\nlisten = ["127.0.0.1:{port}"]\n'
            f'[database]\nurl = "sqlite+aiosqlite:///{folder}/ledger.db"\n'
            f'spool_url = "sqlite+aiosqlite:///{folder}/spool.db"\n'
        )
        uvloop.run(prepare(folder, hits))
        key = load_keys(folder / "keys").current
        targets = [
            f"/o/{write_token(key, Token(HitKind.OPEN, key.key_id, n, 0)).decode()}.gif"
            for n in range(hits)
        ]
        words = [COMMAND, "--config", folder / "indicia.toml", "collector"]
        with (folder / "log").open("w") as log:
            serving = subprocess.Popen(
                [*words, "--workers", str(workers)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert serving.stdout is not None
        for _ in range(2):
            serving.stdout.readline()
        time.sleep(2)  # until the other workers listen, too
        took_s = uvloop.run(load(port, targets, clients))
        began = time.monotonic()
        while uvloop.run(judged(folder)) < hits:
            time.sleep(0.2)
        serving.send_signal(signal.SIGTERM)
        serving.wait(30)
        spilled = (folder / "log").read_text().count("ledger.unwritten")
        print(
            f"{workers} workers {hits / took_s:6.0f} hits/s answered, the last judged "
            f"{time.monotonic() - began:.1f} s later; the spill was needed {spilled} times",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hits", type=int, default=12_000)
    parser.add_argument("--clients", type=int, default=384)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, {given.clients} clients, {given.hits} hits")
    for workers in given.workers:
        measure(workers, given.hits, given.clients)


if __name__ == "__main__":
    main()
