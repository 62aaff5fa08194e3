"""How many events of each kind each day has."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, case, func, literal, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address
from ledger.event import Agent, EventType
from ledger.schema import events

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_TYPES = tuple(sorted(set(EventType) - {EventType.RECLASSIFIED}))
_AT = type_coerce(events.c.at, BigInteger)
_MACHINES = tuple(agent.value for agent in Agent if agent.machine)


@dataclass(frozen=True, slots=True)
class DayCount:
    """The events of one type of one day (UTC)."""

    day: date
    type: EventType
    count: int
    """Each event once, as it stands now: re-labellings are none of their own."""
    machine: int
    """Of them, those of programs."""


async def count_days(
    connection: AsyncConnection, since: datetime, until: datetime, sender: Address | None = None
) -> tuple[DayCount, ...]:
    """Return the counts of whole days, the earliest first, by type.

    The first day is that of `since`; the last begins before `until`.
    """
    if sender is not None:
        return _read(await connection.execute(_of_sender(since, until, sender)))
    days = await _days_with_events(connection, since, until)
    if not days:
        return ()
    rows = [row for kind in _TYPES for row in await connection.execute(_by_day(kind, days))]
    return _read(sorted(rows, key=lambda row: (row.day, row.type)))


def _of_sender(since: datetime, until: datetime, sender: Address) -> Select[Any]:
    """Count what one sender's mail came to, in one pass over his events."""
    # Instants are kept as microseconds since 1970: days by division are alike on every engine.
    day = (_AT // _DAY_US).label("day")
    machine = func.sum(case((events.c.classification.in_(_MACHINES), 1), else_=0))
    return (
        select(day, events.c.type, func.count().label("all"), machine.label("machine"))
        .where(
            _AT.between(_days(since) * _DAY_US, _days_before(until) * _DAY_US - 1),
            events.c.type.in_(_TYPES),
            events.c.sender_key == sender.key,
        )
        .group_by(day, events.c.type)
        .order_by(day, events.c.type)
    )


def _by_day(kind: EventType, days: range) -> Select[Any]:
    """Count the events of a type for each day apart.

    Each count is a piece of the type's index, read in its order; grouped, they would be sorted
    first, which takes four times as long.
    """
    first = select(literal(days[0], Integer).label("day")).cte("days", recursive=True)
    each = first.union_all(select(first.c.day + 1).where(first.c.day < days[-1]))
    begins = each.c.day * literal(_DAY_US, BigInteger)
    of_day = (
        select(func.count())
        .select_from(events)
        .where(events.c.type == kind.value, _AT.between(begins, begins + (_DAY_US - 1)))
        .correlate(each)
    )
    of_machines = of_day.where(events.c.classification.in_(_MACHINES))
    return select(
        each.c.day,
        literal(kind.value).label("type"),
        of_day.scalar_subquery().label("all"),
        of_machines.scalar_subquery().label("machine"),
    )


async def _days_with_events(connection: AsyncConnection, since: datetime, until: datetime) -> range:
    """Return the days asked for, without those before the first event and after the last."""
    first = await connection.scalar(select(func.min(_AT)))
    last = await connection.scalar(select(func.max(_AT)))
    if first is None or last is None:
        return range(0)
    begin = max(_days(since), first // _DAY_US)
    return range(begin, min(_days_before(until), last // _DAY_US + 1))


def _read(rows: Iterable[Any]) -> tuple[DayCount, ...]:
    return tuple(
        DayCount(_EPOCH + timedelta(days=row.day), EventType(row.type), row.all, row.machine)
        for row in rows
        if row.all
    )


def _days(at: datetime) -> int:
    return (at.date() - _EPOCH).days


def _days_before(at: datetime) -> int:
    """Return how many days begin before an instant, since 1970."""
    return _days(at) + (at.time() != time.min)
