"""Judging in a real ledger, and what happens where it fails."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.attribute import Settlement, attribute_hits
from collector.journal import LEDGER_WAIT_MS
from collector.settling import AGAIN_S, CHUNK, Settling
from ledger import schema
from ledger.engine import Store, sqlite_file
from ledger.hits import insert_hits
from ledger.story import RecordedHit, Story
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEEN: Mapping[str, Any] = {
    "agent": "Thing",
    "headers": {},
    "network": "here",
    "lists": [],
    "ip_address": None,
    "altered": False,
}


def make_hit(number: int, copy_id: int = 7, features: Mapping[str, Any] = SEEN) -> RecordedHit:
    hit = RecordedHit(f"H{number:025d}", AT, HitKind.OPEN, copy_id, 0, html=True)
    return replace(hit, features=features)


@pytest.fixture
async def hasty(house: Any) -> AsyncIterator[Store]:
    store = Store(house.settings.database.url, LEDGER_WAIT_MS)
    yield store
    await store.close()


async def add(house: Any, *hits: RecordedHit) -> None:
    async with house.stores.ledger.write() as connection:
        await connection.run_sync(insert_hits, hits)


async def test_hits_whose_send_is_known_become_events_once(house: Any, hasty: Store) -> None:
    await house.send(7)
    await add(house, *(make_hit(n, 7 + n % 2) for n in range(4)))
    settling = Settling(house.stores.ledger, hasty, attribute_hits)
    assert await settling.settle() == 2
    assert await settling.settle() == 0
    (event,) = await house.events()
    assert (event.event_id, event.repeats) == (make_hit(0).hit_id, 1)
    await house.send(8)
    assert await settling.settle() == 2
    assert {event.hit_id: event.waiting for event in await house.rows(schema.hits)} == {
        make_hit(n).hit_id: False for n in range(4)
    }


async def test_they_are_judged_in_chunks_that_hold_nobody_up(house: Any, hasty: Store) -> None:
    await house.send(7)
    await add(house, *(make_hit(n) for n in range(CHUNK + 1)))
    settling = Settling(house.stores.ledger, hasty, attribute_hits)
    assert [await settling.settle() for _ in range(3)] == [CHUNK, 1, 0]


async def test_what_another_process_has_judged_meanwhile_is_not_judged_again(
    house: Any, hasty: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.send(7)
    await add(house, make_hit(1))
    settling = Settling(house.stores.ledger, hasty, attribute_hits)
    assert await settling._hasty.transact(lambda _: 0) == 0
    transact = hasty.transact

    async def transact_late(work: Any) -> Any:
        async with house.stores.ledger.write() as connection:
            await connection.execute(schema.hits.update().values(waiting=False))
        return await transact(work)

    monkeypatch.setattr(hasty, "transact", transact_late)
    assert await settling.settle() == 0
    assert await house.events() == ()


def failing_at(*numbers: int) -> Any:
    bad = {make_hit(number).hit_id for number in numbers}

    def attribute(waiting: Sequence[RecordedHit], stories: Mapping[int, Story]) -> Settlement:
        if any(hit.hit_id in bad for hit in waiting):
            raise ZeroDivisionError
        return attribute_hits(waiting, stories)

    return attribute


async def test_law_a_hit_at_which_our_code_fails_holds_up_no_other(
    house: Any, hasty: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: it is set aside, kept, and tried again."""
    for copy_id in range(5):
        await house.send(copy_id)
    await add(house, *(make_hit(n, n) for n in range(5)))
    settling = Settling(house.stores.ledger, hasty, failing_at(0, 3))
    with capture_logs() as lines:
        assert await settling.settle() == 5
        assert await settling.settle() == 0
    assert {event.event_id for event in await house.events()} == {
        make_hit(n).hit_id for n in (1, 2, 4)
    }
    bad = [make_hit(0).hit_id, make_hit(3).hit_id]
    assert [line["hit_id"] for line in lines if line["event"] == "hit.set_aside"] == bad
    kept = {row.hit_id: row.fault for row in await house.rows(schema.hits) if row.fault}
    assert kept == dict.fromkeys(bad, "ZeroDivisionError")
    # an hour later
    monkeypatch.setattr(settling, "_again_at", 0.0)
    monkeypatch.setattr(settling, "_attribute", failing_at(3))
    assert await settling.settle() == 2
    assert len(await house.events()) == 4
    # a version that does better
    assert await Settling(house.stores.ledger, hasty, attribute_hits).settle() == 1
    assert len(await house.events()) == 5
    assert not any(row.fault for row in await house.rows(schema.hits))


async def test_features_of_another_version_are_kept_until_they_are_understood(
    house: Any, hasty: Store
) -> None:
    await house.send(7)
    await add(house, make_hit(1, features={"unheard": "of"}), make_hit(2))
    settling = Settling(house.stores.ledger, hasty, attribute_hits)
    await settling.settle()
    faults = {row.hit_id: row.fault for row in await house.rows(schema.hits)}
    assert faults[make_hit(1).hit_id] == "KeyError"


async def test_a_ledger_that_is_locked_sets_nothing_aside(house: Any, hasty: Store) -> None:
    await house.send(7)
    await add(house, make_hit(1))
    settling = Settling(house.stores.ledger, hasty, attribute_hits)
    assert AGAIN_S > 0
    other = sqlite3.connect(sqlite_file(house.settings.database.url), isolation_level=None)
    for _ in range(2):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="locked"):
            await settling.settle()
        other.execute("ROLLBACK")
        settling._again_at = float("inf")
    other.close()
    assert [row.fault for row in await house.rows(schema.hits)] == [None]
    assert await settling.settle() == 1
