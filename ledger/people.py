"""The people who use Indicia: accounts, roles, whom they send as.

A change and its line in the audit log are one transaction.
Who loses his password or his account loses his sessions in the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import AddressError, parse_address
from ledger.audit import Author, SubjectKind, record_audit
from ledger.engine import Store
from ledger.role import Role
from ledger.schema import people, sessions, sign_in_links


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in, at the console or by SMTP AUTH."""

    address: str
    """As an admin wrote it; compared by Address.key."""
    role: Role
    send_as: tuple[str, ...] = ()
    """Patterns of addresses he may send as, besides his own."""
    password_hash: str | None = None
    """None: he has none, and signs in by a link."""
    disabled: bool = False

    @property
    def key(self) -> str:
        """The spelling by which accounts are compared."""
        return parse_address(self.address).key


@dataclass(frozen=True, slots=True)
class _Change:
    action: str
    values: Mapping[str, object]
    detail: Mapping[str, object]
    ends_sessions: bool


async def find_account(ledger: Store, address: str) -> Account | None:
    """Return the account of an address, a disabled one too; None where there is none."""
    key = _key(address)
    if key is None:
        return None
    async with ledger.read() as connection:
        row = (await connection.execute(select(people).where(people.c.key == key))).one_or_none()
    return None if row is None else _account_of(row)


async def list_accounts(ledger: Store) -> tuple[Account, ...]:
    """Return all accounts, by address."""
    async with ledger.read() as connection:
        return await select_accounts(connection)


async def select_accounts(connection: AsyncConnection) -> tuple[Account, ...]:
    """Return all accounts as one view of the ledger has them, by address."""
    found = await connection.execute(select(people).order_by(people.c.key))
    return tuple(map(_account_of, found))


async def add_account(ledger: Store, account: Account, author: Author) -> bool:
    """Add an account; False where its address has one already, which stays as it is."""
    values = {
        "key": account.key,
        "address": account.address,
        "role": account.role.value,
        "password_hash": account.password_hash,
        "send_as": list(account.send_as),
        "disabled": account.disabled,
        "created_at": author.at,
    }
    # Patterns may be addresses, which the audit log never holds: it tells how many there are.
    detail = {
        "role": account.role.value,
        "send_as": len(account.send_as),
        "password": account.password_hash is not None,
    }
    try:
        async with ledger.write() as connection:
            await connection.execute(insert(people).values(values))
            entry = author.entry("person.added", SubjectKind.PERSON, account.key, detail)
            await record_audit(connection, entry)
    except IntegrityError:
        if await find_account(ledger, account.address) is None:
            raise
        return False
    return True


async def set_password(
    ledger: Store, address: str, password_hash: str | None, author: Author
) -> bool:
    """Change a password and end the person's sessions; False where there is no account."""
    values = {"password_hash": password_hash}
    detail = {"password": password_hash is not None}
    return await _apply(ledger, address, _Change("person.password", values, detail, True), author)


async def set_disabled(ledger: Store, address: str, disabled: bool, author: Author) -> bool:  # noqa: FBT001 - the value that is set
    """Shut somebody out, or let him in again; False where there is no account."""
    action = "person.disabled" if disabled else "person.enabled"
    return await _apply(ledger, address, _Change(action, {"disabled": disabled}, {}, True), author)


async def set_role(ledger: Store, address: str, role: Role, author: Author) -> bool:
    """Change what somebody may see and do; False where there is no account.

    His sessions end: what he has on the screen was drawn for another role.
    """
    values = {"role": role.value}
    return await _apply(ledger, address, _Change("person.role", values, values, True), author)


async def set_send_as(
    ledger: Store, address: str, send_as: tuple[str, ...], author: Author
) -> bool:
    """Change whom somebody may send as; False where there is no account."""
    detail = {"send_as": len(send_as)}
    change = _Change("person.send_as", {"send_as": list(send_as)}, detail, False)
    return await _apply(ledger, address, change, author)


async def keep_rehash(ledger: Store, account: Account, password_hash: str) -> None:
    """Keep the same password under a hash of today's costs, unless it has changed meanwhile."""
    unchanged = (people.c.key == account.key) & (people.c.password_hash == account.password_hash)
    async with ledger.write() as connection:
        await connection.execute(
            update(people).where(unchanged).values(password_hash=password_hash)
        )


async def _apply(ledger: Store, address: str, change: _Change, author: Author) -> bool:
    key = _key(address)
    async with ledger.write() as connection:
        statement = update(people).where(people.c.key == key).values(change.values)
        if key is None or (await connection.execute(statement)).rowcount == 0:
            return False
        if change.ends_sessions:
            for table in (sessions, sign_in_links):
                await connection.execute(delete(table).where(table.c.person_key == key))
        entry = author.entry(change.action, SubjectKind.PERSON, key, change.detail)
        await record_audit(connection, entry)
    return True


def _key(address: str) -> str | None:
    try:
        return parse_address(address).key
    except AddressError:
        return None


def _account_of(row: Row[Any]) -> Account:
    return Account(
        address=row.address,
        role=Role(row.role),
        send_as=tuple(row.send_as),
        password_hash=row.password_hash,
        disabled=row.disabled,
    )
