import asyncio
import json
from dataclasses import replace

import pytest

from config.settings import Settings
from indicia.failure import Failure
from indicia.telling import tell
from ledger.fact import SendAccepted
from ledger.migrate import open_stores
from ledger.sends import record_facts

Read = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", ["01HSEND0000000000000000000", "<offer@sender.example>"])
def test_the_story_is_found_by_send_id_or_message_id(
    recorded: Settings, offer: SendAccepted, capsys: Read, name: str
) -> None:
    tell(recorded, name, as_json=True)
    story = json.loads(capsys.readouterr().out)
    assert story["send_id"] == offer.send_id
    assert story["recipients"] == [dict(one) for one in offer.verdict]
    assert [event["event_id"] for event in story["events"]] == ["e1", "e2", "e3", "e4", "e5", "e6"]
    assert (story["tags"], story["metadata"]) == (["spring"], {"deal": "7"})


def test_the_story_is_told_in_order(recorded: Settings, capsys: Read) -> None:
    tell(recorded, "offer@sender.example", as_json=False)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    places = [
        told.index(text)
        for text in (
            "accepted    2026-11-23 12:00:00 UTC",
            "tom@example.org    to   individual  yes    html    1",
            "what decided for tom@example.org:",
            "what decided for carla@example.org, bea@example.org:",
            "“the offer”",
            "12:00:01  relayed   tom@example.org",
            "12:01:00  opened    tom@example.org",
            "12:02:00  clicked   someone of carla@example.org, bea@example.org",
        )
    ]
    assert places == sorted(places)


def test_a_name_of_nothing_is_not_found(recorded: Settings) -> None:
    with pytest.raises(Failure, match="no send has the send_id or Message-ID nothing") as told:
        tell(recorded, "nothing", as_json=True)
    assert told.value.status == 1


def test_each_send_of_one_message_id_is_told(
    recorded: Settings, offer: SendAccepted, capsys: Read
) -> None:
    async def again() -> None:
        stores = await open_stores(recorded.database.url, recorded.database.spool_url)
        async with stores.ledger.write() as connection:
            later = replace(offer, send_id="01HSEND0000000000000000001", copies=(), sender=None)
            await record_facts(connection, [later])
        await stores.close()

    asyncio.run(again())
    tell(recorded, "offer@sender.example", as_json=False)
    told = capsys.readouterr().out
    assert told.count("accepted    2026-11-23") == 2
    assert "\n\nsend        01HSEND0000000000000000001\n" in told
    assert "from        <> (a report)" in told
