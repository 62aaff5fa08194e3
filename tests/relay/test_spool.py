"""The spool over a real SQLite file, with faults of the disk injected."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import CopyFact, RecipientFact, RecipientTold, SendAccepted
from ledger.ident import new_ident
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.outbox import delete_owed, read_owed
from ledger.queue import list_queue
from ledger.spooled import captured_copy, list_captured
from relay import spool as spool_module
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.promise import Claim, CopyIdTaken, Settlement, SpoolError, Stored
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.spool import Spool
from relay.template import Template

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)
LEASE_S = 60
NUMBERS = count(1)

TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
NOT_NOW = Deferred(Reply(451, "4.0.0", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))


def recipient(address: str, kind: RecipientType = RecipientType.TO) -> Recipient:
    return Recipient(parse_address(address), kind)


def stored(
    *copies: tuple[str, ...], at: datetime = NOW, copy_id: int = 0, original: bytes = b"x\r\n"
) -> Stored:
    """One send with a copy for each tuple of recipients."""
    number = next(NUMBERS)
    send_id = new_ident(number, number)
    addressed = copies or (("bob@example.org",),)
    split = tuple(
        Copy(
            copy_id=copy_id or next(NUMBERS),
            send_id=send_id,
            mode=TrackingMode.INDIVIDUAL,
            layout=None,
            key_id=3,
            recipients=tuple(map(recipient, addresses)),
        )
        for addresses in addressed
    )
    everybody = tuple(one.address for copy in split for one in copy.recipients)
    envelope = Envelope(parse_address("alice@example.com"), everybody, body_8bit=True)
    submission = Submission(send_id, envelope, original, at, Client("127.0.0.1", "x"), "alice")
    return Stored(
        submission, Template(original, (), "https://t.example"), split, accepted(submission, split)
    )


def accepted(submission: Submission, copies: tuple[Copy, ...]) -> SendAccepted:
    return SendAccepted(
        send_id=submission.send_id,
        accepted_at=submission.received_at,
        message_id="m@example.com",
        sender=str(submission.envelope.sender),
        account=submission.account,
        client="127.0.0.1",
        subject="Grüße",
        size_bytes=len(submission.raw),
        base_url="https://t.example",
        verdict=(),
        tags=(),
        metadata={},
        copies=tuple(
            CopyFact(
                copy.copy_id,
                copy.mode,
                tuple(
                    RecipientFact(f"{copy.copy_id}-{number}", str(one.address), one.recipient_type)
                    for number, one in enumerate(copy.recipients)
                ),
            )
            for copy in copies
        ),
        links=(),
    )


def settlement(claim: Claim, *outcomes: Outcome, due_at: datetime | None = None) -> Settlement:
    """The outcomes for the claim's recipients, in order."""
    return Settlement(
        copy_id=claim.copy.copy_id,
        lease=claim.lease,
        attempt_at=SOON,
        outcomes=tuple(zip(claim.copy.recipients, outcomes, strict=False)),
        upstream="default",
        due_at=due_at,
    )


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


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[str], int]:
    """Count a table's rows by a connection of another process's kind."""

    def count_rows(table: str) -> int:
        connection = sqlite3.connect(f"file:{tmp_path}/spool.db?mode=ro", uri=True)
        try:
            (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        finally:
            connection.close()
        return int(number)

    return count_rows


async def claim_one(spool: Spool, now: datetime = SOON) -> Claim:
    (claim,) = await spool.claim(10, now, LEASE_S)
    return claim


async def test_what_is_stored_is_claimed_with_all_it_had(spool: Spool) -> None:
    mail = stored(("bob@example.org", "carol@example.org"))
    await spool.store(mail)
    claim = await claim_one(spool)
    assert claim.copy == mail.copies[0]
    assert claim.template == mail.template
    assert claim.sender == mail.submission.envelope.sender
    assert claim.received_at == NOW
    assert (claim.message_id, claim.subject, claim.account) == ("m@example.com", "Grüße", "alice")
    assert (claim.smtputf8, claim.body_8bit) == (False, True)
    assert (claim.attempts, claim.delay_noticed) == (0, False)


async def test_another_process_unpacks_what_was_stored(spool: Spool, store: Store) -> None:
    mail = stored(("bob@example.org",), ("carol@example.org",))
    await spool.store(mail)
    other = Spool(store)
    claims = await other.claim(10, SOON, LEASE_S)
    assert [claim.template for claim in claims] == [mail.template, mail.template]
    assert claims[0].template is claims[1].template
    await other.close()


async def test_long_mail_is_packed_and_unpacked_in_a_thread(spool: Spool, store: Store) -> None:
    mail = stored(original=b"x" * 300_000)
    await spool.store(mail)
    other = Spool(store)
    assert (await claim_one(other)).template == mail.template
    await other.close()


async def test_what_is_due_first_is_claimed_first_and_nothing_twice(spool: Spool) -> None:
    mails = [stored(at=NOW - timedelta(seconds=age)) for age in (1, 3, 2)]
    for mail in mails:
        await spool.store(mail)
    first = await spool.claim(2, NOW, LEASE_S)
    assert [claim.received_at for claim in first] == [
        NOW - timedelta(seconds=3),
        NOW - timedelta(seconds=2),
    ]
    assert len(await spool.claim(10, NOW, LEASE_S)) == 1
    assert await spool.claim(10, NOW, LEASE_S) == ()


async def test_nothing_is_claimed_before_it_is_due(spool: Spool) -> None:
    await spool.store(stored(at=LATER))
    assert await spool.claim(10, NOW, LEASE_S) == ()
    assert await spool.next_due_at(NOW) == LATER
    assert await spool.next_due_at(LATER + timedelta(hours=1)) == LATER + timedelta(hours=1)


async def test_nothing_waits_in_an_empty_spool(spool: Spool) -> None:
    assert await spool.next_due_at(NOW) is None


async def test_a_lease_that_ended_is_claimed_again_and_the_late_settlement_does_not_count(
    spool: Spool,
) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    assert await spool.next_due_at(SOON) == SOON + timedelta(seconds=LEASE_S)
    again = await claim_one(spool, SOON + timedelta(seconds=LEASE_S))
    assert again.lease != lost.lease
    assert not await spool.settle(settlement(lost, TAKEN))
    assert await spool.settle(settlement(again, TAKEN))
    assert not await spool.settle(settlement(again, TAKEN))


async def test_a_renewed_lease_is_not_claimed_again(spool: Spool) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    await spool.renew([claim], LATER, LEASE_S)
    await spool.renew([], LATER, LEASE_S)
    assert await spool.claim(10, LATER, LEASE_S) == ()
    assert await spool.next_due_at(NOW) == LATER + timedelta(seconds=LEASE_S)


async def test_a_lost_lease_is_not_renewed(spool: Spool) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    again = await claim_one(spool, LATER)
    await spool.renew([lost], LATER + timedelta(hours=1), LEASE_S)
    assert await spool.next_due_at(NOW) == LATER + timedelta(seconds=LEASE_S)
    assert await spool.settle(settlement(again, TAKEN))


async def test_content_goes_when_the_last_copy_is_settled(
    spool: Spool, rows: Callable[[str], int]
) -> None:
    await spool.store(stored(("bob@example.org",), ("carol@example.org",)))
    first, second = await spool.claim(10, SOON, LEASE_S)
    assert await spool.settle(settlement(first, TAKEN))
    assert (rows("spooled_sends"), rows("spooled_copies")) == (1, 1)
    assert await spool.settle(settlement(second, NEVER))
    assert (rows("spooled_sends"), rows("spooled_copies"), rows("spooled_recipients")) == (0, 0, 0)


async def test_only_the_deferred_are_tried_again(spool: Spool, store: Store) -> None:
    await spool.store(stored(("bob@example.org", "carol@example.org", "dave@example.org")))
    claim = await claim_one(spool)
    assert await spool.settle(settlement(claim, TAKEN, NOT_NOW, NEVER, due_at=LATER))
    async with store.read() as connection:
        (queued,) = await list_queue(connection, 10)
    assert queued.recipients == (
        ("to", "bob@example.org", "delivered", "250 2.0.0 taken"),
        ("to", "carol@example.org", "pending", "451 4.0.0 later"),
        ("to", "dave@example.org", "failed", "550 5.1.1 nobody"),
    )
    assert (queued.attempts, queued.due_at, queued.leased, queued.held) == (1, LATER, False, False)
    again = await claim_one(spool, LATER)
    assert again.copy.recipients == (recipient("carol@example.org"),)
    assert again.attempts == 1


async def test_a_recipient_without_outcome_stays_pending(spool: Spool) -> None:
    await spool.store(stored(("bob@example.org", "carol@example.org")))
    claim = await claim_one(spool)
    assert await spool.settle(settlement(claim, TAKEN))
    assert (await claim_one(spool)).copy.recipients == (recipient("carol@example.org"),)


async def test_the_deferred_need_a_time(spool: Spool) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    with pytest.raises(ValueError, match="no due_at"):
        settlement(claim, NOT_NOW)


async def test_each_outcome_is_owed_to_the_ledger_after_its_send(
    spool: Spool, store: Store
) -> None:
    mail = stored(("bob@example.org", "carol@example.org"))
    await spool.store(mail)
    claim = await claim_one(spool)
    await spool.settle(settlement(claim, TAKEN, NOT_NOW, due_at=LATER))
    async with store.read() as connection:
        owed = await read_owed(connection, 10)
    assert owed[0].fact == mail.fact
    told = [one.fact for one in owed[1:] if isinstance(one.fact, RecipientTold)]
    assert [(one.type, one.recipient, one.reply, one.upstream) for one in told] == [
        (EventType.RELAYED, "bob@example.org", "250 2.0.0 taken", "default"),
        (EventType.DEFERRED, "carol@example.org", "451 4.0.0 later", "default"),
    ]
    assert {(one.send_id, one.copy_id, one.at) for one in told} == {
        (mail.submission.send_id, mail.copies[0].copy_id, SOON)
    }
    assert len({one.event_id for one in told}) == 2


async def test_facts_are_read_in_order_and_deleted_by_number(spool: Spool, store: Store) -> None:
    mails = [stored(), stored(), stored()]
    for mail in mails:
        await spool.store(mail)
    async with store.read() as connection:
        first = await read_owed(connection, 2)
    assert [one.fact for one in first] == [mails[0].fact, mails[1].fact]
    async with store.write() as connection:
        await delete_owed(connection, [one.number for one in first])
        await delete_owed(connection, [])
    async with store.read() as connection:
        assert [one.fact for one in await read_owed(connection, 9)] == [mails[2].fact]


async def test_a_captured_copy_is_kept_whole(spool: Spool, store: Store) -> None:
    for number in (1, 2):
        await spool.store(stored(("bob@example.org",), at=NOW))
        claim = await claim_one(spool)
        settled = settlement(claim, TAKEN)
        await spool.settle(
            replace(settled, captured=b"raw", attempt_at=NOW + timedelta(seconds=number))
        )
    async with store.read() as connection:
        latest, earlier = await list_captured(connection, 10)
        assert await list_captured(connection, 10, before=(latest.captured_at, latest.copy_id)) == (
            earlier,
        )
        whole = await captured_copy(connection, latest.copy_id)
        assert await captured_copy(connection, 0) is None
    assert latest.raw == b""
    assert whole == replace(latest, raw=b"raw")
    assert whole.recipients == (("to", "bob@example.org"),)
    assert (whole.sender, whole.subject, whole.mode) == ("alice@example.com", "Grüße", "individual")


async def test_a_notice_is_new_mail_of_the_same_transaction(spool: Spool) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    bounce = stored(("alice@example.com",))
    await spool.settle(replace(settlement(claim, NEVER), notices=(bounce,)))
    assert (await claim_one(spool)).copy == bounce.copies[0]


async def test_a_notice_of_a_lost_lease_is_not_stored(spool: Spool) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    await claim_one(spool, LATER)
    bounce = stored(("alice@example.com",))
    assert not await spool.settle(replace(settlement(lost, NEVER), notices=(bounce,)))
    assert await spool.claim(10, LATER, LEASE_S) == ()


async def test_the_delay_notice_is_remembered(spool: Spool) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    await spool.settle(replace(settlement(claim, NOT_NOW, due_at=LATER), delay_noticed=True))
    assert (await claim_one(spool, LATER)).delay_noticed


async def test_dispatch_is_woken_by_new_mail_and_retries_only(spool: Spool) -> None:
    assert not spool.wake.is_set()
    await spool.store(stored())
    assert spool.wake.is_set()
    spool.wake.clear()
    claim = await claim_one(spool)
    await spool.settle(settlement(claim, NOT_NOW, due_at=LATER))
    assert spool.wake.is_set()
    spool.wake.clear()
    await spool.settle(settlement(await claim_one(spool, LATER), TAKEN))
    assert not spool.wake.is_set()


# Group commit


class Watched:
    """Counts the transactions of a store, and holds or fails them as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
        self.commits = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_commit: list[Exception] = []
        self.at_write: list[Exception] = []
        self._transact = store.transact
        monkeypatch.setattr(store, "transact", self.transact)

    async def transact(self, work: Callable[[Connection], object]) -> object:
        def watched(connection: Connection) -> object:
            if self.at_write:
                raise self.at_write.pop(0)
            result = work(connection)
            assert self.gate.wait(timeout=5)
            if self.at_commit:
                raise self.at_commit.pop(0)
            return result

        result = await self._transact(watched)
        self.commits += 1
        return result


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, store: Store) -> Watched:
    return Watched(monkeypatch, store)


async def test_nobody_hears_of_it_before_the_commit(
    spool: Spool, watched: Watched, rows: Callable[[str], int]
) -> None:
    watched.gate.clear()
    storing = asyncio.ensure_future(spool.store(stored()))
    done, _ = await asyncio.wait([storing], timeout=0.05)
    assert not done
    assert rows("spooled_sends") == 0
    watched.gate.set()
    await storing
    assert rows("spooled_sends") == 1


async def test_what_arrives_during_a_commit_shares_the_next(spool: Spool, watched: Watched) -> None:
    await asyncio.gather(*(spool.store(stored()) for _ in range(50)))
    claims = await spool.claim(50, SOON, LEASE_S)
    before = watched.commits
    assert before <= 3
    settled = [spool.settle(settlement(claim, TAKEN)) for claim in claims]
    new = [spool.store(stored()) for _ in range(50)]
    await asyncio.gather(*settled, *new)
    assert watched.commits - before <= 2


async def test_one_transaction_has_at_most_so_many_bytes(
    spool: Spool, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_BATCH_BYTES", 1000)
    await asyncio.gather(*(spool.store(stored(original=b"x" * 700)) for _ in range(5)))
    assert watched.commits == 5


async def test_a_taken_copy_id_fails_its_send_alone(
    spool: Spool, rows: Callable[[str], int]
) -> None:
    await spool.store(stored(copy_id=77))
    results = await asyncio.gather(
        *(spool.store(stored(copy_id=copy_id)) for copy_id in (0, 77, 0)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), CopyIdTaken, type(None)]
    assert rows("spooled_sends") == 3
    assert rows("owed_facts") == 3


async def test_one_item_that_can_not_be_written_fails_alone(spool: Spool) -> None:
    broken = stored()
    broken = replace(broken, fact=replace(broken.fact, subject="lone \ud800 surrogate"))
    results = await asyncio.gather(
        spool.store(stored()), spool.store(broken), spool.store(stored()), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), SpoolError, type(None)]


DISK_IS_FULL = OperationalError(
    "COMMIT", None, sqlite3.OperationalError("database or disk is full")
)


@pytest.mark.parametrize("where", ["at_write", "at_commit"])
async def test_a_fault_of_the_disk_fails_all_and_accepts_nothing(
    where: str, spool: Spool, watched: Watched, rows: Callable[[str], int]
) -> None:
    getattr(watched, where).append(DISK_IS_FULL)
    results = await asyncio.gather(
        spool.store(stored()), spool.store(stored()), return_exceptions=True
    )
    assert [type(result) for result in results] == [SpoolError, SpoolError]
    assert (rows("spooled_sends"), rows("owed_facts")) == (0, 0)
    await spool.store(stored())
    assert rows("spooled_sends") == 1


async def test_after_a_fault_the_next_write_opens_another_connection(
    spool: Spool, store: Store, watched: Watched
) -> None:
    def driver_connection(connection: Connection) -> object:
        return connection.connection.driver_connection

    before = await store.transact(driver_connection)
    watched.at_commit.append(OSError(5, "Input/output error"))
    with pytest.raises(SpoolError, match="Input/output error"):
        await spool.store(stored())
    assert await store.transact(driver_connection) is not before


async def test_a_settlement_that_failed_can_be_made_again(spool: Spool, watched: Watched) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    watched.at_commit.append(DISK_IS_FULL)
    with pytest.raises(SpoolError):
        await spool.settle(settlement(claim, TAKEN))
    assert await spool.settle(settlement(claim, TAKEN))


async def test_two_settlements_of_one_copy_in_one_transaction_count_once(
    spool: Spool, rows: Callable[[str], int]
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    assert await asyncio.gather(
        spool.settle(settlement(claim, TAKEN)), spool.settle(settlement(claim, TAKEN))
    ) == [True, False]
    assert rows("owed_facts") == 2


async def test_a_caller_that_gives_up_does_not_stop_the_writer(
    spool: Spool, watched: Watched, rows: Callable[[str], int]
) -> None:
    watched.gate.clear()
    impatient = asyncio.ensure_future(spool.store(stored()))
    patient = asyncio.ensure_future(spool.store(stored()))
    await asyncio.wait([patient], timeout=0.02)
    impatient.cancel()
    watched.gate.set()
    await patient
    assert rows("spooled_sends") == 2


async def test_a_closing_spool_writes_what_has_come_and_takes_no_more(
    store: Store, rows: Callable[[str], int]
) -> None:
    spool = Spool(store)
    storing = [asyncio.ensure_future(spool.store(stored())) for _ in range(3)]
    await asyncio.sleep(0)
    await spool.close()
    assert rows("spooled_sends") == 3
    await asyncio.gather(*storing)
    with pytest.raises(SpoolError, match="closing"):
        await spool.store(stored())


async def test_templates_kept_in_memory_are_bounded(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_CACHE_BYTES", 3000)
    mails = [stored(original=bytes([65 + number]) * 1000) for number in range(5)]
    mails.append(stored(original=b"F" * 4000))
    for mail in mails:
        await spool.store(mail)
    claims = await spool.claim(10, SOON, LEASE_S)
    assert [claim.template for claim in claims] == [mail.template for mail in mails]
    assert await spool.claim(10, SOON, LEASE_S) == ()


async def test_what_was_dropped_from_the_queue_while_it_was_claimed_is_left_out(
    spool: Spool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.store(stored())
    other, read = Spool(store), store.read

    @asynccontextmanager
    async def read_after_drop() -> AsyncIterator[AsyncConnection]:
        async with store.write() as connection:
            await connection.execute(delete(schema.spooled_sends))
        async with read() as connection:
            yield connection

    monkeypatch.setattr(store, "read", read_after_drop)
    assert await other.claim(10, SOON, LEASE_S) == ()
    await other.close()
