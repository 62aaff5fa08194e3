"""Counts of events by day."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event as listening

from ledger import schema
from ledger.address import Address, parse_address
from ledger.counts import DayCount, count_days
from ledger.engine import Store
from ledger.event import Agent, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.migrate import open_store

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
ANN = parse_address("a@b.example")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


async def record(ledger: Store, *told: Event) -> None:
    async with ledger.write() as connection:
        await insert_events(connection, [RecordedEvent(event) for event in told])


async def counted(ledger: Store, since: datetime, until: datetime) -> tuple[DayCount, ...]:
    async with ledger.read() as connection:
        return await count_days(connection, since, until)


def opened(
    name: str, at: datetime, agent: Agent = Agent.PROXY, sender: str = "a@b.example"
) -> Event:
    return Event(name, EventType.OPENED, at, sender=sender, classification=agent)


async def test_an_event_is_of_the_day_it_came_on_and_programs_are_told_apart(
    ledger: Store,
) -> None:
    await record(
        ledger,
        opened("1", MIDNIGHT - MOMENT),
        opened("2", MIDNIGHT),
        opened("3", MIDNIGHT + timedelta(hours=23, minutes=59), Agent.SCANNER),
        opened("4", MIDNIGHT + timedelta(hours=5), Agent.SELF),
        Event("5", EventType.CLICKED, MIDNIGHT, classification=Agent.UNFURL),
        Event("6", EventType.RECLASSIFIED, MIDNIGHT, classification=Agent.SCANNER),
    )
    counts = await counted(ledger, MIDNIGHT - timedelta(days=9), MIDNIGHT + timedelta(days=9))
    assert counts == (
        DayCount(date(2026, 11, 22), EventType.OPENED, 1, 0),
        DayCount(date(2026, 11, 23), EventType.CLICKED, 1, 1),
        DayCount(date(2026, 11, 23), EventType.OPENED, 3, 1),
    )


async def test_days_are_whole(ledger: Store) -> None:
    await record(ledger, opened("1", MIDNIGHT - MOMENT), opened("2", MIDNIGHT + MOMENT))
    noon = MIDNIGHT + timedelta(hours=12)
    for since, until, days in (
        (noon, noon, {23}),
        (noon, MIDNIGHT, set()),
        (MIDNIGHT - MOMENT, MIDNIGHT, {22}),
        (MIDNIGHT - MOMENT, MIDNIGHT + MOMENT, {22, 23}),
    ):
        assert {one.day.day for one in await counted(ledger, since, until)} == days


async def test_counts_can_be_of_one_sender(ledger: Store) -> None:
    await record(ledger, opened("1", MIDNIGHT), opened("2", MIDNIGHT, sender="C@d.example"))
    async with ledger.read() as connection:
        (one,) = await count_days(
            connection, MIDNIGHT, MIDNIGHT + MOMENT, parse_address("c@d.example")
        )
    assert one.count == 1


@settings(max_examples=25)
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
async def test_any_instants_are_taken(since: datetime, until: datetime) -> None:
    store = Store("sqlite+aiosqlite:///:memory:")
    async with store.write() as connection:
        await connection.run_sync(schema.events.create)
        assert await count_days(connection, since, until) == ()
    await store.close()


async def test_days_before_the_first_event_and_after_the_last_are_not_gone_through(
    ledger: Store,
) -> None:
    await record(ledger, opened("1", MIDNIGHT), opened("2", MIDNIGHT + timedelta(days=2)))
    beginning, end = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    assert [one.day.day for one in await counted(ledger, beginning, end)] == [23, 25]
    assert await counted(ledger, end, beginning) == ()
    assert await counted(ledger, end, end) == ()


@pytest.mark.parametrize(
    ("sender", "index"), [(None, "COVERING INDEX ix_events_type"), (ANN, "INDEX ix_events_sender")]
)
async def test_it_is_read_by_an_index_of_which_nothing_is_sorted(
    ledger: Store, sender: Address | None, index: str
) -> None:
    await record(ledger, opened("1", MIDNIGHT))
    said: list[tuple[str, Any]] = []
    async with ledger.read() as connection:
        raw = connection.sync_connection
        assert raw is not None

        def listen(*call: Any) -> None:
            said.append((call[2], call[3]))

        listening.listen(raw, "before_cursor_execute", listen)
        await count_days(connection, MIDNIGHT, MIDNIGHT + MOMENT, sender)
        listening.remove(raw, "before_cursor_execute", listen)
        statement, parameters = said[-1]
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [str(tuple(row)[3]) for row in plan]
    assert any(index in step for step in steps), steps
    assert sender is not None or not any("TEMP B-TREE" in step for step in steps), steps
