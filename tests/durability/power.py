"""Lets the power fail: states of the disk, from a relay's recorded I/O, opened by SQLite.

    python -m tests.durability.power STATES [--mails 1000] [--seed 1]

Records a relay under load with strace, builds STATES states of what the disk may hold at moments
drawn between any two events, and checks of each that it opens, and that whoever was promised with
250 before that moment is pending, or has the mail at the upstream, and the ledger's fact is kept.
"""

import argparse
import asyncio
import hashlib
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from relay.pack import unpack_template
from tests.durability.mailing import Clients, mail, recipients_of
from tests.durability.relays import Parent, Relay, running_parent, write_configuration
from tests.durability.sink import running_sink
from tests.durability.states import KINDS, Disk, read_base
from tests.durability.tamper import CONTROLS
from tests.durability.trace import Event, Flushed, Said, Wrote, read_trace, strace
from tests.ports import free_port

CLIENTS = 8
MOST_BYTES = 1_000
CONTROL_MAILS, CONTROL_STATES = 60, 1000
_FACTS_EVERY = 4
"""The ledger's file is looked into in one state of so many: it doubles the work."""
_NAME = re.compile(rb"[0-9A-HJKMNP-TV-Z]{26}")
_PROMISE = re.compile(rb"250 2\.0\.0 OK ([0-9A-Z]{26})\r\n")


@dataclass(frozen=True, slots=True)
class Recording:
    """One relay's life under load."""

    base: Disk
    events: list[Event]
    promised: dict[str, int]
    """Number of the mail by send_id."""
    answered_at: dict[str, float]
    """When the upstream answered for a recipient."""

    def promises_in(self, said: bytes) -> list[str]:
        return [one for raw in _PROMISE.findall(said) if (one := raw.decode()) in self.promised]

    def is_of_it(self, event: Event) -> bool:
        return not isinstance(event, Said) or bool(self.promises_in(event.content))


@dataclass(frozen=True, slots=True)
class Taken:
    """A relay's life, while its trace is not complete yet."""

    folder: Path
    base: Disk
    promised: dict[str, int]
    answered_at: dict[str, float]

    def read(self, log: Path) -> Recording:
        """Return the recording, from the log of a strace that has ended."""
        events = read_trace(log, self.folder)
        mark = str(self.folder / "base-is-taken")
        begin = max(at for at, one in enumerate(events) if getattr(one, "path", "") == mark)
        recording = Recording(self.base, events[begin + 1 :], self.promised, self.answered_at)
        # What others said after this relay's end is in the log too.
        while not recording.is_of_it(recording.events[-1]):
            recording.events.pop()
        return recording


async def record(parent: Parent, folder: Path, mails: int, tamper: str = "") -> Taken:
    """Let a relay, run under strace by `parent`, take and deliver some mail."""
    async with running_sink() as sink:
        smtp = free_port()
        write_configuration(folder, smtp, sink.port)
        relay = Relay(parent, folder, smtp)
        try:
            await relay.start()
            await relay.stop(30)
            base = read_base(folder)
            await relay.start(tamper=tamper, mark=str(folder / "base-is-taken"))
            clients = Clients(smtp, most_bytes=MOST_BYTES, last=mails)
            clients.start(CLIENTS)
            await clients.ended()
        finally:
            relay.kill()
        await sink.hung_up()
        promised = {send_id: number for number, send_id in clients.promised.items()}
        return Taken(folder, base, promised, dict(sink.answered_at))


@dataclass
class Examiner:
    """Opens states and says what is missing."""

    recording: Recording
    place: Path
    dice: random.Random
    promised: list[str] = field(default_factory=list)
    """Before the moment, in order."""
    states: Counter[str] = field(default_factory=Counter)
    _whole: dict[str, bytes] = field(default_factory=dict)
    """Digest of the template, by send_id, once it was found to be the mail."""

    def examine(self, disk: Disk, at: float) -> list[str]:
        """Let the power fail now, in one of the ways, and return what is wrong."""
        kind = KINDS[self.states.total() % len(KINDS)]
        with_facts = self.states.total() // len(KINDS) % _FACTS_EVERY == 0
        self.states[kind] += 1
        for path, content in disk.fallen(kind, self.dice).items():
            if with_facts or "spool.db" in path:
                (self.place / Path(path).name).write_bytes(content)
        try:
            wrong = self._missing(at)
            if with_facts:
                wrong += self._facts_missing()
        except sqlite3.Error as error:
            wrong = [f"SQLite: {error}"]
        for file in self.place.iterdir():
            file.unlink()
        return [f"state {self.states.total()} ({kind}): {one}" for one in wrong]

    def _missing(self, at: float) -> list[str]:
        with closing(_open(self.place / "spool.db")) as connection:
            found = {
                recipient
                for send_id, recipient, template in connection.execute(_PENDING)
                if self._is_whole(send_id, recipient, template)
            }
            rows = connection.execute("SELECT template FROM spooled_sends WHERE sender IS NULL")
            reports = b"\0".join(raw for (raw,) in rows).decode("latin-1")
        lost = []
        for send_id in self.promised:
            for one in recipients_of(self.recording.promised[send_id]):
                if one in found or self.recording.answered_at.get(one, at + 1) <= at:
                    continue
                if not (one.startswith("refused-") and one in reports):
                    lost.append(f"{one} of {send_id} is lost")
        return lost

    def _is_whole(self, send_id: str, recipient: str, template: bytes) -> bool:
        digest = hashlib.blake2b(template).digest()
        if send_id not in self._whole:
            number = int(recipient.partition("@")[0].rpartition("-")[2])
            original = unpack_template(template).original
            if not original.endswith(mail(number, MOST_BYTES)):
                return False
            self._whole[send_id] = digest
        return self._whole[send_id] == digest

    def _facts_missing(self) -> list[str]:
        with closing(_open(self.place / "spool.db")) as connection:
            owed = "".join(fact for (fact,) in connection.execute("SELECT fact FROM owed_facts"))
        with closing(_open(self.place / "ledger.db")) as connection:
            known = {send_id for (send_id,) in connection.execute("SELECT send_id FROM sends")}
        return [
            f"the ledger was never told of {send_id}"
            for send_id in self.promised
            if send_id not in known and send_id not in owed
        ]


