"""What a recipient is told of his copy on his own page.

Days, not times: who was sent the link on may read it too.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.consent import Consent
from ledger.consents import consents_of
from ledger.engine import Store
from ledger.event import Agent, Attribution, EventType
from ledger.schema import events
from ledger.withdrawals import CopyParty, find_party, page_withdrawals

_MOST = 500
"""Events of a copy that are looked at, the latest."""


@dataclass(frozen=True, slots=True)
class SeenDay:
    """What was recorded on a day."""

    day: date
    """In UTC."""
    type: EventType
    machine: bool
    """It is taken for the act of a program."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What is on record of a copy, as far as its recipient is told."""

    party: CopyParty
    consent: Consent = Consent.UNKNOWN
    """Of its only recipient, now."""
    withdrawal: int | None = None
    """The last change that this page can undo; None: there is none."""
    withdrawn_on: date | None = None
    seen: tuple[SeenDay, ...] = ()
    """The latest first, each once; none where it can not be told whose they are."""


async def disclose_copy(ledger: Store, digest_key: bytes, copy_id: int) -> Disclosure | None:
    """Return what the recipient of a copy is told; None where the copy is not on record.

    By `digest_key` a denial is found whose address is forgotten.
    """
    async with ledger.read() as connection:
        return await _disclose(connection, digest_key, copy_id)


async def _disclose(
    connection: AsyncConnection, digest_key: bytes, copy_id: int
) -> Disclosure | None:
    party = await find_party(connection, copy_id)
    if party is None or party.one is None:
        return None if party is None else Disclosure(party)
    own = await page_withdrawals(connection, party.one)
    consents = await consents_of(connection, [party.one], digest_key)
    return Disclosure(
        party,
        consent=consents.of(party.one),
        withdrawal=own[-1].number if own else None,
        withdrawn_on=own[-1].at.date() if own else None,
        seen=await _seen(connection, copy_id),
    )


async def _seen(connection: AsyncConnection, copy_id: int) -> tuple[SeenDay, ...]:
    kinds = (EventType.OPENED.value, EventType.CLICKED.value)
    statement = (
        select(events.c.at, events.c.type, events.c.classification)
        .where(
            events.c.copy_id == copy_id,
            events.c.type.in_(kinds),
            events.c.attribution == Attribution.RECIPIENT.value,
        )
        .order_by(events.c.at.desc())
        .limit(_MOST)
    )
    days = (
        SeenDay(row.at.date(), EventType(row.type), Agent(row.classification).machine)
        for row in await connection.execute(statement)
    )
    return tuple(dict.fromkeys(days))
