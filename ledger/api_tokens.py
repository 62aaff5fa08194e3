"""Tokens of the API: a name, a scope, and the hash of a secret.

The caller draws the secret and shows it once; who reads the database has none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from ledger.audit import Author, SubjectKind, record_audit
from ledger.engine import Store
from ledger.role import Scope
from ledger.schema import api_tokens


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it is kept."""

    name: str
    scope: Scope
    created_at: datetime

    @property
    def actor(self) -> str:
        """How the audit log names who acts by it."""
        return f"token:{self.name}"


async def add_api_token(ledger: Store, token: ApiToken, secret_hash: str, author: Author) -> bool:
    """Keep a new token under sessions.hash_secret of its secret; False where its name is taken."""
    entry = author.entry(
        "token.created", SubjectKind.TOKEN, token.name, {"scope": token.scope.value}
    )
    values = {
        "name": token.name,
        "secret_hash": secret_hash,
        "scope": token.scope.value,
        "created_at": token.created_at,
    }
    try:
        async with ledger.write() as connection:
            await connection.execute(insert(api_tokens).values(values))
            await record_audit(connection, entry)
    except IntegrityError:
        if token.name not in {known.name for known in await list_api_tokens(ledger)}:
            raise
        return False
    return True


async def find_api_token(ledger: Store, secret_hash: str) -> ApiToken | None:
    """Return the token of a secret; None where there is none, or no more."""
    statement = select(api_tokens).where(api_tokens.c.secret_hash == secret_hash)
    async with ledger.read() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _token_of(row)


async def list_api_tokens(ledger: Store) -> tuple[ApiToken, ...]:
    """Return all tokens, by name."""
    async with ledger.read() as connection:
        found = await connection.execute(select(api_tokens).order_by(api_tokens.c.name))
        return tuple(map(_token_of, found))


async def revoke_api_token(ledger: Store, name: str, author: Author) -> bool:
    """Forget a token, which lets nobody in from now on; False where there is none."""
    async with ledger.write() as connection:
        gone = await connection.execute(delete(api_tokens).where(api_tokens.c.name == name))
        if gone.rowcount == 0:
            return False
        await record_audit(connection, author.entry("token.revoked", SubjectKind.TOKEN, name))
    return True


def _token_of(row: Row[Any]) -> ApiToken:
    return ApiToken(row.name, Scope(row.scope), row.created_at)
