"""How much happened: counts for charts, and the latest mails.

Everybody's events are counted from an index alone, one person's are looked up by one; the queue,
which is short, is looked through.  A test holds each question to its index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import Agent, EventType
from ledger.fact import unpack_verdict
from ledger.owner import Owner
from ledger.schema import events, sends, spooled_copies

QUARTER = timedelta(minutes=15)
"""The finest step in which zones of the world differ."""

_QUARTER_US = QUARTER // timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACTS = (EventType.OPENED, EventType.CLICKED)
_DELIVERIES = (EventType.RELAYED, EventType.DEFERRED, EventType.FAILED)


@dataclass(frozen=True, slots=True)
class ActCount:
    """Opens or clicks of a quarter of an hour, by one kind of agent."""

    at: datetime
    """When it begins."""
    type: EventType
    agent: Agent | None
    count: int


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """What one upstream said, and how often."""

    upstream: str | None
    type: EventType
    count: int


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """Copies in the queue."""

    held: bool
    tried: bool
    count: int


async def count_acts(
    connection: AsyncConnection, since: datetime, until: datetime, owner: Owner | None = None
) -> tuple[ActCount, ...]:
    """Return the counts of opens and clicks; each event once, as it stands now."""
    at = type_coerce(events.c.at, BigInteger)
    # Instants are kept as microseconds since 1970: division is alike on every engine.
    quarter = (at // _QUARTER_US).label("quarter")
    by = (quarter, events.c.type, events.c.classification)
    rows = await _count(connection, by, _ACTS, (since, until), owner)
    return tuple(
        ActCount(
            _EPOCH + row.quarter * QUARTER,
            EventType(row.type),
            None if row.classification is None else Agent(row.classification),
            row.found,
        )
        for row in rows
    )


async def count_deliveries(
    connection: AsyncConnection, since: datetime, until: datetime, owner: Owner | None = None
) -> tuple[DeliveryCount, ...]:
    """Return the counts of what upstreams said; a mail may be deferred more than once."""
    by = (events.c.upstream, events.c.type)
    rows = await _count(connection, by, _DELIVERIES, (since, until), owner)
    return tuple(DeliveryCount(row.upstream, EventType(row.type), row.found) for row in rows)


async def count_waiting(connection: AsyncConnection) -> tuple[WaitingCount, ...]:
    """Return how many copies the spool holds that are not settled."""
    tried = (spooled_copies.c.attempts > 0).label("tried")
    by = (spooled_copies.c.held, tried)
    rows = await connection.execute(select(*by, func.count()).group_by(*by))
    return tuple(WaitingCount(bool(row[0]), bool(row[1]), row[2]) for row in rows)


async def recent_verdicts(
    connection: AsyncConnection, limit: int, owner: Owner | None = None
) -> tuple[tuple[dict[str, Any], ...], ...]:
    """Return what was decided of the latest sends: the objects of `explain --json` of each."""
    latest = select(sends.c.verdict)
    if owner is not None:
        latest = latest.where(sends.c.send_id.in_(await latest_sends(connection, owner, limit)))
    page = await connection.execute(latest.order_by(sends.c.send_id.desc()).limit(limit))
    return tuple(tuple(dict(one) for one in unpack_verdict(row.verdict)) for row in page)


async def latest_sends(
    connection: AsyncConnection, owner: Owner, limit: int, before: str | None = None
) -> Sequence[str]:
    """Return the names of the latest sends of a person, the latest first."""
    submitted = select(sends.c.send_id).where(sends.c.account == owner.account)
    # Written out: with a parameter SQLite would not take an index that holds acceptance alone.
    accepted = literal(EventType.ACCEPTED.value, literal_execute=True)
    sent = select(events.c.send_id).where(events.c.sender_key == owner.key)
    sent = sent.where(events.c.type == accepted)
    if before is not None:
        submitted = submitted.where(sends.c.send_id < before)
        sent = sent.where(events.c.send_id < before)
    found = set[str]()
    for one, name in ((submitted, sends.c.send_id), (sent.distinct(), events.c.send_id)):
        found.update(await connection.scalars(one.order_by(name.desc()).limit(limit)))
    return sorted(found, reverse=True)[:limit]


async def _count(
    connection: AsyncConnection,
    by: Sequence[ColumnElement[Any]],
    types: Sequence[EventType],
    between: tuple[datetime, datetime],
    owner: Owner | None,
) -> list[Any]:
    since, until = between
    names = [one.value for one in types]
    counted: Select[Any] = select(*by, func.count().label("found")).group_by(*by)
    of_time = (events.c.at >= since, events.c.at < until)
    if owner is None:
        everybody = counted.where(events.c.type.in_(names), *of_time)
        return list(await connection.execute(everybody))
    # What stands in a function is no way: else everybody's events of these types were gone through.
    counted = counted.where(func.coalesce(events.c.type, "").in_(names))
    others = or_(sends.c.sender.is_(None), sends.c.sender != owner.account)
    submitted = select(sends.c.send_id).where(sends.c.account == owner.account, others)
    at = func.coalesce(events.c.at, 0, type_=events.c.at.type)
    sent = counted.where(events.c.sender_key == owner.key, *of_time)
    apart = counted.where(
        events.c.send_id.in_(submitted),
        func.coalesce(events.c.sender_key, "") != owner.key,
        at >= since,
        at < until,
    )
    return [row for one in (sent, apart) for row in await connection.execute(one)]
