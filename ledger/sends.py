"""The record of sends: what was accepted, and what became of each recipient.

Law: recording the same facts again changes nothing, and their order is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import parse_address
from ledger.event import EventType
from ledger.events import EventRow, event_row, insert_rows
from ledger.fact import CopyFact, Fact, RecipientTold, SendAccepted, pack_verdict
from ledger.mode import TrackingMode
from ledger.rows import ByKeys, RowInsert, Values
from ledger.schema import copies, copy_recipients, forgotten_copies, links, sends

_KEYS = 1024
"""Addresses whose keys are remembered: each is asked for three times with a mail."""

_COPIES_AT_ONCE = 10_000
"""In one statement: SQLite takes 32,766 values."""


async def record_facts(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    """Record facts with their events, in their order, within the caller's transaction."""
    await connection.run_sync(write_facts, facts)


def write_facts(connection: Connection, facts: Sequence[Fact]) -> None:
    """Record facts, as record_facts does, within a thread of their store."""
    facts = _without_forgotten(connection, facts)
    accepted = [fact for fact in facts if isinstance(fact, SendAccepted)]
    told = [fact for fact in facts if isinstance(fact, RecipientTold)]
    _insert_sends(connection, accepted)
    known = _heads(connection, {fact.send_id for fact in told})
    insert_rows(connection, _events(facts, known))
    _note_relayed(connection, told)


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


def _without_forgotten(connection: Connection, facts: Sequence[Fact]) -> Sequence[Fact]:
    """Return the facts without what they say of people who were forgotten since."""
    told = {copy_id for fact in facts for copy_id in _copies_told(fact)}
    buried = _buried(connection, sorted(told))
    if not buried:
        return facts
    table = copy_recipients.c
    rows = connection.execute(
        select(table.copy_id, table.recipient_key).where(table.copy_id.in_(sorted(buried)))
    )
    left = {(row.copy_id, row.recipient_key) for row in rows}

    def may_stay(copy_id: int, recipient: str) -> bool:
        return copy_id not in buried or (copy_id, parse_address(recipient).key) in left

    kept: list[Fact] = []
    for fact in facts:
        if isinstance(fact, RecipientTold):
            kept += [fact] if may_stay(fact.copy_id, fact.recipient) else []
            continue
        people = [
            replace(
                copy,
                recipients=tuple(
                    one for one in copy.recipients if may_stay(copy.copy_id, one.recipient)
                ),
            )
            for copy in fact.copies
        ]
        some = tuple(copy for copy in people if copy.recipients)
        kept += [replace(fact, copies=some)] if some else []
    return kept


def _copies_told(fact: Fact) -> Iterable[int]:
    if isinstance(fact, SendAccepted):
        return (copy.copy_id for copy in fact.copies)
    return (fact.copy_id,)


_FORGOTTEN = ByKeys(
    lambda copy_ids: select(forgotten_copies.c.copy_id).where(
        forgotten_copies.c.copy_id.in_(copy_ids)
    )
)


def _buried(connection: Connection, copy_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(copy_ids), _COPIES_AT_ONCE):
        some = copy_ids[start : start + _COPIES_AT_ONCE]
        found.update(copy_id for (copy_id,) in _FORGOTTEN.run(connection, some))
    return found


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


_SENDS = RowInsert(
    sends,
    (
        "send_id",
        "accepted_at",
        "message_id",
        "sender",
        "account",
        "client",
        "subject",
        "size_bytes",
        "base_url",
        "verdict",
        "tags",
        "metadata",
    ),
    once=True,
)
_COPIES = RowInsert(copies, ("copy_id", "send_id", "mode"), once=True)
_RECIPIENTS = RowInsert(
    copy_recipients,
    ("copy_id", "number", "recipient", "recipient_key", "recipient_type"),
    once=True,
)
_LINKS = RowInsert(links, ("send_id", "slot", "part", "url", "text"), once=True)


def _insert_sends(connection: Connection, accepted: Sequence[SendAccepted]) -> None:
    every = [(fact, copy) for fact in accepted for copy in fact.copies]
    _SENDS.run(connection, map(_send_row, accepted))
    _COPIES.run(connection, ((copy.copy_id, fact.send_id, copy.mode.value) for fact, copy in every))
    _RECIPIENTS.run(connection, (row for _, copy in every for row in _recipient_rows(copy)))
    _LINKS.run(connection, ((fact.send_id, *link) for fact in accepted for link in fact.links))


