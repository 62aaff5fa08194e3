from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import (
    EventFilter,
    RecordedEvent,
    insert_events,
    last_number,
    select_accepted,
    select_events,
)
from ledger.migrate import open_store
from ledger.mode import TrackingMode

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FULL = Event(
    event_id="E1",
    type=EventType.CLICKED,
    timestamp=AT.replace(microsecond=123456),
    send_id="S1",
    message_id="m@example.com",
    sender="Åsa@example.com",
    subject="Offer",
    recipient="b@example.org",
    recipient_type="to",
    attribution=Attribution.RECIPIENT,
    candidates=("x@example.org",),
    tracking_mode=TrackingMode.INDIVIDUAL,
    url="https://example.net/",
    link_id="1",
    link_text="our offer",
    classification=Agent.PROXY,
    confidence=0.9,
    reasons=("one", "two"),
    rules_version="1",
    first=True,
    repeats=2,
    notice="sent",
    inferred_from="E0",
    user_agent="Agent",
    ip_address="203.0.113.0",
    reply="250 2.0.0 OK",
    upstream="default",
    tags=("spring",),
    metadata={"deal": "7"},
)
ALL = EventFilter()
BARE = Event("E2", EventType.OPENED, AT)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", schema.ledger)
    yield store
    await store.close()


async def add(ledger: Store, *events: Event, copy_id: int | None = None) -> None:
    async with ledger.write() as connection:
        await insert_events(connection, [RecordedEvent(event, copy_id) for event in events])


async def find(ledger: Store, wanted: EventFilter = ALL, **more: Any) -> list[str]:
    async with ledger.read() as connection:
        found = await select_events(connection, wanted, limit=more.pop("limit", 100), **more)
    return [event.event_id for _, event in found]


async def test_an_event_comes_back_as_it_was_recorded(ledger: Store) -> None:
    await add(ledger, FULL, BARE)
    async with ledger.read() as connection:
        found = await select_events(connection, EventFilter(), after=0, limit=10)
    assert found == ((1, FULL), (2, BARE))


async def test_law_recording_the_same_event_again_changes_nothing(ledger: Store) -> None:
    """Law: recording the same event again changes nothing."""
    await add(ledger, FULL)
    await add(ledger, replace(FULL, subject="Other"), BARE)
    async with ledger.read() as connection:
        found = await select_events(connection, EventFilter(), after=0, limit=10)
        assert await last_number(connection) == found[-1][0]
    assert [event for _, event in found] == [FULL, BARE]


async def test_no_events_are_no_statement_and_number_0(ledger: Store) -> None:
    await add(ledger)
    async with ledger.read() as connection:
        assert await last_number(connection) == 0
    assert await find(ledger) == []


async def test_pages_follow_the_order_of_recording_both_ways(ledger: Store) -> None:
    await add(ledger, *(Event(f"E{n}", EventType.OPENED, AT - timedelta(n)) for n in range(1, 8)))
    assert await find(ledger, limit=3) == ["E7", "E6", "E5"]
    assert await find(ledger, before=5, limit=3) == ["E4", "E3", "E2"]
    assert await find(ledger, after=0, limit=3) == ["E1", "E2", "E3"]
    assert await find(ledger, after=3, limit=3) == ["E4", "E5", "E6"]
    assert await find(ledger, after=3, before=6, limit=9) == ["E4", "E5"]
    assert await find(ledger, after=7) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(since=AT), ["E2", "E3"]),
        (EventFilter(until=AT), ["E1"]),
        (EventFilter(sender=parse_address("ANN@Example.com")), ["E1"]),
        (EventFilter(recipient=parse_address('"B"@example.org')), ["E2"]),
        (EventFilter(message_id="<m@example.com>"), ["E3"]),
        (EventFilter(message_id="m@example.com"), ["E3"]),
        (EventFilter(send_id="S1"), ["E1"]),
        (EventFilter(types=frozenset({EventType.OPENED, EventType.RELAYED})), ["E1", "E2"]),
        (EventFilter(classifications=frozenset({Agent.SCANNER})), ["E3"]),
        (EventFilter(since=AT, send_id="S1"), []),
    ],
)
async def test_a_filter_narrows(ledger: Store, wanted: EventFilter, found: list[str]) -> None:
    await add(
        ledger,
        Event("E1", EventType.OPENED, AT - timedelta(1), send_id="S1", sender="Ann@example.com"),
        Event("E2", EventType.RELAYED, AT, recipient="b@EXAMPLE.org"),
        Event(
            "E3",
            EventType.CLICKED,
            AT,
            message_id="m@example.com",
            classification=Agent.SCANNER,
        ),
    )
    assert await find(ledger, wanted, after=0) == found


