"""The record of consent in a real ledger file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ledger.address import parse_address
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import (
    ConsentTold,
    KeptConsent,
    consent_history,
    consents_of,
    consents_since,
    list_consents,
    tell_consent,
)
from ledger.engine import Store
from ledger.schema import ledger as ledger_tables

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ANNA = parse_subject("Anna@example.com")
DOMAIN = parse_subject("example.org")
DENIED = ConsentTold(Consent.DENIED, NOW, Method.FORM, "recipient", "the mail", "Stop it")
GRANTED = ConsentTold(Consent.GRANTED, NOW + timedelta(1), Method.SPOKEN, "bob@example.com")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def test_the_last_that_was_told_holds_and_nothing_is_forgotten(store: Store) -> None:
    async with store.write() as connection:
        first = await tell_consent(connection, ANNA, DENIED)
        second = await tell_consent(connection, ANNA, GRANTED)
    assert first < second
    async with store.read() as connection:
        assert await consent_history(connection, ANNA) == (GRANTED, DENIED)
        assert await list_consents(connection, 10) == ((ANNA, GRANTED),)
        assert await consents_since(connection, 0, 10) == (
            KeptConsent(ANNA, Consent.GRANTED, second),
        )
        assert await consents_since(connection, second, 10) == ()


async def test_consents_are_found_by_address_by_detail_and_by_domain(store: Store) -> None:
    async with store.write() as connection:
        await tell_consent(connection, parse_subject("anna+news@example.com"), DENIED)
        await tell_consent(connection, DOMAIN, GRANTED)
    addresses = [
        parse_address(text)
        for text in ("anna@example.com", "anna+x@example.com", "bob@example.org", "c@d.example")
    ]
    async with store.read() as connection:
        held = await consents_of(connection, addresses)
        assert await consents_of(connection, ()) == await consents_of(connection, addresses[3:])
    assert [held.of(address) for address in addresses] == [
        Consent.DENIED,
        Consent.DENIED,
        Consent.GRANTED,
        Consent.UNKNOWN,
    ]


async def test_a_consent_that_is_unknown_again_has_no_effect(store: Store) -> None:
    async with store.write() as connection:
        await tell_consent(connection, ANNA, DENIED)
        await tell_consent(connection, ANNA, ConsentTold(Consent.UNKNOWN, NOW, Method.OTHER, "x"))
    async with store.read() as connection:
        held = await consents_of(connection, [parse_address("anna@example.com")])
    assert held.of(parse_address("anna@example.com")) is Consent.UNKNOWN


async def test_consents_are_listed_page_by_page(store: Store) -> None:
    subjects = [parse_subject(f"{name}@example.com") for name in "abcde"]
    async with store.write() as connection:
        for subject in reversed(subjects):
            await tell_consent(connection, subject, DENIED)
    async with store.read() as connection:
        first = await list_consents(connection, 2)
        rest = await list_consents(connection, 10, first[-1][0].key)
    assert [subject for subject, _ in (*first, *rest)] == subjects
