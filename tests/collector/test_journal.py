import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import event, func, select

from collector.journal import LEDGER_WAIT_MS, Journal
from collector.permits import Bounds
from ledger import schema
from ledger.engine import Store, sqlite_file
from ledger.migrate import open_store
from ledger.story import RecordedHit
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOUNDS = Bounds(5, b"k" * 32)


def make_hit(number: int, copy_id: int = 7) -> RecordedHit:
    return RecordedHit(f"H{number:025d}", AT, HitKind.OPEN, copy_id, 0, html=True)


class Desk:
    """A journal with its stores, and what it takes to break them."""

    def __init__(self, house: Any, hasty: Store, spill: Store) -> None:
        self.house = house
        self.hasty = hasty
        self.spill = spill
        self.file = sqlite_file(house.settings.database.url)
        self.journal = Journal(house.stores.ledger, hasty, spill, house.keys, BOUNDS)
        self.commits = 0
        for engine in (hasty._batches, hasty._hasty):
            event.listen(engine, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        writing = asyncio.create_task(self.journal.write_batches())
        yield
        self.journal.stop()
        await writing

    async def counts(self) -> tuple[int, int]:
        """Return how many hits lie in ledger and spill."""
        async with self.house.stores.ledger.read() as ledger, self.spill.read() as spill:
            return (
                await ledger.scalar(select(func.count()).select_from(schema.hits)) or 0,
                await spill.scalar(select(func.count()).select_from(schema.spilled_hits)) or 0,
            )


@pytest.fixture
async def desk(house: Any, tmp_path: Path) -> AsyncIterator[Desk]:
    hasty = Store(house.settings.database.url, LEDGER_WAIT_MS)
    spill = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'spill.db'}", schema.spill)
    await house.send(7)
    yield Desk(house, hasty, spill)
    await hasty.close()
    await spill.close()


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """Hold the writer of a database, as another process would."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_law_what_record_returned_from_is_on_disk(desk: Desk) -> None:
    """Law: a hit that `record` has returned from is on disk, in the ledger or in the spill."""
    async with desk.running():
        assert await desk.journal.record(make_hit(1))
        with sqlite3.connect(desk.file) as other:  # another connection sees only what is committed
            assert other.execute("SELECT hit_id FROM hits").fetchall() == [(make_hit(1).hit_id,)]
        other.close()


async def test_300_hits_at_once_share_one_commit(desk: Desk) -> None:
    async with desk.running():
        done = await asyncio.gather(*(desk.journal.record(make_hit(n)) for n in range(300)))
    assert done == [True] * 300
    assert desk.commits == 1
    assert await desk.counts() == (300, 0)


async def test_a_locked_ledger_sends_hits_to_the_spill_and_the_second_one_at_once(
    desk: Desk,
) -> None:
    async with desk.running(), locked(desk.file):
        began = monotonic()
        assert await desk.journal.record(make_hit(1))
        assert await desk.journal.record(make_hit(2))
        assert monotonic() - began < 2  # ten would be another writer's patience
    assert await desk.counts() == (0, 2)


async def test_after_the_break_hits_go_to_the_ledger_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.journal.BREAK_S", 0.0)
    async with desk.running():
        async with locked(desk.file):
            assert await desk.journal.record(make_hit(1))
        assert await desk.journal.record(make_hit(2))
    assert await desk.counts() == (1, 1)


async def test_spilled_hits_are_loaded_once_the_ledger_can_be_written(desk: Desk) -> None:
    async with desk.running():
        async with locked(desk.file):
            await asyncio.gather(*(desk.journal.record(make_hit(n)) for n in range(150)))
            with pytest.raises(Exception, match="locked"):
                await desk.journal.load_spill()
        assert sum([await desk.journal.load_spill() for _ in range(4)]) == 150
    assert await desk.counts() == (150, 0)


async def test_law_a_spilled_hit_enters_the_ledger_once(desk: Desk) -> None:
    """Law: a spilled hit enters the ledger once, whenever it is killed in between."""
    async with desk.running(), locked(desk.file):
        await desk.journal.record(make_hit(1))
    with sqlite3.connect(sqlite_file(str(desk.spill._writer.url))) as other:
        kept = other.execute("SELECT * FROM spilled_hits").fetchall()
        await desk.journal.load_spill()
        # Killed after the ledger's commit and before the spill's, it lies in both.
        places = ", ".join("?" * len(kept[0]))
        other.execute(f"INSERT INTO spilled_hits VALUES ({places})", kept[0])
        other.commit()
    other.close()
    house = desk.house
    later = Journal(house.stores.ledger, desk.hasty, desk.spill, house.keys, BOUNDS)
    assert await later.load_spill() == 1
    assert await desk.counts() == (1, 0)


async def test_where_neither_can_take_it_the_hit_is_given_up_and_said_so(
    desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Store("sqlite+aiosqlite:////nowhere/spill.db")
    monkeypatch.setattr(desk.journal._spill, "_store", lost)
    async with desk.running(), locked(desk.file):
        assert not await desk.journal.record(make_hit(1))
    assert "hits.lost" in "".join(capfd.readouterr())


async def test_who_stands_by_waits_for_the_hits_of_the_same_moment_and_writes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, written = asyncio.Event(), Journal._write

    async def write(journal: Journal, batch: Sequence[RecordedHit]) -> AbstractSet[str]:
        await slow.wait()
        return await written(journal, batch)

    monkeypatch.setattr(Journal, "_write", write)
    async with desk.running():
        recording = asyncio.create_task(desk.journal.record(make_hit(1)))
        standing = asyncio.create_task(desk.journal.stand_by())
        await asyncio.sleep(0.05)
        assert not standing.done()
        slow.set()
        await standing
        assert recording.done()
        assert await desk.counts() == (1, 0)
        await asyncio.wait_for(desk.journal.stand_by(), 1)  # nobody else is there
    assert await desk.counts() == (1, 0)


async def test_the_slowest_commit_is_known_for_a_while(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, slow_s = Journal._write, [0.2]

    async def write(journal: Journal, batch: Sequence[RecordedHit]) -> AbstractSet[str]:
        await asyncio.sleep(slow_s.pop() if slow_s else 0)
        return await written(journal, batch)

    monkeypatch.setattr(Journal, "_write", write)
    async with desk.running():
        await desk.journal.record(make_hit(1))
        assert desk.journal.slowest_s > 0.2
        for number in range(2, 22):
            await desk.journal.record(make_hit(number))
            assert desk.journal.slowest_s > 0.1
        for number in range(22, 72):
            await desk.journal.record(make_hit(number))
    assert desk.journal.slowest_s < 0.1


async def test_a_client_that_is_gone_does_not_stop_the_others(desk: Desk) -> None:
    async with desk.running():
        gone = asyncio.create_task(desk.journal.record(make_hit(1)))
        await asyncio.sleep(0)
        gone.cancel()
        assert await desk.journal.record(make_hit(2))
    assert await desk.counts() == (2, 0)


async def test_a_ledger_that_is_no_database_costs_nothing_but_the_second_way(
    desk: Desk, house: Any
) -> None:
    await house.send(9, links={1: "https://example.net/"})
    assert (await desk.journal.link_of(9, 1)).url == "https://example.net/"  # type: ignore[union-attr] # it was sent
    await house.stores.ledger.close()
    await desk.hasty.close()
    for file in desk.file.parent.glob("ledger.db*"):
        file.write_bytes(b"no database" * 100)
    assert await desk.journal.link_of(9, 1) is None
    async with desk.running():
        assert await desk.journal.record(make_hit(1))
    async with desk.spill.read() as spill:
        assert await spill.scalar(select(func.count()).select_from(schema.spilled_hits)) == 1


async def test_waiting_ends_with_a_recording_or_the_timeout(desk: Desk) -> None:
    await desk.journal.wait_recorded(0.001)
    async with desk.running():
        await desk.journal.record(make_hit(1))
        async with asyncio.timeout(1):
            await desk.journal.wait_recorded(60)


async def test_what_is_spilled_while_the_spill_is_looked_into_is_loaded_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact = desk.spill.transact

    async def look_slowly(work: Any) -> Any:
        seen = await transact(work)
        monkeypatch.undo()
        async with locked(desk.file):
            await desk.journal.record(make_hit(1))
        return seen

    async with desk.running():
        monkeypatch.setattr(desk.spill, "transact", look_slowly)
        assert await desk.journal.load_spill() == 0
        assert await desk.journal.load_spill() == 1
    assert await desk.counts() == (1, 0)


async def test_a_spill_that_can_not_be_read_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        lost = Store("sqlite+aiosqlite:////nowhere/spill.db")
        broken.setattr(desk.journal._spill, "_store", lost)
        with pytest.raises(Exception, match="unable to open"):
            await desk.journal.load_spill()
    async with desk.running(), locked(desk.file):
        await desk.journal.record(make_hit(1))
    assert await desk.journal.load_spill() == 1


async def test_a_hit_of_a_copy_that_stays_unknown_goes_when_its_time_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.running():
        await desk.journal.record(make_hit(1, copy_id=8))
    assert await desk.counts() == (0, 1)
    assert await desk.journal.load_spill() == 0
    monkeypatch.setattr("collector.journal.UNKNOWN_LASTS", timedelta(0))
    while await desk.journal.load_spill() == 0:
        pass
    assert await desk.counts() == (0, 0)


async def test_a_hit_that_was_sealed_with_a_lost_key_stays(
    desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.running(), locked(desk.file):
        await desk.journal.record(make_hit(1))
    monkeypatch.setattr(desk.journal, "_keys", replace(desk.house.keys, keys={}))
    assert await desk.journal.load_spill() == 0
    assert "hit.sealed" in "".join(capfd.readouterr())
    monkeypatch.undo()
    while await desk.journal.load_spill() == 0:
        pass
    assert await desk.counts() == (1, 0)


async def test_a_hit_of_an_unknown_copy_is_spilled_until_its_send_is_known(
    desk: Desk, house: Any
) -> None:
    async with desk.running():
        await asyncio.gather(*(desk.journal.record(make_hit(n, 7 + n % 2)) for n in range(4)))
    assert await desk.counts() == (2, 2)
    assert await desk.journal.load_spill() == 0
    await house.send(8)
    while await desk.journal.load_spill() == 0:
        pass  # one look is the end of the page before
    assert await desk.counts() == (4, 0)


async def test_a_hit_that_can_not_be_written_holds_up_no_other_and_stays(
    desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a hit that can not be written holds up no other."""
    monkeypatch.setattr("collector.journal.BREAK_S", 0.0)
    with sqlite3.connect(desk.file) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON hits "
            f"WHEN NEW.hit_id = '{make_hit(2).hit_id}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    other.close()
    async with desk.running():
        done = await asyncio.gather(
            *(desk.journal.record(make_hit(number)) for number in (1, 2, 3))
        )
        assert done == [True] * 3
        assert await desk.counts() == (0, 3)
        assert await desk.journal.load_spill() == 2
        assert "hit.refused" in "".join(capfd.readouterr())
        assert await desk.counts() == (2, 1)
        await desk.journal.record(make_hit(4))
        for _ in range(3):
            assert await desk.journal.load_spill() == 0
    assert "hit.refused" not in "".join(capfd.readouterr())
    assert await desk.counts() == (3, 1)


async def test_a_hit_that_can_not_even_be_sealed_is_given_up_and_the_others_are_kept(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(make_hit(2), features={"agent": b"no JSON"})
    async with desk.running():
        done = await asyncio.gather(
            *(desk.journal.record(hit) for hit in (make_hit(1), wrong, make_hit(3)))
        )
        assert await desk.journal.record(make_hit(4))
    assert done == [True, False, True]
    assert "hit.lost" in "".join(capfd.readouterr())
    assert await desk.counts() == (0, 3)


async def test_a_withdrawal_that_another_process_has_kept_bites_when_the_spill_is_loaded(
    desk: Desk, house: Any
) -> None:
    withdrawn: set[int] = set()

    async def look_again() -> None:
        withdrawn.add(8)

    bounds = replace(BOUNDS, withdrawn=lambda: frozenset(withdrawn), look_again=look_again)
    desk.journal = Journal(house.stores.ledger, desk.hasty, desk.spill, house.keys, bounds)
    async with desk.running():
        await desk.journal.record(make_hit(1, copy_id=8))
    assert await desk.counts() == (0, 1)
    await house.send(8)
    assert await desk.journal.load_spill() == 1
    assert await desk.counts() == (0, 0)
