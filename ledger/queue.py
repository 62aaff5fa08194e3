"""The queue as people see it: copies that are not settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.schema import spooled_copies, spooled_recipients, spooled_sends


@dataclass(frozen=True, slots=True)
class QueuedCopy:
    """A copy that waits or is being delivered, as the queue's pages show it."""

    copy_id: int
    send_id: str
    received_at: datetime
    sender: str | None
    subject: str | None
    mode: str
    attempts: int
    due_at: datetime
    held: bool
    leased: bool
    recipients: tuple[tuple[str, str, str, str | None], ...]
    """(recipient_type, address, state, last reply)."""


async def list_queue(connection: AsyncConnection, limit: int) -> tuple[QueuedCopy, ...]:
    """Return copies that are not settled, those due first first, with all their recipients."""
    copies, sends = spooled_copies.c, spooled_sends.c
    rows = (
        await connection.execute(
            select(
                copies.copy_id,
                copies.send_id,
                sends.received_at,
                sends.sender,
                sends.subject,
                copies.mode,
                copies.attempts,
                copies.due_at,
                copies.held,
                copies.lease.is_not(None).label("leased"),
            )
            .join(spooled_sends)
            .order_by(copies.due_at, copies.copy_id)
            .limit(limit)
        )
    ).mappings()
    queued = list(rows)
    told = await _told_recipients(connection, [row["copy_id"] for row in queued])
    return tuple(QueuedCopy(**row, recipients=told[row["copy_id"]]) for row in queued)


async def _told_recipients(
    connection: AsyncConnection, copy_ids: Sequence[int]
) -> dict[int, tuple[tuple[str, str, str, str | None], ...]]:
    table = spooled_recipients.c
    rows = await connection.execute(
        select(table.copy_id, table.recipient_type, table.recipient, table.state, table.reply)
        .where(table.copy_id.in_(copy_ids))
        .order_by(table.copy_id, table.number)
    )
    return {
        copy_id: tuple((kind, recipient, state, reply) for _, kind, recipient, state, reply in some)
        for copy_id, some in groupby(rows, lambda row: row[0])
    }
