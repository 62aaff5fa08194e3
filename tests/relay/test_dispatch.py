"""The way out over a real spool and real sockets."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select

from ledger import schema
from ledger.acts import Action, Result, act_on_queue
from ledger.address import parse_address
from ledger.audit import Author
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import RecipientTold, SendAccepted
from ledger.ident import new_ident
from ledger.keys import KeyRing
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.outbox import read_owed
from ledger.queue import QueuedCopy, QueueFilter, Waiting, list_queue
from ledger.spooled import captured_copy, list_captured
from ledger.token import HitKind, TokenKey, read_token
from relay import dispatch as dispatch_module
from relay.conclude import Attempt, Terms, conclude_attempt
from relay.deliver.hop import NextHop
from relay.dispatch import _NOTHING_DRAWN, Dispatch, DispatchSettings
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.policy import Policy
from relay.promise import CopyIdTaken, Settlement, SpoolError, Stored
from relay.reply import Deferred, Reply
from relay.retry import RetryTimes
from relay.spool import Spool
from relay.template import Layout, Slot, SlotKind, Span, Template
from relay.tend import Waits, tend_once
from relay.verdict import Clicks

DROP = b"\0drop"
KEY = TokenKey(0, b"k" * 32)
RING = KeyRing({0: KEY}, KEY)
ORIGINAL = b"Subject: hello\r\nMessage-ID: <m@example.com>\r\n\r\n..dots\r\n<img src=x>\r\n"
POLICY = Policy("relay.example", "https://t.example")
SETTINGS = DispatchSettings(
    Terms("relay.example", RetryTimes(first_after_s=0.2, max_after_s=0.2)), lambda: POLICY
)


@dataclass
class Clock:
    """The time as dispatch sees it."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


@asynccontextmanager
async def running(spool: Spool, *hops: Any, **options: Any) -> AsyncIterator[Dispatch]:
    settings = options.pop("settings", SETTINGS)
    dispatch = Dispatch(spool, hops, RING, settings, **options)
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        await dispatch.stop(5)
        await asyncio.wait_for(task, 10)


NUMBERS = iter(range(1, 1_000_000))


def mail(
    *recipients: str,
    sender: str | None = "a@example.com",
    layout: int | None = None,
    key_id: int = 0,
) -> Stored:
    """One send with a copy for each recipient; "b@x c@x" share one."""
    number = next(NUMBERS)
    now = datetime.now(UTC)
    send_id = new_ident(int(now.timestamp() * 1000), number)
    copies = tuple(
        Copy(
            copy_id=number * 1000 + at,
            send_id=send_id,
            mode=TrackingMode.INDIVIDUAL,
            layout=layout,
            key_id=key_id,
            recipients=tuple(
                Recipient(parse_address(one), RecipientType.TO) for one in some.split()
            ),
        )
        for at, some in enumerate(recipients or ("b@example.org",))
    )
    everybody = tuple(one.address for copy in copies for one in copy.recipients)
    envelope = Envelope(None if sender is None else parse_address(sender), everybody)
    cut = ORIGINAL.index(b"x>")
    pixel = Layout(
        opens=True,
        clicks=Clicks.NONE,
        segments=(Span(0, cut), Slot(SlotKind.PIXEL, 0), Span(cut + 1, len(ORIGINAL))),
    )
    return Stored(
        Submission(send_id, envelope, ORIGINAL, now, Client("127.0.0.1", "x")),
        Template(ORIGINAL, (pixel,), "https://t.example"),
        copies,
        SendAccepted(
            send_id,
            now,
            "m@example.com",
            sender,
            None,
            "127.0.0.1",
            "hello",
            1,
            "https://t.example",
            (),
            (),
            {},
            (),
            (),
        ),
    )


async def facts(store: Store) -> list[Any]:
    async with store.read() as connection:
        return [one.fact for one in await read_owed(connection, 10_000)]


