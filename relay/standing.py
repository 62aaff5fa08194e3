"""What policy and consent say now: the file, and the ledger.

The ledger is asked every second.  Where it can not be read, what was known last holds, which the
spool remembers; where nothing is known, nobody is tracked.

Law: what can not be read never widens what may be tracked.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ledger import known
from ledger.consent import Consent, Consents
from ledger.consents import KeptConsent, consents_since
from ledger.engine import Store
from ledger.mode import TrackingMode
from ledger.policies import KeptPolicy, kept_policy, last_policy_change
from relay.policy import Policy, Rule

LOOK_S = 1.0
"""The switch for everybody must hold within 5 s, on every process; a look reads two rows."""

_READ_S = 5.0
"""How long a look may take."""

_MOST = 5_000
"""Consents taken over at once: some 30 ms of the spool's writer."""

_log = structlog.get_logger()


class Standing:
    """The policy in force, kept up to date."""

    def __init__(self, policy: Policy, spool: Store, ledger: Store, digest_key: bytes) -> None:
        """Take what the file says; nothing is known of the ledger before `recall`.

        By `digest_key` denials of who is forgotten are found.
        """
        self._file = policy
        self._digest_key = digest_key
        self._spool = spool
        self._ledger = ledger
        self._number = -1
        self._consents_number = 0
        self._granted: set[str] = set()
        self._denied: set[str] = set()
        self._unread = False
        self.policy = replace(policy, known=False)
        """In force now: replaced by each change; its consents grow in place."""

    async def recall(self) -> None:
        """Take what the spool remembers, then look at the ledger once.

        Raises SQLAlchemyError where the spool can not be read.
        """
        last = await self._spool.transact(known.recall)
        if last is not None:
            self._granted, self._denied = set(last.granted), set(last.denied)
            self._consents_number = last.consents_number
            self._hold(last.policy)
        await self.look()
        if not self.policy.known:
            # A disk that failed us once is no reason to track nobody for a second.
            await self.look()

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Bring what holds up to date; where the ledger can not be read, all stays as it is."""
        try:
            async with asyncio.timeout(_READ_S):
                while await self._look_once() == _MOST:
                    pass
        except (SQLAlchemyError, OSError, TypeError, ValueError) as error:
            if not self._unread:  # said once, not every second
                _log.error("policy.unread", error=str(error))
            self._unread = True
        else:
            self._unread = False

    async def _look_once(self) -> int:
        """Take over what has changed, and return how many consents that were."""
        async with self._ledger.read() as connection:
            changed = await consents_since(connection, self._consents_number, _MOST)
            if not changed and await last_policy_change(connection) == self._number:
                return 0
            policy = await kept_policy(connection)
        consents_number = changed[-1].number if changed else self._consents_number
        rules_of(policy)  # what can not be read is not remembered
        denied = await self._spool.transact(
            partial(_remember, policy=policy, changed=changed, consents_number=consents_number)
        )
        self._take(changed, denied)
        self._consents_number = consents_number
        self._hold(policy)
        return len(changed)

    def _take(self, changed: tuple[KeptConsent, ...], denied: frozenset[str]) -> None:
        for one in changed:
            if one.state is Consent.GRANTED:
                self._granted.add(one.subject.key)
            else:
                self._granted.discard(one.subject.key)
        self._denied |= denied
        # Last, so that no moment is wider than what holds.
        self._denied -= {one.subject.denial_key for one in changed} - denied

    def _hold(self, policy: KeptPolicy) -> None:
        self._number = policy.number
        self.policy = replace(
            self._file,
            rules=(*self._file.rules, *rules_of(policy)),
            consents=Consents(self._granted, self._denied, self._digest_key),
            tracking=policy.tracking,
        )


def rules_of(policy: KeptPolicy) -> tuple[Rule, ...]:
    """Return the rules that admins keep.

    Raises TypeError or ValueError where one of them is none of this version's.
    """
    return tuple(_rule(name, value) for name, value in policy.rules.items())


def _rule(name: str, value: object) -> Rule:
    if not isinstance(value, Mapping):
        msg = f"rule {name!r} is no object"
        raise TypeError(msg)
    mode = TrackingMode(value.get("mode", TrackingMode.INDIVIDUAL))
    return Rule(**{**value, "name": name, "mode": mode})


def _remember(
    connection: Connection,
    policy: KeptPolicy,
    changed: tuple[KeptConsent, ...],
    consents_number: int,
) -> frozenset[str]:
    """Keep what has changed, and return which of the changed denial keys are denied."""
    if changed:
        known.remember_consents(connection, changed)
    known.remember_policy(connection, policy, consents_number)
    return known.denied_among(connection, {one.subject.denial_key for one in changed})
