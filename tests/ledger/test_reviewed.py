from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlalchemy import insert

from ledger import reviewed, schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.event import Agent, Event, EventType
from ledger.events import EventFilter, RecordedEvent, insert_events, select_events
from ledger.ident import new_ident
from ledger.migrate import open_store
from ledger.owner import Owner
from ledger.reviewed import Place, place_of, review_events

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANN, BOB = parse_address("ann@sender.example"), parse_address("bob@example.org")
OWNER = Owner(ANN.key, "ann@sender.example")
QUESTIONS = [
    EventFilter(),
    EventFilter(sender=ANN),
    EventFilter(sender=ANN, types=frozenset({EventType.FAILED})),
    EventFilter(recipient=BOB),
    EventFilter(recipient=BOB, subject="offer"),
    EventFilter(subject="OFFER 7"),
    EventFilter(subject="%"),
    EventFilter(subject="offer", types=frozenset({EventType.OPENED, EventType.CLICKED})),
    EventFilter(message_id="<3@sender.example>"),
    EventFilter(url="Example.com/2"),
    EventFilter(reply="unknown"),
    EventFilter(types=frozenset({EventType.CLICKED, EventType.FAILED})),
    EventFilter(classifications=frozenset({Agent.SCANNER, Agent.PROXY})),
    EventFilter(classifications=frozenset({Agent.SCANNER}), types=frozenset({EventType.CLICKED})),
    EventFilter(since=AT + timedelta(minutes=20), until=AT + timedelta(minutes=60)),
    EventFilter(history=True),
    EventFilter(owner=OWNER),
    EventFilter(owner=OWNER, subject="offer 1"),
    EventFilter(owner=OWNER, recipient=BOB),
    EventFilter(owner=OWNER, types=frozenset({EventType.CLICKED})),
    EventFilter(send_id=new_ident(int(AT.timestamp() * 1000), 5)),
]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    await fill(store)
    yield store
    await store.close()


async def fill(store: Store) -> None:
    """Write thirty sends; some share their moment, some are told late."""
    async with store.write() as connection:
        for number in range(30):
            send_id = new_ident(int(AT.timestamp() * 1000), number)
            row = {
                "send_id": send_id,
                "accepted_at": AT,
                "message_id": f"{number}@sender.example",
                "sender": ["ann@sender.example", "max@sender.example"][number % 2],
                "account": "ann@sender.example" if number % 3 == 0 else None,
                "subject": f"Offer {number}",
                "size_bytes": 1,
                "base_url": "http://t.example",
                "verdict": {},
                "tags": [],
                "metadata": {},
            }
            await connection.execute(insert(schema.sends), row)
            await insert_events(connection, [RecordedEvent(one) for one in told(number, row)])


def told(number: int, row: dict[str, Any]) -> list[Event]:
    def one(kind: EventType, minutes: float, **values: Any) -> Event:
        return Event(
            f"{number}{kind}{minutes}",
            kind,
            AT + timedelta(minutes=minutes),
            send_id=row["send_id"],
            message_id=row["message_id"],
            sender=row["sender"],
            subject=row["subject"],
            recipient=["bob@example.org", "eve@example.org"][number % 2],
            **values,
        )

    agent = [Agent.HUMAN_LIKELY, Agent.SCANNER, Agent.PROXY][number % 3]
    reply = "550 5.1.1 User unknown" if number % 5 == 0 else "250 2.0.0 OK"
    kind = EventType.FAILED if number % 5 == 0 else EventType.RELAYED
    return [
        one(EventType.ACCEPTED, number // 4),
        one(kind, number // 4 + 1, reply=reply, upstream="default"),
        one(EventType.OPENED, 40 - number, classification=agent),
        one(EventType.CLICKED, 41, classification=agent, url=f"https://example.com/{number % 7}"),
        one(EventType.RECLASSIFIED, 50, classification=agent, relabels="x"),
    ]


@pytest.mark.parametrize("few", [2_000, 2])
async def test_the_pages_together_hold_each_event_once_in_order_of_time(
    ledger: Store, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the pages together hold each event that the filter fits, once, in order of time."""
    monkeypatch.setattr(reviewed, "FEW_SENDS", few)
    async with ledger.read() as connection:
        for wanted in QUESTIONS:
            every = await select_events(connection, wanted, limit=1000)
            found, before = list[tuple[int, Event]](), None
            while page := await review_events(connection, wanted, before=before, limit=4):
                found += page
                before = Place(page[-1][1].timestamp, page[-1][0])
            expected = sorted(every, key=lambda one: (one[1].timestamp, one[0]), reverse=True)
            assert found == expected, wanted
            assert found or wanted.subject == "%"


async def test_the_place_of_an_event_is_where_the_next_page_begins(ledger: Store) -> None:
    async with ledger.read() as connection:
        (first, second) = await review_events(connection, EventFilter(), limit=2)
        place = await place_of(connection, first[0])
        assert await review_events(connection, EventFilter(), before=place, limit=1) == (second,)
        assert await place_of(connection, 10**9) is None


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (EventFilter(), "ix_events_time"),
        (EventFilter(sender=ANN), "ix_events_sender"),
        (replace(QUESTIONS[2], classifications=frozenset({Agent.PROXY})), "ix_events_sender"),
        (EventFilter(recipient=BOB), "ix_events_recipient"),
        (EventFilter(subject="offer"), "ix_events_send "),
        (EventFilter(message_id="m@example.com"), "ix_events_message_id"),
        (EventFilter(url="example"), "ix_events_url"),
        (EventFilter(reply="4.7.1"), "ix_events_reply"),
        (EventFilter(reply="4.7.1", types=frozenset({EventType.FAILED})), "ix_events_reply"),
        (EventFilter(types=frozenset({EventType.FAILED})), "ix_events_type"),
        (EventFilter(classifications=frozenset({Agent.UNFURL})), "ix_events_classification"),
        (EventFilter(since=AT, until=AT), "ix_events_time"),
        (EventFilter(owner=OWNER), "ix_events_sender"),
    ],
)
async def test_each_question_has_its_index(ledger: Store, wanted: EventFilter, index: str) -> None:
    plans = await plans_of(ledger, wanted)
    assert any(index in f"{plan} " for plan in plans)
    assert not any("SCAN events " in f"{plan} " and "INDEX" not in plan for plan in plans)


async def test_a_subject_is_looked_for_in_its_index_alone(ledger: Store) -> None:
    plans = await plans_of(ledger, EventFilter(subject="offer"))
    assert any("COVERING INDEX ix_sends_subject" in plan for plan in plans)


async def plans_of(ledger: Store, wanted: EventFilter) -> list[str]:
    said: list[tuple[str, Any]] = []
    async with ledger.read() as connection:
        raw = connection.sync_connection
        assert raw is not None

        def listen(*call: Any) -> None:
            said.append((call[2], call[3]))

        listening.listen(raw, "before_cursor_execute", listen)
        await review_events(connection, wanted, limit=10)
        listening.remove(raw, "before_cursor_execute", listen)
        return [
            str(tuple(row)[3])
            for statement, parameters in said
            for row in await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
        ]
