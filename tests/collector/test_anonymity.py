"""An attacker with all files tries to tell which anonymous recipient opened.

He has what lies in the state folder: stores, logs of SQLite, spill and keys.  He knows every mail,
when it was sent, who got it and when.  A sender has written to several groups of anonymous people,
with named ones among them or not; somebody of one group opens or clicks.  The attacker takes every
sign there is: rows and what is left of rows in raw pages, the order of writing, times, labels.
Without a sign he can only guess, and then he is right as often as chance is.
"""

import asyncio
import os
import random
import re
import shutil
import sqlite3
import struct
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import daybook
from ledger import schema
from ledger.event import EventType
from ledger.fact import CopyFact, RecipientFact, RecipientTold, SendAccepted
from ledger.mode import TrackingMode
from ledger.sends import record_facts

TRIALS = int(os.environ.get("TRIALS", "6"))
SEED = int(os.environ.get("SEED", "1"))
CONTROLS = min(TRIALS, 10)
"""Of the log that is not cut: at 1,000 pages SQLite begins it anew over what is left of before."""
GROUPS = 4
SENDER = "ann@sender.example"

AGENTS = {
    "gmail.com": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
    "yahoo.com": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "corp.example": "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)",
    "free.example": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0",
    "mac.example": "Mozilla/5.0",
}


@dataclass(frozen=True, slots=True)
class Group:
    """One mail: its anonymous recipients, who share a copy, and perhaps named ones."""

    send_id: str
    copy_id: int
    people: tuple[str, ...]
    named: Mapping[int, str] = field(default_factory=dict)


def group_of(dice: random.Random, number: int, size: int, named: int) -> Group:
    domains = list(AGENTS)
    people = tuple(f"r{number}x{n}@{domains[n % len(domains)]}" for n in range(size))
    others = {dice.getrandbits(62): f"n{number}x{n}@named.example" for n in range(named)}
    return Group(f"01K{number:023d}", dice.getrandbits(62), people, others)


def accepted(group: Group) -> SendAccepted:
    copies = [(group.copy_id, TrackingMode.ANONYMOUS, group.people)]
    copies += [(one, TrackingMode.INDIVIDUAL, (who,)) for one, who in group.named.items()]
    return SendAccepted(
        send_id=group.send_id,
        accepted_at=datetime.now(UTC),
        message_id=f"{group.send_id}@sender.example",
        sender=SENDER,
        account=None,
        client="127.0.0.1",
        subject=f"Mail {group.send_id}",
        size_bytes=1,
        base_url="http://127.0.0.1",
        verdict=(),
        tags=(),
        metadata={},
        copies=tuple(
            CopyFact(
                copy_id,
                mode,
                tuple(RecipientFact(f"A{copy_id:x}{n}", who, "to") for n, who in enumerate(people)),
            )
            for copy_id, mode, people in copies
        ),
        links=(),
    )


def relayed(group: Group, copy_id: int, who: str) -> RecipientTold:
    return RecipientTold(
        event_id=f"R{copy_id:x}{who}"[:40],
        type=EventType.RELAYED,
        at=datetime.now(UTC),
        send_id=group.send_id,
        copy_id=copy_id,
        recipient=who,
        recipient_type="to",
        reply="250 OK",
        upstream="default",
    )


async def record(house: Any, *facts: Any) -> None:
    async with house.stores.ledger.write() as connection:
        await record_facts(connection, facts)


async def send(house: Any, group: Group, got: Sequence[str] | None = None) -> None:
    facts = [relayed(group, group.copy_id, one) for one in (group.people if got is None else got)]
    named = [relayed(group, copy_id, one) for copy_id, one in group.named.items()]
    await record(house, accepted(group), *facts, *named)


async def hit(house: Any, group: Group, who: str, *, click: bool) -> None:
    """Ask for pixel or link as this recipient's mail program does."""
    headers = {"User-Agent": AGENTS[who.partition("@")[2]], "Accept": "*/*"}
    if click:
        target = house.link(group.copy_id, 1, "https://example.net/", anonymous=True)
    else:
        target = house.pixel(group.copy_id, anonymous=True)
    await house.ask(target, headers)


