"""The spool over a real SQLite file, with faults of the disk injected."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from ledger.address import parse_address
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import RecipientTold
from ledger.outbox import delete_owed, read_owed
from ledger.queue import list_queue
from ledger.spooled import captured_copy, list_captured
from relay.mail import Recipient, RecipientType
from relay.promise import Claim, Settlement, Stored
from relay.reply import Deferred, Delivered, Failed, Reply
from relay.retry import Tries
from relay.spool import Spool

Build = Callable[..., Stored]
Settle = Callable[..., Settlement]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)
LEASE_S = 60
NUMBERS = count(1)

TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
NOT_NOW = Deferred(Reply(451, "4.0.0", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))


def recipient(address: str) -> Recipient:
    return Recipient(parse_address(address), RecipientType.TO)


async def claim_one(spool: Spool, now: datetime = SOON) -> Claim:
    (claim,) = await spool.claim(10, now, LEASE_S)
    return claim


async def test_what_is_stored_is_claimed_with_all_it_had(spool: Spool, stored: Build) -> None:
    mail = stored(("bob@example.org", "carol@example.org"))
    await spool.store(mail)
    claim = await claim_one(spool)
    assert claim.copy == mail.copies[0]
    assert claim.template == mail.template
    assert claim.sender == mail.submission.envelope.sender
    assert claim.received_at == NOW
    assert (claim.message_id, claim.subject, claim.account) == ("m@example.com", "Grüße", "alice")
    assert (claim.smtputf8, claim.body_8bit) == (False, True)
    assert (claim.tries, claim.delay_noticed, claim.fate) == (Tries(), False, None)


async def test_another_process_unpacks_what_was_stored(
    spool: Spool, store: Store, stored: Build
) -> None:
    mail = stored(("bob@example.org",), ("carol@example.org",))
    await spool.store(mail)
    other = Spool(store)
    claims = await other.claim(10, SOON, LEASE_S)
    assert [claim.template for claim in claims] == [mail.template, mail.template]
    assert claims[0].template is claims[1].template
    await other.close()


async def test_long_mail_is_packed_and_unpacked_in_a_thread(
    spool: Spool, store: Store, stored: Build
) -> None:
    mail = stored(original=b"x" * 300_000)
    await spool.store(mail)
    other = Spool(store)
    assert (await claim_one(other)).template == mail.template
    await other.close()


async def test_what_is_due_first_is_claimed_first_and_nothing_twice(
    spool: Spool, stored: Build
) -> None:
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


async def test_nothing_is_claimed_before_it_is_due(spool: Spool, stored: Build) -> None:
    await spool.store(stored(at=LATER))
    assert await spool.claim(10, NOW, LEASE_S) == ()
    assert await spool.next_due_at(NOW) == LATER
    assert await spool.next_due_at(LATER + timedelta(hours=1)) == LATER + timedelta(hours=1)


async def test_nothing_waits_in_an_empty_spool(spool: Spool) -> None:
    assert await spool.next_due_at(NOW) is None


async def test_a_lease_that_ended_is_claimed_again_and_the_late_settlement_does_not_count(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    assert await spool.next_due_at(SOON) == SOON + timedelta(seconds=LEASE_S)
    again = await claim_one(spool, SOON + timedelta(seconds=LEASE_S))
    assert again.lease != lost.lease
    assert not await spool.settle(settlement(lost, TAKEN))
    assert await spool.settle(settlement(again, TAKEN))
    assert not await spool.settle(settlement(again, TAKEN))


async def test_a_renewed_lease_is_not_claimed_again(spool: Spool, stored: Build) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    await spool.renew([claim], LATER, LEASE_S)
    await spool.renew([], LATER, LEASE_S)
    assert await spool.claim(10, LATER, LEASE_S) == ()
    assert await spool.next_due_at(NOW) == LATER + timedelta(seconds=LEASE_S)


async def test_a_lost_lease_is_not_renewed(spool: Spool, stored: Build, settlement: Settle) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    again = await claim_one(spool, LATER)
    await spool.renew([lost], LATER + timedelta(hours=1), LEASE_S)
    assert await spool.next_due_at(NOW) == LATER + timedelta(seconds=LEASE_S)
    assert await spool.settle(settlement(again, TAKEN))


async def test_content_goes_when_the_last_copy_is_settled(
    spool: Spool, rows: Callable[[str], int], stored: Build, settlement: Settle
) -> None:
    await spool.store(stored(("bob@example.org",), ("carol@example.org",)))
    first, second = await spool.claim(10, SOON, LEASE_S)
    assert await spool.settle(settlement(first, TAKEN))
    assert (rows("spooled_sends"), rows("spooled_copies")) == (1, 1)
    assert await spool.settle(settlement(second, NEVER))
    assert (rows("spooled_sends"), rows("spooled_copies"), rows("spooled_recipients")) == (0, 0, 0)


async def test_only_the_deferred_are_tried_again(
    spool: Spool, store: Store, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored(("bob@example.org", "carol@example.org", "dave@example.org")))
    claim = await claim_one(spool)
    assert await spool.settle(settlement(claim, TAKEN, NOT_NOW, NEVER, due_at=LATER))
    async with store.read() as connection:
        (queued,) = await list_queue(connection, 10)
    assert [(one.recipient, one.state, one.reply) for one in queued.recipients] == [
        ("bob@example.org", "delivered", "250 2.0.0 taken"),
        ("carol@example.org", "pending", "451 4.0.0 later"),
        ("dave@example.org", "failed", "550 5.1.1 nobody"),
    ]
    assert (queued.attempts, queued.due_at, queued.leased, queued.held) == (1, LATER, False, False)
    again = await claim_one(spool, LATER)
    assert again.copy.recipients == (recipient("carol@example.org"),)
    assert again.tries == Tries(1, SOON, 60.0)
    assert (queued.tried_at, queued.upstream) == (SOON, "default")


async def test_a_recipient_without_outcome_stays_pending(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored(("bob@example.org", "carol@example.org")))
    claim = await claim_one(spool)
    assert await spool.settle(settlement(claim, TAKEN))
    assert (await claim_one(spool)).copy.recipients == (recipient("carol@example.org"),)


async def test_the_deferred_need_a_time(spool: Spool, stored: Build, settlement: Settle) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    with pytest.raises(ValueError, match="no due_at"):
        settlement(claim, NOT_NOW)


async def test_each_outcome_is_owed_to_the_ledger_after_its_send(
    spool: Spool, store: Store, stored: Build, settlement: Settle
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


async def test_facts_are_read_in_order_and_deleted_by_number(
    spool: Spool, store: Store, stored: Build
) -> None:
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


async def test_a_captured_copy_is_kept_whole(
    spool: Spool, store: Store, stored: Build, settlement: Settle
) -> None:
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


async def test_a_notice_is_new_mail_of_the_same_transaction(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    bounce = stored(("alice@example.com",))
    await spool.settle(replace(settlement(claim, NEVER), notices=(bounce,)))
    assert (await claim_one(spool)).copy == bounce.copies[0]


async def test_a_notice_of_a_lost_lease_is_not_stored(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    lost = await claim_one(spool)
    await claim_one(spool, LATER)
    bounce = stored(("alice@example.com",))
    assert not await spool.settle(replace(settlement(lost, NEVER), notices=(bounce,)))
    assert await spool.claim(10, LATER, LEASE_S) == ()


async def test_the_delay_notice_is_remembered(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    await spool.settle(replace(settlement(claim, NOT_NOW, due_at=LATER), delay_noticed=True))
    assert (await claim_one(spool, LATER)).delay_noticed


async def test_dispatch_is_woken_by_new_mail_and_retries_only(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
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


async def test_a_copy_that_is_put_back_was_not_attempted(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    await spool.store(stored())
    claim = await claim_one(spool)
    await spool.settle(replace(settlement(claim, due_at=LATER), tries=None))
    again = await claim_one(spool, LATER)
    assert (again.copy, again.tries) == (claim.copy, Tries())
