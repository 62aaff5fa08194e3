"""Fills a ledger with a million events, for timings of pages, export, forget and purge.

    .venv/bin/python -m bench.ledger.fill FOLDER [--events 1000000] [--age-days 0]

FOLDER gets `ledger.db` and `spool.db` as `server.state_dir` has them.  Sends go to one to three
people, each in a copy of his own, and now and then to forty who share one; each copy is accepted,
relayed (one in fifty after a delay) or refused (one in a hundred), and opened; one open in eight is
followed by a click, and one in five is a program's.  One send in five is not tracked.  People are
drawn unevenly, as in life: `bob0@example.org` has some 2,500 copies of a million events, most have
a few.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger import schema
from ledger.fact import pack_verdict
from ledger.ident import new_ident
from ledger.migrate import open_stores

PEOPLE = 50_000
SENDERS = 200
SHARED_EVERY = 400
"""Of so many sends one is to forty people in a shared copy."""
BATCH = 2_000

DEFERRED_EVERY = 50
FAILED_EVERY = 101
CLICKED_EVERY = 8
UNTRACKED_EVERY = 5
PAGES = 40
"""So many different pages are linked."""
TOPICS = ("Offer", "Invoice", "Reminder", "Invitation", "Minutes", "Contract", "Question", "Report")
LEFT_ALONE = ("dkim_signed", "no_html", "no_html", "calendar", "dkim_signed", "signed")
AGENTS = (*["human_likely"] * 6, "proxy", "proxy", "prefetch", "scanner")
UPSTREAMS = (*["default"] * 9, "backup")

Rows = dict[str, list[tuple[Any, ...]]]


def fill(folder: Path, count: int, age: timedelta) -> int:
    """Write sends until there are so many events; return how many there are."""
    url = f"sqlite+aiosqlite:///{folder}"
    asyncio.run(_make(f"{url}/ledger.db", f"{url}/spool.db"))
    dice = random.Random(6)
    connection = sqlite3.connect(folder / "ledger.db")
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL;")
    # Made at the end: an index that is filled in random order takes longer than all the rest.
    indexes = connection.execute(_INDEXES).fetchall()
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    done, number = 0, 0
    latest = datetime.now(UTC) - age
    while done < count:
        rows: Rows = {}
        for _ in range(BATCH):
            number += 1
            at = latest - timedelta(seconds=(count / 6 - number) * 5)
            for table, row in _send(dice, number, at):
                rows.setdefault(table, []).append(row)
        for table, some in rows.items():
            marks = ",".join("?" * len(some[0]))
            names = ",".join(f'"{name}"' for name in _COLUMNS[table])
            connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', some)
        connection.commit()
        done += len(rows["events"])
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return done


_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"


async def _make(ledger_url: str, spool_url: str) -> None:
    await (await open_stores(ledger_url, spool_url)).close()


_TABLES = (schema.sends, schema.copies, schema.copy_recipients, schema.links)
_COLUMNS = {
    **{table.name: tuple(table.c.keys()) for table in (*_TABLES, schema.hits)},
    "events": tuple(name for name in schema.events.c.keys() if name != "number"),  # noqa: SIM118 - a ColumnCollection iterates columns
}
_EMPTY = {
    "candidates": "[]",
    "reasons": "[]",
    "first": 0,
    "repeats": 0,
    "notice": "none",
    "tags": "[]",
    "metadata": "{}",
}


def _send(dice: random.Random, number: int, at: datetime) -> Iterator[tuple[str, tuple[Any, ...]]]:
    moment = int(at.timestamp() * 1_000_000)
    send_id = new_ident(moment // 1000, number)
    sender = f"ann{dice.randrange(SENDERS)}@sender.example"
    shared = number % SHARED_EVERY == 0
    people = [_person(dice) for _ in range(40 if shared else dice.randint(1, 3))]
    groups = [people] if shared else [[one] for one in people]
    left = LEFT_ALONE[number % len(LEFT_ALONE)] if number % UNTRACKED_EVERY == 0 else None
    mode = "off" if left else "shared" if shared else "individual"
    about = {
        "send_id": send_id,
        "message_id": f"{number}@sender.example",
        "sender": sender,
        "sender_key": sender,
        "subject": f"{TOPICS[number % len(TOPICS)]} number {number}",
        "tracking_mode": mode,
    }
    yield (
        "sends",
        _row(
            "sends",
            **{name: about[name] for name in ("send_id", "message_id", "sender", "subject")},
            accepted_at=moment,
            client="192.0.2.1",
            size_bytes=4_000,
            base_url="https://t.example.com",
            verdict=_verdict(people, mode, left),
            tags="[]",
            metadata="{}",
        ),
    )
    link = {"send_id": send_id, "slot": 1, "part": "1", "text": "the offer"}
    url = f"https://example.com/{TOPICS[number % len(TOPICS)].lower()}/{number % PAGES}"
    yield "links", _row("links", **link, url=url)
    for group in groups:
        copy_id = dice.getrandbits(62)
        yield "copies", (copy_id, send_id, mode, moment + 1_000_000)
        for place, one in enumerate(group):
            yield "copy_recipients", (copy_id, place, one, one, "to")
            whom = {"recipient": one, "recipient_key": one, "recipient_type": "to"}
            for name, later, said in _told(number):
                event = {"type": name, "at": moment + later * 1_000_000, "copy_id": copy_id}
                yield "events", _event(dice, **about, **whom, **event, **said)
        if left is None:
            yield from _acts(dice, about, (copy_id, group), moment, url)


def _told(number: int) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Give type, delay in seconds, and what the upstream said."""
    upstream = UPSTREAMS[number % len(UPSTREAMS)]
    yield "email.accepted", 0, {}
    if number % DEFERRED_EVERY == 0:
        yield "email.deferred", 1, {"upstream": upstream, "reply": "451 4.7.1 Greylisted"}
    if number % FAILED_EVERY == 0:
        yield "email.failed", 2, {"upstream": upstream, "reply": "550 5.1.1 User unknown"}
    else:
        reply = f"250 2.0.0 Ok: queued as {number:X}"
        yield "email.relayed", 3, {"upstream": upstream, "reply": reply}


