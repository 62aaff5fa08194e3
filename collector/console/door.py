"""Who has the password of an account: compared slowly, a few at a time.

Law: an unknown person, a disabled one and a wrong password have the same answer at the same cost.
"""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from collector.console.throttle import Throttle
from ledger.address import AddressError, parse_address
from ledger.engine import Store
from ledger.password import hash_password, needs_rehash, verify_password
from ledger.people import Account, find_account, keep_rehash

_COMPARERS = 2
"""A comparison takes 64 MB and a core for a tenth of a second."""
_MAX_WAITING = 20
"""Two seconds of work: who comes then is asked to come again."""
_BUSY_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing was compared: too many tries."""

    seconds: int


class Door:
    """Compares passwords; slows down each account and each client that fails."""

    def __init__(self, ledger: Store) -> None:
        """Begin without failures; threads start with the first comparison."""
        self._ledger = ledger
        self._throttle = Throttle()
        self._pool = ThreadPoolExecutor(_COMPARERS, thread_name_prefix="password")
        self._waiting = 0

    async def knock(self, address: str, password: str, client: str) -> Account | Wait | None:
        """Return the account whose password this is; None where it is nobody's who may come in."""
        now = asyncio.get_running_loop().time()
        names = (f"account {_account_name(address)}", f"client {client}")
        wait_s = max(self._throttle.wait_s(name, now) for name in names)
        if self._waiting >= _MAX_WAITING:
            wait_s = max(wait_s, _BUSY_WAIT_S)
        if wait_s > 0:
            return Wait(math.ceil(wait_s))
        for name in names:
            self._throttle.count(name, now)
        account = await find_account(self._ledger, address)
        known = account is not None and not account.disabled
        password_hash = account.password_hash if account is not None and known else None
        if not await self._matches(password_hash, password) or account is None:
            failed_at = asyncio.get_running_loop().time()
            for name in names:
                self._throttle.delay_from(name, failed_at)
            return None
        self._throttle.forgive(names[0])
        self._throttle.uncount(names[1])
        return await self._refreshed(account, password)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    async def _matches(self, password_hash: str | None, password: str) -> bool:
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._pool, verify_password, password_hash, password)
        finally:
            self._waiting -= 1

    async def _refreshed(self, account: Account, password: str) -> Account:
        """Return the account, its password kept under today's costs."""
        if account.password_hash is None or not needs_rehash(account.password_hash):
            return account
        loop = asyncio.get_running_loop()
        dearer = await loop.run_in_executor(self._pool, hash_password, password)
        await keep_rehash(self._ledger, account, dearer)
        return await find_account(self._ledger, account.address) or account


def _account_name(address: str) -> str:
    try:
        return parse_address(address).key
    except AddressError:
        return "nobody"  # whatever is no address: together they have the tries of one
