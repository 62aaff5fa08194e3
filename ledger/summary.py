"""Sends at a glance: page by page, each with what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.event import Agent, EventType, format_instant
from ledger.fact import unpack_verdict
from ledger.figures import latest_sends
from ledger.mode import TrackingMode
from ledger.owner import Owner, of_owner_sends
from ledger.schema import copies, copy_recipients, events, sends

NAMED_RECIPIENTS = 3
"""Who is named in a list; the others are counted."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many people, or copies where it is not told who, something happened to."""

    relayed: int = 0
    failed: int = 0
    opened: int = 0
    """By somebody who may have looked: no machines, not your own network."""
    clicked: int = 0


@dataclass(frozen=True, slots=True)
class SendSummary:
    """One line of a list of sends."""

    send_id: str
    accepted_at: datetime
    sender: str | None
    subject: str | None
    recipients: tuple[str, ...]
    """The first few."""
    recipient_count: int
    tracked_count: int
    """How many of them are in copies that are tracked at all."""
    tally: Tally


@dataclass(frozen=True, slots=True)
class SendRecord:
    """One send as it was accepted."""

    send_id: str
    accepted_at: datetime
    message_id: str | None
    sender: str | None
    account: str | None
    client: str | None
    subject: str | None
    size_bytes: int
    base_url: str
    verdict: tuple[Mapping[str, Any], ...]
    """The objects of `explain --json`, one a recipient."""
    tags: tuple[str, ...]
    metadata: Mapping[str, str]


async def read_send(
    connection: AsyncConnection, send_id: str, owner: Owner | None = None
) -> SendRecord | None:
    """Return a send as it was accepted, or None where there is none of this name.

    With an owner, none is there but his own.
    """
    statement = select(sends).where(sends.c.send_id == send_id)
    if owner is not None:
        statement = statement.where(of_owner_sends(owner))
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    return SendRecord(**{**values, "verdict": unpack_verdict(row.verdict), "tags": tuple(row.tags)})


async def list_summaries(
    connection: AsyncConnection, limit: int, before: str | None = None, owner: Owner | None = None
) -> tuple[SendSummary, ...]:
    """Return sends, the latest first; `before` is the last `send_id` of the page before.

    With an owner, none but his own.
    """
    # The primary key serves: names of sends sort as their moments do.
    page = select(sends.c.send_id, sends.c.accepted_at, sends.c.sender, sends.c.subject)
    if before is not None:
        page = page.where(sends.c.send_id < before)
    if owner is not None:
        page = page.where(sends.c.send_id.in_(await latest_sends(connection, owner, limit, before)))
    rows = (await connection.execute(page.order_by(sends.c.send_id.desc()).limit(limit))).all()
    send_ids = [row.send_id for row in rows]
    people = await _recipients(connection, send_ids)
    tallies = await tally_sends(connection, send_ids)
    return tuple(
        SendSummary(*row, *people.get(row.send_id, ((), 0, 0)), tallies[row.send_id])
        for row in rows
    )


async def tally_sends(connection: AsyncConnection, send_ids: Sequence[str]) -> dict[str, Tally]:
    """Return what happened to each of some sends, one entry each."""
    # A shared or anonymous event names nobody: its copy stands for who it was.
    whom = func.coalesce(events.c.recipient_key, events.c.copy_id)
    rows = await connection.execute(
        select(
            events.c.send_id,
            *(_count(whom, kind).label(name) for name, kind in _DELIVERIES.items()),
            *(_count(whom, kind, attentive=True).label(name) for name, kind in _ACTS.items()),
        )
        .where(events.c.send_id.in_(send_ids))
        .group_by(events.c.send_id)
    )
    told = {row.send_id: Tally(*row[1:]) for row in rows}
    return {send_id: told.get(send_id, Tally()) for send_id in send_ids}


_DELIVERIES = {"relayed": EventType.RELAYED, "failed": EventType.FAILED}
_ACTS = {"opened": EventType.OPENED, "clicked": EventType.CLICKED}
_ATTENTIVE = tuple(agent.value for agent in Agent if agent.attentive)


def _count(
    whom: ColumnElement[object], kind: EventType, *, attentive: bool = False
) -> ColumnElement[int]:
    matches = events.c.type == kind.value
    if attentive:
        matches &= events.c.classification.in_(_ATTENTIVE)
    return func.count(distinct(case((matches, whom))))


async def _recipients(
    connection: AsyncConnection, send_ids: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], int, int]]:
    of_send = copies.c.send_id
    # Their types happen to sort the wrong way round: To before Cc before Bcc.
    order = (copy_recipients.c.recipient_type.desc(), copy_recipients.c.recipient)
    place = func.row_number().over(partition_by=of_send, order_by=order)
    tracked = func.sum(case((copies.c.mode == TrackingMode.OFF.value, 0), else_=1))
    numbered = (
        select(
            copies.c.send_id,
            copy_recipients.c.recipient,
            place.label("place"),
            func.count().over(partition_by=of_send).label("all"),
            tracked.over(partition_by=of_send).label("tracked"),
        )
        .join(copy_recipients)
        .where(copies.c.send_id.in_(send_ids))
        .subquery()
    )
    rows = await connection.execute(
        select(numbered)
        .where(numbered.c.place <= NAMED_RECIPIENTS)
        .order_by(numbered.c.send_id, numbered.c.place)
    )
    found: dict[str, tuple[tuple[str, ...], int, int]] = {}
    for row in rows:
        named = found.get(row.send_id, ((), 0, 0))[0]
        found[row.send_id] = ((*named, row.recipient), row.all, row.tracked)
    return found


def send_object(send: SendRecord) -> dict[str, object]:
    """Return a send as a JSON object; its `recipients` are the objects of `explain --json`."""
    return {
        "send_id": send.send_id,
        "accepted_at": format_instant(send.accepted_at),
        "message_id": send.message_id,
        "sender": send.sender,
        "account": send.account,
        "client": send.client,
        "subject": send.subject,
        "size_bytes": send.size_bytes,
        "base_url": send.base_url,
        "tags": list(send.tags),
        "metadata": dict(send.metadata),
        "recipients": [dict(one) for one in send.verdict],
    }
