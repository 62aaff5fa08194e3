"""How many events of each kind each day has."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import BigInteger, Select, case, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address
from ledger.event import Agent, EventType
from ledger.schema import events

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_TYPES = tuple(sorted(set(EventType) - {EventType.RECLASSIFIED}))
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
    # Instants are kept as microseconds since 1970: days by division are alike on every engine.
    at = type_coerce(events.c.at, BigInteger)
    day = (at // _DAY_US).label("day")
    machine = func.sum(case((events.c.classification.in_(_MACHINES), 1), else_=0))
    statement: Select[Any] = (
        select(day, events.c.type, func.count().label("all"), machine.label("machine"))
        .where(
            at >= _days(since) * _DAY_US,
            at < _days_before(until) * _DAY_US,
            # Named, so that an index on the type serves.
            events.c.type.in_(_TYPES),
        )
        .group_by(day, events.c.type)
        .order_by(day, events.c.type)
    )
    if sender is not None:
        statement = statement.where(events.c.sender_key == sender.key)
    return tuple(
        DayCount(_EPOCH + timedelta(days=row.day), EventType(row.type), row.all, row.machine)
        for row in await connection.execute(statement)
    )


def _days(at: datetime) -> int:
    return (at.date() - _EPOCH).days


def _days_before(at: datetime) -> int:
    """Return how many days begin before an instant, since 1970."""
    return _days(at) + (at.time() != time.min)
