"""What judging is told of copies, from a real ledger."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from ledger import schema
from ledger.engine import Store
from ledger.event import Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.hits import insert_hits
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.stories import select_stories
from ledger.story import PastEvent, RecordedHit, StoredLink, Story
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


async def stories(ledger: Store, *hits: RecordedHit) -> dict[int, Story]:
    async with ledger.read() as connection:
        return dict(await connection.run_sync(select_stories, hits))


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


async def test_what_came_for_other_copies_of_the_send_is_told_of_the_same_network(
    ledger: Store,
) -> None:
    for copy_id in (7, 8, 9):
        await add_send(ledger, copy_id)
    async with ledger.write() as connection:
        await connection.execute(schema.copies.update().values(send_id="S7"))

    def seen(name: str, copy_id: int, network: str) -> RecordedHit:
        return replace(HIT, hit_id=name, copy_id=copy_id, features={"network": network})

    mine = seen("N1", 7, "here")
    await add_hits(
        ledger, mine, seen("N2", 8, "here"), seen("N3", 9, "elsewhere"), seen("N4", 7, "here")
    )
    told = await stories(ledger, mine)
    assert told[7].nearby == ((8, AT, "here"),)
    assert set(told) == {7, 8}, "a copy asked for from the same network is looked at again"
    assert told[8].nearby == ((7, AT, "here"),) * 2


async def test_a_flood_of_one_copy_takes_nothing_of_anothers_history(ledger: Store) -> None:
    for copy_id in (7, 8):
        await add_send(ledger, copy_id)
    flood = [replace(HIT, hit_id=f"F{n:04}", copy_id=8) for n in range(400)]
    mine = [replace(HIT, hit_id=f"M{n}", at=AT - timedelta(seconds=60 + n)) for n in range(3)]
    await add_hits(ledger, *flood, *mine)
    told = await stories(ledger, flood[0], HIT)
    assert [hit.hit_id for hit in told[7].history] == ["M2", "M1", "M0"]
    assert [hit.hit_id for hit in told[8].history] == [f"F{n:04}" for n in range(100, 400)]
