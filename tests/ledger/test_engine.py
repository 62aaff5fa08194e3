"""A transaction is the same, whether the loop writes its rows or a thread does."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from ledger import schema
from ledger.engine import Store, Where
from ledger.migrate import open_store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{file}", schema.spool)
    yield store
    await store.close()


def insert(connection: Connection) -> str:
    connection.execute(text("INSERT INTO owed_facts (number, fact) VALUES (7, '{}')"))
    return threading.current_thread().name


def count(file: Path) -> int:
    with sqlite3.connect(file) as other:
        (number,) = other.execute("SELECT count(*) FROM owed_facts").fetchone()
    other.close()
    return int(number)


async def test_the_loop_or_a_thread_writes_and_others_see_it_then(store: Store, file: Path) -> None:
    assert await store.transact(insert, Where.LOOP) == threading.current_thread().name
    assert count(file) == 1
    with pytest.raises(IntegrityError):
        await store.transact(insert)
    await store.transact(lambda connection: connection.execute(text("DELETE FROM owed_facts")))
    assert (await store.transact(insert)).startswith("store")
    assert count(file) == 1


async def test_the_loop_goes_on_while_what_it_has_written_is_flushed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed_by: list[str] = []
    commit = Connection.commit

    def watched(connection: Connection) -> None:
        flushed_by.append(threading.current_thread().name)
        commit(connection)

    monkeypatch.setattr(Connection, "commit", watched)
    await store.transact(insert, Where.LOOP)
    assert [name[:5] for name in flushed_by] == ["store"]


@pytest.mark.parametrize("where", Where)
async def test_of_work_that_fails_nothing_is_written(
    store: Store, file: Path, where: Where
) -> None:
    def fail(connection: Connection) -> None:
        insert(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.transact(fail, where)
    assert count(file) == 0
    await store.transact(insert, where)
    assert count(file) == 1


async def test_of_what_can_not_be_flushed_nothing_is_written(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_is_full = sqlite3.OperationalError("database or disk is full")

    def full(_connection: Connection) -> None:
        raise OperationalError(statement=None, params=None, orig=disk_is_full)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "commit", full)
        with pytest.raises(OperationalError):
            await store.transact(insert, Where.LOOP)
    assert count(file) == 0
    await store.transact(insert, Where.LOOP)
    assert count(file) == 1


async def test_while_another_process_writes_a_thread_waits_and_not_the_loop(
    store: Store, file: Path
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.transact(insert, Where.LOOP))
    done, _ = await asyncio.wait([writing], timeout=0.05)
    assert not done
    other.execute("COMMIT")
    other.close()
    assert (await writing).startswith("store")
    assert count(file) == 1


@pytest.mark.parametrize("where", Where)
async def test_who_is_cancelled_leaves_a_whole_transaction_and_no_lock(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch, where: Where
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    commit = Connection._commit_impl

    def slow(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(5)
        commit(connection)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_commit_impl", slow)
        writing = asyncio.create_task(store.transact(insert, where))
        assert await asyncio.to_thread(begun.wait, 5)
        writing.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert count(file) == 1
    await store.transact(lambda connection: connection.execute(text("DELETE FROM owed_facts")))
    assert count(file) == 0
