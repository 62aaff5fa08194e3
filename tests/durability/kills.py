"""Kills a relay under load, at random moments and at named points, and compares what came of it.

    python -m tests.durability.kills KILLS [--seconds 180] [--state var/durability/kills.json]

Goes on where the last run with the same state ended.  After each kill, before the next start, every
promised recipient must have the mail at the upstream or be pending in the spool; who has it and is
pending (the upstream had answered, the mark was not on disk) may get it once more, nobody else.
"""

import argparse
import asyncio
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.durability.mailing import Clients, fault_of, owners, recipients_of, told_in_ledger
from tests.durability.points import POINTS
from tests.durability.relays import Parent, Relay, running_parent, write_configuration
from tests.durability.sink import Sink, running_sink
from tests.ports import free_port

CLIENTS = 8
SEED = 20261124
_RANDOM_EVERY = 4
"""One kill in so many comes at a random moment, the others at the points in turn."""
SHORT_KILLS = -(-len(POINTS) * _RANDOM_EVERY // (_RANDOM_EVERY - 1))
"""Each point once."""
_LONGEST_LIFE_S = 0.6
_PATIENCE_S = 6.0
"""For a point to be passed; under load each is passed within one."""
_DRAIN_S = 60.0
_REPORTS = "ann@sender.test"
_TOTALS = ("kills", "promised", "copies", "lost", "cut_or_mixed", "unexcused", "again", "unmarked")


@dataclass
class Tally:
    """What came of all kills so far."""

    totals: Counter[str] = field(default_factory=Counter)
    random: Counter[str] = field(default_factory=Counter)
    """The same of the kills at random moments: `kills`, `unmarked`."""
    points: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Points that were not passed in time; the process was killed all the same."""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0

    @classmethod
    def read(cls, path: Path | None) -> "Tally":
        if path is None or not path.exists():
            return cls()
        kept: dict[str, Any] = json.loads(path.read_text())
        counters = {key: Counter(kept[key]) for key in ("totals", "random", "points", "missed")}
        return cls(**counters, faults=kept["faults"], seconds=kept["seconds"])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("totals", "random", "points", "missed", "faults", "seconds")
        path.write_text(json.dumps({name: getattr(self, name) for name in names}, indent=1))

    def told(self) -> str:
        some, at_random = self.totals, self.random
        return (
            f"{some['kills']} kills ({at_random['kills']} random, the rest at {len(self.points)} of"
            f" {len(POINTS)} named points), {some['promised']} mails, {some['copies']} copies:"
            f" {some['lost']} lost, {some['cut_or_mixed']} cut short or mixed up,"
            f" {some['again']} sent again, {some['unexcused']} of them without excuse;"
            f" answered and not yet marked at a kill: {some['unmarked']}"
            f" ({_rate(at_random)} a random kill); {self.seconds:.0f} s"
        )


def _rate(counts: Counter[str]) -> str:
    return f"{counts['unmarked'] / max(counts['kills'], 1):.2f}"


@dataclass
class Run:
    """Kills on one state, with one upstream."""

    relay: Relay
    sink: Sink
    clients: Clients
    tally: Tally
    dice: random.Random
    excused: Counter[str] = field(default_factory=Counter)
    """By recipient: how many more copies he may get."""
    checked: set[int] = field(default_factory=set)
    """Mails of which everybody has got his."""

    async def kill_once(self) -> None:
        turn, rest = divmod(self.tally.totals["kills"], _RANDOM_EVERY)
        at_random = rest == 0
        if at_random:
            await self.relay.start()
            await asyncio.sleep(self.dice.uniform(0, _LONGEST_LIFE_S))
        else:
            point = POINTS[(turn * (_RANDOM_EVERY - 1) + rest - 1) % len(POINTS)]
            nth = self.dice.randint(1, point.up_to)
            await self.relay.start(listens=False, point=point.name, nth=nth)
            passed = await self.relay.ended(_PATIENCE_S)
            (self.tally.points if passed else self.tally.missed)[point.name] += 1
        self.relay.kill()
        await self.sink.hung_up()
        unmarked = self.look()
        for counts in (self.tally.totals, self.tally.random)[: 1 + at_random]:
            counts.update(kills=1, unmarked=unmarked)

    def look(self) -> int:
        """Compare what was promised, what the upstream has and what the spool has after a kill.

        Return how many copies the upstream has answered and the spool does not know of.
        """
        spooled = read_killed(self.relay.folder)
        unmarked = 0
        for one in spooled.pending & self.sink.got.keys():
            answered = len(self.sink.got[one])
            unmarked += answered - self.excused[one]
            self.excused[one] = answered
        for number in self.clients.promised.keys() - self.checked:
            waiting = [one for one in recipients_of(number) if not self.sink.finished(one)]
            kept = [one for one in waiting if one in spooled.pending or one in spooled.reports]
            lost = set(waiting).difference(kept)
            for one in lost:
                self.fault("lost", f"{one} was promised, and is neither upstream nor in the spool")
            if not waiting:
                self.checked.add(number)
        return unmarked

    async def drain(self) -> None:
        """Let everything arrive, and compare all of it."""
        promised = {one for number in self.clients.promised for one in recipients_of(number)}
        end = time.monotonic() + _DRAIN_S
        while time.monotonic() < end:
            waiting = {one for one in promised if not self.sink.finished(one)}
            spooled = read_spool(self.relay.folder)
            if not waiting and not spooled.pending and not spooled.owed:
                break
            await asyncio.sleep(0.2)
        for one in sorted(waiting):
            self.fault("lost", f"{one} was promised and got nothing")
        status = await self.relay.stop(30)
        if status:
            self.fault("lost", f"the last stop ended with {status}: {self.relay.tail()}")
        self.compare()
        self.compare_ledger()
        self.tally.totals["promised"] += len(self.clients.promised)
        self.tally.totals["copies"] += sum(map(len, self.sink.got.values()))

    def compare(self) -> None:
        for recipient, copies in self.sink.got.items():
            if recipient == _REPORTS:
                continue
            number = int(recipient.partition("@")[0].rpartition("-")[2])
            wrong = fault_of(copies[0], number)
            if wrong or len(set(copies)) > 1:
                self.fault("cut_or_mixed", f"{recipient}: {wrong or 'its copies differ'}")
            self.tally.totals["again"] += len(copies) - 1
            if len(copies) > 1 + self.excused[recipient]:
                self.fault("unexcused", f"{recipient} got {len(copies)} copies")
        for number in self.clients.promised:
            some = [one for one in recipients_of(number) if one in self.sink.got]
            if len(set().union(*(owners(self.sink.got[one][0]) for one in some))) < len(some):
                self.fault("cut_or_mixed", f"mail {number}: two recipients share a token")

    def compare_ledger(self) -> None:
        told = told_in_ledger(str(self.relay.folder / "ledger.db"))
        for number in self.clients.promised:
            for one in recipients_of(number):
                end = "email.failed" if one.startswith("refused-") else "email.relayed"
                events = (told.get(("email.accepted", one)), told.get((end, one)))
                if events != (1, 1):
                    self.fault("lost", f"{one}: {events} accepted and {end} in the ledger")

    def fault(self, kind: str, text: str) -> None:
        self.tally.totals[kind] += 1
        self.tally.faults.append(f"{self.relay.folder}: {text}")


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a spool holds, read from a copy of its files."""

    pending: set[str]
    """Recipients."""
    reports: str
    """All reports to senders that wait."""
    owed: int
    """Facts."""


def read_killed(folder: Path) -> Spooled:
    """Return what the spool of a killed relay holds; its files are left as the kill left them."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for suffix in ("", "-wal"):
            file = folder / f"spool.db{suffix}"
            if file.exists():
                shutil.copy(file, place)
        return read_spool(Path(place))


def read_spool(folder: Path) -> Spooled:
    """Return what the spool in a folder holds."""
    with closing(sqlite3.connect(folder / "spool.db", timeout=30)) as connection:
        pending = connection.execute(
            "SELECT recipient FROM spooled_recipients WHERE state = 'pending'"
        )
        reports = connection.execute("SELECT template FROM spooled_sends WHERE sender IS NULL")
        owed = connection.execute("SELECT count(*) FROM owed_facts")
        return Spooled(
            {one for (one,) in pending},
            b"\0".join(raw for (raw,) in reports).decode("latin-1"),
            owed.fetchone()[0],
        )


async def kill_for(parent: Parent, folder: Path, tally: Tally, kills: int, seconds: float) -> None:
    """Kill until `tally` counts `kills` or the time is over, then let everything arrive."""
    started_at, smtp = time.monotonic(), free_port()
    async with running_sink() as sink:
        write_configuration(folder, smtp, sink.port)
        clients = Clients(smtp)
        relay = Relay(parent, folder, smtp)
        run = Run(relay, sink, clients, tally, random.Random(SEED + tally.totals["kills"]))
        try:
            clients.start(CLIENTS)
            while tally.totals["kills"] < kills and time.monotonic() < started_at + seconds:
                await run.kill_once()
            await relay.start()
            await clients.stop()
            await run.drain()
        finally:
            relay.kill()
    tally.seconds += time.monotonic() - started_at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--state", type=Path, default=Path("var/durability/kills.json"))
    asked = parser.parse_args()
    tally = Tally.read(asked.state)
    end = time.monotonic() + asked.seconds
    with running_parent() as parent:
        # A fresh state for every 50 kills: what is compared stays small.
        while tally.totals["kills"] < asked.kills and (left := end - time.monotonic()) > 0:
            with tempfile.TemporaryDirectory() as folder:
                upto = min(asked.kills, tally.totals["kills"] + 50)
                asyncio.run(kill_for(parent, Path(folder), tally, upto, left))
            tally.write(asked.state)
    print(tally.told())  # noqa: T201 - the figure
    print(*tally.faults, sep="\n")  # noqa: T201 - and what is wrong
    return bool(tally.faults)


if __name__ == "__main__":
    sys.exit(main())
