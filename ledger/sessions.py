"""Who may look: sign-in links and sessions, by hash only.

The caller draws the secrets; what stands here lets nobody in who reads the database.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import Author, SubjectKind, author_of, record_audit
from ledger.engine import Store
from ledger.people import Account
from ledger.role import Role
from ledger.schema import people, sessions, sign_in_links


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the console."""

    name: str
    """As shown: his address, or what he is where he has no account."""
    role: Role
    key: str | None = None
    """Address.key of his account; None: the operator, who has none."""


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


async def keep_sign_in_link(ledger: Store, link: Pass, person: Person, author: Author) -> None:
    """Record a link by which a person may sign in once."""
    entry = author.entry("person.link_made", SubjectKind.PERSON, person.key)
    async with ledger.write() as connection:
        await record_audit(connection, entry)
        await connection.execute(
            insert(sign_in_links).values(
                secret_hash=link.secret_hash,
                person=person.name,
                person_key=person.key,
                role=person.role.value,
                expires_at=link.expires_at,
            )
        )


async def find_sign_in_link(ledger: Store, secret_hash: str, now: datetime) -> Person | None:
    """Return whom a link would sign in; None where it is unknown, used or over."""
    return await _find(ledger, sign_in_links, secret_hash, now)


async def use_sign_in_link(
    ledger: Store, link_hash: str, session: Pass, now: datetime, pseudonym_key: bytes
) -> Person | None:
    """Exchange a link for a session and return whose it is; None where the link is not good.

    Law: of any number of tries with one link, at the same time too, one at most has a session.
    """
    async with ledger.write() as connection:
        used = await connection.execute(
            delete(sign_in_links)
            .where(sign_in_links.c.secret_hash == link_hash, sign_in_links.c.expires_at > now)
            .returning(sign_in_links.c.person, sign_in_links.c.person_key, sign_in_links.c.role)
        )
        row = used.one_or_none()
        if row is None:
            return None
        person = Person(row.person, Role(row.role), row.person_key)
        author = author_of(person.key, now, pseudonym_key)
        await _open(connection, person, session, author, "link")
    return person


async def open_session(
    ledger: Store, account: Account, session: Pass, author: Author, by: str = "password"
) -> Person | None:
    """Open a session for who gave this account's password, or whom a provider vouches for.

    None where the account has changed since it was read: another password, or shut out.
    """
    unchanged = (
        (people.c.key == account.key)
        & (people.c.password_hash == account.password_hash)
        & people.c.disabled.is_(False)
    )
    async with ledger.write() as connection:
        found = await connection.execute(select(people.c.address, people.c.role).where(unchanged))
        row = found.one_or_none()
        if row is None:
            return None
        person = Person(row.address, Role(row.role), account.key)
        await _open(connection, person, session, author, by)
    return person


async def find_session(ledger: Store, secret_hash: str, now: datetime) -> Person | None:
    """Return whose session this is; None where there is none, it is over, or he is shut out.

    The role is the one that his account has now.
    """
    return await _find(ledger, sessions, secret_hash, now)


async def end_session(ledger: Store, secret_hash: str) -> None:
    """Forget a session, if there is one."""
    async with ledger.write() as connection:
        await connection.execute(delete(sessions).where(sessions.c.secret_hash == secret_hash))


async def _find(ledger: Store, passes: Table, secret_hash: str, now: datetime) -> Person | None:
    statement = (
        select(passes.c.person, passes.c.person_key, passes.c.role, people.c.role.label("today"))
        .outerjoin(people, people.c.key == passes.c.person_key)
        .where(
            passes.c.secret_hash == secret_hash,
            passes.c.expires_at > now,
            passes.c.person_key.is_(None) | people.c.disabled.is_(False),
        )
    )
    async with ledger.read() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Person(row.person, Role(row.today or row.role), row.person_key)


async def _open(
    connection: AsyncConnection, person: Person, session: Pass, author: Author, how: str
) -> None:
    for table in (sign_in_links, sessions):
        await connection.execute(delete(table).where(table.c.expires_at <= author.at))
    await connection.execute(
        insert(sessions).values(
            secret_hash=session.secret_hash,
            person=person.name,
            person_key=person.key,
            role=person.role.value,
            expires_at=session.expires_at,
        )
    )
    await record_audit(connection, author.entry("person.signed_in", detail={"by": how}))
