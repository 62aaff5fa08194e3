"""The charts: the same figures as the events, in the reader's zone, of whom he may see."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.console.stats import draw_acts, draw_queue, draw_upstreams, draw_week, read_zone
from ledger.audit import OPERATOR, Author
from ledger.event import Agent, EventType
from ledger.figures import ActCount, DeliveryCount, WaitingCount
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

UMA = Person("Uma@acme.example", Role.USER, "uma@acme.example")
MONDAY = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
ACTS = (
    ActCount(MONDAY, EventType.OPENED, Agent.HUMAN_LIKELY, 3),
    ActCount(MONDAY, EventType.OPENED, Agent.SCANNER, 2),
    ActCount(MONDAY, EventType.OPENED, Agent.SELF, 1),
    ActCount(MONDAY, EventType.CLICKED, Agent.PROXY, 4),
)


@pytest.mark.parametrize(("name", "day"), [("UTC", 23), ("Europe/Berlin", 24)])
def test_an_open_counts_for_the_day_it_has_in_the_zone(name: str, day: int) -> None:
    zone, told = read_zone(name)
    assert told == name
    dates = [MONDAY.date(), MONDAY.date() + timedelta(days=1)]
    chart = draw_acts("Opens", EventType.OPENED, ACTS, dates, zone)
    assert dict(chart.rows)[f"{day} Nov"] == (3, 2, 1)
    assert chart.total == 6


def test_the_week_is_of_people_alone() -> None:
    chart = draw_week(ACTS, ZoneInfo("Europe/Berlin"))
    assert chart.total == 7
    assert chart.rows[1][1][0] == 7


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "x" * 99, "a\0b"])
def test_a_zone_that_is_none_is_utc(name: str) -> None:
    assert read_zone(name) == (UTC, "UTC")


def test_upstreams_and_queue_are_told_by_name() -> None:
    told = (
        DeliveryCount("default", EventType.RELAYED, 5),
        DeliveryCount("default", EventType.FAILED, 1),
        DeliveryCount(None, EventType.DEFERRED, 2),
    )
    assert draw_upstreams(told).rows == (("default", (5, 0, 1)), ("not named", (0, 2, 0)))
    waiting = (WaitingCount(False, True, 2), WaitingCount(True, True, 1))
    assert dict(draw_queue(waiting).rows) == {
        "not tried yet": (0,),
        "tried before": (2,),
        "held": (1,),
    }


async def test_the_page_counts_what_happened_and_a_user_his_own(console: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account(UMA.name, UMA.role), author)
    for sender, count in (("uma@acme.example", 2), ("max@acme.example", 5)):
        for _ in range(count):
            await console.record(
                console.event(EventType.OPENED, sender=sender, send_id="S"),
                console.event(EventType.RELAYED, sender=sender, upstream=f"up-{sender[:3]}"),
            )
    admin, user = await console.signed_in(), await console.signed_in(UMA)
    _, page, _ = await admin.get("/stats?days=30&zone=Europe/Berlin")
    assert "7, 0 % by programs" in page
    assert "up-max" in page
    assert "Queue now" in page
    assert "<table>" in page
    _, page, _ = await user.get("/stats")
    assert "2, 0 % by programs" in page
    assert "up-max" not in page
    assert "Queue now" not in page
