"""Notices as the ledger keeps them, and mail that the spool owes once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from ledger import schema
from ledger.audit import Author
from ledger.engine import Store
from ledger.event import Agent, Event, EventType
from ledger.events import RecordedEvent, record_events
from ledger.migrate import open_store
from ledger.notices import (
    NoticeLetter,
    Owing,
    close_letter,
    latest_letters,
    next_due,
    open_letters,
    owe_notices,
    select_due_notices,
    settle_letter,
)
from ledger.owed_mails import OwedMail, forget_name, owe_mail_once, read_owed_mails
from ledger.people import Account, add_account
from ledger.role import Role

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANN = "ann@acme.example"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    await add_account(store, Account(ANN, Role.USER), Author("operator", AT, b"k" * 32))
    event = Event("e1", EventType.OPENED, AT, sender=ANN, classification=Agent.PROXY, send_id="S1")
    await store.transact(partial(record_events, rows=[RecordedEvent(event)]))
    await store.transact(partial(owe_notices, owing=[Owing("e1", AT)]))
    yield store
    await store.close()


async def test_what_is_purged_goes_with_its_event(ledger: Store) -> None:
    await ledger.transact(lambda connection: connection.execute(delete(schema.events)))
    assert await ledger.transact(next_due) is None
    assert await ledger.transact(lambda one: one.scalar(select(schema.notices))) is None


async def test_of_an_event_one_mail_ever_tells(ledger: Store) -> None:
    """Law: of an event at most one mail ever tells, and one that was owed is told or dropped."""
    (due,) = await ledger.transact(partial(select_due_notices, now=AT, limit=9))
    letter = NoticeLetter("L1", ANN, AT)
    await ledger.transact(partial(settle_letter, letter=letter, numbers=[due.number]))
    assert await ledger.transact(partial(select_due_notices, now=AT, limit=9)) == []
    (opened,) = await ledger.transact(open_letters)
    assert (opened.letter, opened.address, len(opened.events)) == (letter, ANN, 1)
    await ledger.transact(partial(close_letter, name="L1", now=AT, sent=True))
    await ledger.transact(partial(owe_notices, owing=[Owing("e1", AT)]))
    assert await ledger.transact(next_due) is None
    assert await ledger.transact(open_letters) == []


async def test_that_somebody_had_a_mail_is_known_for_an_hour(ledger: Store) -> None:
    for minutes in (0, 59, 61):
        at = AT + timedelta(minutes=minutes)
        letter = NoticeLetter(f"L{minutes}", ANN, at)
        await ledger.transact(partial(settle_letter, letter=letter, numbers=[]))
        await ledger.transact(partial(close_letter, name=letter.name, now=at, sent=True))
    had = await ledger.transact(
        partial(latest_letters, person_key=ANN, now=AT + timedelta(minutes=61))
    )
    assert had == [AT + timedelta(minutes=59), AT + timedelta(minutes=61)]
    rows = await ledger.transact(
        lambda one: one.scalars(select(schema.notice_letters.c.name)).all()
    )
    assert sorted(rows) == ["L59", "L61"]


async def test_a_mail_is_owed_once_until_its_name_is_forgotten(tmp_path: Path) -> None:
    spool = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    mail = OwedMail("L1", AT, ANN, "Your mail was opened", "text")
    for forgotten, owed in ((False, (mail,)), (False, ()), (True, (mail,))):
        async with spool.write() as connection:
            if forgotten:
                await forget_name(connection, "L1")
            await owe_mail_once(connection, mail)
            assert await read_owed_mails(connection, 9) == owed
            await connection.execute(delete(schema.owed_mails))  # the relay has sent it
    await spool.close()
