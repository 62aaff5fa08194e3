"""`indicia reclassify` over a real store."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from collector.hit import Trace
from collector.kept import Seen, features_of
from config.settings import Settings
from indicia.reclassifying import reclassify
from ledger import schema
from ledger.event import Agent, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.migrate import open_stores
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


def settings_of(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "server": {"state_dir": folder},
            "database": {
                "url": f"sqlite+aiosqlite:///{folder / 'ledger.db'}",
                "spool_url": f"sqlite+aiosqlite:///{folder / 'spool.db'}",
            },
        }
    )


async def swept(settings: Settings) -> None:
    """Record three links within a second, taken for a person's by rules of old."""
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    async with stores.ledger.write() as connection:
        for slot in (1, 2, 3):
            at = AT + timedelta(seconds=slot / 3)
            seen = Seen(Trace(at, HitKind.CLICK, slot, FIREFOX, {}, "n"))
            hit = {
                "hit_id": f"H{slot}",
                "at": at,
                "kind": "click",
                "copy_id": 7,
                "slot": slot,
                "html": True,
                "url": None,
                "features": dict(features_of(seen)),
                "waiting": False,
            }
            await connection.execute(insert(schema.hits).values(hit))
            event = Event(
                f"H{slot}",
                EventType.CLICKED,
                at,
                classification=Agent.HUMAN_LIKELY,
                confidence=0.6,
                reasons=("browser_agent", "replay"),
                rules_version="old",
                first=slot == 1,
            )
            await insert_events(connection, [RecordedEvent(event, 7, f"H{slot}")])
    await stores.close()


async def rows(settings: Settings) -> list[tuple[str, str, str, bool]]:
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    columns = schema.events.c
    async with stores.ledger.read() as connection:
        found = await connection.execute(
            select(columns.event_id, columns.type, columns.classification, columns.first).order_by(
                columns.number
            )
        )
        told = [tuple(row) for row in found]
    await stores.close()
    return told


def test_rules_run_again_tell_before_and_after_and_write_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path)
    asyncio.run(swept(settings))
    before = asyncio.run(rows(settings))
    reclassify(settings, None, dry=True, as_json=True)
    line = '{"from": "human_likely", "to": "scanner", "events": 3, "written": false}'
    assert capsys.readouterr().out.strip() == line
    assert asyncio.run(rows(settings)) == before
    reclassify(settings, None, dry=False, as_json=False)
    assert "3 have another label" in capsys.readouterr().out
    after = asyncio.run(rows(settings))
    assert [(kind, label, first) for _, kind, label, first in after] == [
        *[("email.clicked", "scanner", False)] * 3,
        *[("event.reclassified", "scanner", False)] * 3,
    ]
    reclassify(settings, None, dry=False, as_json=False)
    assert asyncio.run(rows(settings)) == after
