"""Names of those who act: the accounts behind pseudonyms."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import pseudonym
from ledger.people import select_accounts


async def account_names(connection: AsyncConnection, audit_key: bytes) -> Mapping[str, str]:
    """Return the address of each account by what stands for it in records."""
    accounts = await select_accounts(connection)
    return {pseudonym(audit_key, account.key): account.address for account in accounts}