class Attack:
    """What an attacker makes of a copy of all files."""

    def __init__(self, folder: Path, groups: Sequence[Group]) -> None:
        self.groups = groups
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        self.raw = b"".join(file.read_bytes() for file in files)
        self.log = (folder / "ledger.db-wal").read_bytes()
        self.rows = _rows(folder)

    def which_group(self, dice: random.Random) -> int:
        """Say of which mail the open was: by the best sign there is, or by guessing."""
        signs = (self.by_rows, self.by_log, self.by_order, self.by_remains)
        told = next((number for sign in signs if (number := sign()) is not None), None)
        return dice.randrange(len(self.groups)) if told is None else told

    def by_rows(self) -> int | None:
        """Say it from what names the mail or its copy."""
        named = [
            (copy_id, send_id)
            for kind, copy_id, send_id in self.rows["events"]
            if kind in ("email.opened", "email.clicked")
        ]
        held = [(copy_id, None) for table in ("hits", "spilled") for (copy_id,) in self.rows[table]]
        for number, group in enumerate(self.groups):
            if any(group.copy_id == copy or group.send_id == send for copy, send in named + held):
                return number
        return None

    def by_log(self) -> int | None:
        """Say it from the order of writing: the mail before, or at which the log begins."""
        places = [self.log.find(group.send_id.encode()) for group in self.groups]
        opened = max(self.log.rfind(word) for word in (b"email.opened", b"email.clicked"))
        if opened >= 0:
            return max((n for n, place in enumerate(places) if place < opened), default=0)
        if any(place < 0 for place in places) and any(place >= 0 for place in places):
            return max(n for n, place in enumerate(places) if place < 0)
        return None

    def by_order(self) -> int | None:
        """Say it from the number of an event that names no mail: the mail before."""
        places = [number for number, said in self.rows["order"] if said == "anonymous"]
        last = [
            max((n for n, said in self.rows["order"] if said == group.send_id), default=0)
            for group in self.groups
        ]
        return (
            max((n for n, mail in enumerate(last) if mail < places[-1]), default=0)
            if places
            else None
        )

    def by_remains(self) -> int | None:
        """Say it from what was erased and lies in the pages still: a copy that is named more."""
        counts = Counter({n: count_copy(self.raw, g.copy_id) for n, g in enumerate(self.groups)})
        (number, most), (_, next_most) = counts.most_common(2)
        return number if most > next_most else None


