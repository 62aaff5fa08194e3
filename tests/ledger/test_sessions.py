"""Sign-in links and sessions in a real ledger file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ledger.audit import OPERATOR, Author
from ledger.engine import Store
from ledger.role import Role
from ledger.schema import ledger as ledger_tables
from ledger.sessions import (
    Pass,
    Person,
    end_session,
    find_session,
    find_sign_in_link,
    hash_secret,
    keep_sign_in_link,
    use_sign_in_link,
)

KEY = bytes(32)
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANNA = Person("anna@example.com", Role.ADMIN)
LINK = Pass(hash_secret("link"), NOW + HOUR)
AUTHOR = Author(OPERATOR, NOW, KEY)
SESSION = Pass(hash_secret("session"), NOW + 2 * HOUR)


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


async def test_a_link_tells_whom_it_would_sign_in_and_is_not_used_by_that(store: Store) -> None:
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    assert await find_sign_in_link(store, LINK.secret_hash, NOW) == ANNA
    assert await find_sign_in_link(store, LINK.secret_hash, NOW) == ANNA


async def test_a_link_becomes_a_session_once(store: Store) -> None:
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    assert await use_sign_in_link(store, LINK.secret_hash, SESSION, NOW, KEY) == ANNA
    assert await find_session(store, SESSION.secret_hash, NOW) == ANNA
    assert await find_sign_in_link(store, LINK.secret_hash, NOW) is None
    again = Pass(hash_secret("again"), NOW + HOUR)
    assert await use_sign_in_link(store, LINK.secret_hash, again, NOW, KEY) is None
    assert await find_session(store, again.secret_hash, NOW) is None


async def test_of_many_tries_at_the_same_time_one_at_most_has_a_session(store: Store) -> None:
    # Law: of any number of tries with one link, at the same time too, one at most has a session.
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    passes = [Pass(hash_secret(str(number)), NOW + HOUR) for number in range(20)]
    let_in = await asyncio.gather(
        *(use_sign_in_link(store, LINK.secret_hash, session, NOW, KEY) for session in passes)
    )
    assert let_in.count(ANNA) == 1
    assert let_in.count(None) == 19


async def test_a_link_that_is_over_lets_nobody_in(store: Store) -> None:
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    assert await find_sign_in_link(store, LINK.secret_hash, NOW + HOUR) is None
    assert await use_sign_in_link(store, LINK.secret_hash, SESSION, NOW + HOUR, KEY) is None


async def test_a_session_ends_by_time_and_by_sign_out(store: Store) -> None:
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    await use_sign_in_link(store, LINK.secret_hash, SESSION, NOW, KEY)
    assert await find_session(store, SESSION.secret_hash, NOW + 2 * HOUR) is None
    assert await find_session(store, SESSION.secret_hash, NOW) == ANNA
    await end_session(store, SESSION.secret_hash)
    assert await find_session(store, SESSION.secret_hash, NOW) is None


async def test_what_is_over_is_erased_at_the_next_sign_in(store: Store, tmp_path: Path) -> None:
    stale = Pass(hash_secret("stale"), NOW - HOUR)
    await keep_sign_in_link(store, stale, ANNA, AUTHOR)
    await keep_sign_in_link(store, LINK, ANNA, AUTHOR)
    await use_sign_in_link(store, LINK.secret_hash, SESSION, NOW, KEY)
    database = sqlite3.connect(tmp_path / "ledger.db")
    kept = database.execute("SELECT count(*) FROM sign_in_links").fetchone()
    database.close()
    assert kept == (0,)


async def test_the_database_holds_no_secret(store: Store, tmp_path: Path) -> None:
    secret = "a-secret-that-would-let-anybody-in"
    await keep_sign_in_link(store, Pass(hash_secret(secret), NOW + HOUR), ANNA, AUTHOR)
    await use_sign_in_link(store, hash_secret(secret), SESSION, NOW, KEY)
    await store.close()
    raw = everything_in(tmp_path)
    assert b"anna@example.com" in raw
    assert secret.encode() not in raw
