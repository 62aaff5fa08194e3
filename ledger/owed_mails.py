"""Mail of our own that the relay is to send to recipients.

It is owed in the spool by who writes it, and taken from there by the relay, which makes mail of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.schema import known_letters, owed_mails


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


async def owe_mail_once(connection: AsyncConnection, mail: OwedMail) -> None:
    """Add a mail, unless it ever was: its name is known until `forget_names`, sent or not."""
    known = await connection.execute(
        insert(known_letters).values(name=mail.name).on_conflict_do_nothing()
    )
    if known.rowcount:
        await owe_mail(connection, mail)


async def forget_names(connection: AsyncConnection, but: Sequence[str]) -> None:
    """Forget the names of all mail, but some."""
    await connection.execute(delete(known_letters).where(known_letters.c.name.not_in(list(but))))


async def forget_name(connection: AsyncConnection, name: str) -> None:
    """Forget the name of a mail: who owes it knows by now that it did."""
    await connection.execute(delete(known_letters).where(known_letters.c.name == name))


async def read_owed_mails(connection: AsyncConnection, limit: int) -> tuple[OwedMail, ...]:
    """Return mail that is owed, the oldest first."""
    rows = await connection.execute(select(owed_mails).order_by(owed_mails.c.name).limit(limit))
    return tuple(OwedMail(row.name, row.at, row.recipient, row.subject, row.text) for row in rows)


async def delete_owed_mails(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Remove mail that lies in the queue by now."""
    await connection.execute(delete(owed_mails).where(owed_mails.c.name.in_(list(names))))
