"""What may be recorded of hits, remembered from batch to batch.

Consent is asked in the transaction that records: no hit enters after a denial is on record.
"""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.admit import admit_hits
from collector.kept import judged_of
from collector.obscure import day_event, keeps_send
from ledger.consent import Permit
from ledger.days import count_relayed, insert_day_events, senders_of
from ledger.hits import insert_hits
from ledger.permits import Switch, last_narrowing, read_permits, read_switch
from ledger.story import RecordedHit

_MOST = 100_000
"""Copies remembered: some 10 MB."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What narrows what may be recorded, beside the record itself."""

    least_recipients: int
    """A hit of which it may not be told whose it is keeps its send where at least so many people
    have got the copy (`tracking.anonymous_min`)."""
    digest_key: bytes
    """Of denials of who is forgotten."""
    withdrawn: Callable[[], frozenset[int]] = frozenset
    """Returns the copies of which a withdrawal is not on record yet."""
    look_again: Callable[[], Awaitable[None]] | None = None
    """Looks for such copies that another process has heard of."""


class Permits:
    """The permits of one process; used in one thread at a time, that of the store."""

    def __init__(self, bounds: Bounds) -> None:
        """Know none yet."""
        self._bounds = bounds
        self._by_copy: dict[int, Permit] = {}
        self._switch = Switch()
        self._last: tuple[int, ...] = ()

    def enter(
        self,
        connection: Connection,
        batch: Sequence[RecordedHit],
        withdrawn: AbstractSet[int] = frozenset(),
    ) -> list[RecordedHit]:
        """Record hits as far as consent and the switch allow; return those of unknown copies.

        Of the copies in `withdrawn` a recipient has withdrawn, which is not on record yet.
        """
        key = self._bounds.digest_key
        last = last_narrowing(connection)
        if last != self._last or len(self._by_copy) > _MOST:
            self._by_copy.clear()
            self._switch = read_switch(connection)
            self._last = last
        asked = {hit.copy_id for hit in batch}
        if new := [copy_id for copy_id in asked if copy_id not in self._by_copy]:
            self._by_copy.update(read_permits(connection, new, key))
        permits = self._by_copy
        if narrowed := asked & withdrawn:
            # Of an unknown copy it may be anybody's withdrawal: nothing waits for it.
            known = read_permits(connection, narrowed, key, withdrawn=True)
            permits = permits | dict.fromkeys(narrowed, Permit.NOTHING) | dict(known)
        admission = admit_hits(batch, permits, self._switch)
        obscured = self._keep_days(connection, admission.entering)
        # What keeps no send is never written with its copy, not even for the moment of judging:
        # SQLite's log would tell of it long after.
        insert_hits(connection, (hit for hit in admission.entering if hit.hit_id not in obscured))
        return admission.waiting

    def _keep_days(
        self, connection: Connection, entering: Sequence[RecordedHit]
    ) -> AbstractSet[str]:
        """Record the days of hits that keep no send, and return which hits that are."""
        judged = [(hit, kept) for hit in entering if (kept := judged_of(hit)) is not None]
        copy_ids = {hit.copy_id for hit, _ in judged}
        if not copy_ids:
            return frozenset()
        relayed, least = count_relayed(connection, copy_ids), self._bounds.least_recipients
        alone = [
            (hit, kept)
            for hit, kept in judged
            if not keeps_send(kept, relayed.get(hit.copy_id, 0), least)
        ]
        senders = senders_of(connection, {hit.copy_id for hit, _ in alone})
        found = [day_event(hit, kept, senders.get(hit.copy_id)) for hit, kept in alone]
        insert_day_events(connection, found)
        return {hit.hit_id for hit, _ in alone}
