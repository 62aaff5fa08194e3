"""The record of consent: what holds for each subject, and its history.

Law: what holds is the last change of a subject, and no change is ever rewritten.
Each function on a connection is one step inside the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, domain_key, parse_address
from ledger.audit import AuditEntry, Author, SubjectKind, record_audit
from ledger.consent import Consent, Consents, Method, Subject, digest_of, forgotten_subject
from ledger.engine import Store
from ledger.event import format_instant
from ledger.rows import ByKeys
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


_KEYS_AT_ONCE = 8_192
"""In one statement, in two places: SQLite takes 32,766 values."""

_BEARING = ByKeys(
    lambda keys: select(consents.c.subject, consents.c.denial_key, consents.c.state).where(
        or_(consents.c.subject.in_(keys), consents.c.denial_key.in_(keys))
    )
)


async def tell_consent(
    connection: AsyncConnection,
    subject: Subject,
    told: ConsentTold,
    digest_key: bytes | None = None,
) -> int:
    """Record a consent and return the number of the change.

    With the key, what was kept of the address when it was forgotten holds no longer: who tells of
    it now knows better.
    """
    if digest_key is not None and "@" in subject.key:
        await _end_digest(connection, forgotten_subject(digest_key, subject), told)
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


async def _end_digest(connection: AsyncConnection, digest: Subject, told: ConsentTold) -> None:
    held = select(consents.c.state).where(consents.c.subject == digest.key)
    if (await connection.scalar(held)) == Consent.DENIED:
        await tell_consent(connection, digest, replace(told, state=Consent.UNKNOWN, text=""))


async def record_consent(
    ledger: Store,
    subject: Subject,
    told: ConsentTold,
    entry: AuditEntry,
    digest_key: bytes | None = None,
) -> None:
    """Record a consent and who recorded it, in one transaction; the key as for tell_consent."""
    async with ledger.write() as connection:
        await tell_consent(connection, subject, told, digest_key)
        await record_audit(connection, entry)


async def record_telling(
    ledger: Store, subject: Subject, told: ConsentTold, author: Author
) -> None:
    """Record a consent that somebody tells of an address or domain, and that he did."""
    detail = {"state": told.state.value, "method": told.method.value}
    entry = author.entry("consent.told", SubjectKind.RECIPIENT, subject.key, detail)
    await record_consent(ledger, subject, told, entry, author.pseudonym_key)


async def consents_of(
    connection: AsyncConnection, addresses: Iterable[Address], digest_key: bytes | None = None
) -> Consents:
    """Return the consents that bear on some addresses: their own and their domains'.

    Denials of who is forgotten are among them where the key is given.
    """
    return await connection.run_sync(read_consents, addresses, digest_key)


def read_consents(
    connection: Connection, addresses: Iterable[Address], digest_key: bytes | None = None
) -> Consents:
    """Do as consents_of, in a thread (Store.transact)."""
    keys: set[str] = set()
    for address in addresses:
        keys |= {address.key, address.key_without_detail, domain_key(address.domain)}
        if digest_key is not None:
            keys.add(digest_of(digest_key, address.key_without_detail))
    granted, denied = set(), set()
    asked = sorted(keys)
    for start in range(0, len(asked), _KEYS_AT_ONCE):
        some = asked[start : start + _KEYS_AT_ONCE]
        for subject, denial_key, state in _BEARING.run(connection, some):
            if state == Consent.GRANTED:
                granted.add(subject)
            elif state == Consent.DENIED:
                denied.add(denial_key)
    return Consents(granted, denied, digest_key)


async def consent_holding(
    connection: AsyncConnection, subject: Subject, digest_key: bytes | None = None
) -> Consent:
    """Return what holds for an address, its domain counted, or for a domain by itself."""
    if "@" in subject.key:
        address = parse_address(subject.key)
        return (await consents_of(connection, [address], digest_key)).of(address)
    return await consent_told(connection, subject)


async def consent_told(connection: AsyncConnection, subject: Subject) -> Consent:
    """Return what was told last of a subject by itself."""
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
    """Return what holds, by subject key in its order; `after` is the key of the page before.

    Who is forgotten comes as a digest, of which no address can be made.
    """
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


def told_object(subject: Subject, told: ConsentTold) -> dict[str, str]:
    """Return one telling as a JSON object, whose keys are the columns of an export."""
    return {
        "subject": subject.shown,
        "state": told.state.value,
        "at": format_instant(told.at),
        "method": told.method.value,
        "source": told.source,
        "text": told.text,
        "actor": told.actor,
    }


_TOLD = consent_changes.c["state", "at", "method", "actor", "source", "text"]


def _told(columns: Sequence[object]) -> ConsentTold:
    state, at, method, actor, source, text = columns
    assert isinstance(at, datetime)
    return ConsentTold(
        Consent(str(state)), at, Method(str(method)), str(actor), str(source), str(text)
    )
