"""Facts the spool owes the ledger, in the order they came true.

A fact is written in the transaction that made it true and deleted once the ledger has it; what is
handed over twice is recorded once, by its send_id or event_id.  What the ledger does not take is
set aside, and owed again in its old place at the next start: a newer version may bring it over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.fact import Fact, fact_object, read_fact
from ledger.schema import owed_facts, refused_facts


@dataclass(frozen=True, slots=True)
class OwedFact:
    """A fact and its place in the order."""

    number: int
    said: Mapping[str, Any]
    """As it is stored."""

    @property
    def fact(self) -> Fact:
        """The fact.  Raises KeyError, TypeError or ValueError where it is none we know."""
        return read_fact(dict(self.said))


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
    return tuple(OwedFact(number, said) for number, said in rows)


async def delete_owed(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Delete facts the ledger has, by their numbers."""
    if numbers:
        statement = delete(owed_facts).where(owed_facts.c.number == bindparam("settled"))
        await connection.execute(statement, [{"settled": number} for number in numbers])


async def set_aside(connection: AsyncConnection, owed: OwedFact, at: datetime, why: str) -> None:
    """Keep a fact among the refused ones instead of those that are owed."""
    row = {"number": owed.number, "fact": owed.said, "refused_at": at, "why": why}
    await connection.execute(insert(refused_facts), row)
    await delete_owed(connection, [owed.number])


async def owe_again(connection: AsyncConnection) -> int:
    """Let all refused facts be owed in their old places; return how many they were."""
    old = select(refused_facts.c.number, refused_facts.c.fact)
    await connection.execute(insert(owed_facts).from_select(["number", "fact"], old))
    return (await connection.execute(delete(refused_facts))).rowcount


async def count_refused(connection: AsyncConnection) -> int:
    """Return how many facts are set aside."""
    return await connection.scalar(select(func.count()).select_from(refused_facts)) or 0
