"""Group commit over a real SQLite file, with faults of the disk injected."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import Connection, delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema
from ledger.engine import Store
from relay import spool as spool_module
from relay.promise import Claim, CopyIdTaken, Settlement, SpoolError, Stored, Unstorable
from relay.reply import Deferred, Delivered, Failed, Reply
from relay.spool import Spool

Build = Callable[..., Stored]
Settle = Callable[..., Settlement]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)
LEASE_S = 60
NUMBERS = count(1)

TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
NOT_NOW = Deferred(Reply(451, "4.0.0", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))


async def claim_one(spool: Spool, now: datetime = SOON) -> Claim:
    (claim,) = await spool.claim(10, now, LEASE_S)
    return claim


class Watched:
    """Counts the transactions of a store, and holds or fails them as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
        self.commits = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_commit: list[Exception] = []
        self.at_write: list[Exception] = []
        self._transact = store.transact
        monkeypatch.setattr(store, "transact", self.transact)

    async def transact(self, work: Callable[[Connection], object], _where: object = None) -> object:
        def watched(connection: Connection) -> object:
            if self.at_write:
                raise self.at_write.pop(0)
            result = work(connection)
            assert self.gate.wait(timeout=5)
            if self.at_commit:
                raise self.at_commit.pop(0)
            return result

        result = await self._transact(watched)
        self.commits += 1
        return result


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, store: Store) -> Watched:
    return Watched(monkeypatch, store)


async def test_nobody_hears_of_it_before_the_commit(
    spool: Spool, watched: Watched, rows: Callable[[str], int], stored: Build
) -> None:
    watched.gate.clear()
    storing = asyncio.ensure_future(spool.store(stored()))
    done, _ = await asyncio.wait([storing], timeout=0.05)
    assert not done
    assert rows("spooled_sends") == 0
    watched.gate.set()
    await storing
    assert rows("spooled_sends") == 1


async def test_what_arrives_during_a_commit_shares_the_next(
    spool: Spool, watched: Watched, stored: Build, settlement: Settle
) -> None:
    await asyncio.gather(*(spool.store(stored()) for _ in range(50)))
    claims = await spool.claim(50, SOON, LEASE_S)
    before = watched.commits
    assert before <= 3
    settled = [spool.settle(settlement(claim, TAKEN)) for claim in claims]
    new = [spool.store(stored()) for _ in range(50)]
    await asyncio.gather(*settled, *new)
    assert watched.commits - before <= 2


async def test_one_transaction_has_at_most_so_many_bytes(
    spool: Spool, watched: Watched, monkeypatch: pytest.MonkeyPatch, stored: Build
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_BATCH_BYTES", 1000)
    await asyncio.gather(*(spool.store(stored(original=b"x" * 700)) for _ in range(5)))
    assert watched.commits == 5


async def test_a_taken_copy_id_fails_its_send_alone(
    spool: Spool, rows: Callable[[str], int], stored: Build
) -> None:
    await spool.store(stored(copy_id=77))
    results = await asyncio.gather(
        *(spool.store(stored(copy_id=copy_id)) for copy_id in (0, 77, 0)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), CopyIdTaken, type(None)]
    assert rows("spooled_sends") == 3
    assert rows("owed_facts") == 3


async def test_one_item_that_can_not_be_written_fails_alone(spool: Spool, stored: Build) -> None:
    broken = stored()
    broken = replace(broken, fact=replace(broken.fact, subject="lone \ud800 surrogate"))
    results = await asyncio.gather(
        spool.store(stored()), spool.store(broken), spool.store(stored()), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), Unstorable, type(None)]


DISK_IS_FULL = OperationalError(
    "COMMIT", None, sqlite3.OperationalError("database or disk is full")
)


@pytest.mark.parametrize("where", ["at_write", "at_commit"])
async def test_a_fault_of_the_disk_fails_all_and_accepts_nothing(
    where: str, spool: Spool, watched: Watched, rows: Callable[[str], int], stored: Build
) -> None:
    getattr(watched, where).append(DISK_IS_FULL)
    results = await asyncio.gather(
        spool.store(stored()), spool.store(stored()), return_exceptions=True
    )
    assert [type(result) for result in results] == [SpoolError, SpoolError]
    assert (rows("spooled_sends"), rows("owed_facts")) == (0, 0)
    await spool.store(stored())
    assert rows("spooled_sends") == 1


