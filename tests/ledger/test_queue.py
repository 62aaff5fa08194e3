"""The queue as people see it, over a real spool."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import queue, schema
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.queue import (
    NULL_SENDER,
    QueuedCopy,
    QueueFilter,
    Waiting,
    find_queued,
    list_queue,
    place_of,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

Put = Callable[..., Awaitable[str]]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


async def found(spool: Store, wanted: QueueFilter) -> list[int]:
    return [copy.copy_id async for copy in find_queued(spool, wanted, NOW)]


async def test_the_queue_is_in_the_order_of_what_comes_next(
    spool: Store, put_in_queue: Put
) -> None:
    await put_in_queue(spool, 1, due_at=NOW + HOUR)
    await put_in_queue(spool, 2, due_at=NOW)
    await put_in_queue(spool, 3, due_at=NOW - HOUR, held=True)
    await put_in_queue(spool, 4, due_at=NOW)
    assert await found(spool, QueueFilter()) == [2, 4, 1, 3]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, Waiting.NEW),
        ({"attempts": 2}, Waiting.DEFERRED),
        ({"leased_until": NOW + HOUR}, Waiting.UNDER_WAY),
        ({"leased_until": NOW - HOUR}, Waiting.NEW),
        ({"held": True, "attempts": 1}, Waiting.HELD),
        ({"fate": "silent"}, Waiting.DROPPED),
        ({"fate": "bounce", "leased_until": NOW + HOUR}, Waiting.DROPPED),
        ({"fate": "dead", "held": True, "sender": None}, Waiting.DEAD),
        # Some of its recipients have failed, the others are still tried.
        ({"fate": "dead", "attempts": 1, "sender": None}, Waiting.DEFERRED),
    ],
)
async def test_each_copy_tells_why_it_waits(
    spool: Store, put_in_queue: Put, values: Any, why: Waiting
) -> None:
    await put_in_queue(spool, 1, **values)
    assert await found(spool, QueueFilter(waiting=frozenset({why}))) == [1]
    others = frozenset(Waiting) - {why}
    assert await found(spool, QueueFilter(waiting=others)) == []


async def test_copies_are_found_by_each_thing_that_is_known_of_them(
    spool: Store, put_in_queue: Put
) -> None:
    first = await put_in_queue(
        spool,
        1,
        received_at=NOW - 3 * HOUR,
        recipients=("bob@Example.org", "carol@xn--bcher-kva.example"),
        reply="451 4.7.1 Greylisted",
        upstream="default",
    )
    await put_in_queue(spool, 2, sender=None, received_at=NOW, recipients=("ann@sender.example",))
    cases = {
        QueueFilter(): [1, 2],
        QueueFilter(copy_ids=(2,)): [2],
        QueueFilter(send_ids=(first,)): [1],
        QueueFilter(copy_ids=(2,), send_ids=(first,)): [1, 2],
        QueueFilter(received_before=NOW - 2 * HOUR): [1],
        QueueFilter(recipient="example.org"): [1],
        QueueFilter(recipient="*@bücher.example"): [1],
        QueueFilter(recipient="BOB@*"): [1],
        QueueFilter(recipient="*@sender.example"): [2],
        QueueFilter(sender="ann@sender.example"): [1],
        QueueFilter(sender=NULL_SENDER): [2],
        QueueFilter(sender="*"): [1],
        QueueFilter(reply="greylisted"): [1],
        QueueFilter(reply="4.7.1", recipient="*@sender.example"): [],
        QueueFilter(upstream="default"): [1],
        QueueFilter(upstream="other"): [],
        QueueFilter(copy_ids=(99,)): [],
    }
    for wanted, copy_ids in cases.items():
        assert sorted(await found(spool, wanted)) == copy_ids, wanted


async def test_only_who_still_waits_is_looked_at(spool: Store, put_in_queue: Put) -> None:
    await put_in_queue(spool, 1, recipients=("bob@example.org", "carol@example.org"), reply="451 x")
    async with spool.write() as connection:
        table = schema.spooled_recipients
        await connection.execute(
            table.update().where(table.c.number == 0).values(state="delivered", reply="250 taken")
        )
    assert await found(spool, QueueFilter(recipient="bob@example.org")) == []
    assert await found(spool, QueueFilter(reply="taken")) == []
    assert await found(spool, QueueFilter(recipient="carol@example.org", reply="451")) == [1]


async def test_a_page_goes_on_where_the_last_one_ended(
    spool: Store, put_in_queue: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 12):
        await put_in_queue(spool, number, due_at=NOW + HOUR * (number // 4), held=number % 3 == 0)
    async with spool.read() as connection:
        whole = await list_queue(connection, 100)
        pages: list[QueuedCopy] = []
        while page := await list_queue(connection, 2, after=place_of(pages[-1]) if pages else None):
            pages += page
    assert tuple(pages) == whole
    monkeypatch.setattr(queue, "_PAGE", 2)
    assert await found(spool, QueueFilter()) == [one.copy_id for one in whole]


async def test_a_copy_tells_all_that_is_known_of_it(spool: Store, put_in_queue: Put) -> None:
    send_id = await put_in_queue(
        spool, 7, received_at=NOW, attempts=3, tried_at=NOW, upstream="default", reply="451 later"
    )
    async with spool.read() as connection:
        (copy,) = await list_queue(connection, 10)
    assert (copy.send_id, copy.sender, copy.subject) == (send_id, "ann@sender.example", "Number 7")
    assert (copy.attempts, copy.tried_at, copy.upstream) == (3, NOW, "default")
    assert (copy.message_id, copy.mode, copy.leased) == ("7@sender.example", "off", False)
    assert (copy.reply, [one.recipient for one in copy.pending]) == (
        "451 later",
        ["bob@example.org"],
    )


async def test_an_empty_filter_means_everything() -> None:
    assert QueueFilter().is_empty
    assert not QueueFilter(recipient="a@b.example").is_empty
