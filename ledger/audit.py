"""The audit log: who did what, in a chain of hashes.

Rows are only added.  Each holds the hash of the one before and of its own content, so a row that
was changed, removed or moved breaks the chain where it stood.
People and recipients stand there by keyed pseudonym, never by address: `forget` has nothing to
rewrite, and who has the key can still ask for one address.
Law: any change, removal or swap of rows is found; removal at the end is found by a kept head.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.engine import Store
from ledger.schema import audit

OPERATOR = "operator"
"""Whoever runs commands on the machine, or came in by the link that the start prints."""

STRANGER = "stranger"
"""Whoever tried to sign in and was not let in."""

PROVIDER = "provider"
"""The OpenID provider, whose groups make people and give them roles."""

RECIPIENT = "recipient"
"""Whoever had a link of a mail, on the recipient's own page."""

NO_HASH = "0" * 64
"""What stands before the first row."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PSEUDONYM_BYTES = 16
_ROWS_AT_ONCE = 1000


class SubjectKind(StrEnum):
    """What an entry is about."""

    PERSON = "person"
    RECIPIENT = "recipient"
    SEND = "send"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done, or seen, or tried."""

    at: datetime
    actor: str
    """A pseudonym, or OPERATOR, STRANGER, PROVIDER, RECIPIENT, or `token:NAME`."""
    action: str
    """What was done, in the past tense: `person.added`."""
    subject_kind: str | None = None
    """A SubjectKind, as far as this version knows it."""
    subject: str | None = None
    """A pseudonym of a person or recipient; of what is no address, its name."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """What else is to be known; no addresses."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts, when, and the key by which people are written down."""

    actor: str
    """As AuditEntry.actor."""
    at: datetime
    pseudonym_key: bytes

    def entry(
        self,
        action: str,
        kind: SubjectKind | None = None,
        subject: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> AuditEntry:
        """Return what he did; the subject is an `Address.key` where it is a person's."""
        if subject is not None and kind in (SubjectKind.PERSON, SubjectKind.RECIPIENT):
            subject = pseudonym(self.pseudonym_key, subject)
        return AuditEntry(self.at, self.actor, action, kind, subject, detail or {})


@dataclass(frozen=True, slots=True)
class Head:
    """The last row as it was at some time: kept elsewhere, it proves that all before is there."""

    number: int
    row_hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.row_hash}"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry and its place in the chain."""

    number: int
    """1 and on, without a gap."""
    entry: AuditEntry
    previous_hash: str
    row_hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold, and why."""

    number: int
    """Of the first row that is not as it was written, or is missing."""
    why: str


EMPTY = Head(0, NO_HASH)
"""The head of a log without rows."""


def pseudonym(key: bytes, address_key: str) -> str:
    """Return what stands for an address in the audit log: 32 hexadecimal digits.

    The same for the same Address.key, and of no use to who has no key.
    """
    digest = hashlib.blake2b(
        address_key.encode(), key=key, digest_size=_PSEUDONYM_BYTES, person=b"audit"
    )
    return digest.hexdigest()


def author_of(address_key: str | None, at: datetime, pseudonym_key: bytes) -> Author:
    """Return who acts: the person of an account, or the operator, who has none."""
    actor = OPERATOR if address_key is None else pseudonym(pseudonym_key, address_key)
    return Author(actor, at, pseudonym_key)


def hash_row(number: int, entry: AuditEntry, previous_hash: str) -> str:
    """Return the hash of a row: SHA-256 of the row as one line of JSON."""
    written = json.dumps(
        [
            number,
            previous_hash,
            (entry.at - _EPOCH) // _MICROSECOND,
            entry.actor,
            entry.action,
            entry.subject_kind,
            entry.subject,
            entry.detail,
        ],
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(written.encode()).hexdigest()


def verify_rows(rows: Iterable[AuditRow], start: Head, kept: Head | None) -> Head | Break:
    """Return the head after these rows, in their order, or where the chain does not hold.

    They follow `start`.  `kept` is a head that was seen before: where its row comes by, it must
    have that hash; that it comes by at all is for who knows the end of the log.
    """
    head = start
    for row in rows:
        wanted = head.number + 1
        if row.number != wanted:
            return Break(wanted, "this row is missing")
        if row.previous_hash != head.row_hash:
            return Break(wanted, "it does not follow the row before it")
        if row.row_hash != hash_row(row.number, row.entry, row.previous_hash):
            return Break(wanted, "its content is not what was written")
        if kept is not None and kept.number == row.number and not _same(kept, row):
            return Break(wanted, "it is not the row that the kept head names")
        head = Head(row.number, row.row_hash)
    return head


async def record_audit(connection: AsyncConnection, entry: AuditEntry) -> None:
    """Add an entry in the transaction of what it tells.

    The numbers and the hash before are unique, so of two that follow the same row one fails.
    """
    await record_audits(connection, [entry])


async def record_audits(connection: AsyncConnection, entries: Iterable[AuditEntry]) -> None:
    """Add entries in their order, as record_audit adds one: of an import, in one statement."""
    head, rows = await read_head(connection), []
    for entry in entries:
        number, previous = head.number + 1, head.row_hash
        head = Head(number, hash_row(number, entry, previous))
        rows.append(
            {
                "number": number,
                "at": entry.at,
                "actor": entry.actor,
                "action": entry.action,
                "subject_kind": entry.subject_kind,
                "subject": entry.subject,
                "detail": dict(entry.detail),
                "previous_hash": previous,
                "row_hash": head.row_hash,
            }
        )
    if rows:
        await connection.execute(insert(audit), rows)


async def is_recorded(connection: AsyncConnection, entry: AuditEntry, since: datetime) -> bool:
    """Tell whether the same actor did the same to the same subject since then."""
    statement = (
        select(audit.c.number)
        .where(
            audit.c.subject == entry.subject,
            audit.c.actor == entry.actor,
            audit.c.action == entry.action,
            audit.c.at >= since,
        )
        .limit(1)
    )
    return (await connection.execute(statement)).first() is not None


async def read_head(connection: AsyncConnection) -> Head:
    """Return the last row's number and hash."""
    statement = select(audit.c.number, audit.c.row_hash).order_by(audit.c.number.desc()).limit(1)
    row = (await connection.execute(statement)).one_or_none()
    return EMPTY if row is None else Head(row.number, row.row_hash)