async def test_after_a_fault_the_next_write_opens_another_connection(
    spool: Spool, store: Store, watched: Watched, stored: Build
) -> None:
    def driver_connection(connection: Connection) -> object:
        return connection.connection.driver_connection

    before = await store.transact(driver_connection)
    watched.at_commit.append(OSError(5, "Input/output error"))
    with pytest.raises(SpoolError, match="Input/output error"):
        await spool.store(stored())
    assert await store.transact(driver_connection) is not before


async def test_a_fault_of_the_disk_is_known_until_something_was_flushed(
    spool: Spool, store: Store, watched: Watched, stored: Build
) -> None:
    assert store.fault is None
    watched.at_commit.append(DISK_IS_FULL)
    with pytest.raises(SpoolError):
        await spool.store(stored())
    assert store.fault == "database or disk is full"
    assert not await spool.claim(1, NOW, 60)
    assert store.fault, "a claim of nothing flushes nothing"
    await spool.store(stored())
    assert store.fault is None


async def test_a_settlement_that_failed_can_be_made_again(
    spool: Spool, watched: Watched, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    watched.at_commit.append(DISK_IS_FULL)
    with pytest.raises(SpoolError):
        await spool.settle(settlement(claim, TAKEN))
    assert await spool.settle(settlement(claim, TAKEN))


async def test_two_settlements_of_one_copy_in_one_transaction_count_once(
    spool: Spool, rows: Callable[[str], int], stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    assert await asyncio.gather(
        spool.settle(settlement(claim, TAKEN)), spool.settle(settlement(claim, TAKEN))
    ) == [True, False]
    assert rows("owed_facts") == 2


async def test_a_caller_that_gives_up_does_not_stop_the_writer(
    spool: Spool, watched: Watched, rows: Callable[[str], int], stored: Build
) -> None:
    watched.gate.clear()
    impatient = asyncio.ensure_future(spool.store(stored()))
    patient = asyncio.ensure_future(spool.store(stored()))
    await asyncio.wait([patient], timeout=0.02)
    impatient.cancel()
    watched.gate.set()
    await patient
    assert rows("spooled_sends") == 2


async def test_a_closing_spool_writes_what_has_come_and_takes_no_more(
    store: Store, rows: Callable[[str], int], stored: Build
) -> None:
    spool = Spool(store)
    storing = [asyncio.ensure_future(spool.store(stored())) for _ in range(3)]
    await asyncio.sleep(0)
    await spool.close()
    assert rows("spooled_sends") == 3
    await asyncio.gather(*storing)
    with pytest.raises(SpoolError, match="closing"):
        await spool.store(stored())


async def test_templates_kept_in_memory_are_bounded(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, stored: Build
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_CACHE_BYTES", 3000)
    mails = [stored(original=bytes([65 + number]) * 1000) for number in range(5)]
    mails.append(stored(original=b"F" * 4000))
    for mail in mails:
        await spool.store(mail)
    claims = await spool.claim(10, SOON, LEASE_S)
    assert [claim.template for claim in claims] == [mail.template for mail in mails]
    assert await spool.claim(10, SOON, LEASE_S) == ()


async def test_what_was_dropped_from_the_queue_while_it_was_claimed_is_left_out(
    spool: Spool, store: Store, monkeypatch: pytest.MonkeyPatch, stored: Build
) -> None:
    await spool.store(stored())
    other, read = Spool(store), store.read

    @asynccontextmanager
    async def read_after_drop() -> AsyncIterator[AsyncConnection]:
        async with store.write() as connection:
            await connection.execute(delete(schema.spooled_sends))
        async with read() as connection:
            yield connection

    monkeypatch.setattr(store, "read", read_after_drop)
    assert await other.claim(10, SOON, LEASE_S) == ()
    await other.close()