def _send_row(fact: SendAccepted) -> Values:
    return (
        fact.send_id,
        fact.accepted_at,
        fact.message_id,
        fact.sender,
        fact.account,
        fact.client,
        fact.subject,
        fact.size_bytes,
        fact.base_url,
        pack_verdict(fact.verdict),
        fact.tags,
        dict(fact.metadata),
    )


def _recipient_rows(copy: CopyFact) -> Iterable[Values]:
    return (
        (
            copy.copy_id,
            number,
            one.recipient,
            _key(one.recipient),
            one.recipient_type,
        )
        for number, one in enumerate(copy.recipients)
    )


_MODES = ByKeys(
    lambda send_ids: select(*copies.c["send_id", "copy_id", "mode"]).where(
        copies.c.send_id.in_(send_ids)
    )
)
_HEADS = select(*sends.c["send_id", "message_id", "sender", "subject", "tags", "metadata"]).where(
    sends.c.send_id.in_(bindparam("sends", expanding=True))
)


def _heads(connection: Connection, send_ids: set[str]) -> dict[str, _Head]:
    if not send_ids:
        return {}
    modes: dict[str, dict[int, TrackingMode]] = {}
    for send_id, copy_id, mode in _MODES.run(connection, sorted(send_ids)):
        modes.setdefault(send_id, {})[copy_id] = TrackingMode(mode)
    rows = connection.execute(_HEADS, {"sends": sorted(send_ids)})
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


def _events(facts: Sequence[Fact], known: Mapping[str, _Head]) -> Iterable[EventRow]:
    for fact in facts:
        if isinstance(fact, SendAccepted):
            yield from _accepted_events(fact)
        else:
            yield _told_event(fact, known.get(fact.send_id, _UNKNOWN))


def _accepted_events(fact: SendAccepted) -> Iterable[EventRow]:
    sender_key = _key(fact.sender)
    for copy in fact.copies:
        for one in copy.recipients:
            yield event_row(
                event_id=one.event_id,
                type=EventType.ACCEPTED.value,
                at=fact.accepted_at,
                send_id=fact.send_id,
                copy_id=copy.copy_id,
                message_id=fact.message_id,
                sender=fact.sender,
                sender_key=sender_key,
                subject=fact.subject,
                recipient=one.recipient,
                recipient_key=_key(one.recipient),
                recipient_type=one.recipient_type,
                tracking_mode=copy.mode.value,
                tags=fact.tags,
                metadata=fact.metadata,
            )


def _told_event(fact: RecipientTold, head: _Head) -> EventRow:
    return event_row(
        event_id=fact.event_id,
        type=fact.type.value,
        at=fact.at,
        send_id=fact.send_id,
        copy_id=fact.copy_id,
        message_id=head.message_id,
        sender=head.sender,
        sender_key=_key(head.sender),
        subject=head.subject,
        recipient=fact.recipient,
        recipient_key=_key(fact.recipient),
        recipient_type=fact.recipient_type,
        tracking_mode=head.modes.get(fact.copy_id),
        reply=fact.reply,
        upstream=fact.upstream,
        reasons=fact.reasons,
        tags=head.tags,
        metadata=head.metadata,
    )


@lru_cache(_KEYS)
def _key(address: str | None) -> str | None:
    return None if address is None else parse_address(address).key


_NOTE_RELAYED = (
    update(copies)
    .where(copies.c.copy_id == bindparam("of_copy"), copies.c.relayed_at.is_(None))
    .values(relayed_at=bindparam("first_at"))
)


def _note_relayed(connection: Connection, told: Sequence[RecipientTold]) -> None:
    first: dict[int, datetime] = {}
    for fact in told:
        if fact.type is EventType.RELAYED:
            first.setdefault(fact.copy_id, fact.at)
    if first:
        rows = [{"of_copy": copy_id, "first_at": at} for copy_id, at in first.items()]
        connection.execute(_NOTE_RELAYED, rows)
