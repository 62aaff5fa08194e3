"""The policy in force, as a command sees it: file and ledger."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from config.settings import Settings
from ledger.address import Address
from relay.configured import policy_of
from relay.policy import Policy


def policy_in_force(settings: Settings, recipients: Iterable[Address]) -> Policy:
    """Return the policy with the consents that bear on some recipients.

    Where there is no ledger yet, nothing is on record, and the file alone holds.
    Raises StoreError, and ValueError where a kept rule is none of this version's.
    """
    policy = policy_of(settings)
    if not _ledger_file(settings).exists():
        return policy
    return asyncio.run(_narrowed(settings, policy, tuple(recipients)))


def _ledger_file(settings: Settings) -> Path:
    # Without ledger.engine, which brings the database with it.
    return Path(settings.database.url.partition(":///")[2])


async def _narrowed(settings: Settings, policy: Policy, recipients: tuple[Address, ...]) -> Policy:
    # Only here: the database takes most of a second to load, and a first look needs none.
    from indicia.storage import opened_stores
    from ledger.consents import consents_of
    from ledger.keys import load_audit_key
    from ledger.policies import kept_policy
    from relay.standing import rules_of

    async with opened_stores(settings) as stores, stores.ledger.read() as connection:
        kept = await kept_policy(connection)
        consents = await consents_of(connection, recipients, load_audit_key(settings.keys_dir))
    rules = (*policy.rules, *rules_of(kept))
    return replace(policy, rules=rules, consents=consents, tracking=kept.tracking)
