"""The page of charts: opens and clicks, deliveries, the queue."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from aiohttp import web

from collector.console.charts import Chart, draw_bars, draw_columns, draw_squares
from collector.console.desk import DESK
from collector.console.own import owner_for
from collector.console.page import PERSON, render_page
from collector.console.roles import may
from ledger.event import EventType
from ledger.figures import (
    ActCount,
    DeliveryCount,
    WaitingCount,
    count_acts,
    count_deliveries,
    count_waiting,
)

PERIODS = {"7": 7, "30": 30, "90": 90}
"""Days that can be looked back."""

_WHO = ("by people", "by programs", "own network or not known")
_TOLD = (EventType.RELAYED, EventType.DEFERRED, EventType.FAILED)
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAX_ZONE = 64


async def show_stats(request: web.Request) -> web.Response:
    """Draw the charts of some days, in a time zone; to a user, of his own mail."""
    desk, owner = request.app[DESK], owner_for(request)
    days = PERIODS.get(request.query.get("days", ""), PERIODS["7"])
    zone, zone_name = read_zone(request.query.get("zone", ""))
    now = datetime.now(UTC)
    first = now.astimezone(zone).date() - timedelta(days=days - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC)
    async with desk.ledger.read() as connection:
        acts = await count_acts(connection, since, now, owner)
        told = await count_deliveries(connection, since, now, owner)
    waiting: tuple[WaitingCount, ...] | None = None
    if may(request[PERSON].role, "GET", "/queue"):
        async with desk.spool.read() as connection:
            waiting = await count_waiting(connection)
    dates = [first + timedelta(days=number) for number in range(days)]
    charts = [
        draw_acts("Opens", EventType.OPENED, acts, dates, zone),
        draw_acts("Clicks", EventType.CLICKED, acts, dates, zone),
        draw_week(acts, zone),
        draw_upstreams(told),
        *([] if waiting is None else [draw_queue(waiting)]),
    ]
    shown = {
        "charts": charts,
        "shares": [_share(chart) for chart in charts[:2]],
        "days": str(days),
        "periods": PERIODS,
        "zone": zone_name,
        "own": owner is not None,
    }
    return render_page(request, "stats.html", shown)


def read_zone(text: str) -> tuple[tzinfo, str]:
    """Return the time zone of a name of the IANA data base, and its name; else UTC."""
    try:
        if text and len(text) <= _MAX_ZONE:
            return ZoneInfo(text), text
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    return UTC, "UTC"


def draw_acts(
    title: str,
    kind: EventType,
    acts: Iterable[ActCount],
    dates: Sequence[date],
    zone: tzinfo,
) -> Chart:
    """Return how many of a kind each day had, and by whom."""
    found = Counter[tuple[date, int]]()
    for act in acts:
        if act.type is kind:
            found[act.at.astimezone(zone).date(), _who(act)] += act.count
    rows = [(f"{day:%-d %b}", tuple(found[day, who] for who in range(len(_WHO)))) for day in dates]
    return draw_columns(title, "Day", _WHO, rows)


def draw_week(acts: Iterable[ActCount], zone: tzinfo) -> Chart:
    """Return when in the week people open and click."""
    found = Counter[tuple[int, int]]()
    for act in acts:
        if _who(act) == 0:
            at = act.at.astimezone(zone)
            found[at.weekday(), at.hour] += act.count
    hours = tuple(f"{hour:02}" for hour in range(24))
    rows = [
        (name, tuple(found[number, hour] for hour in range(24)))
        for number, name in enumerate(_WEEK)
    ]
    return draw_squares("When people open and click", "Day and hour", hours, rows)


def draw_upstreams(told: Iterable[DeliveryCount]) -> Chart:
    """Return what each upstream did with what it was given."""
    found = Counter[tuple[str, EventType]]()
    for one in told:
        found[one.upstream or "not named", one.type] += one.count
    names = sorted({name for name, _ in found})
    rows = [(name, tuple(found[name, kind] for kind in _TOLD)) for name in names]
    return draw_bars("Deliveries", "Upstream", ("handed on", "deferred", "refused"), rows)


def draw_queue(waiting: Iterable[WaitingCount]) -> Chart:
    """Return what waits now, and why."""
    found = Counter[str]()
    for one in waiting:
        name = "held" if one.held else "tried before" if one.tried else "not tried yet"
        found[name] += one.count
    rows = [(name, (found[name],)) for name in ("not tried yet", "tried before", "held")]
    return draw_bars("Queue now", "Why", ("copies",), rows)


def _who(act: ActCount) -> int:
    if act.agent is not None and act.agent.attentive:
        return 0
    return 1 if act.agent is not None and act.agent.machine else 2


def _share(chart: Chart) -> int | None:
    """Return how much of it programs did, in percent."""
    machines = sum(figures[1] for _, figures in chart.rows)
    return round(100 * machines / chart.total) if chart.total else None
