"""Facts the spool owes the ledger, in the order they came true.

A fact is written in the transaction that made it true and deleted once the ledger has it; what is
handed over twice is recorded once, by its send_id or event_id.  What the ledger does not take is
set aside, and owed again in its old place at the next start: a newer version may bring it over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.fact import Fact, SendAccepted, fact_object, read_fact
from ledger.rows import ByKeys, RowInsert
from ledger.schema import owed_facts, refused_facts

_MOST_WEIGHT = 10_000
"""Facts, and recipients and links in them, that are remembered: some 5 MB, ten seconds of mail."""

_OWE = RowInsert(owed_facts, ("fact",))
_OLDEST = select(owed_facts.c.number).order_by(owed_facts.c.number).limit(bindparam("most"))
_NUMBERS = owed_facts.c.number.in_(bindparam("numbers", expanding=True))
_SAID = select(owed_facts.c.number, owed_facts.c.fact).where(_NUMBERS)
_DELETE = ByKeys(lambda numbers: delete(owed_facts).where(owed_facts.c.number.in_(numbers)))


@dataclass(frozen=True, slots=True)
class OwedFact:
    """A fact and its place in the order."""

    number: int
    said: Mapping[str, Any] | Fact
    """As it is stored, or as it was written by this process."""

    @property
    def fact(self) -> Fact:
        """The fact.  Raises KeyError, TypeError or ValueError where it is none we know."""
        return read_fact(dict(self.said)) if isinstance(self.said, Mapping) else self.said


class Remembered:
    """Facts that this process has written lately, so that they need not be read back."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._facts: dict[int, OwedFact] = {}
        self._weight = 0

    def keep(self, facts: Iterable[OwedFact]) -> None:
        """Remember facts, once they are durable, as far as there is room."""
        for one in facts:
            if self._weight < _MOST_WEIGHT:
                self._facts[one.number] = one
                self._weight += _weight(one)

    def take(self, number: int) -> OwedFact | None:
        """Return a fact and forget it; None where it is not remembered."""
        one = self._facts.pop(number, None)
        if one is not None:
            self._weight -= _weight(one)
        return one


def _weight(one: OwedFact) -> int:
    fact = one.said
    if not isinstance(fact, SendAccepted):
        return 1
    return 1 + len(fact.links) + sum(len(copy.recipients) for copy in fact.copies)


def owe_facts(connection: Connection, facts: Sequence[Fact]) -> tuple[OwedFact, ...]:
    """Add facts to what is owed, in this order, within the caller's transaction.

    Returns them with their places where those are known without asking.
    """
    _OWE.run(connection, ((fact_object(fact),) for fact in facts))
    if not facts or connection.dialect.name != "sqlite":
        return ()
    # AUTOINCREMENT counts up by one, and nobody else writes in this transaction.
    last: int = connection.exec_driver_sql("SELECT last_insert_rowid()").scalar_one()
    return tuple(OwedFact(number, fact) for number, fact in enumerate(facts, last + 1 - len(facts)))


async def read_owed(
    connection: AsyncConnection, limit: int, remembered: Remembered | None = None
) -> tuple[OwedFact, ...]:
    """Return the oldest facts that are owed, in order, at most `limit`."""
    numbers = list(await connection.scalars(_OLDEST, {"most": limit}))
    known = {number: remembered.take(number) for number in numbers} if remembered else {}
    unknown = [number for number in numbers if known.get(number) is None]
    if unknown:
        rows = await connection.execute(_SAID, {"numbers": unknown})
        known |= {number: OwedFact(number, said) for number, said in rows}
    return tuple(one for number in numbers if (one := known.get(number)) is not None)


async def delete_owed(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Delete facts the ledger has, by their numbers."""
    await connection.run_sync(drop_owed, numbers)


def drop_owed(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete facts, as delete_owed does, within a thread of their store."""
    if numbers:
        _DELETE.run(connection, numbers)


async def set_aside(connection: AsyncConnection, owed: OwedFact, at: datetime, why: str) -> None:
    """Keep a fact among the refused ones instead of those that are owed."""
    said = owed.said if isinstance(owed.said, Mapping) else fact_object(owed.said)
    row = {"number": owed.number, "fact": said, "refused_at": at, "why": why}
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
