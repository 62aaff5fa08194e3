"""Sends at a glance, from real rows."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from ledger.engine import Store
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.fact import CopyFact, RecipientFact, SendAccepted
from ledger.ident import new_ident
from ledger.mode import TrackingMode
from ledger.schema import ledger as ledger_tables
from ledger.sends import record_facts
from ledger.summary import Tally, list_summaries, read_send, tally_sends

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def accept(store: Store, number: int, *copies: tuple[TrackingMode, list[str]]) -> str:
    at = NOON + timedelta(minutes=number)
    send_id = new_ident(int(at.timestamp() * 1000), number)
    fact = SendAccepted(
        send_id=send_id,
        accepted_at=at,
        message_id=f"m{number}@x.example",
        sender="a@x.example",
        account=None,
        client="192.0.2.1",
        subject=f"Mail {number}",
        size_bytes=100,
        base_url="http://t.example",
        verdict=({"recipient": "b@x.example"},),
        tags=("t",),
        metadata={"k": "v"},
        copies=tuple(
            CopyFact(
                number * 100 + place,
                mode,
                tuple(
                    RecipientFact(
                        f"{send_id}-{place}-{one}", one.partition(" ")[2], one[:3].strip()
                    )
                    for one in people
                ),
            )
            for place, (mode, people) in enumerate(copies)
        ),
        links=(),
    )
    async with store.write() as connection:
        await record_facts(connection, [fact])
    return send_id


async def tell(store: Store, send_id: str, *told: tuple[EventType, dict[str, Any]]) -> None:
    async with store.write() as connection:
        await insert_events(
            connection,
            [
                RecordedEvent(
                    Event(f"{send_id}-{number}", kind, NOON, send_id=send_id, **values),
                    copy_id=number,
                )
                for number, (kind, values) in enumerate(told)
            ],
        )


async def test_a_send_is_read_as_it_was_accepted(store: Store) -> None:
    send_id = await accept(store, 1, (TrackingMode.OFF, ["to b@x.example"]))
    async with store.read() as connection:
        record = await read_send(connection, send_id)
        assert await read_send(connection, "nothing") is None
    assert record is not None
    assert (record.subject, record.client, record.tags) == ("Mail 1", "192.0.2.1", ("t",))
    assert record.verdict == ({"recipient": "b@x.example"},)
    assert record.metadata == {"k": "v"}
    assert record.accepted_at == NOON + timedelta(minutes=1)


async def test_sends_are_listed_latest_first_page_by_page(store: Store) -> None:
    one = (TrackingMode.OFF, ["to b@x.example"])
    ids = [await accept(store, number, one) for number in range(5)]
    async with store.read() as connection:
        first = await list_summaries(connection, 3)
        rest = await list_summaries(connection, 3, first[-1].send_id)
        none = await list_summaries(connection, 3, rest[-1].send_id)
    assert [summary.send_id for summary in (*first, *rest)] == list(reversed(ids))
    assert none == ()


async def test_the_first_recipients_are_named_to_before_cc_before_bcc(store: Store) -> None:
    await accept(
        store,
        1,
        (TrackingMode.INDIVIDUAL, ["bcc e@x.example"]),
        (TrackingMode.OFF, ["cc d@x.example", "cc c@x.example"]),
        (TrackingMode.SHARED, ["to b@x.example", "to a@x.example"]),
    )
    async with store.read() as connection:
        (summary,) = await list_summaries(connection, 10)
    assert summary.recipients == ("a@x.example", "b@x.example", "c@x.example")
    assert summary.recipient_count == 5
    assert summary.tracked_count == 3
    assert summary.tally == Tally()


async def test_people_are_counted_and_not_their_opens(store: Store) -> None:
    send_id = await accept(store, 1, (TrackingMode.INDIVIDUAL, ["to b@x.example"]))
    b = {"recipient": "b@x.example", "attribution": Attribution.RECIPIENT}
    c = {**b, "recipient": "C@x.example"}
    person = {"classification": Agent.HUMAN_LIKELY}
    await tell(
        store,
        send_id,
        (EventType.RELAYED, b),
        (EventType.DEFERRED, c),
        (EventType.FAILED, c),
        (EventType.OPENED, b | person),
        (EventType.OPENED, b | person),
        (EventType.OPENED, c | {"classification": Agent.PROXY}),
        (EventType.OPENED, {**c, "recipient": "c@X.example"} | person),
        (EventType.CLICKED, b | person),
    )
    async with store.read() as connection:
        tallies = await tally_sends(connection, [send_id, "other"])
    assert tallies == {
        send_id: Tally(relayed=1, failed=1, opened=2, clicked=1),
        "other": Tally(),
    }


async def test_machines_own_networks_and_the_unknown_are_not_counted(store: Store) -> None:
    send_id = await accept(store, 1, (TrackingMode.INDIVIDUAL, ["to b@x.example"]))
    agents = [agent for agent in Agent if not agent.attentive]
    await tell(
        store,
        send_id,
        *(
            (kind, {"recipient": "b@x.example", "classification": agent})
            for agent in agents
            for kind in (EventType.OPENED, EventType.CLICKED)
        ),
    )
    async with store.read() as connection:
        assert (await tally_sends(connection, [send_id]))[send_id] == Tally()


async def test_a_copy_stands_for_those_who_are_not_told_apart(store: Store) -> None:
    send_id = await accept(store, 1, (TrackingMode.SHARED, ["to b@x.example", "to c@x.example"]))
    shared = {"attribution": Attribution.SHARED, "classification": Agent.PROXY}
    await tell(store, send_id, (EventType.OPENED, shared), (EventType.OPENED, shared))
    async with store.read() as connection:
        # The two events of this test are of two copies.
        assert (await tally_sends(connection, [send_id]))[send_id] == Tally(opened=2)
