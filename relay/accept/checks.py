"""Whether a credential is right: asked of the ledger or of the upstream, and remembered.

Law: an unknown name, a wrong password and a disabled account cost the same work.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from hashlib import blake2b

from sqlalchemy.exc import SQLAlchemyError

from ledger.engine import Store
from ledger.password import verify_password
from ledger.people import Account, find_account
from relay.accept.login import SignedIn, account_key
from relay.mail import Credential

REMEMBER_S = 600.0
"""A credential that was right is so for ten minutes without being checked by argon2 or upstream.

One of the ledger ends at once with its password or its account, while the ledger can be read.
"""

_LEDGER_S = 5.0
"""For the ledger to answer; its reads end within that."""

_MAX_WAITING = 32
"""Checks at once, two of which run: the last waits about a second."""

_MAX_REMEMBERED = 10_000


class UnknowableError(Exception):
    """Nobody can tell now whether a credential is right."""


class Memory:
    """What was right lately, without the words: a digest under a key of this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing is remembered."""
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._right: OrderedDict[bytes, float] = OrderedDict()

    def digest(self, credential: Credential, proof: str = "") -> bytes:
        """Return what tells a credential from every other, and says nothing about it."""
        words = (account_key(credential.username), credential.password, proof)
        # A word's length stands before it, so that no two credentials are one.
        text = b"".join(b"%d:%s" % (len(raw), raw) for raw in (word.encode() for word in words))
        return blake2b(text, key=self._key, digest_size=32).digest()

    def keep(self, digest: bytes) -> None:
        """Remember that it was right."""
        self._right[digest] = self._clock()
        self._right.move_to_end(digest)
        if len(self._right) > _MAX_REMEMBERED:
            self._right.popitem(last=False)

    def knows(self, digest: bytes) -> bool:
        """Tell whether it was right lately."""
        right_at = self._right.get(digest)
        return right_at is not None and self._clock() - right_at < REMEMBER_S


class Users:
    """The accounts of the ledger, `relay.auth.mode = "users"`."""

    def __init__(
        self, ledger: Store, pool: Executor, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Hash in `pool`, whose threads may use 64 MB each."""
        self._ledger = ledger
        self._pool = pool
        self._clock = clock
        self._memory = Memory(clock)
        self._last: OrderedDict[str, tuple[Account, float]] = OrderedDict()
        self._waiting = 0

    async def recall(self, credential: Credential) -> SignedIn | None:
        """Return who has signed in with this lately; None where it must be verified.

        Raises UnknowableError where the ledger can not be read and he is not remembered.
        """
        account = await self._find(credential.username)
        if account is None or not _may_sign_in(account):
            return None
        digest = self._memory.digest(credential, account.password_hash or "")
        return _signed_in(account) if self._memory.knows(digest) else None

    async def verify(self, credential: Credential) -> SignedIn | None:
        """Return whose credential this is; None where it is nobody's.

        Raises UnknowableError where the ledger can not be read, or too many are waiting.
        """
        account = await self._find(credential.username)
        password_hash = None if account is None else account.password_hash
        if not await self._matches(password_hash, credential.password):
            return None
        if account is None or not _may_sign_in(account):
            return None
        self._memory.keep(self._memory.digest(credential, account.password_hash or ""))
        return _signed_in(account)

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        """Return what somebody may now; None where he must sign in anew."""
        try:
            account = await self._find(signed_in.account)
        except UnknowableError:
            return signed_in
        if account is None or not _may_sign_in(account):
            return None
        renewed = _signed_in(account)
        return renewed if renewed.proof == signed_in.proof else None

    async def _find(self, username: str) -> Account | None:
        key = account_key(username)
        try:
            async with asyncio.timeout(_LEDGER_S):
                account = await find_account(self._ledger, username)
        except (SQLAlchemyError, OSError) as error:
            account, found_at = self._last.get(key, (None, 0.0))
            if account is None or self._clock() - found_at >= REMEMBER_S:
                raise UnknowableError from error
            return account
        if account is None:
            self._last.pop(key, None)
        else:
            self._last[key] = (account, self._clock())
            self._last.move_to_end(key)
            if len(self._last) > _MAX_REMEMBERED:
                self._last.popitem(last=False)
        return account

    async def _matches(self, password_hash: str | None, text: str) -> bool:
        if self._waiting >= _MAX_WAITING:
            raise UnknowableError
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, verify_password, password_hash, text)
        finally:
            self._waiting -= 1


class Elsewhere:
    """The upstream's own people, `relay.auth.mode = "upstream"`: they keep their credentials."""

    def __init__(
        self,
        ask: Callable[[Credential], Awaitable[bool | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask by `ask`, which gives None where the upstream can not be asked."""
        self._ask = ask
        self._memory = Memory(clock)
        self._waiting = 0

    async def recall(self, credential: Credential) -> SignedIn | None:
        """Return who has signed in with this lately; None where it must be verified."""
        known = self._memory.knows(self._memory.digest(credential))
        return _at_upstream(credential) if known else None

    async def verify(self, credential: Credential) -> SignedIn | None:
        """Return whose credential this is; None where the upstream refuses it.

        Raises UnknowableError where it can not be asked, or too many are waiting.
        """
        if self._waiting >= _MAX_WAITING:
            raise UnknowableError
        self._waiting += 1
        try:
            right = await self._ask(credential)
        finally:
            self._waiting -= 1
        if right is None:
            raise UnknowableError
        if right:
            self._memory.keep(self._memory.digest(credential))
        return _at_upstream(credential) if right else None

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        """Return him as he is: the upstream sees his credential with each mail."""
        return signed_in


def _may_sign_in(account: Account) -> bool:
    return not account.disabled and account.password_hash is not None


def _signed_in(account: Account) -> SignedIn:
    return SignedIn(account.address, account.send_as, proof=account.password_hash or "")


def _at_upstream(credential: Credential) -> SignedIn:
    return SignedIn(credential.username, None, credential)
