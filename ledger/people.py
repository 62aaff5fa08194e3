"""Who may look: sign-in links and sessions, by hash only.

The caller draws the secrets; what stands here lets nobody in who reads the database.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select

from ledger.engine import Store
from ledger.schema import sessions, sign_in_links


class Role(StrEnum):
    """What a person may see and do."""

    ADMIN = "admin"
    AUDITOR = "auditor"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the console."""

    name: str
    """As shown and audited: mostly a mail address."""
    role: Role


@dataclass(frozen=True, slots=True)
class Pass:
    """A secret that lets in whoever has it, as it is kept: a link or a session."""

    secret_hash: str
    expires_at: datetime


def hash_secret(secret: str) -> str:
    """Return the 64 hexadecimal digits under which a secret is kept.

    One round is enough: the secrets are 256 random bits, not words that somebody chose.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


async def keep_sign_in_link(ledger: Store, link: Pass, person: Person) -> None:
    """Record a link by which a person may sign in once."""
    async with ledger.write() as connection:
        await connection.execute(
            insert(sign_in_links).values(
                secret_hash=link.secret_hash,
                person=person.name,
                role=person.role.value,
                expires_at=link.expires_at,
            )
        )


async def find_sign_in_link(ledger: Store, secret_hash: str, now: datetime) -> Person | None:
    """Return whom a link would sign in; None where it is unknown, used or over."""
    async with ledger.read() as connection:
        found = await connection.execute(
            select(sign_in_links.c.person, sign_in_links.c.role).where(
                sign_in_links.c.secret_hash == secret_hash, sign_in_links.c.expires_at > now
            )
        )
        row = found.one_or_none()
    return None if row is None else Person(row.person, Role(row.role))


async def use_sign_in_link(
    ledger: Store, link_hash: str, session: Pass, now: datetime
) -> Person | None:
    """Exchange a link for a session and return whose it is; None where the link is not good.

    Law: of any number of tries with one link, at the same time too, one at most has a session.
    """
    async with ledger.write() as connection:
        used = await connection.execute(
            delete(sign_in_links)
            .where(sign_in_links.c.secret_hash == link_hash, sign_in_links.c.expires_at > now)
            .returning(sign_in_links.c.person, sign_in_links.c.role)
        )
        row = used.one_or_none()
        if row is None:
            return None
        for table in (sign_in_links, sessions):
            await connection.execute(delete(table).where(table.c.expires_at <= now))
        await connection.execute(
            insert(sessions).values(
                secret_hash=session.secret_hash,
                person=row.person,
                role=row.role,
                expires_at=session.expires_at,
            )
        )
    return Person(row.person, Role(row.role))


async def find_session(ledger: Store, secret_hash: str, now: datetime) -> Person | None:
    """Return whose session this is; None where there is none or it is over."""
    async with ledger.read() as connection:
        found = await connection.execute(
            select(sessions.c.person, sessions.c.role).where(
                sessions.c.secret_hash == secret_hash, sessions.c.expires_at > now
            )
        )
        row = found.one_or_none()
    return None if row is None else Person(row.person, Role(row.role))


async def end_session(ledger: Store, secret_hash: str) -> None:
    """Forget a session, if there is one."""
    async with ledger.write() as connection:
        await connection.execute(delete(sessions).where(sessions.c.secret_hash == secret_hash))
