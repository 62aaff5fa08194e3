"""Retention by command and by the daily job, over real files."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from config.settings import Settings
from indicia.failure import Failure
from indicia.purging import purge_if_due, purge_now, purging
from indicia.storage import opened_stores, spill_url
from ledger import schema
from ledger.chores import PURGE, take_chore
from ledger.migrate import Stores, open_store
from ledger.purge import Places

LATER = datetime(2028, 1, 1, tzinfo=UTC)


def two_days(settings: Settings) -> Settings:
    """The same with the shortest retention there is: what the fixture recorded is older."""
    privacy = settings.privacy.model_copy(update={"retain_events_s": 172_800})
    return settings.model_copy(update={"privacy": privacy})


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    return {row["class"]: row["rows"] for row in rows}


def test_a_dry_run_counts_and_deletes_nothing(
    recorded: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indicia.purging.datetime", Frozen)
    settings = two_days(recorded)
    purge_now(settings, dry=True, as_json=True)
    would = printed(capsys)
    assert (would["events"], would["sends"]) == (6, 1)
    purge_now(settings, dry=False, as_json=True)
    assert printed(capsys) == would
    purge_now(settings, dry=False, as_json=False)
    assert capsys.readouterr().out == "nothing is old enough\n"


class Frozen(datetime):
    """A clock that stands in 2028."""

    @classmethod
    def now(cls, _zone: object = None) -> datetime:  # type: ignore[override] # the one use there is
        return LATER


async def test_the_daily_job_is_done_once_a_day(recorded: Settings) -> None:
    now = datetime.now(UTC)
    async with opened_stores(recorded) as stores:
        spill = await open_store(spill_url(recorded), schema.spill)
        places = Places(stores.ledger, stores.spool, spill)
        assert await purge_if_due(recorded, places, now)
        assert not await purge_if_due(recorded, places, now + timedelta(hours=22))
        assert await purge_if_due(recorded, places, now + timedelta(hours=24))
        await spill.close()


def test_while_another_purges_the_command_says_so(recorded: Settings) -> None:
    asyncio.run(hold(recorded))
    with pytest.raises(Failure, match="another process is purging"):
        purge_now(recorded, dry=False, as_json=False)


async def hold(settings: Settings) -> None:
    take = partial(take_chore, name=PURGE, holder="other", now=datetime.now(UTC))
    async with opened_stores(settings) as stores:
        assert await stores.ledger.transact(take)


async def test_a_running_service_purges_and_cuts_the_logs(recorded: Settings) -> None:
    async with opened_stores(recorded) as stores:
        async with stores.ledger.write() as connection:
            await connection.execute(schema.chores.delete())
        async with purging(recorded, stores), asyncio.timeout(20):
            while not await is_done(stores) or stores.ledger.has_log():  # noqa: ASYNC110 - another task purges
                await asyncio.sleep(0.01)


async def is_done(stores: Stores) -> bool:
    async with stores.ledger.read() as connection:
        chores = (await connection.execute(schema.chores.select())).all()
    return [(one.name, one.holder, one.done_at is not None) for one in chores] == [
        (PURGE, None, True)
    ]
