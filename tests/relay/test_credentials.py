"""People keep their credentials: from the submission, sealed in the spool, to their upstream."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.ident import new_ident
from ledger.keys import KeyRing
from ledger.migrate import open_store
from ledger.outbox import read_owed
from ledger.token import TokenKey
from relay.conclude import Terms
from relay.dispatch import Dispatch, DispatchSettings
from relay.intake import Intake
from relay.mail import Client, Credential, Envelope, Submission
from relay.policy import Policy
from relay.retry import RetryTimes
from relay.spool import Spool

OLD, NEW = TokenKey(0, b"o" * 32), TokenKey(1, b"n" * 32)
CANARY = "canary-6c1e-p4ssw0rd"
ANN, BOB = Credential("ann@example.com", CANARY), Credential("bob@example.com", "bob's own")
PEOPLE = {ANN.username: ANN.password, BOB.username: BOB.password}
POLICY = Policy("relay.example", "https://t.example")
RAW = b"From: ann@example.com\r\nTo: you@example.org\r\nSubject: hello\r\n\r\nHello\r\n"
PATIENT = RetryTimes(first_after_s=0.1, max_after_s=0.1, give_up_after_s=1000)
HASTY = RetryTimes(first_after_s=0.1, max_after_s=0.1, give_up_after_s=0.1)
REPLIES = text("SELECT reply FROM spooled_recipients WHERE reply > ''")
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


def submission(credential: Credential | None = ANN, sender: str | None = ANN.username) -> Any:
    now = datetime.now(UTC)
    send_id = new_ident(int(now.timestamp() * 1000), next(NUMBERS))
    sent_by = None if sender is None else parse_address(sender)
    envelope = Envelope(sent_by, (parse_address("you@example.org"),))
    return Submission(send_id, envelope, RAW, now, Client("127.0.0.1", "x"), None, credential)


async def take_in(spool: Spool, *submissions: Any, key: TokenKey = OLD) -> None:
    intake = Intake(lambda: POLICY, spool, key.key_id, key)
    for one in submissions:
        assert (await intake.take_in(one)).code == 250


@asynccontextmanager
async def running(
    spool: Spool,
    *hops: Any,
    keys: tuple[TokenKey, ...] = (OLD, NEW),
    times: RetryTimes = PATIENT,
    reports_as_sender: bool = False,
) -> AsyncIterator[Dispatch]:
    ring = KeyRing({key.key_id: key for key in keys}, keys[-1])
    terms = Terms("relay.example", times, reports_as_sender)
    dispatch = Dispatch(spool, hops, ring, DispatchSettings(terms, lambda: POLICY))
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        await dispatch.stop(5)
        await asyncio.wait_for(task, 10)


async def until(reached: Callable[[], Awaitable[Any] | Any]) -> Any:
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


@pytest.fixture
def signing(fake_upstream: Any, next_hop: Any, authority: Any) -> Callable[..., Any]:
    """Start an upstream where people sign in, and the way to it."""

    async def build(**options: Any) -> Any:
        server = await fake_upstream(
            tls=authority.good,
            extensions=("PIPELINING", "AUTH PLAIN"),
            people=options.pop("people", dict(PEOPLE)),
            says=options.pop("says", {}),
        )
        return server, next_hop(server, tls="starttls", **options)

    return build


async def test_each_persons_mail_goes_as_his(spool: Spool, signing: Any) -> None:
    server, hop = await signing()
    for credential in (ANN, BOB) * 5:
        await take_in(spool, submission(credential, credential.username))
    async with running(spool, hop):
        await until(lambda: len(server.taken) == 10)
    assert {(one.sender, one.person) for one in server.taken} == {
        (ANN.username, ANN.username),
        (BOB.username, BOB.username),
    }


async def test_mail_of_nobody_goes_as_ourselves(
    spool: Spool, signing: Any, password_file: Any
) -> None:
    us = {"us": "correct horse"}
    server, hop = await signing(people=us, username="us", password_file=password_file)
    await take_in(spool, submission(None))
    async with running(spool, hop):
        await until(lambda: len(server.taken) == 1)
    assert {one.person for one in server.taken} == {"us"}


async def test_a_receipt_of_a_person_goes_as_his_though_it_has_no_sender(
    spool: Spool, signing: Any, password_file: Any
) -> None:
    # RFC 8098 3: a disposition notification has the null sender.
    people = {**PEOPLE, "us": "correct horse"}
    server, hop = await signing(people=people, username="us", password_file=password_file)
    await take_in(spool, submission(ANN, None))
    async with running(spool, hop):
        await until(lambda: len(server.taken) == 1)
    assert {one.person for one in server.taken} == {ANN.username}


async def test_the_credential_is_sealed_while_it_waits_and_gone_when_settled(
    spool: Spool, store: Store, signing: Any, tmp_path: Path
) -> None:
    server, hop = await signing()
    await take_in(spool, submission())
    ((sealed,),) = await rows(store, select(schema.spooled_sends.c.credential))
    assert CANARY.encode() not in sealed
    assert CANARY.encode() not in raw_files(tmp_path)
    assert sealed in raw_files(tmp_path)
    async with running(spool, hop):
        await until(lambda: len(server.taken) == 1)

        async def settled() -> bool:
            return not await rows(store, select(schema.spooled_sends))

        await until(settled)
    async with store.write() as connection:
        await connection.commit()
    async with store.read() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    await spool.close()
    await store.close()
    assert sealed not in raw_files(tmp_path)


def raw_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_changed_password_defers_is_told_and_ends_in_a_bounce_as_nobody_else(
    spool: Spool, store: Store, signing: Any, password_file: Any, tmp_path: Path
) -> None:
    people = {ANN.username: "changed", "us": "correct horse"}
    server, hop = await signing(people=people, username="us", password_file=password_file)
    other, second = await signing(people=people)
    second.upstream = replace(second.upstream, name="second")
    await take_in(spool, submission())
    with capture_logs() as logs:
        async with running(spool, hop, second):

            async def waits() -> Any:
                return await rows(store, REPLIES)

            replies = await until(waits)
        assert all("refused the sign-in of ann@example.com: 535" in reply for (reply,) in replies)
        assert server.taken == []
        async with running(spool, hop, second, times=HASTY):
            bounces = await until(lambda: list(server.taken))
    # The reports are ours, to the person; what was his has gone to nobody.
    assert {(one.sender, one.recipients, one.person) for one in bounces} == {
        ("", (ANN.username,), "us")
    }
    assert all(b"refused the sign-in" in one.content for one in bounces)
    # Whoever else is asked would learn the password, so nobody else is.
    assert "AUTH" not in other.verbs
    assert other.taken == []
    async with store.read() as connection:
        facts = await read_owed(connection, 100)
    seen = f"{logs!r}{facts!r}{bounces!r}".encode() + raw_files(tmp_path)
    for spelling in spellings_of(CANARY):
        assert spelling not in seen
    assert {log["event"] for log in logs} >= {"copy.deferred", "copy.failed", "bounce.queued"}


def spellings_of(password: str) -> list[bytes]:
    import base64  # noqa: PLC0415 - an independent spelling of what is looked for

    plain = f"\0{ANN.username}\0{password}"
    return [
        password.encode(),
        base64.b64encode(password.encode()),
        base64.b64encode(plain.encode()),
        password.encode().hex().encode(),
        json.dumps(password).encode(),
    ]


async def test_where_we_have_no_name_there_a_report_goes_as_whom_it_is_for(
    spool: Spool, signing: Any
) -> None:
    refuse = lambda line: b"550 no\r\n" if "example.org" in line else b"250 ok\r\n"  # noqa: E731 - short
    server, hop = await signing(says={"RCPT": refuse})
    await take_in(spool, submission())
    async with running(spool, hop, reports_as_sender=True):
        await until(lambda: len(server.taken) == 1)
    assert {(one.sender, one.recipients, one.person) for one in server.taken} == {
        ("", (ANN.username,), ANN.username)
    }


async def test_a_rotated_key_opens_and_a_lost_one_makes_the_mail_wait(
    spool: Spool, store: Store, signing: Any
) -> None:
    server, hop = await signing()
    await take_in(spool, submission(), key=OLD)
    async with running(spool, hop, keys=(NEW,)):

        async def waits() -> Any:
            return await rows(store, REPLIES)

        replies = await until(waits)
    assert {reply for (reply,) in replies} == {
        "451 4.7.0 the credential is sealed with key 0, which is not there"
    }
    assert server.connections == 0
    async with running(spool, hop, keys=(OLD, NEW)):
        await until(lambda: len(server.taken) == 1)


async def test_a_credential_is_never_stored_without_a_key(spool: Spool) -> None:
    with pytest.raises(RuntimeError, match="no key"):
        await Intake(lambda: POLICY, spool, 0).take_in(submission())
