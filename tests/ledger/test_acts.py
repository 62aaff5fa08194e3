"""What people do to copies in the queue, over a real spool."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger import acts, schema
from ledger.acts import Action, Result, act_on_queue, audit_action, read_acts, take_acts
from ledger.audit import Author, select_audit
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import RecipientTold
from ledger.migrate import open_store
from ledger.outbox import read_owed
from ledger.queue import QueuedCopy, QueueFilter, list_queue

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYTHING = QueueFilter()
OPERATOR = Author("operator", NOW, b"key")
UNDER_WAY: dict[str, Any] = {"lease": "L", "leased_until": NOW + HOUR, "due_at": NOW + HOUR}
HELD: dict[str, Any] = {"held": True, "due_at": NOW + HOUR}
DEFERRED: dict[str, Any] = {"attempts": 3, "due_at": NOW + HOUR}
DEAD: dict[str, Any] = {"held": True, "fate": "dead", "sender": None, "attempts": 2}

Put = Callable[..., Awaitable[str]]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


async def do(spool: Store, action: Action, wanted: QueueFilter = EVERYTHING) -> list[Result]:
    return [result async for _, result in act_on_queue(spool, action, wanted, OPERATOR)]


async def queue(spool: Store) -> dict[int, QueuedCopy]:
    async with spool.read() as connection:
        return {copy.copy_id: copy for copy in await list_queue(connection, 5000)}


async def failures(spool: Store) -> list[tuple[str, str]]:
    async with spool.read() as connection:
        owed = [one.fact for one in await read_owed(connection, 100)]
    told = [fact for fact in owed if isinstance(fact, RecipientTold)]
    assert {fact.type for fact in told} <= {EventType.FAILED}
    return [(fact.recipient, fact.reply) for fact in told]


@pytest.mark.parametrize(
    ("action", "values", "result"),
    [
        (Action.RETRY, DEFERRED, Result.DONE),
        (Action.RETRY, UNDER_WAY, Result.UNDER_WAY),
        (Action.RETRY, HELD, Result.HELD),
        (Action.RETRY, DEAD, Result.HELD),
        (Action.HOLD, DEFERRED, Result.DONE),
        (Action.HOLD, UNDER_WAY, Result.WHEN_ENDED),
        (Action.HOLD, HELD, Result.AS_IT_WAS),
        (Action.HOLD, {"fate": "silent"}, Result.AS_IT_WAS),
        (Action.RELEASE, HELD, Result.DONE),
        (Action.RELEASE, HELD | UNDER_WAY, Result.DONE),
        (Action.RELEASE, DEFERRED, Result.AS_IT_WAS),
        (Action.RELEASE, DEAD, Result.DONE),
        (Action.DROP, DEFERRED, Result.DONE),
        (Action.DROP, HELD, Result.DONE),
        (Action.DROP, DEAD, Result.DONE),
        (Action.DROP, UNDER_WAY, Result.WHEN_ENDED),
        (Action.BOUNCE, DEFERRED, Result.BY_RELAY),
        (Action.BOUNCE, HELD, Result.BY_RELAY),
        (Action.BOUNCE, UNDER_WAY, Result.WHEN_ENDED),
        (Action.BOUNCE, DEAD, Result.DONE),
    ],
)
async def test_each_action_says_what_came_of_it(
    spool: Store, put_in_queue: Put, action: Action, values: dict[str, Any], result: Result
) -> None:
    await put_in_queue(spool, 1, **values)
    before = await queue(spool)
    assert await do(spool, action) == [result]
    assert (await queue(spool) == before) == (not result.is_done)


async def test_what_is_retried_is_due_now(spool: Store, put_in_queue: Put) -> None:
    await put_in_queue(spool, 1, **DEFERRED)
    await do(spool, Action.RETRY)
    assert (await queue(spool))[1].due_at == NOW


async def test_what_is_held_while_it_is_tried_keeps_its_lease(
    spool: Store, put_in_queue: Put
) -> None:
    """Law: a copy that a relay is trying is not taken from under it: the attempt counts."""
    await put_in_queue(spool, 1, **UNDER_WAY)
    await do(spool, Action.HOLD)
    copy = (await queue(spool))[1]
    assert (copy.held, copy.leased_until) == (True, NOW + HOUR)
    await do(spool, Action.DROP)
    copy = (await queue(spool))[1]
    assert (copy.held, copy.fate, copy.leased_until) == (False, "silent", NOW + HOUR)


async def test_a_lease_that_has_ended_keeps_nobody_from_acting(
    spool: Store, put_in_queue: Put
) -> None:
    await put_in_queue(spool, 1, **(UNDER_WAY | {"leased_until": NOW - HOUR}))
    assert await do(spool, Action.DROP) == [Result.DONE]
    assert await queue(spool) == {}


async def test_who_is_dropped_has_failed_once(spool: Store, put_in_queue: Put) -> None:
    """Law: who is dropped has failed, once, and the record says so."""
    await put_in_queue(spool, 1, recipients=("bob@example.org", "carol@example.org"))
    async with spool.write() as connection:
        table = schema.spooled_recipients
        await connection.execute(
            table.update().where(table.c.number == 0).values(state="delivered")
        )
    assert await do(spool, Action.DROP) == [Result.DONE]
    assert await do(spool, Action.DROP) == []
    reply = "554 5.3.0 removed from the queue by an administrator"
    assert await failures(spool) == [("carol@example.org", reply)]
    async with spool.read() as connection:
        assert (await connection.execute(schema.spooled_sends.select())).first() is None


async def test_a_dead_letter_that_is_dropped_has_failed_before(
    spool: Store, put_in_queue: Put
) -> None:
    await put_in_queue(spool, 1, **DEAD)
    assert await do(spool, Action.DROP) == [Result.DONE]
    assert await failures(spool) == []


async def test_a_send_stays_until_its_last_copy_is_dropped(spool: Store, put_in_queue: Put) -> None:
    send_id = await put_in_queue(spool, 1)
    async with spool.write() as connection:
        copy = {"copy_id": 2, "send_id": send_id, "mode": "off", "key_id": 0, "due_at": NOW}
        await connection.execute(schema.spooled_copies.insert().values(copy))
        carol = {"copy_id": 2, "number": 0, "recipient": "carol@example.org", "state": "pending"}
        recipients = schema.spooled_recipients.insert()
        await connection.execute(recipients.values(recipient_type="cc", **carol))
    await do(spool, Action.DROP, QueueFilter(copy_ids=(1,)))
    assert list(await queue_ids(spool)) == [2]
    await do(spool, Action.DROP, QueueFilter(send_ids=(send_id,)))
    async with spool.read() as connection:
        assert (await connection.execute(schema.spooled_sends.select())).first() is None


async def queue_ids(spool: Store) -> list[int]:
    async with spool.read() as connection:
        rows = await connection.execute(schema.spooled_copies.select())
        return [row.copy_id for row in rows]


async def test_a_dead_letter_that_is_released_begins_anew(spool: Store, put_in_queue: Put) -> None:
    await put_in_queue(spool, 1, **DEAD)
    await do(spool, Action.RELEASE)
    copy = (await queue(spool))[1]
    assert (copy.held, copy.fate, copy.attempts, copy.due_at) == (False, None, 0, NOW)
    assert [one.state for one in copy.recipients] == ["pending"]


async def test_what_was_settled_in_between_is_told(
    spool: Store, put_in_queue: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_in_queue(spool, 1)
    (copy,) = (await queue(spool)).values()
    await do(spool, Action.DROP)

    async def read_before(*_: Any) -> tuple[QueuedCopy, ...]:
        return (copy,)

    monkeypatch.setattr(acts, "list_by_id", read_before)
    assert await do(spool, Action.DROP) == [Result.GONE]
    assert len(await failures(spool)) == 1


async def test_only_what_is_meant_is_acted_on_in_chunks(
    spool: Store, put_in_queue: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "_PAGE", 3)
    monkeypatch.setattr(acts, "_CHUNK", 2)
    for number in range(1, 11):
        await put_in_queue(spool, number, sender=f"s{number % 2}@sender.example")
    results = await do(spool, Action.HOLD, QueueFilter(sender="s1@*"))
    assert results == [Result.DONE] * 5
    assert {number for number, copy in (await queue(spool)).items() if copy.held} == {1, 3, 5, 7, 9}


async def test_what_was_done_is_kept_until_a_log_has_told_it(
    spool: Store, put_in_queue: Put
) -> None:
    send_id = await put_in_queue(spool, 1, **DEFERRED)
    for action in (Action.HOLD, Action.HOLD, Action.RELEASE, Action.RETRY, Action.DROP):
        await do(spool, action)
    async with spool.read() as connection:
        assert len(await read_acts(connection, 10)) == 4
    told = await spool.transact(partial(take_acts, limit=3))
    told += await spool.transact(partial(take_acts, limit=3))
    assert [(act.action, act.copy_id, act.send_id) for act in told] == [
        (action, 1, send_id) for action in ("held", "released", "retried", "dropped")
    ]
    assert {(act.actor, act.at) for act in told} == {("operator", NOW)}
    assert await spool.transact(partial(take_acts, limit=3)) == ()


async def test_an_action_is_in_the_audit_log(tmp_path: Path) -> None:
    ledger = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    await audit_action(ledger, OPERATOR, Action.DROP, ["SEND"], 3)
    await audit_action(ledger, OPERATOR, Action.HOLD, ["SEND", "OTHER"], 5)
    async with ledger.read() as connection:
        entries = [row.entry for row in await select_audit(connection, limit=10)]
    await ledger.close()
    assert [(one.action, one.subject, dict(one.detail)) for one in entries] == [
        ("queue.held", None, {"copies": 5, "messages": 2}),
        ("queue.dropped", "SEND", {"copies": 3, "messages": 1}),
    ]