async def verify_audit(ledger: Store, kept: Head | None = None) -> Head | Break:
    """Return the head of the log, or the first row that is not as it was written.

    With a head that was kept elsewhere, rows removed at the end are missed too.
    """
    head, rows_at_once = EMPTY, _ROWS_AT_ONCE
    while True:
        try:
            async with ledger.read() as connection:
                rows = await select_audit(connection, after=head.number, limit=rows_at_once)
        except (ValueError, TypeError):  # a cell holds what was never written: find which
            if rows_at_once == 1:
                return Break(head.number + 1, "it can not be read")
            rows_at_once = 1
            continue
        verified = verify_rows(rows, head, kept)
        if isinstance(verified, Break):
            return verified
        if not rows:
            break
        head = verified
    if kept is not None and kept.number > head.number:
        return Break(head.number + 1, "this row is missing, and all after it")
    return head


async def select_audit(
    connection: AsyncConnection,
    *,
    after: int | None = None,
    before: int | None = None,
    about: str | None = None,
    limit: int,
) -> tuple[AuditRow, ...]:
    """Return at most `limit` rows, the newest first; with `after`, oldest first from the next on.

    `about` is a pseudonym: rows of which it is actor or subject.
    """
    order = audit.c.number if after is not None else audit.c.number.desc()
    statement = select(audit).order_by(order).limit(limit)
    if after is not None:
        statement = statement.where(audit.c.number > after)
    if before is not None:
        statement = statement.where(audit.c.number < before)
    if about is not None:
        statement = statement.where((audit.c.actor == about) | (audit.c.subject == about))
    return tuple(map(_row_of, await connection.execute(statement)))


def _same(kept: Head, row: AuditRow) -> bool:
    return hmac.compare_digest(kept.row_hash, row.row_hash)


def _row_of(row: Row[Any]) -> AuditRow:
    entry = AuditEntry(row.at, row.actor, row.action, row.subject_kind, row.subject, row.detail)
    return AuditRow(row.number, entry, row.previous_hash, row.row_hash)
