"""What may be recorded of hits, remembered from batch to batch.

Consent is asked in the transaction that records: no hit enters after a denial is on record.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection

from collector.admit import admit_hits
from ledger.consent import Permit
from ledger.hits import insert_hits
from ledger.permits import last_consent, read_permits, read_switch
from ledger.story import RecordedHit

_MOST = 100_000
"""Copies remembered: some 10 MB."""


class Permits:
    """The permits of one process; used in one thread at a time, that of the store."""

    def __init__(self) -> None:
        """Know none yet."""
        self._by_copy: dict[int, Permit] = {}
        self._last_consent = 0

    def enter(
        self,
        connection: Connection,
        batch: Sequence[RecordedHit],
        withdrawn: AbstractSet[int] = frozenset(),
    ) -> list[RecordedHit]:
        """Record hits as far as consent and the switch allow; return those of unknown copies.

        Of the copies in `withdrawn` a recipient has withdrawn, which is not on record yet.
        """
        last = last_consent(connection)
        if last != self._last_consent or len(self._by_copy) > _MOST:
            self._by_copy.clear()
            self._last_consent = last
        asked = {hit.copy_id for hit in batch}
        if new := asked - self._by_copy.keys():
            self._by_copy.update(read_permits(connection, new))
        permits = self._by_copy
        if narrowed := asked & withdrawn:
            # Of an unknown copy it may be anybody's withdrawal: nothing waits for it.
            known = read_permits(connection, narrowed, withdrawn=True)
            permits = permits | dict.fromkeys(narrowed, Permit.NOTHING) | dict(known)
        admission = admit_hits(batch, permits, read_switch(connection))
        insert_hits(connection, admission.entering)
        return admission.waiting
