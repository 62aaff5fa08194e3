"""Hits under load on a collector that is killed, and what has become of them.

python -m tests.durability.hits KILLS [--seconds 160]
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import insert

from ledger import schema
from ledger.keys import KeyRing, load_keys
from ledger.migrate import Stores, open_stores
from ledger.token import HitKind, Token, write_token
from tests.durability.relays import Parent, Relay, running_parent, write_configuration
from tests.ports import free_port

CLIENTS = 16
COPIES = 400
"""In a round: more than a collector answers before it is killed."""
LATE = 0.1
"""Of them are on record a round later only: their hits wait in the spill."""
LINK = "https://example.net/a?b=c"
HEAD = "Host: t.example.com\r\nConnection: close\r\nUser-Agent: Thing\r\n\r\n"


@dataclass
class Hits:
    """Copies that are asked for once each, and which were answered."""

    folder: Path
    stores: Stores
    keys: KeyRing
    answered: set[int] = field(default_factory=set)
    asked: int = 0
    known: int = 0
    late: list[int] = field(default_factory=list)
    slowest_s: float = 0.0

    async def add_copies(self, dice: random.Random) -> list[int]:
        """Put new copies on record, and those that came late; return the new ones."""
        new = list(range(self.known, self.known + COPIES))
        late = {copy_id for copy_id in new if dice.random() < LATE}
        await self.record([copy_id for copy_id in new if copy_id not in late] + self.late)
        self.late, self.known = sorted(late), self.known + COPIES
        return new

    async def end(self) -> None:
        await self.record(self.late)
        self.late = []

    async def record(self, copy_ids: list[int]) -> None:
        said = {"accepted_at": datetime.now(UTC), "size_bytes": 1, "base_url": "", "verdict": {}}
        said |= {"tags": [], "metadata": {}, "sender": "a@example.com"}
        rows: list[tuple[Any, list[dict[str, Any]]]] = [
            (schema.sends, [said | {"send_id": f"S{n}"} for n in copy_ids]),
            (
                schema.copies,
                [{"copy_id": n, "send_id": f"S{n}", "mode": "individual"} for n in copy_ids],
            ),
            (
                schema.copy_recipients,
                [
                    {"copy_id": n, "number": 0, "recipient_type": "to"}
                    | {"recipient": f"r{n}@example.org", "recipient_key": f"r{n}@example.org"}
                    for n in copy_ids
                ],
            ),
            (
                schema.links,
                [
                    {"send_id": f"S{n}", "slot": 1, "part": "1", "url": LINK, "text": "offer"}
                    for n in copy_ids
                ],
            ),
        ]
        if copy_ids:
            async with self.stores.ledger.write() as connection:
                for table, values in rows:
                    await connection.execute(insert(table), values)

    def target(self, copy_id: int) -> str:
        key = self.keys.current
        if copy_id % 2:
            token = Token(HitKind.OPEN, key.key_id, copy_id, 0)
            return f"/o/{write_token(key, token).decode()}.gif"
        destination = LINK.partition("://")[2]
        token = Token(HitKind.CLICK, key.key_id, copy_id, 1, https=True)
        return f"/c/{write_token(key, token, destination.encode()).decode()}/{destination}"

    async def ask(self, port: int, copy_id: int) -> None:
        """Ask once; who has got a whole answer is counted."""
        self.asked += 1
        began = monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {self.target(copy_id)} HTTP/1.1\r\n{HEAD}".encode())
            raw = await reader.read()
        finally:
            writer.close()
        top, end, body = raw.partition(b"\r\n\r\n")
        if end and len(body) == int(top.partition(b"Content-Length: ")[2].split(b"\r\n")[0]):
            assert top.split()[1] == (b"200" if copy_id % 2 else b"302"), top
            self.answered.add(copy_id)
            self.slowest_s = max(self.slowest_s, monotonic() - began)

    async def load(self, port: int, copy_ids: list[int]) -> None:
        """Ask for copies from several clients until the collector is gone."""
        waiting = iter(copy_ids)

        async def client() -> None:
            for copy_id in waiting:
                try:
                    await self.ask(port, copy_id)
                except OSError:
                    return

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    def faults(self) -> list[str]:
        """Return which answered hits are not on record once, or are told of more often."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger:
            hits = dict(ledger.execute("SELECT copy_id, count(*) FROM hits GROUP BY copy_id"))
            told = {
                copy_id: (events, repeats)
                for copy_id, events, repeats in ledger.execute(
                    "SELECT copy_id, count(*), sum(repeats) FROM events "
                    "WHERE type IN ('email.opened', 'email.clicked') AND inferred_from IS NULL "
                    "GROUP BY copy_id"
                )
            }
        found = [f"{n}: answered, not on record" for n in self.answered if n not in hits]
        found += [f"{n}: {count} times on record" for n, count in hits.items() if count != 1]
        found += [f"{n}: told {told.get(n)}" for n in hits if told.get(n) != (1, 0)]
        return found + [f"{n}: told, not on record" for n in told if n not in hits]

    def left(self) -> int:
        """Return how many hits still wait, to be judged or in the spill."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger:
            (waiting,) = ledger.execute("SELECT count(*) FROM hits WHERE waiting").fetchone()
        with closing(sqlite3.connect(self.folder / "spill.db")) as spill:
            (spilled,) = spill.execute("SELECT count(*) FROM spilled_hits").fetchone()
        return int(waiting + spilled)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the writer of the ledger, as a process that hangs does."""
    with closing(sqlite3.connect(folder / "ledger.db", timeout=10, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def kill_collectors(
    parent: Parent, folder: Path, kills: int, seconds: float, seed: int = 1
) -> tuple[Hits, int]:
    """Kill a collector under load so often; return its hits when all is told, and the kills."""
    dice, port, done = random.Random(seed), free_port(), 0
    more = f'[collector]\nlisten = ["127.0.0.1:{port}"]\n'
    write_configuration(folder, free_port(), free_port(), more)
    stores = await open_stores(
        f"sqlite+aiosqlite:///{folder}/ledger.db", f"sqlite+aiosqlite:///{folder}/spool.db"
    )
    hits = Hits(folder, stores, load_keys(folder / "keys"))
    collector = Relay(parent, folder, port)
    end = monotonic() + seconds
    while done < kills and monotonic() < end:
        copies = await hits.add_copies(dice)
        await collector.start(program="collector")
        loading = asyncio.create_task(hits.load(port, copies))
        if dice.random() < 0.3:
            with locked(folder):
                await asyncio.sleep(dice.uniform(0.05, 0.5))
                collector.kill()
        else:
            await asyncio.sleep(dice.uniform(0, 0.5))
            collector.kill()
        await loading
        done += 1
    await hits.end()
    await collector.start(program="collector")
    async with asyncio.timeout(120):
        while await asyncio.to_thread(hits.left):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    collector.kill()
    await stores.close()
    return hits, done


def told(hits: Hits, kills: int) -> str:
    return (
        f"{kills} kills, {hits.asked} hits asked, {len(hits.answered)} answered, "
        f"the slowest in {hits.slowest_s * 1000:.0f} ms; faults: {len(hits.faults())}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kills", type=int)
    parser.add_argument("--seconds", type=float, default=3_600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_parent() as parent:
        killing = kill_collectors(parent, Path(name), given.kills, given.seconds, given.seed)
        hits, kills = asyncio.run(killing)
        print(told(hits, kills))  # noqa: T201 - the figure
        sys.exit(1 if hits.faults() else 0)


if __name__ == "__main__":
    main()
