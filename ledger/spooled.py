"""The spool's rows: what was promised with 250 and is not settled.

Each function is one step inside the caller's transaction; those of the relay's batches run in its
thread (Store.transact).  A copy goes when no recipient of it is
pending, a send (and with it the content) when no copy of it is left; recipients go with their copy
by the foreign key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import address_key
from ledger.rows import ByKeys, RowInsert
from ledger.schema import (
    captured_copies,
    spooled_copies,
    spooled_recipients,
    spooled_sends,
)

PENDING = "pending"


@dataclass(frozen=True, slots=True)
class SpooledSend:
    """A send as its row has it."""

    send_id: str
    received_at: datetime
    sender: str | None
    account: str | None
    smtputf8: bool
    body_8bit: bool
    message_id: str | None
    subject: str | None
    template: bytes
    credential: bytes | None = None
    """Sealed; the relay alone can read it."""


@dataclass(frozen=True, slots=True)
class SpooledCopy:
    """A new copy as its row has it."""

    copy_id: int
    send_id: str
    mode: str
    layout: int | None
    key_id: int
    due_at: datetime
    lane: str = ""
    lease: str | None = None
    lessee: str | None = None
    leased_until: datetime | None = None
    """Where it is claimed as it is stored, `due_at` is the end of the lease."""


@dataclass(frozen=True, slots=True)
class SpooledRecipient:
    """A recipient of a copy who has no final answer yet."""

    copy_id: int
    number: int
    recipient: str
    recipient_type: str


@dataclass(frozen=True, slots=True)
class DueCopy:
    """A copy that was claimed, with what is known of its send."""

    copy_id: int
    send_id: str
    mode: str
    layout: int | None
    key_id: int
    attempts: int
    delay_noticed: bool
    tried_at: datetime | None
    waited_s: float
    fate: str | None
    received_at: datetime
    sender: str | None
    account: str | None
    smtputf8: bool
    body_8bit: bool
    message_id: str | None
    subject: str | None
    credential: bytes | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim of some copies."""

    lease: str
    lessee: str
    """The process that claims."""
    until: datetime


@dataclass(frozen=True, slots=True)
class LeasedCopy:
    """A copy that was claimed, and by whom last; lease None: it was settled since."""

    lease: str | None
    copy_id: int
    send_id: str
    mode: str
    sender: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class CapturedCopy:
    """A copy kept for the sandbox's mailbox instead of being forwarded."""

    copy_id: int
    send_id: str
    captured_at: datetime
    sender: str | None
    recipients: tuple[tuple[str, str], ...]
    """(recipient_type, address)."""
    mode: str
    subject: str | None
    raw: bytes
    """Unstuffed, as the recipient gets it; empty in a listing."""


def insert_sends(
    connection: Connection,
    sends: Sequence[SpooledSend],
    copies: Sequence[SpooledCopy],
    recipients: Sequence[SpooledRecipient],
) -> None:
    """Add sends with their copies and recipients.

    Raises IntegrityError where a copy_id is taken.
    """
    _INSERT_SENDS.run(connection, map(attrgetter(*SpooledSend.__slots__), sends))
    copy_row, never_tried = attrgetter(*SpooledCopy.__slots__), tuple(_NEVER_TRIED.values())
    _INSERT_COPIES.run(connection, (copy_row(one) + never_tried for one in copies))
    recipient_row = attrgetter(*SpooledRecipient.__slots__)
    _INSERT_RECIPIENTS.run(connection, ((*recipient_row(one), PENDING) for one in recipients))


_NEVER_TRIED = {"attempts": 0, "held": False, "delay_noticed": False, "waited_s": 0.0}
_INSERT_SENDS = RowInsert(spooled_sends, tuple(SpooledSend.__slots__))
_INSERT_COPIES = RowInsert(spooled_copies, (*SpooledCopy.__slots__, *_NEVER_TRIED))
_INSERT_RECIPIENTS = RowInsert(spooled_recipients, (*SpooledRecipient.__slots__, "state"))


