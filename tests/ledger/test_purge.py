"""What is old enough goes and nothing else, over real stores."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from ledger import schema
from ledger.fact import CopyFact, LinkFact, RecipientFact, SendAccepted
from ledger.hits import insert_hits, spill_hits
from ledger.ident import new_ident
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.purge import Places, Terms, count_old, purge
from ledger.sends import record_facts
from ledger.story import RecordedHit, SpilledHit
from ledger.token import HitKind

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
EVENTS, CONTENT = timedelta(days=400), timedelta(days=7)
TERMS = Terms(NOW, NOW - EVENTS, NOW - CONTENT)


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    stores = [
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/{tables}.db", getattr(schema, tables))
        for tables in ("ledger", "spool", "spill")
    ]
    yield Places(*stores)
    for store in stores:
        await store.close()


async def put(places: Places, age: timedelta, number: int) -> None:
    """Put one row of each class that is so old."""
    at = NOW - age
    name = new_ident(int(at.timestamp() * 1000), number)
    accepted = SendAccepted(
        send_id=name,
        accepted_at=at,
        message_id=None,
        sender="ann@sender.example",
        account=None,
        client="",
        subject=None,
        size_bytes=1,
        base_url="",
        verdict=(),
        tags=(),
        metadata={},
        copies=(
            CopyFact(number, TrackingMode.OFF, (RecipientFact(f"E{number}", "b@x.org", "to"),)),
        ),
        links=(LinkFact(1, "1", "https://x.example", "x"),),
    )
    hit = RecordedHit(name, at, HitKind.OPEN, number, 0, html=True, features={})
    spilled = SpilledHit(name, at, HitKind.OPEN, number, 0, html=True, sealed=b"")
    person = {"secret_hash": f"{number:064d}", "person": "x", "role": "user"}
    rows: list[tuple[Any, Any, dict[str, Any]]] = [
        (places.ledger, schema.forgotten_copies, {"copy_id": number, "at": at}),
        (places.ledger, schema.sessions, {**person, "expires_at": at}),
        (places.ledger, schema.sign_in_links, {**person, "expires_at": at}),
        (
            places.spool,
            schema.captured_copies,
            {
                "copy_id": number,
                "send_id": name,
                "captured_at": at,
                "recipients": [],
                "mode": "off",
                "raw": b"x",
            },
        ),
        (
            places.spool,
            schema.refused_facts,
            {"number": number, "fact": {}, "refused_at": at, "why": ""},
        ),
        (
            places.spill,
            schema.spilled_wishes,
            {"wish_id": name, "at": at, "kind": "undo", "copy_id": number, "sealed": b""},
        ),
    ]
    async with places.ledger.write() as connection:
        await record_facts(connection, [accepted])
        await connection.run_sync(insert_hits, [hit])
        last = await connection.scalar(select(func.max(schema.events.c.number)))
        owed = {"delivery_id": name, "webhook": "w", "lane": name, "attempts": 9}
        letter = {**owed, "event_number": last, "dead_at": at}
        await connection.execute(insert(schema.webhook_deliveries).values(**letter))
    await places.spill.transact(lambda connection: spill_hits(connection, [spilled]))
    for store, table, row in rows:
        async with store.write() as connection:
            await connection.execute(insert(table).values(**row))


async def counts(places: Places) -> dict[str, int]:
    found: dict[str, int] = {}
    for store, tables in (
        (places.ledger, schema.ledger),
        (places.spool, schema.spool),
        (places.spill, schema.spill),
    ):
        async with store.read() as connection:
            for table in tables.sorted_tables:
                statement = select(func.count()).select_from(table)
                found[table.name] = await connection.scalar(statement) or 0
    return {name: count for name, count in found.items() if count}


async def test_law_what_is_old_goes_and_nothing_younger(places: Places) -> None:
    """Law: nothing that is younger than its time goes, and of a class nothing older stays."""
    for number in range(120):
        await put(places, EVENTS + timedelta(seconds=1 + number), number)
    young = await counts_of_one(places)
    would = {one.name: one.rows async for one in count_old(places, TERMS)}
    done = {one.name: one.rows async for one in purge(places, TERMS)}
    assert would == done
    assert set(done.values()) == {120, 121}  # what has expired goes at once
    assert await counts(places) == {name: n for name, n in young.items() if name not in _PASSES}
    assert {one.rows async for one in purge(places, TERMS)} == {0}


_PASSES = ("sessions", "sign_in_links")


async def counts_of_one(places: Places) -> dict[str, int]:
    """Put what is just young enough, and return how much of it there is."""
    before = await counts(places)
    await put(places, EVENTS, 500)
    async with places.spool.write() as connection:
        table = schema.captured_copies
        await connection.execute(
            table.update().where(table.c.copy_id == 500).values(captured_at=NOW - CONTENT)
        )
    return {name: n - before.get(name, 0) for name, n in (await counts(places)).items()}


async def test_captured_mail_has_a_time_of_its_own(places: Places) -> None:
    await put(places, CONTENT + timedelta(seconds=1), 1)
    done = {one.name: one.rows async for one in purge(places, TERMS)}
    assert {name for name, rows in done.items() if rows} == {"captured_copies", *_PASSES}


async def test_the_logs_are_cut_after_it(places: Places) -> None:
    await put(places, EVENTS + timedelta(days=1), 1)
    assert [one async for one in purge(places, TERMS)]
    assert not any(store.has_log() for store in (places.ledger, places.spool, places.spill))
