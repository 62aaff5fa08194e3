"""What Prometheus is told, by its own parser."""

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from collector.console import metrics
from collector.console.metrics import Meter
from ledger.api_tokens import ApiToken, add_api_token
from ledger.audit import OPERATOR, Author
from ledger.event import Agent, EventType
from ledger.role import Scope
from ledger.schema import chores, spill
from ledger.sessions import hash_secret

ROOT = Path(__file__).resolve().parents[3]
FIGURES = re.compile(r"`indicia_(\w+)`")


async def read(console: Any, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return every value, by name and by labels in the order of their names."""
    stranger = await console.stranger()
    status, text, answered = await stranger.get("/metrics", headers=headers)
    assert status == 200, text
    assert answered["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("indicia_"), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge"), family.name
        for one in family.samples:
            assert (family.type == "counter") is one.name.endswith("_total"), one.name
            labels = tuple(value for _, value in sorted(one.labels.items()))
            found.setdefault(one.name.removeprefix("indicia_"), {})[labels] = one.value
    return found


async def test_what_happens_is_counted_from_the_first_scrape_on(
    console: Any, explain: Any, seed_demo: Any
) -> None:
    await seed_demo(console)
    before = await read(console)
    assert set(before["events_total"].values()) == {0}
    assert before["events_recorded_total"][()] == 27
    off = explain(
        "bob@example.org",
        1,
        mode="off",
        reasons=[{"of": "mode", "is": "off", "because": "content", "name": "dkim_signed"}],
    )
    ruled = explain("carol@example.org", 2)
    ruled["reasons"] = [{"of": "mode", "is": "shared", "because": "rule", "name": "Ann's rule"}]
    send_id = await console.send([off, ruled])
    same = {"send_id": send_id}
    await console.record(
        console.event(EventType.ACCEPTED, tracking_mode="off", **same),
        console.event(
            EventType.ACCEPTED, tracking_mode="shared", recipient="carol@example.org", **same
        ),
        console.event(EventType.DEFERRED, **same),
        console.event(EventType.OPENED, classification=Agent.SCANNER, **same),
        console.event(EventType.OPENED, classification=Agent.SCANNER, **same),
    )
    told = await read(console)
    grown = {labels: value for labels, value in told["events_total"].items() if value}
    assert grown == {
        ("", "email.accepted"): 2,
        ("", "email.deferred"): 1,
        ("scanner", "email.opened"): 2,
    }
    assert told["recipients_total"] == {("dkim_signed", "off"): 1, ("rule", "shared"): 1}
    assert told["events_uncounted"] == {(): 0}
    assert told["store_up"] == {("ledger",): 1, ("spool",): 1}
    assert len(told["build_info"]) == 1


async def test_the_queue_is_told_by_state_and_age_and_dead_letters_do_not_age_it(
    console: Any, put_in_queue: Any
) -> None:
    spool, now = console.stores.spool, datetime.now(UTC)
    hours = timedelta(hours=1)
    await put_in_queue(spool, 1, received_at=now - 2 * hours, attempts=3, due_at=now + hours)
    await put_in_queue(spool, 2)
    await put_in_queue(spool, 3, held=True)
    await put_in_queue(spool, 4, lease="x", leased_until=now + hours, due_at=now + hours)
    await put_in_queue(spool, 5, received_at=now - 9 * hours, fate="dead", held=True)
    told = await read(console)
    assert told["queue_copies"] == {
        ("new",): 1,
        ("deferred",): 1,
        ("under_way",): 1,
        ("held",): 1,
        ("dropped",): 0,
        ("dead",): 1,
    }
    assert 7200 <= told["queue_oldest_age_seconds"][()] < 7300


async def test_what_waits_beside_the_ledger_and_what_was_last_done_is_told(console: Any) -> None:
    assert "hits_spilled" not in await read(console)
    state = console.settings.server.state_dir
    with sqlite3.connect(state / "spill.db") as file:
        file.execute("CREATE TABLE spilled_hits (hit_id TEXT)")
        file.execute("INSERT INTO spilled_hits VALUES ('a'), ('b')")
    file.close()
    assert "spilled_hits" in spill.tables
    done_at = datetime(2026, 11, 24, 3, tzinfo=UTC)
    async with console.stores.ledger.write() as connection:
        await connection.execute(
            insert(chores).values(name="purge", held_until=done_at, done_at=done_at)
        )
        await connection.execute(update(chores).values(done_at=done_at))
    told = await read(console)
    assert told["hits_spilled"] == {(): 2}
    assert told["purge_last_success_timestamp_seconds"] == {(): done_at.timestamp()}
    assert told["hits_waiting"] == told["hits_faulty"] == {(): 0}


async def test_of_a_store_that_is_away_it_is_told_and_the_other_goes_on(console: Any) -> None:
    await read(console)
    database = sqlite3.connect(console.settings.server.state_dir / "ledger.db")
    database.execute("ALTER TABLE events RENAME TO gone")
    database.commit()
    database.close()
    told = await read(console)
    assert told["store_up"] == {("ledger",): 0, ("spool",): 1}
    assert "queue_copies" in told
    assert "events_total" not in told


async def test_no_figure_names_anybody(console: Any, seed_demo: Any) -> None:
    # Law: no figure names an address, a subject, a host or a rule.
    stranger = await console.stranger()
    await stranger.get("/metrics")
    await seed_demo(console)
    _, text, _ = await stranger.get("/metrics")
    for said in ("@", "example", "offer", "public offices"):
        assert said not in text, said


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer nobody's"},
    ],
    ids=str,
)
async def test_who_comes_through_a_proxy_or_a_page_needs_a_token(
    console: Any, headers: dict[str, str]
) -> None:
    stranger = await console.stranger()
    status, text, answered = await stranger.get("/metrics", headers=headers)
    assert status == 401
    assert "indicia_" not in text
    assert answered["WWW-Authenticate"].startswith("Bearer")
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    token = ApiToken("prometheus", Scope.READ, datetime.now(UTC))
    await add_api_token(console.stores.ledger, token, hash_secret("s3cret"), author)
    assert await read(console, **{**headers, "Authorization": "Bearer s3cret"})


async def test_what_is_too_much_for_one_scrape_is_left_to_the_next(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = console.stores
    meter = Meter(stores.ledger, stores.spool, console.settings.server.state_dir / "spill.db")
    await meter.measure(datetime.now(UTC))
    await console.record(*(console.event(EventType.RELAYED) for _ in range(7)))
    monkeypatch.setattr(metrics, "_NEWS_BUDGET_S", 0)
    assert uncounted(await meter.measure(datetime.now(UTC))) == 7
    monkeypatch.setattr(metrics, "_NEWS_BUDGET_S", 5)
    monkeypatch.setattr(metrics, "_NEWS_AT_ONCE", 2)
    assert uncounted(await meter.measure(datetime.now(UTC))) == 0


def uncounted(families: Any) -> float:
    (value,) = [
        one.value
        for family in families
        if family.name == "indicia_events_uncounted"
        for one in family.samples
    ]
    return float(value)


async def test_every_figure_is_told_in_the_docs_and_none_besides(console: Any) -> None:
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    told = {
        name for line in page.splitlines() for name in FIGURES.findall(line.partition(" | ")[0])
    }
    figures = (ROOT / "collector/console/metrics.py").read_text(encoding="utf-8")
    assert told == set(re.findall(r"_(?:gauge|counter)\(\s*\"(\w+)\"", figures))
    assert set(await read(console)) <= told