_DUE = (
    select(
        *spooled_copies.c[
            "copy_id", "send_id", "mode", "layout", "key_id", "attempts", "delay_noticed"
        ],
        *spooled_copies.c["tried_at", "waited_s", "fate"],
        *spooled_sends.c[
            "received_at", "sender", "account", "smtputf8", "body_8bit", "message_id", "subject"
        ],
        spooled_sends.c.credential,
    )
    .join(spooled_sends)
    .where(spooled_copies.c.held.is_(False), spooled_copies.c.due_at <= bindparam("now"))
    .order_by(spooled_copies.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=spooled_copies)
)


_DUE_IN_LANE = _DUE.where(spooled_copies.c.lane == bindparam("in_lane"))
_COPIES = spooled_copies.c.copy_id.in_(bindparam("copies", expanding=True))
_LEASE = (
    update(spooled_copies)
    .where(_COPIES)
    .values(
        lease=bindparam("by"),
        lessee=bindparam("of"),
        leased_until=bindparam("until"),
        due_at=bindparam("until"),
    )
)


def claim_due(
    connection: Connection, limit: int, now: datetime, lease: Lease, lane: str | None = None
) -> tuple[DueCopy, ...]:
    """Return the copies that are due, of a lane or of all, oldest first, now under `lease`.

    A leased copy is due again when its lease ends, so nobody need look for lost ones.
    """
    if lane is None:
        rows = connection.execute(_DUE, {"now": now, "most": limit})
    else:
        rows = connection.execute(_DUE_IN_LANE, {"now": now, "most": limit, "in_lane": lane})
    due = tuple(DueCopy(**row) for row in rows.mappings())
    if due:
        copy_ids = [copy.copy_id for copy in due]
        by = {"by": lease.lease, "of": lease.lessee, "until": lease.until}
        connection.execute(_LEASE, {"copies": copy_ids, **by})
    return due


def renew_leases(connection: Connection, leases: Mapping[int, str], until: datetime) -> None:
    """Move the end of leases (copy_id to lease) that are still held."""
    rows = [{"copy": copy, "held_lease": lease, "until": until} for copy, lease in leases.items()]
    if rows:
        connection.execute(_RENEW, rows)


_RENEW = (
    update(spooled_copies)
    .where(
        spooled_copies.c.copy_id == bindparam("copy"),
        spooled_copies.c.lease == bindparam("held_lease"),
    )
    .values(leased_until=bindparam("until"), due_at=bindparam("until"))
)
_PENDING = ByKeys(
    lambda copy_ids: (
        select(*spooled_recipients.c["copy_id", "number", "recipient", "recipient_type"])
        .where(spooled_recipients.c.copy_id.in_(copy_ids), spooled_recipients.c.state == PENDING)
        .order_by(spooled_recipients.c.copy_id, spooled_recipients.c.number)
    )
)


def pending_recipients(
    connection: Connection, copy_ids: Sequence[int]
) -> dict[int, tuple[SpooledRecipient, ...]]:
    """Return who is still pending of each copy, in the order of acceptance."""
    rows = _PENDING.run(connection, copy_ids) if copy_ids else ()
    pending = (SpooledRecipient(*row) for row in rows)
    return {copy_id: tuple(some) for copy_id, some in groupby(pending, attrgetter("copy_id"))}


