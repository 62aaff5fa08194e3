"""HUB, the way of the facts: from the spool to the ledger.

Law: every fact is recorded once, in order, however often the way is walked or broken off.
Mail does not wait for it: where the ledger can not be written, the facts lie in the spool.  A fact
that it does not take holds up no other: it is set aside, and owed again at the next start.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)

from ledger.engine import Store
from ledger.outbox import (
    OwedFact,
    Remembered,
    count_refused,
    drop_owed,
    owe_again,
    read_owed,
    set_aside,
)
from ledger.sends import write_facts

_BATCH = 500
"""Facts in one transaction: it holds the ledger's writer for about 20 ms."""

_GATHER_S = 0.25
"""Between two small batches, so that a stream of facts costs four commits a second, not hundreds.
What a commit costs whatever is in it is worth some twenty facts; people see mail go out at once."""

_LOOK_S = 5
"""Facts of other processes wake nobody here."""

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30
"""While the ledger is down: it doubles from the one to the other."""

_TRIES = 3
"""Of a fact that is refused while others are taken: a refusal that passes by itself is rare."""

_REFUSALS = (IntegrityError, DataError, InterfaceError, ProgrammingError)
"""What a database says of a row; everything else it says of itself."""

_FAULTS = (SQLAlchemyError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading or recording a fact raises that is none we know, or does not fit the tables."""

_log = structlog.get_logger()


class Forwarder:
    """The way of one process, with how often each fact was refused on it."""

    def __init__(self, spool: Store, ledger: Store, remembered: Remembered | None = None) -> None:
        """Take no step yet."""
        self._remembered = remembered
        self._spool = spool
        self._ledger = ledger
        self._refused: Counter[int] = Counter()
        """By number, since this process has begun."""

    async def run(self, owed: asyncio.Event) -> None:
        """Bring facts to the ledger until cancelled; `owed` says that there are some."""
        pause_s: float = _FIRST_PAUSE_S
        begun = False
        while True:
            owed.clear()
            refused = self._refused.total()
            try:
                if not begun:
                    await self._owe_again()
                    begun = True
                moved = await self.forward_batch(_BATCH)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("forward.failed", error=str(error), pause_s=pause_s)
                # After EIO or a full disk the connection's state is not to be trusted.
                await self._ledger.reopen()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            if self._refused.total() > refused:
                await asyncio.sleep(_FIRST_PAUSE_S)
            elif not moved:
                await _wait(owed)
            elif moved < _BATCH:
                await asyncio.sleep(_GATHER_S)

    async def forward_batch(self, limit: int) -> int:
        """Return how many facts were brought over, the oldest ones, at most `limit`.

        Raises what the stores raise; then the facts are owed as before.
        """
        if not self._ledger.is_in_place():
            raise LedgerGoneError
        async with self._spool.read() as connection:
            batch = await read_owed(connection, limit, self._remembered)
        if not batch:
            return 0
        try:
            await self._record(batch)
        except _FAULTS as error:
            if not _is_of_a_fact(error):
                raise
            # One is at fault, and must not hold up the others.
            batch = tuple([one for one in batch if await self._records(one)])
        numbers = [one.number for one in batch]
        await self._spool.transact(lambda connection: drop_owed(connection, numbers))
        return len(batch)

    async def _record(self, batch: Sequence[OwedFact]) -> None:
        facts = [one.fact for one in batch]
        await self._ledger.transact(lambda connection: write_facts(connection, facts))

    async def _records(self, one: OwedFact) -> bool:
        """Record a single fact, or note that it is refused; after `_TRIES` it is set aside."""
        try:
            await self._record((one,))
        except _FAULTS as error:
            if not _is_of_a_fact(error):
                raise
            self._refused[one.number] += 1
            if self._refused[one.number] >= _TRIES:
                _log.error("fact.refused", number=one.number, error=repr(error))
                async with self._spool.write() as connection:
                    await set_aside(connection, one, datetime.now(UTC), repr(error))
            return False
        return True

    async def _owe_again(self) -> None:
        async with self._spool.read() as connection:
            if not await count_refused(connection):
                return
        async with self._spool.write() as connection:
            number = await owe_again(connection)
        _log.warning("facts.owed_again", facts=number)


class LedgerGoneError(OSError):
    """The ledger's file was taken away."""

    def __str__(self) -> str:
        """Say the mend."""
        return (
            "the file of the ledger was removed or replaced while it was open: put it back, or stop"
            " and start again; facts are kept in the spool until then"
        )


def _is_of_a_fact(error: Exception) -> bool:
    """Tell whether another fact could be recorded: it is not the ledger that is at fault."""
    return not isinstance(error, DBAPIError) or isinstance(error, _REFUSALS)


async def _wait(owed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_LOOK_S):
            await owed.wait()
    except TimeoutError:
        return
