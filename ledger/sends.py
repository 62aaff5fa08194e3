"""The record of sends: what was accepted, and what became of each recipient.

Law: recording the same facts again changes nothing, and their order is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import parse_address
from ledger.event import Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.fact import CopyFact, Fact, RecipientTold, SendAccepted, pack_verdict
from ledger.mode import TrackingMode
from ledger.schema import copies, copy_recipients, links, sends


async def record_facts(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    """Record facts with their events, in their order, within the caller's transaction."""
    accepted = [fact for fact in facts if isinstance(fact, SendAccepted)]
    told = [fact for fact in facts if isinstance(fact, RecipientTold)]
    await _insert_sends(connection, accepted)
    known = await _heads(connection, {fact.send_id for fact in told})
    await insert_events(connection, _events(facts, known))
    await _note_relayed(connection, told)


async def find_sends(connection: AsyncConnection, name: str) -> tuple[str, ...]:
    """Return the sends of a `send_id` or Message-ID (brackets or none), the oldest first.

    Several may have one Message-ID: a mail program that sends again keeps it.
    """
    rows = await connection.scalars(
        select(sends.c.send_id)
        .where(or_(sends.c.send_id == name, sends.c.message_id == name.strip().strip("<>")))
        .order_by(sends.c.send_id)
    )
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class _Head:
    """What the events of a send have in common."""

    message_id: str | None
    sender: str | None
    subject: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    modes: Mapping[int, TrackingMode]
    """By copy."""


_UNKNOWN = _Head(None, None, None, (), {}, {})
"""The send is not on record (any more): what is told of it is kept as it is."""


async def _insert_sends(connection: AsyncConnection, accepted: Sequence[SendAccepted]) -> None:
    every = [(fact, copy) for fact in accepted for copy in fact.copies]
    await _insert(connection, sends, map(_send_row, accepted))
    await _insert(
        connection,
        copies,
        (
            {"copy_id": copy.copy_id, "send_id": fact.send_id, "mode": copy.mode.value}
            for fact, copy in every
        ),
    )
    await _insert(
        connection, copy_recipients, (row for _, copy in every for row in _recipient_rows(copy))
    )
    await _insert(
        connection,
        links,
        (
            {"send_id": fact.send_id, "slot": one.slot, "part": one.part, "url": one.url}
            | {"text": one.text}
            for fact in accepted
            for one in fact.links
        ),
    )


async def _insert(
    connection: AsyncConnection, table: Table, rows: Iterable[Mapping[str, Any]]
) -> None:
    if values := list(rows):
        await connection.execute(insert(table).on_conflict_do_nothing(), values)


def _send_row(fact: SendAccepted) -> dict[str, Any]:
    return {
        "send_id": fact.send_id,
        "accepted_at": fact.accepted_at,
        "message_id": fact.message_id,
        "sender": fact.sender,
        "account": fact.account,
        "client": fact.client,
        "subject": fact.subject,
        "size_bytes": fact.size_bytes,
        "base_url": fact.base_url,
        "verdict": pack_verdict(fact.verdict),
        "tags": list(fact.tags),
        "metadata": dict(fact.metadata),
    }


def _recipient_rows(copy: CopyFact) -> list[dict[str, Any]]:
    return [
        {
            "copy_id": copy.copy_id,
            "number": number,
            "recipient": one.recipient,
            "recipient_key": parse_address(one.recipient).key,
            "recipient_type": one.recipient_type,
        }
        for number, one in enumerate(copy.recipients)
    ]


async def _heads(connection: AsyncConnection, send_ids: set[str]) -> dict[str, _Head]:
    if not send_ids:
        return {}
    modes: dict[str, dict[int, TrackingMode]] = {}
    found = await connection.execute(
        select(copies.c.send_id, copies.c.copy_id, copies.c.mode).where(
            copies.c.send_id.in_(send_ids)
        )
    )
    for row in found:
        modes.setdefault(row.send_id, {})[row.copy_id] = TrackingMode(row.mode)
    table = sends.c
    rows = await connection.execute(
        select(
            table.send_id,
            table.message_id,
            table.sender,
            table.subject,
            table.tags,
            table.metadata,
        ).where(table.send_id.in_(send_ids))
    )
    return {
        row.send_id: _Head(
            row.message_id,
            row.sender,
            row.subject,
            tuple(row.tags),
            row.metadata,
            modes.get(row.send_id, {}),
        )
        for row in rows
    }


def _events(facts: Sequence[Fact], known: Mapping[str, _Head]) -> Iterable[RecordedEvent]:
    for fact in facts:
        if isinstance(fact, SendAccepted):
            yield from _accepted_events(fact)
        else:
            yield _told_event(fact, known.get(fact.send_id, _UNKNOWN))


def _accepted_events(fact: SendAccepted) -> Iterable[RecordedEvent]:
    for copy in fact.copies:
        for one in copy.recipients:
            event = Event(
                event_id=one.event_id,
                type=EventType.ACCEPTED,
                timestamp=fact.accepted_at,
                send_id=fact.send_id,
                message_id=fact.message_id,
                sender=fact.sender,
                subject=fact.subject,
                recipient=one.recipient,
                recipient_type=one.recipient_type,
                tracking_mode=copy.mode,
                tags=fact.tags,
                metadata=fact.metadata,
            )
            yield RecordedEvent(event, copy_id=copy.copy_id)


def _told_event(fact: RecipientTold, head: _Head) -> RecordedEvent:
    event = Event(
        event_id=fact.event_id,
        type=fact.type,
        timestamp=fact.at,
        send_id=fact.send_id,
        message_id=head.message_id,
        sender=head.sender,
        subject=head.subject,
        recipient=fact.recipient,
        recipient_type=fact.recipient_type,
        tracking_mode=head.modes.get(fact.copy_id),
        reply=fact.reply,
        upstream=fact.upstream,
        reasons=fact.reasons,
        tags=head.tags,
        metadata=head.metadata,
    )
    return RecordedEvent(event, copy_id=fact.copy_id)


async def _note_relayed(connection: AsyncConnection, told: Sequence[RecipientTold]) -> None:
    first: dict[int, datetime] = {}
    for fact in told:
        if fact.type is EventType.RELAYED:
            first.setdefault(fact.copy_id, fact.at)
    if first:
        await connection.execute(
            update(copies)
            .where(copies.c.copy_id == bindparam("of_copy"), copies.c.relayed_at.is_(None))
            .values(relayed_at=bindparam("first_at")),
            [{"of_copy": copy_id, "first_at": at} for copy_id, at in first.items()],
        )
