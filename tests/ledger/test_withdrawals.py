"""Withdrawals on the recipient's page, in a real ledger."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from ledger import schema
from ledger.address import parse_address
from ledger.audit import RECIPIENT, Author
from ledger.consent import Consent, Method, subject_of
from ledger.consents import ConsentTold, consents_of, tell_consent
from ledger.disclosed import disclose_copy
from ledger.engine import Store
from ledger.fact import pack_verdict
from ledger.forget import find_traces, forget_address
from ledger.migrate import open_store
from ledger.withdrawals import Withdrawn, page_withdrawals, undo_withdrawals, withdraw_copy

AT = datetime(2026, 11, 24, 12, 34, 56, tzinfo=UTC)
KEY = b"k" * 32
AUTHOR = Author(RECIPIENT, AT, KEY)
DENIED = ConsentTold(Consent.DENIED, AT, Method.FORM, RECIPIENT, "the page", "Stop it")
ANNA, DETAIL = parse_address("anna@example.org"), parse_address("anna+news@example.org")
COPIES = {1: ("individual", [ANNA]), 2: ("individual", [DETAIL]), 3: ("shared", [ANNA, DETAIL])}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", schema.ledger)
    send = {"accepted_at": AT, "sender": "ann@sender.example", "size_bytes": 1, "base_url": ""}
    said: dict[str, Any] = {"verdict": pack_verdict([]), "tags": [], "metadata": {}}
    async with store.write() as connection:
        for copy_id, (mode, recipients) in COPIES.items():
            send_id = f"S{copy_id}"
            await connection.execute(insert(schema.sends), {"send_id": send_id, **send, **said})
            copy = {"copy_id": copy_id, "send_id": send_id, "mode": mode}
            await connection.execute(insert(schema.copies), copy)
            for number, one in enumerate(recipients):
                row = {"copy_id": copy_id, "number": number, "recipient": str(one)}
                more = {"recipient_key": one.key, "recipient_type": "to"}
                await connection.execute(insert(schema.copy_recipients), row | more)
    yield store
    await store.close()


async def withdraw(ledger: Store, copy_id: int) -> Withdrawn:
    async with ledger.write() as connection:
        return await withdraw_copy(connection, copy_id, DENIED, AUTHOR)


async def undo(ledger: Store, up_to: int) -> bool:
    async with ledger.write() as connection:
        return await undo_withdrawals(connection, DETAIL, up_to, DENIED, AUTHOR)


async def forget_anna(ledger: Store) -> None:
    traces = await find_traces(ledger, ANNA, ())
    await forget_address(ledger, traces, AT + timedelta(1), KEY)


async def holds(ledger: Store) -> Consent:
    async with ledger.read() as connection:
        return (await consents_of(connection, [DETAIL], KEY)).of(DETAIL)


async def rows(ledger: Store, table: Any) -> list[Any]:
    async with ledger.read() as connection:
        return list((await connection.execute(select(table))).all())


async def test_whose_copy_it_is_says_what_comes_of_a_withdrawal(ledger: Store) -> None:
    assert [await withdraw(ledger, copy_id) for copy_id in (1, 3, 99)] == [
        Withdrawn.DONE,
        Withdrawn.SOMEONE,
        Withdrawn.UNKNOWN,
    ]
    assert await holds(ledger) is Consent.DENIED


async def test_who_is_forgotten_denies_still_on_the_page_of_his_other_spelling(
    ledger: Store,
) -> None:
    await withdraw(ledger, 1)
    await forget_anna(ledger)
    assert await holds(ledger) is Consent.DENIED
    disclosure = await disclose_copy(ledger, KEY, 2)
    assert disclosure is not None
    assert (disclosure.consent, disclosure.withdrawal) == (Consent.DENIED, None)
    before = [len(await rows(ledger, table)) for table in (schema.consent_changes, schema.audit)]
    assert await withdraw(ledger, 2) is Withdrawn.DONE
    after = [len(await rows(ledger, table)) for table in (schema.consent_changes, schema.audit)]
    assert after == before  # it is told once


async def test_a_withdrawal_whose_day_is_not_over_is_forgotten_with_him(ledger: Store) -> None:
    await withdraw(ledger, 1)
    (waiting,) = await rows(ledger, schema.day_events)
    assert (waiting.recipient, waiting.day) == (
        "anna@example.org",
        AT.replace(hour=0, minute=0, second=0),
    )
    assert await rows(ledger, schema.events) == []
    await forget_anna(ledger)
    assert await rows(ledger, schema.day_events) == []


async def test_undoing_does_not_end_the_denial_of_who_is_forgotten(ledger: Store) -> None:
    async with ledger.write() as connection:
        told = ConsentTold(Consent.DENIED, AT, Method.FORM, RECIPIENT)
        await tell_consent(connection, subject_of(DETAIL), told)
        await tell_consent(connection, subject_of(ANNA), told)
    await forget_anna(ledger)
    async with ledger.read() as connection:
        (own,) = await page_withdrawals(connection, DETAIL)
    assert await undo(ledger, own.number)
    assert not await undo(ledger, own.number)
    assert await holds(ledger) is Consent.DENIED
