from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

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
    select_stories,
    select_waiting,
    settle_hits,
    spill_hits,
)
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.story import PastEvent, RecordedHit, SpilledHit, StoredLink, Story
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
        return [hit.hit_id for hit in await select_waiting(connection, limit)]


async def stories(ledger: Store, *hits: RecordedHit) -> dict[int, Story]:
    async with ledger.read() as connection:
        return dict(await select_stories(connection, hits))


async def test_a_hit_waits_until_its_send_is_known_and_comes_back_whole(ledger: Store) -> None:
    await add_hits(ledger, HIT)
    assert await waiting(ledger) == []
    await add_send(ledger, 7)
    async with ledger.read() as connection:
        assert await select_waiting(connection, 9) == (HIT,)


async def test_law_recording_the_same_hit_again_changes_nothing(ledger: Store) -> None:
    """Law: recording the same hit again changes nothing."""
    await add_send(ledger, 7)
    await add_hits(ledger, HIT)
    await add_hits(ledger, replace(HIT, url="https://other.example/"))
    await add_hits(ledger)
    async with ledger.read() as connection:
        assert await select_waiting(connection, 9) == (HIT,)


async def test_the_oldest_waiting_hits_come_first_and_settled_ones_no_more(ledger: Store) -> None:
    await add_send(ledger, 7)
    hits = [replace(HIT, hit_id=f"H{n}", at=AT - timedelta(seconds=n)) for n in range(4)]
    await add_hits(ledger, *hits)
    assert await waiting(ledger, 2) == ["H3", "H2"]
    async with ledger.write() as connection:
        await settle_hits(connection, ["H3"])
    assert await waiting(ledger) == ["H2", "H1", "H0"]


async def test_a_story_holds_what_judging_needs_and_nothing_of_another_copy(ledger: Store) -> None:
    await add_send(ledger, 7)
    await add_send(ledger, 8)
    near = replace(HIT, hit_id="H0", at=AT - timedelta(seconds=120))
    after = replace(HIT, hit_id="H3", at=AT + timedelta(seconds=10))
    far = [
        replace(HIT, hit_id="F1", at=AT - timedelta(seconds=121)),
        replace(HIT, hit_id="F2", at=AT + timedelta(seconds=11)),
        replace(HIT, hit_id="F3", copy_id=8),
    ]
    await add_hits(ledger, after, HIT, near, *far)
    first = Event("E1", EventType.OPENED, AT - timedelta(days=1), first=True)
    recent = Event("E2", EventType.CLICKED, AT - timedelta(seconds=60))
    unwanted = [
        Event("E3", EventType.OPENED, AT - timedelta(days=1)),
        Event("E4", EventType.RELAYED, AT),
    ]
    async with ledger.write() as connection:
        rows = [
            RecordedEvent(event, 7, f"of {event.event_id}") for event in (first, recent, *unwanted)
        ]
        await insert_events(connection, rows)
    assert await stories(ledger, HIT) == {
        7: Story(
            copy_id=7,
            mode=TrackingMode.SHARED,
            send_id="S7",
            message_id="m@x.org",
            sender="a@x.org",
            subject="Offer",
            tags=("t",),
            metadata={"k": "v"},
            recipients=(("c@x.org", "bcc"), ("b@x.org", "bcc")),
            links={1: StoredLink("https://7/1", "text 1")},
            history=(near, HIT, after),
            events=(
                PastEvent("E1", EventType.OPENED, first.timestamp, "of E1", first=True),
                PastEvent("E2", EventType.CLICKED, recent.timestamp, "of E2", first=False),
            ),
        )
    }


async def test_opens_need_no_links(ledger: Store) -> None:
    await add_send(ledger, 7)
    told = await stories(ledger, replace(HIT, kind=HitKind.OPEN, slot=0))
    assert told[7].links == {}


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
        await add_repeats(connection, {"E1": 2, "E9": 1})
    async with ledger.read() as connection:
        ((_, event),) = await select_events(connection, EventFilter(), limit=9)
    assert event.repeats == 3


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
