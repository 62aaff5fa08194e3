"""What consent and the switch say of copies, in a real ledger."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert

from ledger import schema
from ledger.consent import Consent, Method, Permit, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.permits import Switch, last_narrowing, read_permits, read_switch
from ledger.policies import PolicyChange, change_policy

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SEND = {
    "send_id": "S",
    "accepted_at": AT,
    "size_bytes": 1,
    "base_url": "",
    "verdict": {},
    "tags": [],
    "metadata": {},
}
KEY = b"k" * 32
COPIES = {
    1: ("individual", ["bob@example.org"]),
    2: ("shared", ["ann@example.org", "bob@example.org"]),
    3: ("anonymous", ["ann@example.org", "bob@example.org"]),
    4: ("individual", ["ann@example.org"]),
    5: ("shared", ["bob+x@example.org"]),
    6: ("off", []),
}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", schema.ledger)
    async with store.write() as connection:
        await connection.execute(insert(schema.sends), SEND)
        for copy_id, (mode, recipients) in COPIES.items():
            copy = {"copy_id": copy_id, "send_id": "S", "mode": mode}
            await connection.execute(insert(schema.copies), copy)
            for number, name in enumerate(recipients):
                row = {"copy_id": copy_id, "number": number, "recipient": name}
                more = {"recipient_key": name, "recipient_type": "to"}
                await connection.execute(insert(schema.copy_recipients), row | more)
    yield store
    await store.close()


async def tell(ledger: Store, subject: str, state: Consent) -> None:
    async with ledger.write() as connection:
        told = ConsentTold(state, AT, Method.OTHER, "operator")
        await tell_consent(connection, parse_subject(subject), told)


async def permits(ledger: Store) -> list[Permit | None]:
    found = await ledger.transact(partial(read_permits, copy_ids=[*COPIES, 99], digest_key=KEY))
    return [found.get(copy_id) for copy_id in [*COPIES, 99]]


async def test_without_a_denial_all_may_be_recorded_of_copies_on_record(ledger: Store) -> None:
    await tell(ledger, "bob@example.org", Consent.GRANTED)
    assert await permits(ledger) == [Permit.FULL] * 6 + [None]


async def test_a_denial_bites_by_the_mode_of_the_copy(ledger: Store) -> None:
    before = await ledger.transact(last_narrowing)
    await tell(ledger, "bob+news@example.org", Consent.DENIED)
    assert await ledger.transact(last_narrowing) > before
    assert await permits(ledger) == [
        Permit.NOTHING,
        Permit.ANONYMOUS,
        Permit.FULL,
        Permit.FULL,
        Permit.NOTHING,
        Permit.FULL,
        None,
    ]
    await tell(ledger, "bob+news@example.org", Consent.UNKNOWN)
    await tell(ledger, "example.org", Consent.DENIED)
    assert (await permits(ledger))[3] is Permit.NOTHING


async def test_many_recipients_are_asked_in_parts(
    ledger: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.consents._KEYS_AT_ONCE", 1)
    await tell(ledger, "bob@example.org", Consent.DENIED)
    assert (await permits(ledger))[:2] == [Permit.NOTHING, Permit.ANONYMOUS]


async def test_the_switch_is_told_with_its_history(ledger: Store) -> None:
    assert await ledger.transact(read_switch) == Switch()
    async with ledger.write() as connection:
        for hours, on in ((1, False), (2, True), (3, False)):
            await change_policy(connection, PolicyChange(AT + hours * HOUR, "x", "", None, on))
        await change_policy(connection, PolicyChange(AT, "x", "", "a rule", {"mode": "off"}))
    switch = await ledger.transact(read_switch)
    assert [switch.is_on(AT + hours * HOUR) for hours in (0, 1, 1.5, 2, 2.5, 3, 4)] == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
    ]
