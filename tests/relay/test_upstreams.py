"""What an upstream's limits, losses and absence make of the way out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.ident import new_ident
from ledger.keys import KeyRing
from ledger.migrate import open_store
from ledger.token import TokenKey
from relay.conclude import Terms
from relay.deliver import hop as hop_module
from relay.dispatch import Dispatch, DispatchSettings
from relay.intake import Intake
from relay.mail import Client, Envelope, Submission
from relay.policy import Policy
from relay.retry import RetryTimes
from relay.spool import Spool

DROP = b"\0drop"
KEY = TokenKey(0, b"k" * 32)
RING = KeyRing({0: KEY}, KEY)
POLICY = Policy("relay.example", "https://t.example")
RAW = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hi\r\n\r\n<a href=x>Hello</a>\r\n"
HTML = RAW.replace(b"Subject: hi", b"Subject: hi\r\nContent-Type: text/html")
NUMBERS = iter(range(1, 1_000_000))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


@pytest.fixture
async def spool(store: Store) -> AsyncIterator[Spool]:
    spool = Spool(store)
    yield spool
    await spool.close()


async def take_in(spool: Spool, many: int = 1, raw: bytes = RAW) -> None:
    intake = Intake(lambda: POLICY, spool, 0)
    for _ in range(many):
        now = datetime.now(UTC)
        envelope = Envelope(parse_address("a@example.com"), (parse_address("b@example.org"),))
        send_id = new_ident(int(now.timestamp() * 1000), next(NUMBERS))
        client = Client("127.0.0.1", "x")
        assert (await intake.take_in(Submission(send_id, envelope, raw, now, client))).code == 250


@asynccontextmanager
async def running(spool: Spool, *hops: Any) -> AsyncIterator[Dispatch]:
    times = RetryTimes(first_after_s=0.1, max_after_s=0.1)
    settings = DispatchSettings(Terms("relay.example", times), lambda: POLICY)
    dispatch = Dispatch(spool, hops, RING, settings)
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        await dispatch.stop(5)
        await asyncio.wait_for(task, 10)


async def until(reached: Callable[[], Any | Awaitable[Any]]) -> Any:
    async with asyncio.timeout(10):
        while True:
            found = reached()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(0.01)


async def rows(store: Store, statement: Any) -> Any:
    async with store.read() as connection:
        return (await connection.execute(statement)).all()


async def test_what_is_beyond_the_minute_waits_in_the_spool_and_counts_no_attempt(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    ahead, real = 0.0, hop_module._now_s
    monkeypatch.setattr(hop_module, "_now_s", lambda: real() + ahead)
    server = await fake_upstream()
    await take_in(spool, 30)
    claims = 0
    claim = spool.claim

    async def counting(*words: Any) -> Any:
        nonlocal claims
        claims += 1
        return await claim(*words)

    monkeypatch.setattr(spool, "claim", counting)
    table = schema.spooled_copies.c
    waiting = select(func.count()).where(table.attempts == 0, table.lease.is_(None))
    async with running(spool, next_hop(server, max_messages_per_minute=10)):

        async def settled() -> Any:
            return (await rows(store, waiting))[0][0] == 20

        await until(settled)
        claims = 0
        await asyncio.sleep(0.3)
        assert claims <= 1  # nobody looks again and again
        now = datetime.now(UTC)
        due = sorted(
            (at - now).total_seconds() for (at,) in await rows(store, select(table.due_at))
        )
    assert len(server.taken) == 10
    assert 50 < due[0] <= due[9] <= 60
    assert 110 < due[10] <= due[19] <= 120


async def test_a_lost_answer_to_the_final_dot_is_counted_told_and_sent_again_alike(
    spool: Spool, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={".": [DROP, DROP]})
    await take_in(spool, raw=HTML)
    with capture_logs() as logs:
        async with running(spool, next_hop(server)) as dispatch:
            await until(lambda: server.taken)
    assert dispatch.ambiguous_total == 2
    told = [log for log in logs if log["event"] == "copy.ambiguous"]
    assert [log["log_level"] for log in told] == ["warning", "warning"]
    assert {log["upstream"] for log in told} == {"fake"}
    assert len(server.received) == 3
    assert len(set(server.received)) == 1
    assert b"https://t.example/" in server.received[0]


@pytest.mark.parametrize("says", [{"DATA": [DROP]}, {".": [b"451 no\r\n"]}])
async def test_what_was_surely_not_taken_is_not_counted(
    spool: Spool, fake_upstream: Any, next_hop: Any, says: Any
) -> None:
    server = await fake_upstream(says=says)
    await take_in(spool)
    async with running(spool, next_hop(server)) as dispatch:
        await until(lambda: server.taken)
    assert dispatch.ambiguous_total == 0


async def test_the_failover_serves_until_the_first_is_back(
    spool: Spool, fake_upstream: Any, next_hop: Any
) -> None:
    first, second = await fake_upstream(says={"CONNECT": [DROP]}), await fake_upstream()
    other = next_hop(second)
    other.upstream = replace(other.upstream, name="other")
    way = next_hop(first)
    await take_in(spool)
    async with running(spool, way, other):
        await until(lambda: second.taken)
        # While the first rests it is not asked at all.
        await take_in(spool)
        await until(lambda: len(second.taken) == 2)
        assert first.connections == 1
        way._pool.reached()
        await take_in(spool)
        await until(lambda: first.taken)
    assert len(second.taken) == 2


async def test_a_full_minute_is_no_reason_for_the_failover(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    first, second = await fake_upstream(), await fake_upstream()
    other = next_hop(second)
    other.upstream = replace(other.upstream, name="other")
    await take_in(spool, 3)
    async with running(spool, next_hop(first, max_messages_per_minute=1), other):
        table = schema.spooled_copies.c
        waiting = select(func.count()).where(
            table.due_at > datetime.now(UTC), table.lease.is_(None)
        )

        async def settled() -> Any:
            return (await rows(store, waiting))[0][0] == 2

        await until(settled)
    assert (len(first.taken), len(second.taken)) == (1, 0)