_PENDING = """
    SELECT s.send_id, r.recipient, s.template
    FROM spooled_recipients r JOIN spooled_copies USING (copy_id)
    JOIN spooled_sends s USING (send_id)
    WHERE r.state = 'pending' AND s.sender IS NOT NULL
"""


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA synchronous=OFF")
    (fault,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if fault != "ok":
        connection.close()
        raise sqlite3.DatabaseError(fault)
    return connection


def let_power_fail(
    recording: Recording, states: int, seed: int, place: Path, *, first_fault_only: bool = False
) -> tuple[Counter[str], list[str]]:
    """Return how many states of each kind were built, and all that was wrong in them."""
    dice = random.Random(seed)
    examiner = Examiner(recording, place, dice)
    moments = Counter(dice.randrange(len(recording.events)) for _ in range(states))
    disk, faults = recording.base, []
    disk = Disk({path: bytearray(one) for path, one in disk.flushed.items()}, set(disk.named))
    for number, event in enumerate(recording.events):
        disk.take(number, event)
        if isinstance(event, Said):
            examiner.promised += recording.promises_in(event.content)
        for _ in range(moments[number]):
            faults += examiner.examine(disk, event.at)
            if faults and first_fault_only:
                return examiner.states, faults
    return examiner.states, faults


def told_before_flush(recording: Recording) -> tuple[list[float], list[str]]:
    """Return how long after its flush each was promised, in seconds, and who was before it.

    The flush meant is the first of the log that began after the mail's row was written to it.
    """
    written: dict[str, int] = {}
    flushed_at: dict[str, float] = {}
    waits_s, early = [], []
    for number, event in enumerate(recording.events):
        match event:
            case Wrote(path=path, content=content) if path.endswith("spool.db-wal"):
                for raw in set(_NAME.findall(content)):
                    if (send_id := raw.decode()) in recording.promised:
                        written.setdefault(send_id, number)
            case Flushed(at=at, path=path, begun=begun) if path.endswith("spool.db-wal"):
                for send_id in [one for one, when in written.items() if when < begun]:
                    flushed_at.setdefault(send_id, at)
            case Said(at=at, content=content):
                for send_id in recording.promises_in(content):
                    if send_id in flushed_at:
                        waits_s.append(at - flushed_at[send_id])
                    else:
                        early.append(f"{send_id} was promised before its flush")
            case _:
                pass
    return waits_s, early


def window_of(waits_s: list[float]) -> str:
    """Say how long a client's 250 is under way after the commit."""
    some = sorted(waits_s)
    return (
        f"p50 {some[len(some) // 2] * 1000:.1f} ms, p99 {some[len(some) * 99 // 100] * 1000:.1f} ms"
    )


def record_all(folder: Path, mails: dict[str, int]) -> dict[str, Recording]:
    """Return a recording with so many mails for each way of tampering; "" is the relay as it is."""
    taken: dict[str, Taken] = {}
    log = folder / "trace"
    with running_parent(strace(log)) as parent:
        for tamper, some in mails.items():
            place = folder / (tamper or "as-it-is").replace(" ", "-")
            place.mkdir()
            taken[tamper] = asyncio.run(record(parent, place, some, tamper))
    return {tamper: one.read(log) for tamper, one in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("states", type=int)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, begin = Path(name), time.monotonic()
        mails = {"": asked.mails} | dict.fromkeys(CONTROLS, CONTROL_MAILS)
        recordings = record_all(folder, mails)
        tell(f"recorded in {time.monotonic() - begin:.0f} s")
        place = folder / "state"
        place.mkdir()
        recording = recordings.pop("")
        waits_s, early = told_before_flush(recording)
        told = len(waits_s) + len(early)
        tell(f"{told} promises, {len(early)} before the flush; after it: {window_of(waits_s)}")
        states, wrong = let_power_fail(recording, asked.states, asked.seed, place)
        tell(f"{len(recording.events)} events, {states.total()} states: {len(wrong)} wrong", *wrong)
        for tamper, control in recordings.items():
            states, found = let_power_fail(
                control, CONTROL_STATES, asked.seed, place, first_fault_only=True
            )
            tell(f"{tamper}: {'noticed' if found else 'NOT noticed'} at state {states.total()}")
            wrong += [] if found else [tamper]
        tell(f"{time.monotonic() - begin:.0f} s in all")
        return bool(wrong or early)


def tell(*lines: str) -> None:
    print(*lines, sep="\n  ", flush=True)  # noqa: T201 - the figures


if __name__ == "__main__":
    sys.exit(main())
