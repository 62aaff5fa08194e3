"""Facts the spool owes the ledger, in the order they came true.

A fact is written in the transaction that made it true and deleted once the ledger has it; what is
handed over twice is recorded once, by its send_id or event_id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.fact import Fact, fact_object, read_fact
from ledger.schema import owed_facts


@dataclass(frozen=True, slots=True)
class OwedFact:
    """A fact and its place in the order."""

    number: int
    fact: Fact


def owe_facts(connection: Connection, facts: Sequence[Fact]) -> None:
    """Add facts to what is owed, in this order, within the caller's transaction."""
    if facts:
        rows = [{"fact": fact_object(fact)} for fact in facts]
        connection.execute(insert(owed_facts), rows)


async def read_owed(connection: AsyncConnection, limit: int) -> tuple[OwedFact, ...]:
    """Return the oldest facts that are owed, in order, at most `limit`."""
    rows = await connection.execute(
        select(owed_facts.c.number, owed_facts.c.fact).order_by(owed_facts.c.number).limit(limit)
    )
    return tuple(OwedFact(number, read_fact(fact)) for number, fact in rows)


async def delete_owed(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Delete facts the ledger has, by their numbers."""
    if numbers:
        statement = delete(owed_facts).where(owed_facts.c.number == bindparam("settled"))
        await connection.execute(statement, [{"settled": number} for number in numbers])
