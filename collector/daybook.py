"""Care for what keeps only its day: no trace of the time, and told after.

The log of a SQLite store has what was written in its order, beside rows that have a time.  It is
cut every second in which anything was written, whatever that was: a cut that followed an event
would tell of it.
"""

from datetime import datetime
from time import monotonic

from collector.kept import day_of
from ledger.days import tell_days
from ledger.engine import Store

CUT_EVERY_S = 1.0
"""A cut costs two flushes; what was written since the last one stands in its order."""

_CHUNK = 500
"""Events told in one transaction: some 20 ms."""


class Daybook:
    """The daybook of one process."""

    def __init__(self, ledger: Store) -> None:
        """Take the ledger."""
        self._ledger = ledger
        self._cut_at = -CUT_EVERY_S
        self._told: datetime | None = None

    async def tend(self, now: datetime) -> None:
        """Cut traces of the time, and tell what lies in days that are over.

        Raises SQLAlchemyError where the ledger can not be written now.
        """
        if monotonic() >= self._cut_at + CUT_EVERY_S:
            self._cut_at = monotonic()
            if self._ledger.has_log():
                await self._ledger.shrink(0)  # nobody waits for it, and it comes again
        today = day_of(now)
        if self._told == today:
            return
        while await self._tell(today) == _CHUNK:
            pass
        self._told = today

    async def _tell(self, today: datetime) -> int:
        async with self._ledger.write() as connection:
            return await tell_days(connection, today, _CHUNK)
