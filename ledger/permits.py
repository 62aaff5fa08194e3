"""What consent and the switch for everybody say of hits on copies.

Each function is one step inside the caller's transaction, in the store's thread (Store.transact).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from ledger.address import Address, parse_address
from ledger.consent import Permit, permit_for
from ledger.consents import read_consents
from ledger.mode import TrackingMode
from ledger.rows import ByKeys
from ledger.schema import consents, copies, copy_recipients, forgotten_copies, policy_changes

_LAST = ByKeys(
    lambda _none: select(
        *(
            func.coalesce(select(func.max(table.c.number)).scalar_subquery(), 0)
            for table in (consents, forgotten_copies, policy_changes)
        )
    )
)
_FORGOTTEN = ByKeys(
    lambda copy_ids: select(forgotten_copies.c.copy_id).where(
        forgotten_copies.c.copy_id.in_(copy_ids)
    )
)
_COPIES = ByKeys(
    lambda copy_ids: (
        select(copies.c.copy_id, copies.c.mode, copy_recipients.c.recipient)
        .outerjoin(copy_recipients, copy_recipients.c.copy_id == copies.c.copy_id)
        .where(copies.c.copy_id.in_(copy_ids))
    )
)
_SWITCHED = (
    select(policy_changes.c.at, policy_changes.c.value)
    .where(policy_changes.c.rule.is_(None))
    .order_by(policy_changes.c.number)
)


@dataclass(frozen=True, slots=True)
class Switch:
    """When tracking was switched off and on for everybody, in order; before, it was on."""

    changes: tuple[tuple[datetime, bool], ...] = ()

    def is_on(self, at: datetime) -> bool:
        """Tell whether tracking was on at an instant."""
        return next((on for since, on in reversed(self.changes) if since <= at), True)


def last_narrowing(connection: Connection) -> tuple[int, ...]:
    """Return what grows with each consent, each copy that is forgotten, each turn of the switch."""
    (last,) = _LAST.run(connection, ())
    return tuple(last)


def read_switch(connection: Connection) -> Switch:
    """Return the switch for everybody with its history, a few rows."""
    return Switch(tuple((at, bool(value)) for at, value in connection.execute(_SWITCHED)))


def read_permits(
    connection: Connection,
    copy_ids: Collection[int],
    digest_key: bytes,
    *,
    withdrawn: bool = False,
) -> Mapping[int, Permit]:
    """Return what may be recorded of hits on copies; a copy that is not on record is missing.

    `withdrawn`: of each of them a recipient has withdrawn, which is not on record yet.
    Law: no hit of a copy of which somebody is forgotten is told of anybody by name.
    """
    modes: dict[int, TrackingMode] = {}
    recipients: dict[int, list[Address]] = {}
    for copy_id, mode, recipient in _COPIES.run(connection, tuple(copy_ids)):
        modes[copy_id] = TrackingMode(mode)
        if recipient is not None:
            recipients.setdefault(copy_id, []).append(parse_address(recipient))
    everybody = [one for some in recipients.values() for one in some]
    told = read_consents(connection, everybody, digest_key)
    permits = {
        copy_id: permit_for(mode, recipients.get(copy_id, ()), told, withdrawn=withdrawn)
        for copy_id, mode in modes.items()
    }
    for (copy_id,) in _FORGOTTEN.run(connection, tuple(copy_ids)):
        # Others may have it still, and the hit may be his.
        narrowed = permits.get(copy_id, Permit.NOTHING)
        permits[copy_id] = Permit.ANONYMOUS if narrowed is Permit.FULL else narrowed
        if not recipients.get(copy_id):
            permits[copy_id] = Permit.NOTHING
    return permits
