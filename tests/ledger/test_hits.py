from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.dialects import sqlite

from ledger import hits as hits_of_ledger
from ledger import schema
from ledger.engine import Store
from ledger.event import Event, EventType
from ledger.events import EventFilter, RecordedEvent, insert_events, select_events
from ledger.hits import (
    add_repeats,
    delete_spilled,
    insert_hits,
    link_of,
    select_spilled,
    select_waiting,
    set_aside,
    settle_hits,
    spill_hits,
    try_again,
)
from ledger.migrate import open_store
from ledger.story import RecordedHit, SpilledHit, StoredLink
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HIT = RecordedHit("H1", AT, HitKind.CLICK, 7, 1, True, "https://example.net/", {"agent": "x"})


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", schema.ledger)
    yield store
    await store.close()


async def add_send(ledger: Store, copy_id: int, **more: Any) -> None:
    send_id = more.get("send_id", f"S{copy_id}")
    head = {"send_id": send_id, "accepted_at": AT, "size_bytes": 1, "base_url": "", "verdict": {}}
    told = {"message_id": "m@x.org", "sender": "a@x.org", "subject": "Offer"}
    extra = {"tags": ["t"], "metadata": {"k": "v"}}
    async with ledger.write() as connection:
        await connection.execute(insert(schema.sends), head | told | extra)
        copy = {"copy_id": copy_id, "send_id": send_id, "mode": "shared"}
        await connection.execute(insert(schema.copies), copy)
        for number, name in enumerate(("c@x.org", "b@x.org")):
            person = {"copy_id": copy_id, "number": number, "recipient": name}
            key = {"recipient_key": name, "recipient_type": "bcc"}
            await connection.execute(insert(schema.copy_recipients), person | key)
        for slot in (1, 2):
            link = {
                "send_id": send_id,
                "slot": slot,
                "part": "1",
                "url": f"https://{copy_id}/{slot}",
            }
            await connection.execute(insert(schema.links), link | {"text": f"text {slot}"})


async def add_hits(ledger: Store, *hits: RecordedHit) -> None:
    async with ledger.write() as connection:
        await connection.run_sync(insert_hits, hits)


async def waiting(ledger: Store, limit: int = 100) -> list[str]:
    async with ledger.read() as connection:
        return [hit.hit_id for hit in await connection.run_sync(select_waiting, limit)]


async def test_a_hit_waits_until_its_send_is_known_and_comes_back_whole(ledger: Store) -> None:
    await add_hits(ledger, HIT)
    assert await waiting(ledger) == []
    await add_send(ledger, 7)
    async with ledger.read() as connection:
        assert await connection.run_sync(select_waiting, 9) == (HIT,)


async def test_law_recording_the_same_hit_again_changes_nothing(ledger: Store) -> None:
    """Law: recording the same hit again changes nothing."""
    await add_send(ledger, 7)
    await add_hits(ledger, HIT)
    await add_hits(ledger, replace(HIT, url="https://other.example/"))
    await add_hits(ledger)
    async with ledger.read() as connection:
        assert await connection.run_sync(select_waiting, 9) == (HIT,)


async def test_the_oldest_waiting_hits_come_first_and_settled_ones_no_more(ledger: Store) -> None:
    await add_send(ledger, 7)
    hits = [replace(HIT, hit_id=f"H{n}", at=AT - timedelta(seconds=n)) for n in range(4)]
    await add_hits(ledger, *hits)
    assert await waiting(ledger, 2) == ["H3", "H2"]
    async with ledger.write() as connection:
        await connection.run_sync(settle_hits, ["H3"])
    assert await waiting(ledger) == ["H2", "H1", "H0"]


async def test_the_stored_link_of_a_copys_slot_is_found(ledger: Store) -> None:
    await add_send(ledger, 7)
    async with ledger.read() as connection:
        assert await link_of(connection, 7, 2) == StoredLink("https://7/2", "text 2")
        assert await link_of(connection, 7, 3) is None
        assert await link_of(connection, 8, 2) is None
        assert await link_of(connection, (1 << 64) - 1, 2) is None


async def test_repeats_are_added_to_their_event(ledger: Store) -> None:
    async with ledger.write() as connection:
        await insert_events(
            connection, [RecordedEvent(Event("E1", EventType.OPENED, AT, repeats=1))]
        )
        await connection.run_sync(add_repeats, {"E1": 2, "E9": 1})
    async with ledger.read() as connection:
        ((_, event),) = await select_events(connection, EventFilter(), limit=9)
    assert event.repeats == 3


async def test_what_was_set_aside_waits_no_more_until_it_is_tried_again(ledger: Store) -> None:
    await add_send(ledger, 7)
    await add_hits(ledger, HIT, replace(HIT, hit_id="H2"))
    await ledger.transact(partial(set_aside, hit_id="H1", fault="ZeroDivisionError"))
    assert await waiting(ledger) == ["H2"]
    assert await ledger.transact(try_again) == 1
    assert await waiting(ledger) == ["H1", "H2"]
    assert await ledger.transact(try_again) == 0


async def test_what_waits_is_found_by_its_own_index_and_not_among_all_hits(ledger: Store) -> None:
    statement = str(hits_of_ledger._WAITING.compile(dialect=sqlite.dialect()))
    async with ledger.read() as connection:
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (9, 0))
    steps = [row.detail for row in plan]
    assert steps[0] == "SCAN hits USING INDEX ix_hits_waiting"
    assert all(" USING " in step for step in steps if "hits" in step)


async def test_the_spill_gives_back_what_it_took_once(tmp_path: Path) -> None:
    spill = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'spill.db'}", schema.spill)
    hits = [SpilledHit(f"H{n}", AT, HitKind.CLICK, 7, 1, True, bytes([n])) for n in range(3)]

    def work(connection: Connection) -> None:
        spill_hits(connection, hits)
        spill_hits(connection, hits[:1])
        assert select_spilled(connection, 2) == (hits[2], hits[1])
        assert select_spilled(connection, 2, "H1") == (hits[0],)
        delete_spilled(connection, ["H0", "H1"])
        assert select_spilled(connection, 9) == tuple(hits[2:])

    await spill.transact(work)
    await spill.close()
