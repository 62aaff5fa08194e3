"""Sign-in: tries are counted, credentials checked, wrong ones answered late.

An address that guesses waits; whom it guesses at is not kept out.
"""

import asyncio
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from relay.accept import phrases
from relay.accept.checks import Memory, UnknowableError
from relay.accept.guesses import Guesses
from relay.accept.login import SignedIn, account_key
from relay.mail import Credential
from relay.reply import Reply


class Check(Protocol):
    """What knows whether a credential is right."""

    async def recall(self, credential: Credential) -> SignedIn | None:
        """Return who has signed in with this lately, without work that is worth a guess."""

    async def verify(self, credential: Credential) -> SignedIn | None:
        """Return whose credential this is."""

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        """Return what somebody may now; None where he must sign in anew."""


class SignIn:
    """Who signs in, and how often it may be tried."""

    def __init__(self, check: Check, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from now on."""
        self._check = check
        self._clock = clock
        self._guesses = Guesses()
        self._memory = Memory(clock)

    async def sign_in(
        self, credential: Credential, peer: IPv4Address | IPv6Address | None
    ) -> SignedIn | Reply:
        """Return who it is, or the reply that says no more than that it was not right."""
        account = account_key(credential.username)
        if self._guesses.is_banned(peer, self._clock()):
            return phrases.TOO_MANY_TRIES
        try:
            # A password that was right just now is no guess, whatever others try with the account.
            signed_in = await self._check.recall(credential)
            if signed_in is not None:
                return signed_in
            guess = self._memory.digest(credential)
            if not self._guesses.begin(peer, account, self._clock()):
                self._guesses.note(peer, guess, self._clock())
                return phrases.TOO_MANY_TRIES
            signed_in = await self._verify(credential, peer)
        except UnknowableError:
            return phrases.CAN_NOT_TELL
        if signed_in is not None:
            self._guesses.right(peer, account)
            return signed_in
        await asyncio.sleep(self._guesses.wrong(peer, guess, self._clock()))
        return phrases.WRONG_CREDENTIAL

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        """Return what somebody may now; None where he must sign in anew."""
        return await self._check.renew(signed_in)

    async def _verify(
        self, credential: Credential, peer: IPv4Address | IPv6Address | None
    ) -> SignedIn | None:
        try:
            return await self._check.verify(credential)
        except UnknowableError:
            self._guesses.take_back(peer, account_key(credential.username))
            raise
