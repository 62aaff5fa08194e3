"""What a recipient has been sent and did, from a real ledger file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from ledger.engine import Store
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.mode import TrackingMode
from ledger.owner import Owner
from ledger.received import Acts, Received, ReceivedSend, list_received, summarise_received
from ledger.schema import copies, copy_recipients, sends
from ledger.schema import ledger as ledger_tables

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = "bob@example.org"
ANNA = Owner("anna@acme.example", "anna")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def add(store: Store, number: int, account: str, *told: Event) -> None:
    row = {
        "send_id": f"01{number}",
        "accepted_at": NOW,
        "sender": None,
        "account": account,
        "subject": "Offer",
        "size_bytes": 1,
        "base_url": "http://127.0.0.1",
        "verdict": {},
        "tags": [],
        "metadata": {},
    }
    copy = {"copy_id": number, "send_id": f"01{number}", "mode": "individual"}
    bob = {"copy_id": number, "number": 0, "recipient": "Bob@example.org"}
    async with store.write() as connection:
        await connection.execute(insert(sends).values(row))
        await connection.execute(insert(copies).values(copy))
        his = {**bob, "recipient_key": KEY, "recipient_type": "to"}
        await connection.execute(insert(copy_recipients).values(his))
        await insert_events(connection, [RecordedEvent(event, copy_id=number) for event in told])


def event(name: str, kind: EventType, **values: Any) -> Event:
    usual: dict[str, Any] = {
        "timestamp": NOW,
        "send_id": "011",
        "recipient": "BOB@example.org",
        "attribution": Attribution.RECIPIENT,
    }
    if kind in (EventType.OPENED, EventType.CLICKED):
        usual["classification"] = Agent.HUMAN_LIKELY
    return Event(name, kind, **(usual | values))


async def test_only_what_is_told_of_him_alone_counts(store: Store) -> None:
    # Law: only what is attributed to him alone counts.
    later = NOW + timedelta(hours=1)
    shared: dict[str, Any] = {"recipient": None, "attribution": Attribution.SHARED}
    await add(
        store,
        1,
        "anna",
        event("1", EventType.RELAYED, attribution=None),
        event("2", EventType.OPENED, repeats=1),
        event("3", EventType.OPENED, timestamp=later, classification=Agent.PROXY),
        event("4", EventType.OPENED, timestamp=later, classification=Agent.SCANNER, repeats=4),
        event("5", EventType.OPENED, timestamp=later, **shared),
        event("6", EventType.CLICKED, recipient="carol@example.org"),
        event("7", EventType.CLICKED, attribution=Attribution.SHARED),
    )
    async with store.read() as connection:
        told = await summarise_received(connection, KEY)
        (send,) = await list_received(connection, KEY, 5)
    assert told == Received(1, Acts(3, later), Acts(), 5)
    assert send == ReceivedSend(
        "011",
        NOW,
        None,
        "Offer",
        TrackingMode.INDIVIDUAL,
        EventType.RELAYED,
        Acts(3, later),
        Acts(),
    )


async def test_an_owner_is_told_of_his_own_mail_page_by_page(store: Store) -> None:
    for number, account in enumerate(("anna", "bert", "anna", "anna"), 1):
        opened = event(f"{number}", EventType.OPENED, send_id=f"01{number}")
        await add(store, number, account, opened)
    async with store.read() as connection:
        told = await summarise_received(connection, KEY, ANNA)
        page = await list_received(connection, KEY, 2, None, ANNA)
        rest = await list_received(connection, KEY, 2, page[-1].send_id, ANNA)
    assert (told.sends, told.opened.times) == (3, 3)
    assert [send.send_id for send in (*page, *rest)] == ["014", "013", "011"]
    assert {send.state for send in page} == {EventType.ACCEPTED}


async def test_of_who_was_sent_nothing_there_is_nothing(store: Store) -> None:
    async with store.read() as connection:
        assert await summarise_received(connection, KEY) == Received(0, Acts(), Acts(), 0)
        assert await list_received(connection, KEY, 5) == ()