def _rows(folder: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(folder / "ledger.db") as ledger:
        found: dict[str, list[Any]] = {
            "events": ledger.execute("SELECT type, copy_id, send_id FROM events").fetchall(),
            "hits": ledger.execute("SELECT copy_id FROM hits").fetchall(),
            "order": ledger.execute(
                "SELECT number, coalesce(send_id, 'anonymous') FROM events ORDER BY number"
            ).fetchall(),
            "labels": ledger.execute(
                "SELECT classification, confidence, reasons FROM day_events"
                " UNION ALL SELECT classification, confidence, reasons FROM events"
                " WHERE type IN ('email.opened', 'email.clicked')"
            ).fetchall(),
        }
    ledger.close()
    with sqlite3.connect(folder / "spill.db") as spill:
        found["spilled"] = spill.execute("SELECT copy_id FROM spilled_hits").fetchall()
    spill.close()
    return found


def count_copy(raw: bytes, copy_id: int) -> int:
    """Count a copy's number as SQLite writes it, and as text does."""
    return raw.count(struct.pack(">q", copy_id)) + len(re.findall(str(copy_id).encode(), raw))


def copied(house: Any, folder: Path) -> Path:
    """Take a copy of the whole state folder, as a thief of the disk does."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(house.settings.server.state_dir, folder)
    return folder


async def opened_when(house: Any, count: int) -> None:
    """Wait until so many opens and clicks are on record."""
    async with asyncio.timeout(20):
        while await _recorded(house) < count:  # noqa: ASYNC110 - another task records
            await asyncio.sleep(0.02)


async def cut(house: Any) -> None:
    """Wait until the logs are cut, as they are every second."""
    state = house.settings.server.state_dir
    async with asyncio.timeout(20):
        while any((state / f"{name}.db-wal").stat().st_size for name in ("ledger", "spill")):  # noqa: ASYNC110 - another task cuts
            await asyncio.sleep(0.02)


async def _recorded(house: Any) -> int:
    async with house.stores.ledger.read() as connection:
        days = (await connection.exec_driver_sql("SELECT count(*) FROM day_events")).scalar_one()
        opened = (
            await connection.exec_driver_sql(
                "SELECT count(*) FROM events WHERE type IN ('email.opened', 'email.clicked')"
            )
        ).scalar_one()
    return int(days + opened)


def may_be_chance(right: int, trials: int, chance: float) -> bool:
    """Tell whether so many right guesses are what chance gives, 1 of 10,000 times excepted."""
    expected = trials * chance
    return right <= expected + 4 * (trials * chance * (1 - chance)) ** 0.5 and (
        right < trials or chance**trials > 1e-4
    )


async def play(
    house: Any, folder: Path, dice: random.Random, sizes: tuple[int, int], trials: int = TRIALS
) -> list[bool]:
    """Let somebody open a mail again and again; return when the attacker was right."""
    right = []
    for trial in range(trials):
        groups = [group_of(dice, trial * GROUPS + n, *sizes) for n in range(GROUPS)]
        opened = dice.randrange(GROUPS)
        for place, group in enumerate(groups):
            await send(house, group)
            if place == opened:
                await hit(house, group, dice.choice(group.people), click=trial % 2 == 1)
                await opened_when(house, trial + 1)
        await cut(house)
        right.append(Attack(copied(house, folder), groups).which_group(dice) == opened)
    return right


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("named", [0, 2])
async def test_of_few_nobody_tells_whose_mail_was_opened(
    house: Any, serve: Any, tmp_path_factory: Any, size: int, named: int
) -> None:
    dice = random.Random(f"{SEED} {size} {named}")
    folder = tmp_path_factory.mktemp("stolen") / "state"
    async with serve(house):
        right = await play(house, folder, dice, (size, named))
    print(  # noqa: T201 - for docs/promises.md
        f"{size} anonymous, {named} named: right {sum(right)} of {TRIALS}, 1 in {GROUPS} by chance"
    )
    assert may_be_chance(sum(right), TRIALS, 1 / GROUPS)


@pytest.mark.slow
async def test_the_attacker_is_right_where_the_send_is_kept(
    house: Any, serve: Any, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("stolen") / "state"
    async with serve(house, tracking={"anonymous_min": 1}):
        right = await play(house, folder, random.Random(SEED), (1, 0))
    assert all(right)


@pytest.mark.slow
async def test_the_attacker_is_right_where_the_log_is_not_cut(
    house: Any, serve: Any, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daybook, "CUT_EVERY_S", 1e9)
    monkeypatch.setattr(sys.modules[__name__], "cut", opened_already)
    folder = tmp_path_factory.mktemp("stolen") / "state"
    async with serve(house):
        right = await play(house, folder, random.Random(SEED), (2, 1), CONTROLS)
    assert sum(right) >= CONTROLS - 1


async def opened_already(_house: Any) -> None:
    """Wait for nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 50])
@pytest.mark.parametrize("named", [0, 2])
async def test_of_enough_nobody_tells_who_it_was(
    house: Any, serve: Any, tmp_path_factory: Any, size: int, named: int
) -> None:
    """The mail is told; the label is that of any person, whoever opened."""
    folder = tmp_path_factory.mktemp("stolen") / "state"
    group = group_of(random.Random(SEED), 1, size, named)
    async with serve(house):
        await send(house, group)
        for count, who in enumerate(group.people[:4], 1):
            await hit(house, group, who, click=False)
            await opened_when(house, count)
        await cut(house)
        attack = Attack(copied(house, folder), [group])
    opened = [row for row in attack.rows["events"] if row[0] == "email.opened"]
    assert opened == [("email.opened", group.copy_id, group.send_id)] * 4
    assert set(attack.rows["labels"]) == {("human_likely", 0.5, "[]")}
    for text in (b"GoogleImageProxy", b"YahooMailProxy", b"gmail_image_proxy", b"Thunderbird/128"):
        assert text not in attack.raw


@pytest.mark.slow
async def test_while_few_have_got_the_mail_it_is_not_told_which_it_was(
    house: Any, serve: Any
) -> None:
    """Of five, one has it and four wait in the queue: an open now could be nobody else's."""
    group = group_of(random.Random(SEED), 1, 5, 0)
    first, *others = group.people
    async with serve(house):
        await send(house, group, got=[first])
        await hit(house, group, first, click=False)
        await opened_when(house, 1)
        assert len(await house.rows(schema.day_events)) == 1
        await record(house, *(relayed(group, group.copy_id, who) for who in others))
        await hit(house, group, first, click=False)
        await opened_when(house, 2)
        assert len(await house.rows(schema.day_events)) == 1
