"""What is recorded is owed to webhooks in the same transaction, once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from ledger import schema
from ledger.address import parse_address
from ledger.days import DayEvent, insert_day_events, tell_days
from ledger.deliveries import (
    Again,
    Attempt,
    Dead,
    Delivery,
    Dropped,
    End,
    Taken,
    list_dead,
    list_webhooks,
    resend,
    select_due,
    settle,
)
from ledger.engine import Store
from ledger.event import Agent, Event, EventType
from ledger.events import RecordedEvent, insert_events, record_events
from ledger.forget import find_traces, forget_address
from ledger.migrate import open_store
from ledger.relabelled import relabel_events
from ledger.story import Relabelling
from ledger.webhooks import KnownWebhook, renew_webhooks, webhook_key

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALL = KnownWebhook(webhook_key("https://a.example/all"), "https://a.example", ())
OPENS = KnownWebhook(
    webhook_key("https://b.example/opens"), "https://b.example", (EventType.OPENED.value,)
)


def an_event(name: str, send: str | None = "S1", kind: EventType = EventType.OPENED) -> Event:
    return Event(
        name,
        kind,
        AT,
        send_id=send,
        recipient="b@example.org",
        classification=Agent.HUMAN_LIKELY if kind is EventType.OPENED else None,
    )


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


async def configure(ledger: Store, *known: KnownWebhook) -> None:
    await ledger.transact(partial(renew_webhooks, configured=known))


async def record(ledger: Store, *found: Event) -> None:
    rows = [RecordedEvent(event, 1, "h") for event in found]
    await ledger.transact(partial(record_events, rows=rows))


async def due(
    ledger: Store, hook: KnownWebhook = ALL, now: datetime = AT, limit: int = 100
) -> tuple[Delivery, ...]:
    return await ledger.transact(partial(select_due, webhook=hook.webhook, now=now, limit=limit))


async def end(ledger: Store, found: Sequence[Delivery], how: End, at: datetime = AT) -> None:
    await ledger.transact(partial(settle, attempts=[Attempt(one, at, how) for one in found]))


def names(found: Sequence[Delivery]) -> list[str | None]:
    return [None if one.event is None else one.event.event_id for one in found]


async def test_an_event_is_owed_to_each_webhook_that_wants_its_type(ledger: Store) -> None:
    await configure(ledger, ALL, OPENS)
    await record(ledger, an_event("e1", "S1"), an_event("e2", "S2", EventType.RELAYED))
    assert names(await due(ledger)) == ["e1", "e2"]
    assert names(await due(ledger, OPENS)) == ["e1"]


async def test_without_a_webhook_nothing_is_owed_and_what_was_before_is_not_later(
    ledger: Store,
) -> None:
    await record(ledger, an_event("e1"))
    await configure(ledger, ALL)
    assert await due(ledger) == ()


async def test_recording_the_same_again_owes_nothing_again_even_when_it_is_delivered(
    ledger: Store,
) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1"))
    await end(ledger, await due(ledger), Taken())
    await record(ledger, an_event("e1"), an_event("e2"))
    assert names(await due(ledger)) == ["e2"]


async def test_what_is_rolled_back_is_not_owed(ledger: Store) -> None:
    await configure(ledger, ALL)
    with suppress(RuntimeError):
        async with ledger.write() as connection:
            await insert_events(connection, [RecordedEvent(an_event("e1"))])
            raise RuntimeError
    assert await due(ledger) == ()


async def test_of_a_send_one_event_after_the_other_is_due_and_other_sends_do_not_wait(
    ledger: Store,
) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1", "S1"), an_event("e2", "S1"))
    await record(ledger, an_event("e3", "S1"), an_event("e4", "S2"))
    first, other = await due(ledger)
    assert names([first, other]) == ["e1", "e4"]
    await end(ledger, [first], Again(AT + timedelta(minutes=5), "500"))
    await end(ledger, [other], Taken())
    assert await due(ledger) == ()
    (again,) = await due(ledger, now=AT + timedelta(minutes=5))
    assert (names([again]), again.attempts, again.first_tried_at) == (["e1"], 1, AT)
    await end(ledger, [again], Taken())
    assert names(await due(ledger)) == ["e2"]


async def test_events_without_a_send_wait_for_nobody(ledger: Store) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1", None), an_event("e2", None))
    assert names(await due(ledger)) == ["e1", "e2"]


async def test_the_name_of_a_delivery_is_the_same_at_each_try_and_differs_by_webhook(
    ledger: Store,
) -> None:
    await configure(ledger, ALL, OPENS)
    await record(ledger, an_event("e1"))
    (one,), (other,) = await due(ledger), await due(ledger, OPENS)
    await end(ledger, [one], Again(AT, "500"))
    (again,) = await due(ledger)
    assert one.delivery_id == again.delivery_id != other.delivery_id


async def test_a_dead_letter_holds_up_nobody_and_can_be_sent_again_in_its_turn(
    ledger: Store,
) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1"), an_event("e2"), an_event("e3"))
    for _ in range(2):
        await end(ledger, await due(ledger), Dead("410 Gone"))
    assert names(await due(ledger)) == ["e3"]
    dead = await ledger.transact(partial(list_dead, limit=10))
    assert names(dead) == ["e1", "e2"]
    assert {(one.reply, one.dead_at) for one in dead} == {("410 Gone", AT)}
    (page,) = await ledger.transact(partial(list_dead, limit=1, after=dead[0].number))
    assert page == dead[1]
    assert await ledger.transact(partial(list_dead, limit=9, webhook=OPENS.webhook)) == ()
    await ledger.transact(partial(resend, delivery_ids=[dead[1].delivery_id, "unknown"]))
    assert names(await due(ledger)) == ["e3"]  # it is due already, and so goes first
    assert await ledger.transact(partial(resend, delivery_ids=None, webhook="other")) == ()
    both = await ledger.transact(partial(resend, delivery_ids=None))
    assert both == (dead[0].delivery_id,)
    told = []
    while found := await due(ledger):
        told += names(found)
        await end(ledger, found, Taken())
    assert told == ["e3", "e1", "e2"]


async def test_what_is_forgotten_or_purged_is_owed_no_more(ledger: Store) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1"), an_event("e2"))
    async with ledger.write() as connection:
        gone = schema.events.c.event_id == "e1"
        await connection.execute(delete(schema.events).where(gone))
    (left,) = await due(ledger)
    assert left.event is None
    await end(ledger, [left], Dropped())
    assert names(await due(ledger)) == ["e2"]


async def test_of_who_is_forgotten_nothing_is_told_and_of_others_all(ledger: Store) -> None:
    await configure(ledger, ALL)
    other = replace(an_event("e2", "S2"), recipient="c@example.org")
    await record(ledger, an_event("e1"), other, an_event("e3"))
    traces = await find_traces(ledger, parse_address("b@example.org"), ())
    await forget_address(ledger, traces, AT, b"k" * 32)
    told = []
    while found := await due(ledger):
        told += names(found)
        await end(ledger, found, Dropped())
    assert told == [None, "e2", None]


async def test_a_relabelling_and_a_day_that_is_over_are_owed_too(ledger: Store) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1"))
    anew = Relabelling("e1", AT, Agent.SCANNER, 0.9, ("sweep",), "2", first=False)
    await ledger.transact(partial(relabel_events, found=[anew]))
    day = DayEvent("d1", AT, EventType.OPENED, None, Agent.PROXY, 0.8, (), "1")
    await ledger.transact(partial(insert_day_events, found=[day]))
    assert names(await due(ledger)) == ["e1"]
    async with ledger.write() as connection:
        await tell_days(connection, AT + timedelta(days=1), 10)
    opened, told = await due(ledger)
    assert names([told]) == ["d1"]
    await end(ledger, [opened], Taken())
    anew_told, _ = await due(ledger)
    assert anew_told.event
    assert anew_told.event.type is EventType.RECLASSIFIED


async def test_a_webhook_that_is_configured_no_more_keeps_what_it_is_owed(ledger: Store) -> None:
    await configure(ledger, ALL, OPENS)
    await record(ledger, an_event("e1"))
    await end(ledger, await due(ledger, OPENS), Again(AT + timedelta(hours=1), "500 no"))
    changed = KnownWebhook(OPENS.webhook, OPENS.shown, (EventType.CLICKED.value,))
    await configure(ledger, changed)
    await record(ledger, an_event("e2"))
    shown = await ledger.transact(list_webhooks)
    told = [(one.shown, one.types, one.waiting, one.dead, one.fault) for one in shown]
    assert told == [
        ("https://b.example", ("email.clicked",), 1, 0, "500 no"),
        (None, (), 1, 0, None),
    ]
    await configure(ledger, changed, ALL)
    await end(ledger, await due(ledger), Taken())
    shown = await ledger.transact(list_webhooks)
    assert [(one.delivered_at, one.failed_at) for one in shown] == [(AT, None), (None, AT)]


async def test_what_may_not_be_told_is_dropped_and_says_nothing_of_the_webhook(
    ledger: Store,
) -> None:
    await configure(ledger, ALL)
    await record(ledger, an_event("e1"), an_event("e2"))
    await end(ledger, await due(ledger), Dropped())
    assert names(await due(ledger)) == ["e2"]
    (shown,) = await ledger.transact(list_webhooks)
    assert (shown.delivered_at, shown.waiting) == (None, 1)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        st.tuples(st.just("end"), st.sampled_from(["taken", "again", "dead", "dropped"])),
        st.tuples(st.just("resend"), st.none()),
        st.tuples(st.just("forget"), st.integers(0, 20)),
    ),
    max_size=12,
)
_ENDS: dict[str, End] = {
    "taken": Taken(),
    "again": Again(AT, "500"),
    "dead": Dead("500"),
    "dropped": Dropped(),
}


@settings(max_examples=20, deadline=None)
@given(_STEPS)
def test_law_of_a_lane_one_is_due_at_a_time_and_none_is_left_behind(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    asyncio.run(_walk(tmp_path_factory.mktemp("lanes"), steps))


async def _walk(folder: Path, steps: list[tuple[str, object]]) -> None:
    """Law: of a lane nothing is due before what was owed before it is done or dead."""
    ledger = await open_store(f"sqlite+aiosqlite:///{folder}/ledger.db", schema.ledger)
    try:
        await configure(ledger, ALL)
        count = 0
        for step, said in steps:
            if step == "record":
                assert isinstance(said, list)
                new = [an_event(f"e{count + n}", f"S{lane}") for n, lane in enumerate(said)]
                count += len(new)
                await record(ledger, *new)
            elif step == "end":
                await end(ledger, await due(ledger), _ENDS[str(said)])
            elif step == "resend":
                await ledger.transact(partial(resend, delivery_ids=None))
            else:
                async with ledger.write() as connection:
                    gone = schema.events.c.event_id == f"e{said}"
                    await connection.execute(delete(schema.events).where(gone))
            lanes = [one.lane for one in await due(ledger)]
            assert len(lanes) == len(set(lanes))
        while found := await due(ledger):
            await end(ledger, found, Taken())
        (state,) = await ledger.transact(list_webhooks)
        assert state.waiting == 0
    finally:
        await ledger.close()
