"""Tokens of the API in a real ledger file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ledger.api_tokens import (
    ApiToken,
    add_api_token,
    find_api_token,
    list_api_tokens,
    revoke_api_token,
)
from ledger.audit import OPERATOR, Author, select_audit
from ledger.engine import Store
from ledger.role import Scope
from ledger.schema import ledger as ledger_tables
from ledger.sessions import hash_secret

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
BOSS = Author(OPERATOR, NOW, bytes(32))
CRM = ApiToken("crm", Scope.READ, NOW)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_a_token_lets_in_by_its_secret_until_it_is_revoked(store: Store) -> None:
    assert await add_api_token(store, CRM, hash_secret("secret"), BOSS)
    assert await find_api_token(store, hash_secret("secret")) == CRM
    assert await find_api_token(store, hash_secret("other")) is None
    assert await revoke_api_token(store, "crm", BOSS)
    assert not await revoke_api_token(store, "crm", BOSS)
    assert await find_api_token(store, hash_secret("secret")) is None
    async with store.read() as connection:
        rows = await select_audit(connection, after=0, limit=9)
    assert [(row.entry.action, row.entry.subject) for row in rows] == [
        ("token.created", "crm"),
        ("token.revoked", "crm"),
    ]


async def test_a_name_is_of_one_token_and_free_again_once_it_is_revoked(store: Store) -> None:
    await add_api_token(store, CRM, hash_secret("one"), BOSS)
    assert not await add_api_token(store, CRM, hash_secret("two"), BOSS)
    assert await find_api_token(store, hash_secret("two")) is None
    await revoke_api_token(store, "crm", BOSS)
    assert await add_api_token(store, CRM, hash_secret("two"), BOSS)
    assert await list_api_tokens(store) == (CRM,)
    assert CRM.actor == "token:crm"


async def test_the_database_holds_no_secret(store: Store, tmp_path: Path) -> None:
    await add_api_token(store, CRM, hash_secret("a-secret-that-lets-in"), BOSS)
    await store.close()
    raw = everything_in(tmp_path)
    assert b"crm" in raw
    assert b"a-secret-that-lets-in" not in raw
