"""What keeps only its day: told when it is over, and without a trace of the time before."""

from datetime import UTC, datetime, timedelta
from typing import Any

from collector import daybook as module
from collector.daybook import Daybook
from ledger import schema
from ledger.days import DayEvent, days_about, insert_day_events
from ledger.event import Agent, EventType

TODAY = datetime(2026, 11, 24, tzinfo=UTC)


def day_event(number: int, day: datetime = TODAY) -> DayEvent:
    name = f"{number * 7919 % 1000:026d}"
    kind = EventType.OPENED
    return DayEvent(name, day, kind, "a@example.com", Agent.HUMAN_LIKELY, 0.5, (), "1")


def withdrawal(number: int) -> DayEvent:
    kind, name = EventType.WITHDRAWN, f"{number * 7919 % 1000:026d}"
    by = ("by_recipient",)
    return DayEvent(name, TODAY, kind, "a@example.com", None, None, by, None, "B@example.org")


async def add(house: Any, *found: DayEvent) -> None:
    await house.stores.ledger.transact(lambda connection: insert_day_events(connection, found))


async def test_a_day_is_told_when_it_is_over_and_in_no_order_of_time(
    house: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 3)
    daybook = Daybook(house.stores.ledger)
    written = [day_event(number) for number in range(10)]
    await add(house, *written, day_event(500, TODAY + timedelta(days=1)))
    await daybook.tend(TODAY + timedelta(hours=23))
    assert await house.events() == ()
    await daybook.tend(TODAY + timedelta(days=1))
    told = await house.events()
    assert [event.event_id for event in told] == sorted(one.event_id for one in written)
    assert [event.event_id for event in told] != [one.event_id for one in written]
    assert {event.timestamp for event in told} == {TODAY}
    assert {(event.send_id, event.attribution) for event in told} == {(None, "anonymous")}
    assert len(await house.rows(schema.day_events)) == 1


async def test_a_withdrawal_is_told_with_its_day_and_in_no_order_of_time(house: Any) -> None:
    await house.send(7)
    written = [withdrawal(number) for number in range(10)]
    for one in written:
        await add(house, one)
    async with house.stores.ledger.read() as connection:
        assert len(await days_about(connection, "b@example.org")) == len(written)
        assert await days_about(connection, "c@example.org") == ()
    assert await house.events() == ()
    await Daybook(house.stores.ledger).tend(TODAY + timedelta(days=1))
    told = await house.events()
    assert [event.event_id for event in told] == sorted(one.event_id for one in written)
    assert {(event.timestamp, event.send_id, event.recipient) for event in told} == {
        (TODAY, None, "B@example.org")
    }
    assert {(event.attribution, event.tracking_mode, event.reasons) for event in told} == {
        (None, None, ("by_recipient",))
    }


async def test_the_log_is_cut_every_second_whatever_was_written(
    house: Any, monkeypatch: Any
) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    daybook = Daybook(house.stores.ledger)
    await house.send(7)
    assert house.stores.ledger.has_log()
    await daybook.tend(TODAY)
    assert not house.stores.ledger.has_log()
    await add(house, day_event(2))
    await daybook.tend(TODAY)
    assert house.stores.ledger.has_log()
    now += 1.0
    await daybook.tend(TODAY)
    assert not house.stores.ledger.has_log()


async def test_a_log_that_somebody_reads_is_cut_when_he_has_done(
    house: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "CUT_EVERY_S", 0.0)
    daybook = Daybook(house.stores.ledger)
    await add(house, day_event(1))
    async with house.stores.ledger.read() as reader:
        await reader.execute(schema.day_events.select())
        await add(house, day_event(2))
        await daybook.tend(TODAY)
        assert house.stores.ledger.has_log()
    await daybook.tend(TODAY)
    assert not house.stores.ledger.has_log()
