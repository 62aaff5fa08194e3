import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import insert
from sqlalchemy.exc import DatabaseError, OperationalError

from ledger import schema
from ledger.engine import Store
from ledger.event import EventType
from ledger.events import EventFilter, select_events
from ledger.fact import RecipientTold, fact_object
from ledger.migrate import Stores, open_stores
from ledger.outbox import count_refused, owe_again, owe_facts, read_owed
from relay import forward
from relay.forward import Forwarder, LedgerGoneError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    assert schema.ledger is not schema.spool
    stores = await open_stores(
        f"sqlite+aiosqlite:///{tmp_path}/ledger.db", f"sqlite+aiosqlite:///{tmp_path}/spool.db"
    )
    yield stores
    await stores.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(forward, "_GATHER_S", 0.01)


def told(number: int) -> RecipientTold:
    return RecipientTold(
        f"E{number}", EventType.RELAYED, NOW, "S", 1, "b@example.org", "to", "250", "default"
    )


async def owe(spool: Store, first: int, last: int) -> None:
    facts = [told(number) for number in range(first, last)]
    async with spool.write() as connection:
        await connection.run_sync(owe_facts, facts)


async def recorded(ledger: Store) -> list[str]:
    async with ledger.read() as connection:
        page = await select_events(connection, EventFilter(), after=0, limit=10_000)
    return [event.event_id for _, event in page]


async def left(spool: Store) -> int:
    async with spool.read() as connection:
        return len(await read_owed(connection, 10_000))


@asynccontextmanager
async def forwarding(stores: Stores, owed: asyncio.Event) -> AsyncIterator[None]:
    task = asyncio.create_task(Forwarder(stores.spool, stores.ledger).run(owed))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until_recorded(ledger: Store, number: int) -> None:
    async with asyncio.timeout(5):
        while len(await recorded(ledger)) < number:  # noqa: ASYNC110 - it looks at a database
            await asyncio.sleep(0.01)


async def test_a_batch_is_brought_over_oldest_first(stores: Stores) -> None:
    await owe(stores.spool, 0, 5)
    assert await Forwarder(stores.spool, stores.ledger).forward_batch(3) == 3
    assert await recorded(stores.ledger) == ["E0", "E1", "E2"]
    assert await left(stores.spool) == 2
    assert await Forwarder(stores.spool, stores.ledger).forward_batch(3) == 2
    assert await Forwarder(stores.spool, stores.ledger).forward_batch(3) == 0


async def test_all_facts_arrive_in_order_and_new_ones_when_woken(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "_BATCH", 10)
    owed = asyncio.Event()
    await owe(stores.spool, 0, 35)
    async with forwarding(stores, owed):
        await until_recorded(stores.ledger, 35)
        await owe(stores.spool, 35, 36)
        owed.set()
        await until_recorded(stores.ledger, 36)
    assert await recorded(stores.ledger) == [f"E{number}" for number in range(36)]


async def test_facts_of_other_processes_are_found_without_being_woken(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "_LOOK_S", 0.02)
    async with forwarding(stores, asyncio.Event()):
        await owe(stores.spool, 0, 1)
        await until_recorded(stores.ledger, 1)


