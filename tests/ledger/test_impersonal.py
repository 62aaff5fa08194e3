"""What is left of an address in rules, reasons and the raw file when it is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ledger import schema
from ledger.address import parse_address
from ledger.consent import digest_of
from ledger.engine import Store
from ledger.impersonal import WHY, Cleared, clear_policy
from ledger.migrate import open_store
from ledger.policies import (
    KeptPolicy,
    PolicyChange,
    change_policy,
    kept_policy,
    policy_history,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = b"k" * 32
ANNA = parse_address("Zebrafish.Anna@example.org")
DIGEST = digest_of(KEY, ANNA.key)
OFF = {"recipient": "zebrafish.anna@EXAMPLE.org", "mode": "off"}
CHANGE = PolicyChange(NOW, "operator", "asked by Zebrafish.Anna@example.org", "counsel", OFF)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", schema.ledger)
    yield store
    await store.close()


async def change(ledger: Store, *changes: PolicyChange) -> list[int]:
    async with ledger.write() as connection:
        return [await change_policy(connection, one) for one in changes]


async def clear(ledger: Store) -> Cleared:
    later = NOW + timedelta(days=1)
    return await ledger.transact(partial(clear_policy, address=ANNA, now=later, digest_key=KEY))


async def is_in_files(ledger: Store, folder: Path) -> bool:
    await ledger.shrink()
    return b"zebrafish" in await asyncio.to_thread(_files, folder)


def _files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("ledger.db*")).lower()


async def test_a_rule_that_names_just_him_holds_on_under_a_digest(
    ledger: Store, tmp_path: Path
) -> None:
    (number,) = await change(ledger, CHANGE)
    assert await is_in_files(ledger, tmp_path)  # the search finds what is there
    cleared = await clear(ledger)
    assert (cleared.rows, cleared.under_digest) == (1, ("counsel",))
    assert cleared.number > number  # so that relays take it over
    async with ledger.read() as connection:
        kept = await kept_policy(connection)
        later, first = await policy_history(connection, 10)
    assert kept.rules == {"counsel": {"recipient": DIGEST, "mode": "off"}}
    assert (later.reason, later.actor, later.value) == (WHY, "operator", first.value)
    assert (first.at, first.rule, first.reason) == (NOW, "counsel", "asked by [forgotten]")
    assert not await is_in_files(ledger, tmp_path)
    assert await clear(ledger) == Cleared(0, 0, ())


async def test_of_what_holds_no_longer_only_the_address_goes(ledger: Store, tmp_path: Path) -> None:
    wide = {"sender": "*zebrafish.anna@example.org", "account": "bob", "mode": "shared"}
    await change(
        ledger,
        replace(CHANGE, value=wide),
        replace(CHANGE, value=None),
        replace(CHANGE, rule=None, value=False),
        replace(CHANGE, rule="other", value={"recipient": "*@gov.example", "mode": "off"}),
    )
    before = await _kept(ledger)
    assert await clear(ledger) == Cleared(4, 0, ())
    assert await _kept(ledger) == before
    async with ledger.read() as connection:
        history = await policy_history(connection, 10)
    assert [one.value for one in history][1:] == [
        False,
        None,
        {"sender": "*[forgotten]", "account": "bob", "mode": "shared"},
    ]
    assert {one.reason for one in history} == {"asked by [forgotten]"}
    assert not await is_in_files(ledger, tmp_path)


async def test_a_pattern_that_holds_for_others_too_stays_while_it_holds(ledger: Store) -> None:
    wide = {"recipient": "*zebrafish.anna@example.org", "sender": ANNA.key, "mode": "off"}
    await change(ledger, replace(CHANGE, value=wide), replace(CHANGE, rule="told", value=wide))
    await change(ledger, replace(CHANGE, rule="told", value=None))
    assert (await clear(ledger)).under_digest == ("counsel",)
    assert (await _kept(ledger)).rules == {
        "counsel": {"recipient": "*zebrafish.anna@example.org", "sender": DIGEST, "mode": "off"}
    }


async def _kept(ledger: Store) -> KeptPolicy:
    async with ledger.read() as connection:
        return await kept_policy(connection)
