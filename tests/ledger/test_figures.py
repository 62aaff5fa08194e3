"""Counts for charts, and the latest mails: right, and each by its index."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.event import Agent, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.figures import (
    QUARTER,
    ActCount,
    DeliveryCount,
    WaitingCount,
    count_acts,
    count_deliveries,
    count_waiting,
    latest_sends,
    recent_verdicts,
)
from ledger.migrate import open_store
from ledger.owner import Owner

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANN = Owner(parse_address("ann@sender.example").key, "ann@sender.example")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


def act(
    name: str,
    at: datetime,
    kind: EventType = EventType.OPENED,
    agent: Agent | None = Agent.PROXY,
    **values: Any,
) -> Event:
    whom = {"sender": "ann@sender.example", "send_id": "S1", **values}
    return Event(name, kind, at, classification=agent, **whom)


def told(name: str, kind: EventType, upstream: str | None, **values: Any) -> Event:
    return act(name, NOON, kind, None, upstream=upstream, **values)


async def record(ledger: Store, *events: Event) -> None:
    async with ledger.write() as connection:
        await insert_events(connection, [RecordedEvent(one) for one in events])


async def send(ledger: Store, send_id: str, *, sender: str, account: str | None = None) -> None:
    """Write a send to two recipients, whose verdict names it."""
    row = {
        "send_id": send_id,
        "accepted_at": NOON,
        "message_id": None,
        "sender": sender,
        "account": account,
        "subject": None,
        "size_bytes": 1,
        "base_url": "http://t.example",
        "verdict": {"recipients": [[{"recipient": send_id}, 0]], "contents": [{}]},
        "tags": [],
        "metadata": {},
    }
    async with ledger.write() as connection:
        await connection.execute(insert(schema.sends), row)
    await record(
        ledger,
        *(
            act(f"{send_id}{n}", NOON, EventType.ACCEPTED, None, sender=sender, send_id=send_id)
            for n in range(2)
        ),
    )


async def test_acts_are_counted_by_quarter_kind_and_agent(ledger: Store) -> None:
    await record(
        ledger,
        act("1", NOON - timedelta(microseconds=1)),
        act("2", NOON),
        act("3", NOON + QUARTER - timedelta(microseconds=1)),
        act("4", NOON + QUARTER),
        act("5", NOON, EventType.CLICKED, Agent.SCANNER),
        act("6", NOON, agent=None),
        act("7", NOON, EventType.RECLASSIFIED, Agent.SCANNER),
        act("8", NOON + DAY),
        act("9", NOON + DAY - timedelta(microseconds=1)),
    )
    async with ledger.read() as connection:
        found = await count_acts(connection, NOON, NOON + DAY)
    assert set(found) == {
        ActCount(NOON, EventType.OPENED, Agent.PROXY, 2),
        ActCount(NOON + QUARTER, EventType.OPENED, Agent.PROXY, 1),
        ActCount(NOON, EventType.CLICKED, Agent.SCANNER, 1),
        ActCount(NOON, EventType.OPENED, None, 1),
        ActCount(NOON + DAY - QUARTER, EventType.OPENED, Agent.PROXY, 1),
    }
    assert len(found) == 5


async def test_deliveries_are_counted_by_upstream_over_all_of_the_time(ledger: Store) -> None:
    await record(
        ledger,
        told("1", EventType.RELAYED, "a"),
        told("2", EventType.RELAYED, "a"),
        told("3", EventType.DEFERRED, "a"),
        told("4", EventType.FAILED, None),
        act("5", NOON + 3 * DAY, EventType.RELAYED, None, upstream="a"),
        act("6", NOON + 9 * DAY, EventType.RELAYED, None, upstream="a"),
    )
    async with ledger.read() as connection:
        found = await count_deliveries(connection, NOON - DAY, NOON + 9 * DAY)
    assert sorted(found, key=lambda one: one.type) == [
        DeliveryCount("a", EventType.DEFERRED, 1),
        DeliveryCount(None, EventType.FAILED, 1),
        DeliveryCount("a", EventType.RELAYED, 3),
    ]


async def test_of_a_person_what_he_sent_and_what_he_submitted_is_counted_once(
    ledger: Store,
) -> None:
    await send(ledger, "S1", sender="ann@sender.example", account="ann@sender.example")
    await send(ledger, "S2", sender="info@sender.example", account="ann@sender.example")
    await send(ledger, "S3", sender="max@sender.example")
    await record(
        ledger,
        act("1", NOON),
        act("2", NOON, send_id="S2", sender="info@sender.example"),
        act("3", NOON, send_id="S3", sender="max@sender.example"),
        told("4", EventType.RELAYED, "a", send_id="S2", sender="info@sender.example"),
        told("5", EventType.RELAYED, "a", send_id="S3", sender="max@sender.example"),
    )
    async with ledger.read() as connection:
        acts = await count_acts(connection, NOON, NOON + DAY, ANN)
        deliveries = await count_deliveries(connection, NOON, NOON + DAY, ANN)
    assert sum(one.count for one in acts) == 2
    assert sum(one.count for one in deliveries) == 1


async def test_the_latest_sends_of_a_person_come_page_by_page(ledger: Store) -> None:
    for number in range(7):
        mine = number % 2 == 0
        await send(
            ledger,
            f"S{number}",
            sender="Ann@Sender.example" if mine else "max@sender.example",
            account="ann@sender.example" if number == 3 else None,
        )
    async with ledger.read() as connection:
        assert await latest_sends(connection, ANN, 2) == ["S6", "S4"]
        assert await latest_sends(connection, ANN, 2, "S4") == ["S3", "S2"]
        assert await latest_sends(connection, ANN, 9, "S2") == ["S0"]
        own = await recent_verdicts(connection, 2, ANN)
        all_mail = await recent_verdicts(connection, 2)
    assert [one[0]["recipient"] for one in own] == ["S6", "S4"]
    assert [one[0]["recipient"] for one in all_mail] == ["S6", "S5"]


async def test_what_waits_is_counted_by_why(spool: Store) -> None:
    async with spool.write() as connection:
        for number, (held, attempts) in enumerate([(False, 0), (False, 3), (True, 1), (False, 2)]):
            mail = {
                "send_id": f"S{number}",
                "received_at": NOON,
                "smtputf8": False,
                "body_8bit": False,
                "template": b"",
            }
            await connection.execute(insert(schema.spooled_sends), mail)
            await connection.execute(
                insert(schema.spooled_copies),
                {
                    "copy_id": number,
                    "send_id": f"S{number}",
                    "mode": "off",
                    "key_id": 1,
                    "attempts": attempts,
                    "due_at": NOON,
                    "held": held,
                },
            )
    async with spool.read() as connection:
        found = await count_waiting(connection)
    assert set(found) == {
        WaitingCount(held=False, tried=False, count=1),
        WaitingCount(held=False, tried=True, count=2),
        WaitingCount(held=True, tried=True, count=1),
    }


Ask = Callable[[AsyncConnection], Awaitable[object]]


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda one: count_acts(one, NOON, NOON + DAY), "COVERING INDEX ix_events_type"),
        (lambda one: count_deliveries(one, NOON, NOON + DAY), "COVERING INDEX ix_events_type"),
        (lambda one: count_acts(one, NOON, NOON + DAY, ANN), "INDEX ix_events_sender"),
        (lambda one: count_acts(one, NOON, NOON + DAY, ANN), "INDEX ix_events_send "),
        (lambda one: latest_sends(one, ANN, 9), "INDEX ix_events_accepted"),
        (lambda one: latest_sends(one, ANN, 9, "S"), "INDEX ix_events_accepted"),
        (lambda one: latest_sends(one, ANN, 9), "COVERING INDEX ix_sends_account"),
        (lambda one: recent_verdicts(one, 9), "SCAN sends USING INDEX"),
    ],
)
async def test_each_count_has_its_index(ledger: Store, ask: Ask, index: str) -> None:
    plans = await plans_of(ledger, ask)
    assert any(index in plan for plan in plans), plans
    assert not any("SCAN events" in plan and "INDEX" not in plan for plan in plans)


async def test_of_a_person_nobody_elses_events_are_gone_through(ledger: Store) -> None:
    plans = await plans_of(ledger, lambda one: count_acts(one, NOON, NOON + DAY, ANN))
    assert not any("ix_events_type" in plan or "ix_events_time" in plan for plan in plans), plans


async def test_the_latest_sends_of_a_person_are_sorted_by_nobody(ledger: Store) -> None:
    plans = await plans_of(ledger, lambda one: latest_sends(one, ANN, 9))
    assert not any("TEMP B-TREE" in plan for plan in plans), plans


async def plans_of(ledger: Store, ask: Ask) -> list[str]:
    said: list[tuple[str, Any]] = []
    async with ledger.read() as connection:
        raw = connection.sync_connection
        assert raw is not None

        def listen(*call: Any) -> None:
            said.append((call[2], call[3]))

        listening.listen(raw, "before_cursor_execute", listen)
        await ask(connection)
        listening.remove(raw, "before_cursor_execute", listen)
        return [
            str(tuple(row)[3])
            for statement, parameters in said
            for row in await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
        ]
