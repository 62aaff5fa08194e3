"""The record of consent: what holds for each subject, and its history.

Law: what holds is the last change of a subject, and no change is ever rewritten.
Each function on a connection is one step inside the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, Connection, bindparam, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, domain_key, parse_address
from ledger.audit import AuditEntry, record_audit
from ledger.consent import Consent, Consents, Method, Subject
from ledger.engine import Store
from ledger.schema import consent_changes, consents


@dataclass(frozen=True, slots=True)
class ConsentTold:
    """One telling of a consent, with its provenance."""

    state: Consent
    at: datetime
    method: Method
    actor: str
    """Who recorded it: a person, `operator`, or `recipient`."""
    source: str = ""
    """Where it was told: a form, a file, a call."""
    text: str = ""
    """What the person was shown."""


@dataclass(frozen=True, slots=True)
class KeptConsent:
    """What holds for one subject."""

    subject: Subject
    state: Consent
    number: int
    """Of the change; later ones are greater."""


_KEYS_AT_ONCE = 10_000
"""In one statement: SQLite takes 32,766 values."""

_KEYS: BindParameter[str] = bindparam("keys", expanding=True)
_BEARING = select(consents.c.subject, consents.c.denial_key, consents.c.state).where(
    or_(consents.c.subject.in_(_KEYS), consents.c.denial_key.in_(_KEYS))
)


async def tell_consent(connection: AsyncConnection, subject: Subject, told: ConsentTold) -> int:
    """Record a consent and return the number of the change."""
    number = (
        await connection.execute(
            insert(consent_changes)
            .values(
                subject=subject.key,
                state=told.state.value,
                at=told.at,
                method=told.method.value,
                source=told.source,
                text=told.text,
                actor=told.actor,
            )
            .returning(consent_changes.c.number)
        )
    ).scalar_one()
    holds = {"state": told.state.value, "number": number, "shown": subject.shown}
    changed = await connection.execute(
        update(consents).where(consents.c.subject == subject.key).values(**holds)
    )
    if not changed.rowcount:
        row = {"subject": subject.key, "denial_key": subject.denial_key, **holds}
        await connection.execute(insert(consents).values(**row))
    return int(number)


async def record_consent(
    ledger: Store, subject: Subject, told: ConsentTold, entry: AuditEntry
) -> None:
    """Record a consent and who recorded it, in one transaction."""
    async with ledger.write() as connection:
        await tell_consent(connection, subject, told)
        await record_audit(connection, entry)


async def consents_of(connection: AsyncConnection, addresses: Iterable[Address]) -> Consents:
    """Return the consents that bear on some addresses: their own and their domains'."""
    return await connection.run_sync(read_consents, addresses)


def read_consents(connection: Connection, addresses: Iterable[Address]) -> Consents:
    """Do as consents_of, in a thread (Store.transact)."""
    keys: set[str] = set()
    for address in addresses:
        keys |= {address.key, address.key_without_detail, domain_key(address.domain)}
    granted, denied = set(), set()
    asked = sorted(keys)
    for start in range(0, len(asked), _KEYS_AT_ONCE):
        some = asked[start : start + _KEYS_AT_ONCE]
        for subject, denial_key, state in connection.execute(_BEARING, {"keys": some}):
            if state == Consent.GRANTED:
                granted.add(subject)
            elif state == Consent.DENIED:
                denied.add(denial_key)
    return Consents(granted, denied)


async def consent_holding(connection: AsyncConnection, subject: Subject) -> Consent:
    """Return what holds for an address, its domain counted, or for a domain by itself."""
    if "@" in subject.key:
        address = parse_address(subject.key)
        return (await consents_of(connection, [address])).of(address)
    statement = select(consents.c.state).where(consents.c.subject == subject.key)
    return Consent(await connection.scalar(statement) or Consent.UNKNOWN)


async def consents_since(
    connection: AsyncConnection, number: int, limit: int
) -> tuple[KeptConsent, ...]:
    """Return what has come to hold after a change, in the order of recording."""
    table = consents.c
    statement = select(consents).where(table.number > number).order_by(table.number).limit(limit)
    return tuple(
        KeptConsent(Subject(row.subject, row.denial_key, row.shown), Consent(row.state), row.number)
        for row in await connection.execute(statement)
    )


async def list_consents(
    connection: AsyncConnection, limit: int, after: str = ""
) -> tuple[tuple[Subject, ConsentTold], ...]:
    """Return what holds, by subject key in its order; `after` is the key of the page before."""
    table, told = consents.c, consent_changes.c
    statement = (
        select(table.subject, table.denial_key, table.shown, *_TOLD)
        .join(consent_changes, told.number == table.number)
        .where(table.subject > literal(after))
        .order_by(table.subject)
        .limit(limit)
    )
    return tuple(
        (Subject(subject, denial_key, shown), _told(columns))
        for subject, denial_key, shown, *columns in await connection.execute(statement)
    )


async def consent_history(connection: AsyncConnection, subject: Subject) -> tuple[ConsentTold, ...]:
    """Return all that was told of one subject, latest first."""
    statement = (
        select(*_TOLD)
        .where(consent_changes.c.subject == subject.key)
        .order_by(consent_changes.c.number.desc())
    )
    return tuple(_told(list(row)) for row in await connection.execute(statement))


_TOLD = consent_changes.c["state", "at", "method", "actor", "source", "text"]


def _told(columns: Sequence[object]) -> ConsentTold:
    state, at, method, actor, source, text = columns
    assert isinstance(at, datetime)
    return ConsentTold(
        Consent(str(state)), at, Method(str(method)), str(actor), str(source), str(text)
    )
