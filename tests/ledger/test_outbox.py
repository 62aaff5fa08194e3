"""Facts are owed in order, and read back from memory or from the disk alike."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ledger import outbox, schema
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import RecipientTold
from ledger.migrate import open_store
from ledger.outbox import (
    OwedFact,
    Remembered,
    delete_owed,
    owe_again,
    owe_facts,
    read_owed,
    set_aside,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def told(number: int) -> RecipientTold:
    return RecipientTold(
        f"E{number}", EventType.RELAYED, NOW, "S", 1, "b@example.org", "to", "250 ü", "default"
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


async def owe(store: Store, *numbers: int) -> tuple[OwedFact, ...]:
    return await store.transact(partial(owe_facts, facts=[told(number) for number in numbers]))


async def read(
    store: Store, limit: int, remembered: Remembered | None = None
) -> tuple[OwedFact, ...]:
    async with store.read() as connection:
        return await read_owed(connection, limit, remembered)


async def test_facts_are_owed_at_the_places_that_are_told(store: Store) -> None:
    assert await owe(store) == ()
    written = (*await owe(store, 1, 2), *await owe(store, 3))
    async with store.write() as connection:
        await delete_owed(connection, [one.number for one in written])
        await delete_owed(connection, [])
    written = await owe(store, 4, 5, 6)
    found = await read(store, 10)
    assert [one.fact for one in found] == [told(4), told(5), told(6)]
    assert [one.number for one in found] == [one.number for one in written]
    assert [one.number for one in await read(store, 2)] == [one.number for one in written[:2]]


async def test_what_is_remembered_is_not_read_and_the_order_is_kept(store: Store) -> None:
    first, second, third = await owe(store, 1, 2, 3)
    remembered = Remembered()
    remembered.keep([OwedFact(third.number, told(99)), OwedFact(second.number, told(98))])
    found = await read(store, 10, remembered)
    assert [one.fact for one in found] == [told(1), told(98), told(99)]
    assert found[0].number == first.number
    assert [one.fact for one in await read(store, 10, remembered)] == [told(1), told(2), told(3)]


async def test_what_has_gone_is_not_read_though_it_is_remembered(store: Store) -> None:
    written = await owe(store, 1)
    remembered = Remembered()
    remembered.keep(written)
    async with store.write() as connection:
        await delete_owed(connection, [one.number for one in written])
    assert await read(store, 10, remembered) == ()


async def test_what_is_remembered_and_refused_is_set_aside_as_it_was(store: Store) -> None:
    written = await owe(store, 1)
    remembered = Remembered()
    remembered.keep(written)
    (found,) = await read(store, 10, remembered)
    async with store.write() as connection:
        await set_aside(connection, found, NOW, "no")
        assert await owe_again(connection) == 1
    assert [one.fact for one in await read(store, 10, remembered)] == [told(1)]


def test_little_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_MOST_WEIGHT", 2)
    remembered = Remembered()
    remembered.keep(OwedFact(number, told(number)) for number in (1, 2, 3))
    assert remembered.take(3) is None
    assert remembered.take(1) == OwedFact(1, told(1))
    remembered.keep([OwedFact(3, told(3))])
    assert remembered.take(3) is not None
