"""Mail of our own that the relay is to send to recipients.

It is owed in the spool by who writes it, and taken from there by the relay, which makes mail of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.schema import owed_mails


@dataclass(frozen=True, slots=True)
class OwedMail:
    """A mail of plain text to one recipient."""

    name: str
    """In order of time (ledger.ident); it becomes the send_id."""
    at: datetime
    recipient: str
    subject: str
    """One line."""
    text: str
    """Paragraphs, lines end LF."""


async def owe_mail(connection: AsyncConnection, mail: OwedMail) -> None:
    """Add a mail to what is owed; one whose name is known is owed already."""
    row = {name: getattr(mail, name) for name in OwedMail.__slots__}
    await connection.execute(insert(owed_mails).values(**row).on_conflict_do_nothing())


async def read_owed_mails(connection: AsyncConnection, limit: int) -> tuple[OwedMail, ...]:
    """Return mail that is owed, the oldest first."""
    rows = await connection.execute(select(owed_mails).order_by(owed_mails.c.name).limit(limit))
    return tuple(OwedMail(row.name, row.at, row.recipient, row.subject, row.text) for row in rows)


async def delete_owed_mails(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Remove mail that lies in the queue by now."""
    await connection.execute(delete(owed_mails).where(owed_mails.c.name.in_(list(names))))
