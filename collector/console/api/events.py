"""Events: lists of them, and how often each kind came on each day."""

from datetime import timedelta

from collector.console.api.asked import EventsAsked, StatsAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_number_cursor, write_cursor
from ledger.counts import DayCount, count_days
from ledger.event import event_object
from ledger.events import EventFilter, select_events

_STATS_SINCE = timedelta(days=30)

OLDEST = "events-oldest"
"""The order of recording: lists that begin with the oldest, and the stream."""
_NEWEST = "events-newest"


async def list_events(caller: Caller, asked: EventsAsked) -> dict[str, object]:
    """Return a page of events."""
    oldest = asked.order == "oldest"
    order = OLDEST if oldest else _NEWEST
    number = read_number_cursor(order, asked.cursor)
    wanted = EventFilter(
        since=asked.since,
        until=asked.until,
        sender=asked.sender,
        recipient=asked.recipient,
        message_id=asked.message_id or None,
        send_id=asked.send_id or None,
        types=asked.type,
        classifications=asked.classification,
        history=asked.history == "true",
    )
    after, before = (number or 0, None) if oldest else (None, number)
    async with caller.desk.ledger.read() as connection:
        found = await select_events(
            connection, wanted, after=after, before=before, limit=asked.limit
        )
    if found and (oldest or len(found) == asked.limit):
        following = write_cursor(order, str(found[-1][0]))
    else:
        # What comes later is after the last that was seen; before the oldest there is nothing.
        following = asked.cursor if oldest else ""
    return {
        "events": [event_object(event) for _, event in found],
        "next_cursor": following or None,
    }


async def count_events(caller: Caller, asked: StatsAsked) -> dict[str, object]:
    """Return how many events of each type each day has, and how many are of programs."""
    since = asked.since or caller.now - _STATS_SINCE
    until = asked.until or caller.now
    async with caller.desk.ledger.read() as connection:
        counts = await count_days(connection, since, until, asked.sender)
    days: dict[str, list[dict[str, object]]] = {}
    for one in counts:
        days.setdefault(one.day.isoformat(), []).append(_count_object(one))
    return {"days": [{"day": day, "counts": some} for day, some in days.items()]}


def _count_object(one: DayCount) -> dict[str, object]:
    return {
        "type": one.type.value,
        "count": one.count,
        "machine": one.machine,
        "machine_share": round(one.machine / one.count, 4),
    }
