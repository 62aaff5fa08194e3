"""What people want to be told by mail, as far as it is their choice."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.schema import notice_wishes


class MailWish(StrEnum):
    """How somebody is told by mail."""

    OFF = "off"
    EACH = "each"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class NoticeWish:
    """What one person wants; the default is what is configured for all."""

    mail: MailWish = MailWish.EACH
    first_only: bool = False
    min_confidence: float = 0.0
    quiet_from: int | None = None
    """Minute of his day from which he is not told; None: at all hours."""
    quiet_until: int | None = None
    zone: str = "UTC"
    """A name of the IANA time zone database."""


def read_wish(row: Row[Any]) -> NoticeWish:
    """Return the wish of a row with all columns of `notice_wishes`; of an empty one the default."""
    if row.mail is None:
        return NoticeWish()
    return NoticeWish(
        MailWish(row.mail),
        row.first_only,
        row.min_confidence,
        row.quiet_from,
        row.quiet_until,
        row.zone,
    )


async def wish_of(connection: AsyncConnection, person_key: str) -> NoticeWish:
    """Return what a person wants."""
    mine = select(notice_wishes).where(notice_wishes.c.person_key == person_key)
    row = (await connection.execute(mine)).one_or_none()
    return NoticeWish() if row is None else read_wish(row)


async def keep_wish(connection: AsyncConnection, person_key: str, wish: NoticeWish) -> None:
    """Keep what a person wants from now on."""
    await connection.execute(delete(notice_wishes).where(notice_wishes.c.person_key == person_key))
    values = {**asdict(wish), "mail": wish.mail.value}
    await connection.execute(notice_wishes.insert().values(person_key=person_key, **values))


def forget_wish(connection: Connection, person_key: str) -> None:
    """Erase what a person wanted."""
    connection.execute(delete(notice_wishes).where(notice_wishes.c.person_key == person_key))
