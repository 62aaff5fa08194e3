"""What a relay last knew of policy, renewed when no relay runs."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ledger import schema
from ledger.engine import Store
from ledger.known import recall, remember_policy, renew_policy
from ledger.migrate import open_store
from ledger.policies import KeptPolicy

HELD = KeptPolicy({"counsel": {"recipient": "anna@example.org"}}, tracking=False, number=4)
LATER = KeptPolicy({"counsel": {"recipient": "~"}}, tracking=True, number=5)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'spool.db'}", schema.spool)
    yield store
    await store.close()


async def test_what_held_gives_way_to_what_holds_and_consents_are_known_as_far_as_before(
    spool: Store, tmp_path: Path
) -> None:
    await spool.transact(partial(remember_policy, policy=HELD, consents_number=7))
    await spool.transact(partial(renew_policy, policy=LATER))
    known = await spool.transact(recall)
    assert known is not None
    assert (known.policy, known.consents_number) == (LATER, 7)
    await spool.shrink()
    assert b"anna@" not in (tmp_path / "spool.db").read_bytes()


@pytest.mark.parametrize("held", [None, LATER, replace(LATER, number=6)])
async def test_what_is_as_new_stays_and_of_nothing_nothing_is_made(
    spool: Store, held: KeptPolicy | None
) -> None:
    if held is not None:
        await spool.transact(partial(remember_policy, policy=held, consents_number=7))
    await spool.transact(partial(renew_policy, policy=replace(HELD, number=5)))
    known = await spool.transact(recall)
    assert (None if known is None else known.policy) == held
