"""What the spool holds of one address, and its erasure there.

Each function on a connection is one step inside the caller's transaction.
Law: what a relay is trying is not taken from under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.address import Address, address_key
from ledger.engine import Store
from ledger.lapsed import delete_copies
from ledger.outbox import delete_owed, read_owed
from ledger.queue import QueuedCopy, QueueFilter, find_queued
from ledger.redact import Redaction
from ledger.schema import (
    captured_copies,
    known_consents,
    owed_facts,
    owed_mails,
    refused_facts,
    spooled_copies,
    spooled_recipients,
)
from ledger.sends import record_facts
from ledger.spooled import PENDING

_FACTS_AT_ONCE = 200
_UNREADABLE = (SQLAlchemyError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class InQueue:
    """Mail in the queue that an address takes part in."""

    to_him: tuple[QueuedCopy, ...]
    """He is to get it still, or it failed for him and is kept."""
    got: tuple[QueuedCopy, ...]
    """He has got it; others are to get the same copy still."""
    from_him: tuple[QueuedCopy, ...]

    @property
    def waiting(self) -> tuple[QueuedCopy, ...]:
        """What would have to be dropped, so that nothing of him is left."""
        named = {copy.copy_id for copy in self.from_him}
        return (*self.from_him, *(copy for copy in self.to_him if copy.copy_id not in named))


async def find_in_queue(spool: Store, key: str, now: datetime) -> InQueue:
    """Return the mail in the queue from and to an address."""
    to_him, got, from_him = [], [], []
    async for copy in find_queued(spool, QueueFilter(), now):
        if copy.sender is not None and address_key(copy.sender) == key:
            from_him.append(copy)
        his = [one for one in copy.recipients if address_key(one.recipient) == key]
        if any(one.state != "delivered" for one in his):
            to_him.append(copy)
        elif his:
            got.append(copy)
    return InQueue(tuple(to_him), tuple(got), tuple(from_him))


async def drain_facts(spool: Store, ledger: Store) -> bool:
    """Bring what is owed to the ledger over; False where the ledger does not take all of it."""
    while True:
        async with spool.read() as connection:
            batch = await read_owed(connection, _FACTS_AT_ONCE)
        if not batch:
            return True
        try:
            async with ledger.write() as connection:
                await record_facts(connection, [one.fact for one in batch])
        except _UNREADABLE:
            return False
        async with spool.write() as connection:
            await delete_owed(connection, [one.number for one in batch])


def drop_for(connection: Connection, copy: QueuedCopy, key: str, now: datetime) -> bool:
    """Take an address out of a copy, which goes where nobody is left who is to get it.

    A copy that he sent goes whole.  False where a relay is trying it.
    """
    table = spooled_copies.c
    statement = select(table.leased_until).where(table.copy_id == copy.copy_id).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        return True
    if row.leased_until is not None and row.leased_until > now:
        return False
    whole = copy.sender is not None and address_key(copy.sender) == key
    if not whole:
        _take_out(connection, copy, key)
    people = spooled_recipients.c
    left = select(people.number).where(people.copy_id == copy.copy_id, people.state == PENDING)
    if whole or connection.execute(left.limit(1)).first() is None:
        delete_copies(connection, {copy.copy_id: copy.send_id})
    return True


def clear_delivered(connection: Connection, copy: QueuedCopy, key: str) -> None:
    """Take an address that has got its mail out of a copy that others are to get still."""
    _take_out(connection, copy, key)


def clear_spool(connection: Connection, address: Address, send_ids: Sequence[str]) -> int:
    """Erase what else the spool holds of an address; return how many rows that were.

    `send_ids` are the sends he took part in: what was captured of them names him, whoever got it.
    """
    captured = captured_copies.c
    rows = connection.execute(select(captured.copy_id, captured.send_id, captured.recipients))
    of_his = set(send_ids)
    mail = [
        row.copy_id
        for row in rows
        if row.send_id in of_his
        or any(address_key(one) == address.key for _, one in row.recipients)
    ]
    owed = [
        row.name
        for row in connection.execute(select(owed_mails.c.name, owed_mails.c.recipient))
        if address_key(row.recipient) == address.key
    ]
    redaction = Redaction(address)
    refused = [
        row.number
        for row in connection.execute(select(refused_facts.c.number, refused_facts.c.fact))
        if redaction.names(str(row.fact))
    ]
    gone = 0
    for column, keys in (
        (captured.copy_id, mail),
        (owed_mails.c.name, owed),
        (refused_facts.c.number, refused),
        (known_consents.c.subject, [address.key]),
    ):
        gone += connection.execute(delete(column.table).where(column.in_(keys))).rowcount
    return gone


def still_owed(connection: Connection, address: Address) -> int:
    """Return how many facts that the ledger has not taken name an address."""
    redaction = Redaction(address)
    return sum(redaction.names(str(fact)) for fact in connection.scalars(select(owed_facts.c.fact)))


def _take_out(connection: Connection, copy: QueuedCopy, key: str) -> None:
    table = spooled_recipients.c
    rows = connection.execute(
        select(table.number, table.recipient).where(table.copy_id == copy.copy_id)
    )
    his = [row.number for row in rows if address_key(row.recipient) == key]
    connection.execute(
        delete(spooled_recipients).where(table.copy_id == copy.copy_id, table.number.in_(his))
    )
