from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from ledger import schema
from ledger.engine import Store
from ledger.event import EventType
from ledger.events import EventFilter, select_events
from ledger.fact import (
    CopyFact,
    Fact,
    LinkFact,
    RecipientFact,
    RecipientTold,
    SendAccepted,
    unpack_verdict,
)
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.sends import find_sends, record_facts

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LINK = LinkFact(1, "1.2", "https://example.com/#top", "a link")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


def accepted(send_id: str = "S1", copy_id: int = 10, message_id: str = "m@x") -> SendAccepted:
    to = RecipientFact(f"{send_id}-B", "Bob@Example.org", "to")
    cc = RecipientFact(f"{send_id}-C", "c@example.org", "cc")
    return SendAccepted(
        send_id=send_id,
        accepted_at=NOW,
        message_id=message_id,
        sender="a@example.com",
        account=None,
        client="127.0.0.1",
        subject="Grüße",
        size_bytes=100,
        base_url="https://t.example",
        verdict=({"recipient": "b@example.org", "mode": "individual"},),
        tags=("tag",),
        metadata={"key": "value"},
        copies=(
            CopyFact(copy_id, TrackingMode.INDIVIDUAL, (to,)),
            CopyFact(copy_id + 1, TrackingMode.OFF, (cc,)),
        ),
        links=(LINK,),
    )


def told(event_id: str, kind: EventType, after_s: int, copy_id: int = 10) -> RecipientTold:
    return RecipientTold(
        event_id=event_id,
        type=kind,
        at=NOW + timedelta(seconds=after_s),
        send_id="S1",
        copy_id=copy_id,
        recipient="Bob@Example.org",
        recipient_type="to",
        reply="250 2.0.0 taken",
        upstream="default",
    )


FACTS: tuple[Fact, ...] = (
    accepted(),
    told("T1", EventType.DEFERRED, 1),
    told("T2", EventType.RELAYED, 2),
    told("T3", EventType.RELAYED, 3),
    told("T4", EventType.FAILED, 4, copy_id=11),
)


async def record(store: Store, *facts: Fact) -> None:
    async with store.write() as connection:
        await record_facts(connection, facts)


async def dump(store: Store) -> dict[str, Any]:
    """All that facts are recorded in."""
    tables = (schema.sends, schema.copies, schema.copy_recipients, schema.links, schema.events)
    async with store.read() as connection:
        return {
            table.name: (await connection.execute(select(table))).mappings().all()
            for table in tables
        }


async def test_a_send_is_recorded_with_all_it_had(ledger: Store) -> None:
    await record(ledger, accepted())
    rows = await dump(ledger)
    (send,) = rows["sends"]
    assert (send["subject"], send["tags"], send["metadata"]) == ("Grüße", ["tag"], {"key": "value"})
    assert unpack_verdict(send["verdict"]) == (
        {"recipient": "b@example.org", "mode": "individual"},
    )
    assert [(row["copy_id"], row["mode"], row["relayed_at"]) for row in rows["copies"]] == [
        (10, "individual", None),
        (11, "off", None),
    ]
    assert [(row["recipient"], row["recipient_key"]) for row in rows["copy_recipients"]] == [
        ("Bob@Example.org", "bob@example.org"),
        ("c@example.org", "c@example.org"),
    ]
    (link,) = rows["links"]
    assert (link["slot"], link["url"], link["text"]) == (1, LINK.url, LINK.text)


async def test_each_fact_of_a_recipient_is_one_event_in_order(ledger: Store) -> None:
    await record(ledger, *FACTS)
    async with ledger.read() as connection:
        found = [
            event for _, event in await select_events(connection, EventFilter(), after=0, limit=9)
        ]
    assert [(event.event_id, event.type.value) for event in found] == [
        ("S1-B", "email.accepted"),
        ("S1-C", "email.accepted"),
        ("T1", "email.deferred"),
        ("T2", "email.relayed"),
        ("T3", "email.relayed"),
        ("T4", "email.failed"),
    ]
    relayed = found[3]
    assert (relayed.sender, relayed.subject, relayed.message_id) == (
        "a@example.com",
        "Grüße",
        "m@x",
    )
    assert (relayed.reply, relayed.upstream) == ("250 2.0.0 taken", "default")
    assert (relayed.tags, relayed.metadata) == (("tag",), {"key": "value"})
    assert [event.tracking_mode for event in (found[1], relayed, found[5])] == [
        TrackingMode.OFF,
        TrackingMode.INDIVIDUAL,
        TrackingMode.OFF,
    ]


async def test_a_copy_is_relayed_when_its_first_recipient_is(ledger: Store) -> None:
    await record(ledger, *FACTS[:2])
    await record(ledger, *FACTS[2:])
    rows = await dump(ledger)
    assert [row["relayed_at"] for row in rows["copies"]] == [NOW + timedelta(seconds=2), None]


async def test_what_is_told_of_a_send_that_is_gone_is_kept(ledger: Store) -> None:
    await record(ledger, accepted())
    async with ledger.write() as connection:
        await connection.execute(delete(schema.sends))
    await record(ledger, told("T2", EventType.RELAYED, 2))
    event = (await dump(ledger))["events"][-1]
    assert (event["event_id"], event["sender"], event["tracking_mode"]) == ("T2", None, None)


async def test_a_send_is_found_by_its_name_and_by_its_message_id(ledger: Store) -> None:
    await record(ledger, accepted(), accepted("S2", 20), accepted("S3", 30, "other@x"))
    async with ledger.read() as connection:
        assert await find_sends(connection, "S3") == ("S3",)
        assert await find_sends(connection, "m@x") == ("S1", "S2")
        assert await find_sends(connection, " <other@x> ") == ("S3",)
        assert await find_sends(connection, "nobody") == ()


async def test_nothing_to_record_changes_nothing(ledger: Store) -> None:
    await record(ledger)
    await record(ledger, replace(accepted(), copies=(), links=()))
    assert len((await dump(ledger))["sends"]) == 1


@given(st.lists(st.integers(0, len(FACTS)), max_size=4))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_law_of_the_record(ledger: Store, ends: list[int]) -> None:
    """Law: recording the same facts again changes nothing, and their order is kept."""
    await record(ledger, *FACTS)
    whole = await dump(ledger)
    for end in ends:
        await record(ledger, *FACTS[:end])
    assert await dump(ledger) == whole