async def read_templates(connection: AsyncConnection, send_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the packed templates of sends."""
    table = spooled_sends.c
    rows = await connection.execute(
        select(table.send_id, table.template).where(table.send_id.in_(send_ids))
    )
    return {row.send_id: row.template for row in rows}


_LEASED = ByKeys(
    lambda copy_ids: (
        select(
            *spooled_copies.c["lease", "copy_id", "send_id", "mode"],
            *spooled_sends.c["sender", "subject"],
        )
        .join(spooled_sends)
        .where(spooled_copies.c.copy_id.in_(copy_ids))
        .with_for_update(of=spooled_copies)
    )
)


def leased_copies(connection: Connection, copy_ids: Sequence[int]) -> dict[int, LeasedCopy]:
    """Return copies by their copy_id, locked for this transaction; those settled are missing."""
    rows = _LEASED.run(connection, copy_ids)
    return {copy.copy_id: copy for copy in (LeasedCopy(*row) for row in rows)}


def capture_copies(connection: Connection, captured: Sequence[CapturedCopy]) -> None:
    """Add copies to the captured mailbox."""
    if captured:
        connection.execute(insert(captured_copies), list(map(_row, captured)))


async def next_due_at(connection: AsyncConnection, lane: str | None = None) -> datetime | None:
    """Return when the next copy of a lane or of all is due or its lease ends; None: none waits."""
    statement = select(func.min(spooled_copies.c.due_at)).where(spooled_copies.c.held.is_(False))
    if lane is not None:
        statement = statement.where(spooled_copies.c.lane == lane)
    due_at: datetime | None = await connection.scalar(statement)
    return due_at


def adopt_lanes(connection: Connection, lanes: Sequence[str]) -> None:
    """Put the copies of lanes that are no more, or of none, into the first of these."""
    statement = update(spooled_copies).where(spooled_copies.c.lane.not_in(lanes))
    connection.execute(statement.values(lane=lanes[0]))


_CHANGE_LANE = (
    update(spooled_copies)
    .where(spooled_copies.c.copy_id == bindparam("of_copy"))
    .values(lane=bindparam("to_lane"))
)


def change_lanes(connection: Connection, lanes: Mapping[int, str]) -> None:
    """Put copies (by copy_id) into other lanes."""
    if lanes:
        rows = [{"of_copy": copy_id, "to_lane": lane} for copy_id, lane in lanes.items()]
        connection.execute(_CHANGE_LANE, rows)


async def list_captured(
    connection: AsyncConnection, limit: int, before: tuple[datetime, int] | None = None
) -> tuple[CapturedCopy, ...]:
    """Return captured copies, latest first, without their raw bytes.

    `before` is `captured_at` and `copy_id` of the last one of the page before: the copies of one
    mail have the same instant.
    """
    table = captured_copies.c
    columns = [column for column in table if column.key != "raw"]
    statement = select(*columns).order_by(table.captured_at.desc(), table.copy_id.desc())
    if before is not None:
        statement = statement.where(tuple_(table.captured_at, table.copy_id) < before)
    rows = (await connection.execute(statement.limit(limit))).mappings()
    return tuple(_captured({**row, "raw": b""}) for row in rows)


async def captured_for(connection: AsyncConnection, key: str) -> tuple[CapturedCopy, ...]:
    """Return the captured copies that went to an address, latest first, with their raw bytes."""
    table = captured_copies.c
    # There are as many as fit in a week of a sandbox, and their recipients are no column.
    rows = await connection.execute(select(table.copy_id, table.recipients))
    his = [
        row.copy_id
        for row in rows
        if any(address_key(recipient) == key for _, recipient in row.recipients)
    ]
    found = [await captured_copy(connection, copy_id) for copy_id in his]
    captured = [one for one in found if one is not None]
    return tuple(sorted(captured, key=lambda one: one.captured_at, reverse=True))


async def captured_copy(connection: AsyncConnection, copy_id: int) -> CapturedCopy | None:
    """Return one captured copy with its raw bytes, or None."""
    statement = select(captured_copies).where(captured_copies.c.copy_id == copy_id)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _captured(row)


def _row(value: CapturedCopy) -> dict[str, Any]:
    # dataclasses.asdict copies deeply, which costs more than all of SQLite's work.
    return {name: getattr(value, name) for name in value.__slots__}


def _captured(row: Mapping[Any, Any]) -> CapturedCopy:
    recipients = tuple((kind, recipient) for kind, recipient in row["recipients"])
    return CapturedCopy(**{**row, "recipients": recipients})
