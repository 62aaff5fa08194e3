"""Events searched for, page by page, the latest first.

What is asked for is looked up one way, by the index that narrows most, and the rest is checked of
what is found; a test holds each question to its index.
Law: the pages together hold each event that the filter fits, once, in order of time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import Attribution, Event, EventType
from ledger.events import EventFilter, parts_of, read_event
from ledger.ident import new_ident
from ledger.mode import TrackingMode
from ledger.owner import Owner
from ledger.schema import copies, copy_recipients, events, sends

FEW_SENDS = 2_000
"""Where a subject stands in no more sends than this, their events are looked up one by one; where
in more, it is soon found among the latest events."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ACTS = (EventType.OPENED, EventType.CLICKED)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a page ends."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to what is asked for: no event is found on two."""

    conditions: tuple[ColumnElement[bool], ...]
    in_time: bool = True
    """Whether the index that serves it is in order of time."""


async def review_events(
    connection: AsyncConnection, wanted: EventFilter, *, before: Place | None = None, limit: int
) -> tuple[tuple[int, Event], ...]:
    """Return at most `limit` events, each with its number, the latest first.

    `before` is the place of the last one of the page before.
    """
    send_ids = await _few_sends(connection, wanted, before)
    found = union_all(
        *(
            select(_narrowed(wanted, before, way).limit(limit).subquery())
            for way in _ways(wanted, send_ids)
        )
    ).subquery()
    page = select(found.c.number).order_by(found.c.at.desc(), found.c.number.desc()).limit(limit)
    numbers = (await connection.scalars(page)).all()
    rows = await connection.execute(select(events).where(events.c.number.in_(numbers)))
    told = {row.number: read_event(row) for row in rows}
    return tuple((number, told[number]) for number in numbers)


async def place_of(connection: AsyncConnection, number: int) -> Place | None:
    """Return the place of the event of a number; None where there is none."""
    at = await connection.scalar(select(events.c.at).where(events.c.number == number))
    return None if at is None else Place(at, number)


async def _few_sends(
    connection: AsyncConnection, wanted: EventFilter, before: Place | None
) -> Sequence[str] | None:
    """Return the sends with a subject where they are few; None where that leads nowhere."""
    if wanted.subject is None or wanted.send_id or wanted.message_id or wanted.recipient:
        return None
    asked = select(sends.c.send_id).where(sends.c.subject.contains(wanted.subject, autoescape=True))
    ends = [*([wanted.until] if wanted.until else []), *([before.at] if before else [])]
    if ends:
        # A send is accepted before all that is told of it; its name begins with that moment.
        asked = asked.where(sends.c.send_id < new_ident(int(min(ends).timestamp() * 1000) + 1, 0))
    latest = asked.order_by(sends.c.send_id.desc()).limit(FEW_SENDS + 1)
    found = (await connection.scalars(latest)).all()
    return found if len(found) <= FEW_SENDS else None


def _ways(wanted: EventFilter, send_ids: Sequence[str] | None) -> Sequence[_Way]:
    if wanted.send_id is not None:
        return [_Way((events.c.send_id == wanted.send_id,), in_time=False)]
    if wanted.message_id is not None:
        named = wanted.message_id.strip().strip("<>")
        return [_Way((events.c.message_id == named,), in_time=False)]
    if wanted.recipient is not None:
        return _to(wanted.recipient.key)
    if send_ids is not None:
        return [_Way((events.c.send_id.in_(send_ids),), in_time=False)]
    return _by_whom(wanted)


def _by_whom(wanted: EventFilter) -> Sequence[_Way]:
    if wanted.sender is not None:
        return [_Way((events.c.sender_key == wanted.sender.key,))]
    if wanted.owner is not None:
        return _of(wanted.owner)
    return _by_content(wanted)


def _by_content(wanted: EventFilter) -> Sequence[_Way]:
    column = events.c
    if wanted.url is not None:
        return [_Way((column.url.is_not(None),))]
    if wanted.reply is not None:
        return [_Way((column.reply.is_not(None),))]
    if wanted.types:
        # Its index holds the classification too.
        return [_Way((column.type == one.value,)) for one in sorted(wanted.types)]
    if wanted.classifications:
        return [_Way((column.classification == one,)) for one in sorted(wanted.classifications)]
    return [_Way(())]


def _to(recipient_key: str) -> Sequence[_Way]:
    column = events.c
    got = (
        select(copy_recipients.c.copy_id)
        .join(copies)
        .where(
            copy_recipients.c.recipient_key == recipient_key,
            copies.c.mode == TrackingMode.SHARED.value,
        )
    )
    common = (
        column.copy_id.in_(got),
        column.type.in_([one.value for one in _ACTS]),
        column.attribution == Attribution.SHARED.value,
    )
    return [_Way((column.recipient_key == recipient_key,)), _Way(common, in_time=False)]


def _of(owner: Owner) -> Sequence[_Way]:
    column = events.c
    others = or_(sends.c.sender.is_(None), sends.c.sender != owner.account)
    submitted = select(sends.c.send_id).where(sends.c.account == owner.account, others)
    apart = and_(column.send_id.in_(submitted), _plain(column.sender_key) != owner.key)
    return [_Way((column.sender_key == owner.key,)), _Way((apart,), in_time=False)]


def _narrowed(wanted: EventFilter, before: Place | None, way: _Way) -> Select[Any]:
    at = events.c.at if way.in_time else func.coalesce(events.c.at, 0, type_=events.c.at.type)
    conditions = [*way.conditions, *_checks(wanted)]
    # With an end to the time, SQLite takes the index of a text rather than that of time alone.
    conditions.append(at >= (wanted.since or _BEGINNING))
    if wanted.until is not None:
        conditions.append(at < wanted.until)
    if before is not None:
        earlier = or_(at < before.at, events.c.number < before.number)
        conditions += [at <= before.at, earlier]
    statement = select(events.c.number, events.c.at).where(*conditions)
    return statement.order_by(at.desc(), events.c.number.desc())


def _checks(wanted: EventFilter) -> Iterable[ColumnElement[bool]]:
    """Give what is checked of each event that a way leads to."""
    column = events.c
    if wanted.types:
        yield _plain(column.type).in_(sorted(wanted.types))
    if not wanted.history and EventType.RECLASSIFIED not in wanted.types:
        yield _plain(column.type) != EventType.RECLASSIFIED.value
    if wanted.classifications:
        yield _plain(column.classification).in_(sorted(wanted.classifications))
    if wanted.sender is not None:
        yield _plain(column.sender_key) == wanted.sender.key
    if wanted.owner is not None:
        submitted = select(sends.c.send_id).where(sends.c.account == wanted.owner.account)
        mine = _plain(column.sender_key) == wanted.owner.key
        yield or_(mine, _plain(column.send_id).in_(submitted))
    if wanted.message_id is not None:
        yield _plain(column.message_id) == wanted.message_id.strip().strip("<>")
    yield from parts_of(wanted)


def _plain(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a column of which no engine makes an index its way."""
    return func.coalesce(column, "")
