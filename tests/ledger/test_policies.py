"""The record of policy in a real ledger file."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ledger.audit import AuditEntry, select_audit
from ledger.engine import Store
from ledger.policies import (
    KeptPolicy,
    PolicyChange,
    change_policy,
    change_rule,
    kept_policy,
    last_policy_change,
    policy_history,
)
from ledger.schema import ledger as ledger_tables

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RULE = {"recipient": "*@gov.example", "mode": "off"}
PUBLIC = PolicyChange(NOW, "anna@example.com", "asked by counsel", "public", RULE)
OFF = PolicyChange(NOW, "operator", "incident", None, False)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def test_without_a_change_tracking_is_on_and_there_are_no_rules(store: Store) -> None:
    async with store.read() as connection:
        assert await kept_policy(connection) == KeptPolicy({}, tracking=True, number=0)
        assert await last_policy_change(connection) == 0


async def test_the_last_change_of_each_rule_and_of_the_switch_holds(store: Store) -> None:
    changes = [
        PUBLIC,
        OFF,
        replace(PUBLIC, rule="other"),
        replace(PUBLIC, value={**RULE, "mode": "shared"}),
        replace(PUBLIC, rule="other", value=None),
    ]
    async with store.write() as connection:
        numbers = [await change_policy(connection, change) for change in changes]
    async with store.read() as connection:
        assert await kept_policy(connection) == KeptPolicy(
            {"public": {**RULE, "mode": "shared"}}, tracking=False, number=numbers[-1]
        )
        assert await last_policy_change(connection) == numbers[-1]
        told = [replace(change, number=n) for change, n in zip(changes, numbers, strict=True)]
        assert await policy_history(connection, 10) == tuple(reversed(told))
        assert await policy_history(connection, 1, before=numbers[1]) == (told[0],)
        assert await policy_history(connection, 10, rule="other") == (told[4], told[2])


async def test_a_rule_that_has_changed_since_it_was_seen_is_left_as_it_is(store: Store) -> None:
    entry = AuditEntry(NOW, "operator", "policy.rule_set", "policy", "public")
    assert await change_rule(store, PUBLIC, entry, seen=0)
    async with store.read() as connection:
        seen = await last_policy_change(connection)
    other = replace(PUBLIC, rule="other")
    assert await change_rule(store, other, entry, seen=0)
    assert await change_rule(store, replace(PUBLIC, value=None), entry, seen=seen)
    assert not await change_rule(store, PUBLIC, entry, seen=seen)
    async with store.read() as connection:
        assert list((await kept_policy(connection)).rules) == ["other"]
        assert len(await select_audit(connection, limit=9)) == 3
