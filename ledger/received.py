"""What one recipient has been sent, and what he did with it, as far as it is told of him.

Law: only what is attributed to him alone counts; of shared and anonymous events nothing does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import Agent, Attribution, EventType
from ledger.mode import TrackingMode
from ledger.owner import Owner, of_owner_events, of_owner_sends
from ledger.schema import copies, copy_recipients, events, sends


@dataclass(frozen=True, slots=True)
class Acts:
    """How often he did something, and when last."""

    times: int = 0
    """Repeats of a view count."""
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What is on record of one recipient."""

    sends: int
    opened: Acts
    """By a person, as far as can be told: no machines, not your own network."""
    clicked: Acts
    not_counted: int
    """Opens and clicks of his copies by programs, your own network, or nobody knows whom."""


@dataclass(frozen=True, slots=True)
class ReceivedSend:
    """One mail to him, and what became of it."""

    send_id: str
    accepted_at: datetime
    sender: str | None
    subject: str | None
    mode: TrackingMode
    state: EventType = EventType.ACCEPTED
    """The last word of the upstream."""
    opened: Acts = Acts()
    clicked: Acts = Acts()


_ATTENTIVE = frozenset(agent.value for agent in Agent if agent.attentive)
_STATES = frozenset({EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})


async def summarise_received(
    connection: AsyncConnection, recipient_key: str, owner: Owner | None = None
) -> Received:
    """Return the whole of it; with an owner, of his own mail alone."""
    count = await connection.scalar(_sends_to(recipient_key, owner))
    acts = await _acts(connection, _his_acts(recipient_key, owner))
    return Received(
        count or 0,
        _counted(acts, EventType.OPENED),
        _counted(acts, EventType.CLICKED),
        sum(times for _, agent, times, _ in acts if agent not in _ATTENTIVE),
    )


async def list_received(
    connection: AsyncConnection,
    recipient_key: str,
    limit: int,
    before: str | None = None,
    owner: Owner | None = None,
) -> tuple[ReceivedSend, ...]:
    """Return the sends to him, the latest first; `before` is the last `send_id` of a page."""
    # A recipient is in one copy of a send.
    mode = func.min(copies.c.mode).label("mode")
    page = select(copies.c.send_id, mode).select_from(copy_recipients.join(copies))
    page = page.where(copy_recipients.c.recipient_key == recipient_key)
    if owner is not None:
        page = page.join(sends).where(of_owner_sends(owner))
    if before is not None:
        page = page.where(copies.c.send_id < before)
    page = page.group_by(copies.c.send_id).order_by(copies.c.send_id.desc()).limit(limit)
    modes = {row.send_id: TrackingMode(row.mode) for row in await connection.execute(page)}
    heads = select(sends.c.send_id, sends.c.accepted_at, sends.c.sender, sends.c.subject)
    latest = heads.where(sends.c.send_id.in_(modes)).order_by(sends.c.send_id.desc())
    found = [ReceivedSend(*row, modes[row.send_id]) for row in await connection.execute(latest)]
    return tuple([await _with_events(connection, one, recipient_key) for one in found])


_Row = tuple[str, str | None, int, datetime]
"""Type, classification, how often, when last."""


def _sends_to(recipient_key: str, owner: Owner | None) -> Select[Any]:
    his = copy_recipients.c.recipient_key == recipient_key
    if owner is None:
        # ix_copy_recipients_key alone: a recipient is in one copy of a send.
        return select(func.count()).select_from(copy_recipients).where(his)
    joined = copy_recipients.join(copies).join(sends)
    return select(func.count()).select_from(joined).where(his, of_owner_sends(owner))


def _his_acts(recipient_key: str, owner: Owner | None = None) -> ColumnElement[bool]:
    # ix_events_recipient: an event that is not told of him alone has another recipient_key or none.
    his = and_(
        events.c.recipient_key == recipient_key,
        events.c.type.in_([EventType.OPENED.value, EventType.CLICKED.value]),
        events.c.attribution == Attribution.RECIPIENT.value,
    )
    return his if owner is None else and_(his, of_owner_events(owner))


async def _acts(connection: AsyncConnection, which: ColumnElement[bool]) -> Sequence[_Row]:
    table = events.c
    statement: Select[Any] = (
        select(
            table.type,
            table.classification,
            func.sum(table.repeats + 1),
            func.max(table.at, type_=table.at.type),
        )
        .where(which)
        .group_by(table.type, table.classification)
    )
    return [(row[0], row[1], int(row[2]), row[3]) for row in await connection.execute(statement)]


def _counted(acts: Sequence[_Row], kind: EventType) -> Acts:
    some = [act for act in acts if act[0] == kind and act[1] in _ATTENTIVE]
    return Acts(sum(act[2] for act in some), max((act[3] for act in some), default=None))


async def _with_events(
    connection: AsyncConnection, one: ReceivedSend, recipient_key: str
) -> ReceivedSend:
    of_send = events.c.send_id == one.send_id  # ix_events_send: a page has few sends
    acts = await _acts(connection, and_(_his_acts(recipient_key), of_send))
    told = select(events.c.type).where(
        of_send,
        events.c.recipient_key == recipient_key,
        events.c.type.in_([state.value for state in sorted(_STATES)]),
    )
    state = await connection.scalar(told.order_by(events.c.number.desc()).limit(1))
    return replace(
        one,
        state=EventType(state or EventType.ACCEPTED),
        opened=_counted(acts, EventType.OPENED),
        clicked=_counted(acts, EventType.CLICKED),
    )
