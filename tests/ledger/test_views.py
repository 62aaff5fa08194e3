from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.views import MOST_VIEWS, SavedView, drop_view, forget_views, list_views, save_view

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


async def keep(ledger: Store, person: str, name: str, query: str = "type=failed") -> bool:
    async with ledger.write() as connection:
        return await save_view(connection, person, SavedView(name, query), NOW)


async def names(ledger: Store, person: str) -> list[str]:
    async with ledger.read() as connection:
        return [view.name for view in await list_views(connection, person)]


async def test_each_person_has_his_own_views_and_a_name_holds_one(ledger: Store) -> None:
    await keep(ledger, "ann@example.com", "refused")
    await keep(ledger, "ann@example.com", "refused", "type=deferred")
    await keep(ledger, "max@example.com", "clicks")
    async with ledger.write() as connection:
        found = await list_views(connection, "ann@example.com")
        assert found == (SavedView("refused", "type=deferred"),)
        await drop_view(connection, "ann@example.com", "clicks")
        await drop_view(connection, "ann@example.com", "refused")
    assert await names(ledger, "ann@example.com") == []
    assert await names(ledger, "max@example.com") == ["clicks"]


async def test_nobody_keeps_more_than_he_can_look_through(ledger: Store) -> None:
    for number in range(MOST_VIEWS):
        assert await keep(ledger, "ann@example.com", f"{number}")
    assert not await keep(ledger, "ann@example.com", "one more")
    assert await keep(ledger, "ann@example.com", "7", "type=opened")


async def test_who_is_forgotten_stands_in_no_view(ledger: Store) -> None:
    await keep(ledger, "bob@example.org", "mine")
    await keep(ledger, "ann@example.com", "to him", "recipient=Bob%40EXAMPLE.org")
    await keep(ledger, "ann@example.com", "about bob@example.org", "type=failed")
    await keep(ledger, "ann@example.com", "others", "recipient=eve%40example.org")
    address = parse_address("bob@example.org")
    await ledger.transact(lambda connection: forget_views(connection, address))
    assert await names(ledger, "bob@example.org") == []
    assert await names(ledger, "ann@example.com") == ["others"]
