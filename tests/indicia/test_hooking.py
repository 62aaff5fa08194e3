"""`indicia webhook`: how webhooks do, and what they did not take."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from collector.telling import known_webhooks
from config.load import load_settings
from indicia.failure import Failure
from indicia.hooking import resend_dead, show_dead, show_webhooks
from ledger.deliveries import Attempt, Dead, select_due, settle
from ledger.event import Event, EventType
from ledger.events import RecordedEvent, record_events
from ledger.migrate import open_stores
from ledger.webhooks import renew_webhooks

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILE = """
[[webhook]]
url = "https://hooks.example.com/secret-path"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
events = ["email.relayed"]
[[webhook]]
url = "https://new.example.com/"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A configuration whose ledger has a dead letter and one that waits."""
    file = tmp_path / "indicia.toml"
    file.write_text(FILE)
    settings = load_settings(file, {})

    async def record() -> None:
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        known = known_webhooks(settings)[:1]
        await stores.ledger.transact(partial(renew_webhooks, configured=known))
        found = [Event(name, EventType.RELAYED, AT, send_id="S1") for name in ("E1", "E2")]
        rows = [RecordedEvent(one) for one in found]
        await stores.ledger.transact(partial(record_events, rows=rows))
        ask = partial(select_due, webhook=known[0].webhook, now=AT, limit=1)
        (due,) = await stores.ledger.transact(ask)
        ended = [Attempt(due, AT, Dead("410 Gone"))]
        await stores.ledger.transact(partial(settle, attempts=ended))
        await stores.close()

    asyncio.run(record())
    return file


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_list_tells_how_each_webhook_does(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(configured, {})
    show_webhooks(settings, as_json=True)
    told, new = said(capsys)
    del told["webhook"], new["webhook"]
    assert told == {
        "url": "https://hooks.example.com/secret-path",
        "configured": True,
        "events": ["email.relayed"],
        "waiting": 1,
        "dead": 1,
        "delivered_at": None,
        "failed_at": "2026-11-23T12:00:00.000Z",
        "fault": "410 Gone",
    }
    assert (new["url"], new["waiting"], new["configured"]) == ("https://new.example.com/", 0, True)
    show_webhooks(settings, as_json=False)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["WEBHOOK", "EVENTS", "WAITING", "DEAD", "STATE"]
    assert first.endswith("failing: 410 Gone")
    assert second.endswith("nothing told yet")


def test_one_that_is_configured_no_more_is_listed_while_anything_is_left(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.write_text("")
    show_webhooks(load_settings(configured, {}), as_json=False)
    assert "https://hooks.example.com (not configured any more)" in capsys.readouterr().out


def test_without_any_the_page_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "indicia.toml"
    file.write_text("")
    settings = load_settings(file, {})

    async def make() -> None:
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        await stores.close()

    asyncio.run(make())
    show_webhooks(settings, as_json=False)
    show_dead(settings, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told == ["no webhook is configured: docs/webhooks.md", "no dead letters"]


def test_a_dead_letter_is_shown_and_sent_again(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(configured, {})
    show_dead(settings, as_json=True)
    (dead,) = said(capsys)
    assert (dead["type"], dead["event_id"], dead["send_id"]) == ("email.relayed", "E1", "S1")
    assert (dead["attempts"], dead["reply"]) == (1, "410 Gone")
    name = str(dead["delivery_id"])
    show_dead(settings, as_json=False)
    assert name in capsys.readouterr().out
    with pytest.raises(Failure, match="no dead letter: msg_other"):
        resend_dead(settings, [name, "msg_other"], everything=False, as_json=True)
    assert said(capsys) == [{"delivery_id": name, "action": "resend"}]
    resend_dead(settings, [], everything=True, as_json=False)
    assert capsys.readouterr().out.startswith("0 to be sent again")
    show_dead(settings, as_json=True)
    assert said(capsys) == []


@pytest.mark.parametrize(("names", "everything"), [([], False), (["msg_1"], True)])
def test_what_is_sent_again_must_be_said(
    configured: Path, names: list[str], everything: bool
) -> None:
    with pytest.raises(Failure, match="say which"):
        resend_dead(load_settings(configured, {}), names, everything=everything, as_json=False)


def test_the_command_knows_it(indicia: Callable[..., object], configured: Path) -> None:
    cases = ((("list", "--json"), 0), (("dead",), 0), (("resend",), 2), (("resend", "--all"), 0))
    for words, status in cases:
        done = indicia("--config", configured, "webhook", *words)
        assert getattr(done, "returncode", None) == status, done