async def told(store: Store) -> list[tuple[str, str]]:
    """(recipient, what became of him), in order."""
    return [
        (one.recipient, one.type.value.removeprefix("email."))
        for one in await facts(store)
        if isinstance(one, RecipientTold)
    ]


async def until(condition: Any, within_s: float = 8) -> None:
    """Wait until an async condition holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - what it looks at is a database
            await asyncio.sleep(0.01)


async def queue(store: Store) -> tuple[QueuedCopy, ...]:
    async with store.read() as connection:
        return await list_queue(connection, 100)


async def settled(store: Store) -> None:
    async def empty() -> bool:
        async with store.read() as connection:
            return not await list_queue(connection, 1)

    await until(empty)


async def test_a_mail_is_delivered_and_gone_from_the_spool(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream()
    async with running(spool, next_hop(server)):
        await spool.store(mail("b@example.org c@example.org", "d@example.org"))
        await settled(store)
    assert sorted(taken.recipients for taken in server.taken) == [
        ("b@example.org", "c@example.org"),
        ("d@example.org",),
    ]
    assert {taken.content for taken in server.taken} == {ORIGINAL}
    fact = (await facts(store))[1]
    assert (fact.upstream, fact.reply) == ("fake", "250 2.0.0 taken")
    assert sorted(await told(store)) == [
        (f"{name}@example.org", "relayed") for name in ("b", "c", "d")
    ]


async def test_each_copy_has_its_own_token(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream()
    stored = mail(*(f"r{number}@example.org" for number in range(20)), layout=0)
    async with running(spool, next_hop(server)):
        await spool.store(stored)
        await settled(store)
    tokens = {}
    for taken in server.taken:
        head, _, rest = taken.content.partition(b"<img src=")
        token = read_token({0: KEY}, HitKind.OPEN, rest[:36])
        assert token is not None
        tokens[taken.recipients[0]] = token.copy_id
        assert head + b"<img src=x" + rest[36:] == ORIGINAL
    assert tokens == {str(copy.recipients[0].address): copy.copy_id for copy in stored.copies}


async def test_where_the_key_is_gone_the_original_goes_out(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream()
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server)):
            await spool.store(mail(layout=0, key_id=9))
            await settled(store)
    assert server.taken[0].content == ORIGINAL
    assert "key.missing" in [line["event"] for line in logs]


async def test_without_upstream_mail_is_captured_as_a_recipient_would_get_it(
    spool: Spool, store: Store
) -> None:
    stored = mail("b@example.org", layout=0)
    async with running(spool):
        await spool.store(stored)
        await settled(store)
    async with store.read() as connection:
        (listed,) = await list_captured(connection, 10)
        captured = await captured_copy(connection, listed.copy_id)
    assert captured is not None
    assert captured.recipients == (("to", "b@example.org"),)
    assert captured.raw.startswith(
        b"Subject: hello\r\nMessage-ID: <m@example.com>\r\n\r\n.dots\r\n"
    )
    token = read_token({0: KEY}, HitKind.OPEN, captured.raw.partition(b"src=")[2][:36])
    assert token is not None
    assert (await facts(store))[1].upstream == "sandbox"


async def test_deferred_recipients_alone_are_tried_again(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={"RCPT": [b"250 ok\r\n", b"451 4.2.1 later\r\n"]})
    async with running(spool, next_hop(server)):
        await spool.store(mail("b@example.org c@example.org"))
        await settled(store)
    assert [taken.recipients for taken in server.taken] == [("b@example.org",), ("c@example.org",)]
    assert await told(store) == [
        ("b@example.org", "relayed"),
        ("c@example.org", "deferred"),
        ("c@example.org", "relayed"),
    ]


async def test_after_a_lost_answer_the_same_bytes_go_again(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={".": [DROP, DROP]})
    async with running(spool, next_hop(server)):
        await spool.store(mail(layout=0))
        await settled(store)
    assert len(server.received) == 3
    assert len(set(server.received)) == 1
    assert [kind for _, kind in await told(store)] == ["deferred", "deferred", "relayed"]


def report(server: Any) -> Any:
    (taken,) = [taken for taken in server.taken if taken.sender == ""]
    assert taken.recipients == ("a@example.com",)
    return email.message_from_bytes(taken.content, policy=email.policy.SMTP)


def reported(message: Any) -> list[tuple[str, str]]:
    fields = message.get_payload(1).get_payload()[1:]
    return [(one["Final-Recipient"].removeprefix("rfc822; "), one["Action"]) for one in fields]


async def test_a_bounce_names_exactly_the_refused(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    def rcpt(line: str) -> bytes:
        return b"550 5.1.1 no\r\n" if "<no" in line else b"250 ok\r\n"

    server = await fake_upstream(says={"RCPT": rcpt})
    async with running(spool, next_hop(server)):
        await spool.store(mail("b@x.example no1@x.example c@x.example no2@x.example"))
        await settled(store)
    message = report(server)
    assert reported(message) == [("no1@x.example", "failed"), ("no2@x.example", "failed")]
    assert message["In-Reply-To"] == "<m@example.com>"
    assert b"img" not in bytes(message)
    bounced = [one for one in await facts(store) if isinstance(one, SendAccepted)][1]
    assert (bounced.sender, bounced.subject) == (None, message["Subject"])


async def test_no_bounce_is_ever_bounced(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={"RCPT": b"550 5.1.1 nobody here\r\n"})
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server)):
            await spool.store(mail("b@example.org"))

            async def is_dead() -> bool:
                return [one.why(datetime.now(UTC)) for one in await queue(store)] == [Waiting.DEAD]

            await until(is_dead)
    assert await told(store) == [("b@example.org", "failed"), ("a@example.com", "failed")]
    assert [line["event"] for line in logs] == [
        "copy.failed",
        "bounce.queued",
        "copy.failed",
        "dead_letter.kept",
    ]
    assert logs[1]["report"] == logs[2]["send_id"]
    (letter,) = await queue(store)
    assert [(one.recipient, one.state) for one in letter.recipients] == [
        ("a@example.com", "failed")
    ]
    assert letter.reply == "550 5.1.1 nobody here"


@pytest.mark.parametrize(("action", "reports"), [(Action.DROP, 0), (Action.BOUNCE, 1)])
async def test_what_is_given_up_while_it_is_tried_is_not_tried_again(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, action: Action, reports: int
) -> None:
    answering = asyncio.Event()

    def rcpt(line: str) -> bytes:
        answering.set()
        return b"250 ok\r\n" if "<a@" in line else b"451 4.2.2 mailbox full\r\n"

    server = await fake_upstream(says={"RCPT": rcpt})
    hour = replace(SETTINGS, terms=Terms("relay.example", RetryTimes(3600, 3600)))
    stored = mail("b@example.org")
    await spool.store(stored)
    (claim,) = await spool.claim(1, datetime.now(UTC), 60)  # it is under way
    author = Author("operator", datetime.now(UTC), b"key")
    found = [one async for one in act_on_queue(store, action, QueueFilter(), author)]
    assert [result for _, result in found] == [Result.WHEN_ENDED]
    assert [one.why(datetime.now(UTC)) for one in await queue(store)] == [Waiting.DROPPED]
    later = Deferred(Reply(451, "4.2.2", "mailbox full"))
    attempt = Attempt(datetime.now(UTC), (later,), "fake", "fake")
    await spool.settle(conclude_attempt(claim, attempt, hour.terms, _NOTHING_DRAWN))
    async with running(spool, next_hop(server), settings=hour):
        await settled(store)
    assert answering.is_set() == bool(reports)
    assert [one.recipients for one in server.taken] == [("a@example.com",)] * reports
    assert (await told(store))[:2] == [("b@example.org", "deferred"), ("b@example.org", "failed")]


@pytest.mark.parametrize("ahead", [timedelta(days=3650), -timedelta(days=3650)])
async def test_a_copy_under_way_is_not_sent_twice_when_the_clock_jumps(
    ahead: timedelta,
    spool: Spool,
    store: Store,
    fake_upstream: Any,
    next_hop: Any,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch_module, "_CALM_S", 0.2)
    monkeypatch.setattr(dispatch_module, "_WATCH_S", 0.02)
    asked, go_on = asyncio.Event(), asyncio.Event()
    server = await fake_upstream()
    hop = next_hop(server)
    deliver = hop.deliver_copy

    async def wait_and_deliver(*words: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await deliver(*words)

    monkeypatch.setattr(hop, "deliver_copy", wait_and_deliver)
    async with running(spool, hop, now=clock):
        await spool.store(mail("b@example.org"))
        await asked.wait()
        clock.ahead += ahead
        spool.wake.set()

        async def is_renewed() -> bool:
            (one,) = await queue(store)
            return abs(one.due_at - clock()) < timedelta(minutes=2)

        await until(is_renewed)
        spool.wake.set()
        await spool.store(mail("c@example.org"))  # it is claimed when the clock is calm again
        await tend_once(store, Waits(3600, 60), clock())  # or it was due years ahead

        async def is_claimed() -> bool:
            return all(one.is_under_way(clock()) for one in await queue(store))

        await until(is_claimed)
        go_on.set()
        await settled(store)
    assert sorted(one.recipients for one in server.taken) == [
        ("b@example.org",),
        ("c@example.org",),
    ]


async def test_mail_that_waits_is_told_once_and_given_up_in_the_end(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, clock: Clock
) -> None:
    def rcpt(line: str) -> bytes:
        return b"250 ok\r\n" if "<a@" in line else b"451 4.2.2 mailbox full\r\n"

    server = await fake_upstream(says={"RCPT": rcpt})
    times = RetryTimes(0.05, 0.05, give_up_after_s=0.3, delay_notice_after_s=0.1)
    settings = replace(SETTINGS, terms=Terms("relay.example", times))
    async with running(spool, next_hop(server), settings=settings, now=clock):
        await spool.store(mail("b@example.org"))
        await settled(store)
    reports = [
        email.message_from_bytes(one.content, policy=email.policy.SMTP) for one in server.taken
    ]
    assert [reported(one)[0][1] for one in reports] == ["delayed", "failed"]
    assert [name for name, kind in await told(store) if kind == "failed"] == ["b@example.org"]


async def test_the_next_upstream_is_tried_where_one_is_not_reached(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, unused_tcp_port: int
) -> None:
    dead = next_hop(type("Dead", (), {"port": unused_tcp_port}))
    dead.upstream = replace(dead.upstream, name="dead")
    server = await fake_upstream()
    async with running(spool, dead, next_hop(server)):
        await asyncio.gather(*(spool.store(mail()) for _ in range(30)))
        await settled(store)
    assert len(server.taken) == 30
    assert {one.upstream for one in await facts(store) if isinstance(one, RecipientTold)} == {
        "fake"
    }


async def test_a_refusal_is_no_reason_for_another_upstream(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    first, second = await fake_upstream(says={"MAIL": [b"550 5.7.1 no\r\n"]}), await fake_upstream()
    other = next_hop(second)
    other.upstream = replace(other.upstream, name="other")
    async with running(spool, next_hop(first), other):
        await spool.store(mail("b@example.org c@example.org"))
        await settled(store)
    assert (await told(store))[:2] == [("b@example.org", "failed"), ("c@example.org", "failed")]
    assert second.connections == 0


async def test_a_sender_whom_nobody_serves_waits(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    hop = next_hop(await fake_upstream(), senders=("*@other.example",))
    async with running(spool, hop):
        await spool.store(mail())
        await until(lambda: _deferred(store))
    assert (await facts(store))[1].reply == "451 4.4.4 no upstream serves this sender"


async def _deferred(store: Store) -> bool:
    return ("b@example.org", "deferred") in await told(store)


async def test_a_stuck_upstream_keeps_no_other_mail_waiting(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    stuck = await fake_upstream(says={"MAIL": b"\0silence"})
    slow = next_hop(stuck, max_connections=2, senders=("*@slow.example",))
    slow.upstream = replace(slow.upstream, name="slow")
    server = await fake_upstream()
    async with running(spool, slow, next_hop(server)) as dispatch:
        await asyncio.gather(*(spool.store(mail(sender="s@slow.example")) for _ in range(200)))
        began = asyncio.get_running_loop().time()
        await spool.store(mail(sender="a@example.com"))
        await until(lambda: _taken(server, 1))
        assert asyncio.get_running_loop().time() - began < 2
        assert len(dispatch._running) <= 2 * 10 + 1  # the last may not be settled yet
        assert stuck.connections <= 2
        stuck.cut()
        await dispatch.stop(5)
    async with store.read() as connection:
        queue = await list_queue(connection, 1000)
    # Those that were under way went by the other upstream when theirs was cut.
    assert len(queue) + len(server.taken) == 201
    # A copy that was put back has not used up an attempt.
    assert sum(copy.attempts for copy in queue) <= 20


async def test_a_long_queue_for_a_stuck_upstream_is_not_gone_through_for_other_mail(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    stuck = await fake_upstream(says={"MAIL": b"\0silence"})
    slow = next_hop(stuck, max_connections=2, senders=("*@slow.example",))
    slow.upstream = replace(slow.upstream, name="slow")
    server = await fake_upstream()
    # Stored while nobody had lanes, as an older version would have left it.
    await asyncio.gather(*(spool.store(mail(sender="s@slow.example")) for _ in range(1000)))
    claimed: list[int] = []
    claim = spool.claim

    async def counting(*args: Any) -> Any:
        claims = await claim(*args)
        claimed.append(len(claims))
        return claims

    async def filled() -> bool:
        return sum(claimed) >= 20  # as many as two connections have room for

    monkeypatch.setattr(spool, "claim", counting)
    async with running(spool, slow, next_hop(server)) as dispatch:
        await until(lambda: _all_in(store, "slow"))
        await until(filled)
        before, loop = sum(claimed), asyncio.get_running_loop()
        for number in range(1, 21):
            began = loop.time()
            await spool.store(mail(sender="a@example.com"))
            await until(lambda number=number: _taken(server, number))
            assert loop.time() - began < 2
        assert sum(claimed) - before <= 20
        stuck.cut()
        await dispatch.stop(0.1)


async def _all_in(store: Store, lane: str) -> bool:
    async with store.read() as connection:
        statement = select(func.count()).where(schema.spooled_copies.c.lane != lane)
        return not await connection.scalar(statement)


async def _taken(server: Any, number: int) -> bool:
    return len(server.taken) >= number


async def test_a_dead_upstream_is_not_tried_by_every_mail(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={"CONNECT": DROP})
    settings = replace(SETTINGS, terms=Terms("relay.example", RetryTimes(60, 60)))
    async with running(spool, next_hop(server, max_connections=3), settings=settings):
        await asyncio.gather(*(spool.store(mail()) for _ in range(100)))

        async def all_told() -> bool:
            return len(await told(store)) == 100

        await until(all_told)
    assert server.connections <= 3
    assert {kind for _, kind in await told(store)} == {"deferred"}


async def test_when_stopped_what_is_under_way_ends_and_the_rest_stays(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    at_dot = asyncio.Event()
    server = await fake_upstream()

    def hold(_line: str) -> bytes:
        at_dot.set()
        return b"250 2.0.0 taken\r\n"

    server.says["."] = hold
    async with running(spool, next_hop(server)) as dispatch:
        await spool.store(mail())
        await at_dot.wait()
        await dispatch.stop(5)
        await spool.store(mail("late@example.org"))
    assert await told(store) == [("b@example.org", "relayed")]
    async with store.read() as connection:
        (left,) = await list_queue(connection, 10)
    assert left.recipients[0].recipient == "late@example.org"


async def test_what_does_not_end_in_time_is_free_for_the_next_start(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream(says={"RCPT": b"\0silence"})
    async with running(spool, next_hop(server)) as dispatch:
        await spool.store(mail())
        await until(lambda: _saw(server, "RCPT"))
        await dispatch.stop(0.05)
    server.says.clear()
    async with running(spool, next_hop(server)):
        await settled(store)
    assert len(server.taken) == 1


async def _saw(server: Any, verb: str) -> bool:
    return verb in server.verbs


async def test_one_copy_that_breaks_us_stops_no_other(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    server = await fake_upstream()
    deliver_copy = NextHop.deliver_copy

    async def breaking(hop: NextHop, envelope: Envelope, *words: Any) -> Any:
        if str(envelope.recipients[0]) == "broken@example.org":
            raise ZeroDivisionError
        return await deliver_copy(hop, envelope, *words)

    monkeypatch.setattr(NextHop, "deliver_copy", breaking)
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server)):
            await spool.store(mail("broken@example.org"))
            await spool.store(mail())
            await until(lambda: _deferred_one(store, "broken@example.org"))
            await until(lambda: _taken(server, 1))
    assert server.taken[0].recipients == ("b@example.org",)
    assert "copy.broken" in [line["event"] for line in logs]


async def _deferred_one(store: Store, name: str) -> bool:
    return (name, "deferred") in await told(store)


async def test_what_was_taken_is_noted_though_the_spool_fails_at_first(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(dispatch_module, "_PAUSE_S", 0.01)
    server = await fake_upstream()
    faults = [SpoolError("disk"), CopyIdTaken("taken")]
    settle = spool.settle

    async def failing(settlement: Settlement) -> bool:
        if faults:
            raise faults.pop()
        return await settle(settlement)

    monkeypatch.setattr(spool, "settle", failing)
    async with running(spool, next_hop(server)):
        await spool.store(mail())
        await settled(store)
    assert len(server.taken) == 1
    assert await told(store) == [("b@example.org", "relayed")]


async def test_the_loop_goes_on_when_the_spool_can_not_be_read(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(dispatch_module, "_PAUSE_S", 0.01)
    faults = [SpoolError("disk"), OSError("disk")]
    claim = spool.claim

    async def failing(*args: Any) -> Any:
        if faults:
            raise faults.pop()
        return await claim(*args)

    monkeypatch.setattr(spool, "claim", failing)
    server = await fake_upstream()
    async with running(spool, next_hop(server)):
        await spool.store(mail())
        await settled(store)
    assert len(server.taken) == 1


async def test_leases_are_renewed_while_an_upstream_takes_its_time(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    go_on = asyncio.Event()
    server = await fake_upstream()
    hop = next_hop(server)
    deliver = hop.deliver_copy

    async def slow(*args: Any) -> Any:
        await go_on.wait()
        return await deliver(*args)

    hop.deliver_copy = slow
    async with running(spool, hop, settings=replace(SETTINGS, lease_s=1)):
        await spool.store(mail())
        await asyncio.sleep(1.5)  # longer than the lease: nobody else may get it
        assert await spool.claim(10, datetime.now(UTC), 60) == ()
        go_on.set()
        await settled(store)
    assert await told(store) == [("b@example.org", "relayed")]


async def test_many_mails_are_each_delivered_once_under_random_faults(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    dice = Random(7)

    def sometimes(fault: bytes, usual: bytes, odds: float) -> Any:
        return lambda _line: fault if dice.random() < odds else usual

    server = await fake_upstream(
        says={
            "MAIL": sometimes(b"421 4.3.2 bye\r\n", b"250 ok\r\n", 0.05),
            "RCPT": sometimes(b"451 4.2.1 later\r\n", b"250 ok\r\n", 0.2),
            "DATA": sometimes(DROP, b"354 go on\r\n", 0.05),
            ".": sometimes(b"451 4.3.0 later\r\n", b"250 2.0.0 taken\r\n", 0.1),
        }
    )
    quick = Terms("relay.example", RetryTimes(0.02, 0.05))
    names = [f"r{number}" for number in range(300)]
    hop = next_hop(server)
    hop._pool._timeouts = replace(hop._pool._timeouts, first_rest_s=0.01, last_rest_s=0.01)
    async with running(spool, hop, settings=replace(SETTINGS, terms=quick)):
        groups = (names[at : at + 3] for at in range(0, len(names), 3))
        mails = [mail(" ".join(f"{name}@x.example" for name in group)) for group in groups]
        await asyncio.gather(*map(spool.store, mails))
        await settled(store)
    got = [one for taken in server.taken for one in taken.recipients]
    relayed = [name for name, kind in await told(store) if kind == "relayed"]
    assert sorted(got) == sorted(relayed) == sorted(f"{name}@x.example" for name in names)


async def test_a_lost_lease_is_told(
    spool: Spool, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    async def lost(_settlement: Settlement) -> bool:
        return False

    monkeypatch.setattr(spool, "settle", lost)
    server = await fake_upstream()
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server)) as dispatch:
            await spool.store(mail())
            await until(lambda: _taken(server, 1))
            await dispatch.stop(5)
    assert "copy.lease_lost" in [line["event"] for line in logs]
    assert "copy.delivered" not in [line["event"] for line in logs]


async def test_a_fault_of_ours_in_settling_is_told_and_the_lease_ends(
    spool: Spool, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    async def broken(_settlement: Settlement) -> bool:
        raise LookupError

    monkeypatch.setattr(spool, "settle", broken)
    server = await fake_upstream()
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server)) as dispatch:
            await spool.store(mail())
            await until(lambda: _taken(server, 1))
            await dispatch.stop(5)
    assert "copy.not_settled" in [line["event"] for line in logs]


async def test_leases_that_can_not_be_renewed_are_told(
    spool: Spool, fake_upstream: Any, next_hop: Any, monkeypatch: Any
) -> None:
    refused = asyncio.Event()

    async def failing(*_: Any) -> None:
        refused.set()
        raise SpoolError

    monkeypatch.setattr(spool, "renew", failing)
    server = await fake_upstream(says={"RCPT": b"\0silence"})
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server), settings=replace(SETTINGS, lease_s=1)) as one:
            await spool.store(mail())
            await asyncio.wait_for(refused.wait(), 5)
            await one.stop(0)
    assert "leases.not_renewed" in [line["event"] for line in logs]


async def test_the_switch_for_everybody_reaches_mail_in_the_queue_and_is_told(
    spool: Spool, store: Store, fake_upstream: Any, next_hop: Any
) -> None:
    server = await fake_upstream()
    in_force = POLICY
    settings = replace(SETTINGS, policy=lambda: in_force)
    await spool.store(mail("b@example.org", layout=0))
    in_force = replace(POLICY, tracking=False)
    with structlog.testing.capture_logs() as logs:
        async with running(spool, next_hop(server), settings=settings):
            await until(lambda: _taken(server, 1))
    assert server.taken[0].content == ORIGINAL
    assert "copy.withdrawn" in [line["event"] for line in logs]
    told = [fact for fact in await facts(store) if isinstance(fact, RecipientTold)]
    assert [(fact.type, fact.reasons) for fact in told] == [
        (EventType.RELAYED, ()),
        (EventType.WITHDRAWN, ("policy off",)),
    ]


async def test_mail_that_is_stored_while_dispatch_begins_does_not_wait(
    spool: Spool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt = spool.adopt

    async def adopt_and_store(lanes: Any) -> None:
        await adopt(lanes)
        await spool.store(mail())

    monkeypatch.setattr(spool, "adopt", adopt_and_store)
    async with running(spool):
        async with asyncio.timeout(4):  # mail of nobody's lane is looked for once a minute
            while not await captured(store):  # noqa: ASYNC110 - it looks into a database
                await asyncio.sleep(0.01)


async def captured(store: Store) -> int:
    async with store.read() as connection:
        return len(await list_captured(connection, 10))
