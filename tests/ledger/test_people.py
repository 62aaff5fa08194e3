"""Accounts in a real ledger file."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ledger.audit import OPERATOR, Author, Head, pseudonym, select_audit, verify_audit
from ledger.engine import Store
from ledger.people import (
    Account,
    add_account,
    find_account,
    keep_rehash,
    list_accounts,
    set_disabled,
    set_password,
    set_role,
    set_send_as,
)
from ledger.role import Role
from ledger.schema import ledger as ledger_tables
from ledger.sessions import (
    Pass,
    Person,
    find_session,
    find_sign_in_link,
    keep_sign_in_link,
    open_session,
    use_sign_in_link,
)

KEY = bytes(range(32))
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
BOSS = Author(OPERATOR, NOW, KEY)
ANNA = Account("Anna@Example.com", Role.USER, ("*@team.example",), "hash-1")
SESSION = Pass("1" * 64, NOW + timedelta(hours=1))
LINK = Pass("2" * 64, NOW + timedelta(hours=1))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def actions(store: Store) -> list[tuple[str, str | None]]:
    assert isinstance(await verify_audit(store), Head)
    async with store.read() as connection:
        rows = await select_audit(connection, after=0, limit=100)
    return [(row.entry.action, row.entry.subject) for row in rows]


@pytest.mark.parametrize("spelling", ["anna@example.com", "ANNA@EXAMPLE.COM", '"anna"@example.com'])
async def test_an_account_is_found_by_any_spelling_of_its_address(
    store: Store, spelling: str
) -> None:
    assert await add_account(store, ANNA, BOSS)
    assert await find_account(store, spelling) == ANNA


@pytest.mark.parametrize("nobody", ["bob@example.com", "anna", "", "anna@example.com\r\nx", "\x00"])
async def test_nobody_is_found_by_another_address_or_by_what_is_none(
    store: Store, nobody: str
) -> None:
    await add_account(store, ANNA, BOSS)
    assert await find_account(store, nobody) is None
    for done in (
        set_password(store, nobody, "hash-2", BOSS),
        set_disabled(store, nobody, True, BOSS),
        set_role(store, nobody, Role.ADMIN, BOSS),
        set_send_as(store, nobody, (), BOSS),
    ):
        assert not await done
    assert len(await actions(store)) == 1


async def test_an_address_has_one_account_which_a_second_one_leaves_as_it_is(store: Store) -> None:
    added = await asyncio.gather(
        *(add_account(store, Account(f"anna@example.{'COM'}", role), BOSS) for role in Role)
    )
    assert sorted(added) == [False, False, True]
    assert len(await list_accounts(store)) == 1
    assert len(await actions(store)) == 1


async def test_each_change_is_told_in_the_audit_log_by_pseudonym(store: Store) -> None:
    await add_account(store, ANNA, BOSS)
    await set_role(store, "anna@example.com", Role.AUDITOR, BOSS)
    await set_send_as(store, "anna@example.com", ("*",), BOSS)
    await set_password(store, "anna@example.com", None, BOSS)
    await set_disabled(store, "anna@example.com", True, BOSS)
    await set_disabled(store, "anna@example.com", False, BOSS)
    anna = pseudonym(KEY, "anna@example.com")
    assert await actions(store) == [
        ("person.added", anna),
        ("person.role", anna),
        ("person.send_as", anna),
        ("person.password", anna),
        ("person.disabled", anna),
        ("person.enabled", anna),
    ]
    assert await list_accounts(store) == (Account("Anna@Example.com", Role.AUDITOR, ("*",)),)


async def signed_in(store: Store) -> bool:
    return await find_session(store, SESSION.secret_hash, NOW) is not None


async def test_a_session_has_the_role_of_its_account(store: Store) -> None:
    await add_account(store, ANNA, BOSS)
    person = await open_session(store, ANNA, SESSION, BOSS)
    assert person == Person("Anna@Example.com", Role.USER, "anna@example.com")
    assert await find_session(store, SESSION.secret_hash, NOW) == person


@pytest.mark.parametrize("what", ["password", "disabled", "role"])
async def test_who_is_shut_out_or_changed_loses_his_sessions_and_links_at_once(
    store: Store, what: str
) -> None:
    await add_account(store, ANNA, BOSS)
    person = await open_session(store, ANNA, SESSION, BOSS)
    assert person is not None
    await keep_sign_in_link(store, LINK, person, BOSS)
    assert await signed_in(store)
    match what:
        case "password":
            await set_password(store, "anna@example.com", "hash-2", BOSS)
        case "disabled":
            await set_disabled(store, "anna@example.com", True, BOSS)
        case "role":
            await set_role(store, "anna@example.com", Role.ADMIN, BOSS)
    assert not await signed_in(store)
    assert await find_sign_in_link(store, LINK.secret_hash, NOW) is None
    assert await use_sign_in_link(store, LINK.secret_hash, SESSION, NOW, KEY) is None


async def test_a_password_that_changed_while_it_was_verified_opens_nothing(store: Store) -> None:
    await add_account(store, ANNA, BOSS)
    await set_password(store, "anna@example.com", "hash-2", BOSS)
    assert await open_session(store, ANNA, SESSION, BOSS) is None
    await set_password(store, "anna@example.com", "hash-1", BOSS)
    await set_disabled(store, "anna@example.com", True, BOSS)
    assert await open_session(store, ANNA, SESSION, BOSS) is None
    assert not await signed_in(store)


async def test_a_rehash_is_kept_unless_the_password_changed_meanwhile(store: Store) -> None:
    await add_account(store, ANNA, BOSS)
    await open_session(store, ANNA, SESSION, BOSS)
    await keep_rehash(store, ANNA, "hash-1-dearer")
    found = await find_account(store, "anna@example.com")
    assert found is not None
    assert found.password_hash == "hash-1-dearer"
    await keep_rehash(store, ANNA, "too late")
    assert await find_account(store, "anna@example.com") == found
    assert await signed_in(store)