async def test_a_walk_broken_off_between_the_stores_records_nothing_twice(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError

    await owe(stores.spool, 0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(forward, "drop_owed", broken)
        with pytest.raises(OSError):  # noqa: PT011 - whichever
            await Forwarder(stores.spool, stores.ledger).forward_batch(10)
    assert await left(stores.spool) == 3
    await Forwarder(stores.spool, stores.ledger).forward_batch(10)
    assert await recorded(stores.ledger) == ["E0", "E1", "E2"]
    assert await left(stores.spool) == 0


async def test_while_the_ledger_is_down_facts_wait(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Exception] = [OperationalError("", None, Exception("locked")), OSError("disk")]
    write = forward.write_facts

    def failing(*args: Any) -> None:
        if faults:
            raise faults.pop()
        write(*args)

    monkeypatch.setattr(forward, "write_facts", failing)
    await owe(stores.spool, 0, 3)
    with structlog.testing.capture_logs() as logs:
        async with forwarding(stores, asyncio.Event()):
            await until_recorded(stores.ledger, 3)
    assert [line["event"] for line in logs] == ["forward.failed", "forward.failed"]
    assert logs[1]["pause_s"] == 2 * logs[0]["pause_s"]


async def owe_poison(spool: Store) -> None:
    """One fact that is none we know, and one that no table takes."""
    async with spool.write() as connection:
        await connection.execute(
            insert(schema.owed_facts), {"fact": {"fact": "of_a_newer_version"}}
        )
        sound = fact_object(told(0))
        await connection.execute(
            insert(schema.owed_facts), {"fact": {**sound, "event_id": "P", "copy_id": 1 << 70}}
        )


async def refused(spool: Store) -> int:
    async with spool.read() as connection:
        return await count_refused(connection)


async def test_a_fact_that_is_refused_holds_up_no_other_and_is_set_aside(stores: Stores) -> None:
    await owe(stores.spool, 0, 3)
    await owe_poison(stores.spool)
    await owe(stores.spool, 3, 6)
    with structlog.testing.capture_logs() as logs:
        async with forwarding(stores, asyncio.Event()):
            await until_recorded(stores.ledger, 6)
            async with asyncio.timeout(5):
                while await refused(stores.spool) < 2:  # noqa: ASYNC110 - it looks at a database
                    await asyncio.sleep(0.01)
    assert await recorded(stores.ledger) == [f"E{number}" for number in range(6)]
    assert await left(stores.spool) == 0
    assert [(line["event"], line["log_level"], line["number"]) for line in logs] == [
        ("fact.refused", "error", 4),
        ("fact.refused", "error", 5),
    ]


async def test_what_was_set_aside_is_owed_again_in_its_place_at_the_next_start(
    stores: Stores,
) -> None:
    await owe(stores.spool, 0, 1)
    await owe_poison(stores.spool)
    forwarder = Forwarder(stores.spool, stores.ledger)
    for _ in range(3):
        await forwarder.forward_batch(10)
    assert await refused(stores.spool) == 2
    await owe(stores.spool, 1, 2)
    async with stores.spool.write() as connection:
        assert await owe_again(connection) == 2
    async with stores.spool.read() as connection:
        assert [one.number for one in await read_owed(connection, 10)] == [2, 3, 4]
    assert await refused(stores.spool) == 0


async def test_a_ledger_that_is_at_fault_itself_refuses_no_fact(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    malformed = DatabaseError("", None, Exception("database disk image is malformed"))

    def corrupt(*_: Any) -> None:
        raise malformed

    monkeypatch.setattr(forward, "write_facts", corrupt)
    await owe(stores.spool, 0, 2)
    forwarder = Forwarder(stores.spool, stores.ledger)
    for _ in range(5):
        with pytest.raises(DatabaseError):
            await forwarder.forward_batch(10)
    assert (await left(stores.spool), await refused(stores.spool)) == (2, 0)


async def test_facts_wait_while_the_file_of_the_ledger_is_away(
    stores: Stores, tmp_path: Path
) -> None:
    forwarder = Forwarder(stores.spool, stores.ledger)
    await owe(stores.spool, 0, 1)
    assert await forwarder.forward_batch(10) == 1
    (tmp_path / "ledger.db").rename(tmp_path / "away")
    await owe(stores.spool, 1, 2)
    with pytest.raises(LedgerGoneError, match="put it back"):
        await forwarder.forward_batch(10)
    (tmp_path / "ledger.db").write_bytes(b"")
    with pytest.raises(LedgerGoneError):
        await forwarder.forward_batch(10)
    (tmp_path / "away").rename(tmp_path / "ledger.db")
    assert await forwarder.forward_batch(10) == 1
    assert await recorded(stores.ledger) == ["E0", "E1"]


async def test_a_start_owes_again_what_was_refused(stores: Stores) -> None:
    await owe_poison(stores.spool)
    forwarder = Forwarder(stores.spool, stores.ledger)
    for _ in range(3):
        await forwarder.forward_batch(10)
    with structlog.testing.capture_logs() as logs:
        async with forwarding(stores, asyncio.Event()), asyncio.timeout(5):
            while len(logs) < 3:  # noqa: ASYNC110 - the log is all there is to see
                await asyncio.sleep(0.01)
    assert [line["event"] for line in logs] == [
        "facts.owed_again",
        "fact.refused",
        "fact.refused",
    ]