def _acts(
    dice: random.Random, about: dict[str, Any], copy: tuple[int, list[str]], moment: int, url: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    at = moment + dice.randrange(60_000_000, 3_600_000_000)
    yield from _act(dice, about, copy, at, None)
    if dice.randrange(CLICKED_EVERY) == 0:
        yield from _act(dice, about, copy, at + 5_000_000, url)


def _act(
    dice: random.Random,
    about: dict[str, Any],
    copy: tuple[int, list[str]],
    at: int,
    url: str | None,
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    copy_id, group = copy
    label = dice.choice(AGENTS)
    hit_id = new_ident(at // 1000, dice.getrandbits(80))
    agent = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)"
    features = (
        f'{{"agent": "{agent}", "headers": {{"accept": "present"}}, "network": "n{copy_id % 997}",'
        ' "lists": [], "ip_address": "203.0.113.0", "altered": false}'
    )
    yield (
        "hits",
        _row(
            "hits",
            hit_id=hit_id,
            at=at,
            kind="click" if url else "open",
            copy_id=copy_id,
            slot=1 if url else 0,
            url=url,
            html=1,
            features=features,
            waiting=0,
        ),
    )
    one = group[0] if len(group) == 1 else None
    whom = {"recipient": one, "recipient_key": one, "recipient_type": one and "to"}
    names = ", ".join(f'"{name}"' for name in group)
    yield (
        "events",
        _event(
            dice,
            **about,
            **whom,
            event_id=hit_id,
            type="email.clicked" if url else "email.opened",
            at=at,
            copy_id=copy_id,
            hit_id=hit_id,
            attribution="recipient" if one else "shared",
            candidates="[]" if one else f"[{names}]",
            url=url,
            link_id="1" if url else None,
            link_text="the offer" if url else None,
            classification=label,
            confidence=0.8,
            reasons='["outlook_desktop"]',
            rules_version="2026.11.1",
            first=int(label in ("human_likely", "proxy")),
            user_agent=agent,
            ip_address="203.0.113.0",
        ),
    )


def _person(dice: random.Random) -> str:
    # The first few get much of the mail: bob0 one of two hundred.
    number = int(PEOPLE * dice.random() ** 2)
    return f"bob{0 if dice.random() < 0.005 else number}@example.org"


def _verdict(people: list[str], mode: str, left: str | None) -> str:
    reason = {"of": "mode", "is": mode, "because": "ceiling", "name": "tracking.mode"}
    if left:
        reason |= {"because": "content", "name": left}
    parts = [{"part": "1", "media_type": "text/html", "tracked": not left, "reason": left}]
    link = {"link_id": "1", "part": "1", "url": "https://example.com/offer", "text": "the offer"}
    links = [] if left else [{**link, "tracked": True, "reason": None}]
    verdict = [
        {
            "recipient": one,
            "recipient_type": "to",
            "mode": mode,
            "opens": not left,
            "clicks": "none" if left else "html",
            "copy": place,
            "reasons": [reason],
            "parts": parts,
            "links": links,
            "ignored": [],
        }
        for place, one in enumerate(people, 1)
    ]
    return _json(pack_verdict(verdict))


def _event(dice: random.Random, **said: object) -> tuple[Any, ...]:
    said.setdefault("event_id", f"{dice.getrandbits(130):026X}"[:26])
    return _row("events", **{**_EMPTY, **said})


def _row(table: str, **said: object) -> tuple[Any, ...]:
    return tuple(said.get(name) for name in _COLUMNS[table])


def _json(value: object) -> str:
    return json.dumps(value)


def main() -> None:
    """Fill the folder and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--age-days", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    events = fill(given.folder, given.events, timedelta(days=given.age_days))
    print(f"{events} events in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