async def test_a_recipients_events_include_the_shared_ones_of_his_copies(ledger: Store) -> None:
    async with ledger.write() as connection:
        await connection.execute(
            insert(schema.sends),
            {"send_id": "S1", "accepted_at": AT, "size_bytes": 1, "base_url": "", "verdict": {}}
            | {"tags": [], "metadata": {}},
        )
        await connection.execute(
            insert(schema.copies), {"copy_id": 7, "send_id": "S1", "mode": "shared"}
        )
        people = [
            {"copy_id": 7, "number": n, "recipient": name, "recipient_key": name}
            | {"recipient_type": "to"}
            for n, name in enumerate(("b@example.org", "c@example.org"))
        ]
        await connection.execute(insert(schema.copy_recipients), people)
    shared = Event("E1", EventType.OPENED, AT, attribution=Attribution.SHARED)
    others = Event("E2", EventType.RELAYED, AT, recipient="c@example.org")
    await add(ledger, shared, others, copy_id=7)
    assert await find(ledger, EventFilter(recipient=parse_address("b@example.org"))) == ["E1"]
    both = await find(ledger, EventFilter(recipient=parse_address("c@example.org")), after=0)
    assert both == ["E1", "E2"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (EventFilter(send_id="S1"), "ix_events_send"),
        (EventFilter(sender=parse_address("a@example.com")), "ix_events_sender"),
        (EventFilter(message_id="m@example.com"), "ix_events_message_id"),
        (EventFilter(recipient=parse_address("a@example.com")), "ix_events_recipient"),
    ],
)
async def test_each_question_of_the_log_review_has_its_index(
    ledger: Store, wanted: EventFilter, index: str
) -> None:
    from sqlalchemy import event as listening  # noqa: PLC0415 - the name is taken here

    said: list[tuple[str, Any]] = []
    async with ledger.read() as connection:
        raw = connection.sync_connection
        assert raw is not None

        def listen(*call: Any) -> None:
            said.append((call[2], call[3]))

        listening.listen(raw, "before_cursor_execute", listen)
        await select_events(connection, wanted, limit=10)
        listening.remove(raw, "before_cursor_execute", listen)
        statement, parameters = said[-1]
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        assert index in " ".join(str(row) for row in plan)


async def test_a_page_of_sends_is_whole_and_the_latest_comes_first(ledger: Store) -> None:
    def accepted(event_id: str, send_id: str, recipient: str) -> RecordedEvent:
        return RecordedEvent(
            Event(event_id, EventType.ACCEPTED, AT, send_id=send_id, recipient=recipient)
        )

    async with ledger.write() as connection:
        await insert_events(
            connection,
            [
                accepted("1", "S1", "b@example.org"),
                accepted("2", "S1", "c@example.org"),
                accepted("3", "S2", "b@example.org"),
                RecordedEvent(Event("4", EventType.RELAYED, AT, send_id="S3")),
            ],
        )
    async with ledger.read() as connection:
        latest = await select_accepted(connection, EventFilter(), limit=1)
        rest = await select_accepted(connection, EventFilter(), before="S2", limit=5)
        his = EventFilter(recipient=parse_address("c@example.org"))
        whole = await select_accepted(connection, his, limit=5)
    assert [event.event_id for event in latest] == ["3"]
    assert [event.event_id for event in rest] == ["1", "2"]
    # Of a send that is wanted for one of its recipients, all are there.
    assert [event.event_id for event in whole] == ["1", "2"]
