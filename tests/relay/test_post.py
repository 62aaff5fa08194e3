import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger import schema
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.owed_mails import OwedMail, owe_mail, read_owed_mails
from relay.post import Post
from relay.promise import SpoolError
from relay.spool import Spool

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'spool.db'}", schema.spool)
    yield opened
    await opened.close()


@pytest.fixture
async def post(store: Store) -> AsyncIterator[Post]:
    spool = Spool(store)
    yield Post(store, spool, "relay.example.com", 0)
    await spool.close()


async def owe(store: Store, number: int, recipient: str = "b@example.org") -> OwedMail:
    mail = OwedMail(f"S{number:025d}", AT, recipient, "Please confirm", "Open\n\nhttps://t/w/\n")
    async with store.write() as connection:
        await owe_mail(connection, mail)
    return mail


async def rows(store: Store, table: Any) -> list[Any]:
    async with store.read() as connection:
        return list((await connection.execute(select(table))).all())


async def test_what_is_owed_becomes_mail_from_the_null_sender_that_is_not_tracked(
    store: Store, post: Post
) -> None:
    mail = await owe(store, 1)
    assert await post.post_owed() == 1
    (send,) = await rows(store, schema.spooled_sends)
    (copy,) = await rows(store, schema.spooled_copies)
    (recipient,) = await rows(store, schema.spooled_recipients)
    assert (send.send_id, send.sender, send.subject) == (mail.name, None, "Please confirm")
    assert send.message_id == f"{mail.name}@relay.example.com"
    assert (copy.mode, copy.layout, recipient.recipient) == ("off", None, "b@example.org")
    assert await rows(store, schema.owed_mails) == []
    assert await post.post_owed() == 0


async def test_killed_between_queue_and_receipt_it_lies_in_the_queue_once(
    store: Store, post: Post
) -> None:
    await owe(store, 1)
    await post.post_owed()
    await owe(store, 1)  # as if it had not been taken away
    assert await post.post_owed() == 1
    assert len(await rows(store, schema.spooled_sends)) == 1
    assert await rows(store, schema.owed_mails) == []


async def test_a_mail_that_is_owed_twice_is_owed_once(store: Store) -> None:
    await owe(store, 1)
    await owe(store, 1)
    async with store.read() as connection:
        assert len(await read_owed_mails(connection, 10)) == 1


async def test_where_the_queue_can_not_be_written_it_stays_owed_and_is_tried_again(
    store: Store, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.post.LOOK_S", 0.0)
    store_mail, tries = post.spool.store, 0

    async def fail_once(stored: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            msg = "no room"
            raise SpoolError(msg)
        await store_mail(stored)

    monkeypatch.setattr(post.spool, "store", fail_once)
    await owe(store, 1)
    running = asyncio.create_task(post.run())
    async with asyncio.timeout(5):
        while not await rows(store, schema.spooled_sends):  # noqa: ASYNC110 - another task writes
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert tries == 2
