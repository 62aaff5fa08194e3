"""New mail goes straight out where there is room, under a lease like any other."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.engine import Store
from relay.promise import Claim, CopyIdTaken, Settlement, SpoolError, Stored
from relay.reply import Deferred, Delivered, Failed, Reply
from relay.spool import Spool
from relay.straight import first_claim

Build = Callable[..., Stored]
Settle = Callable[..., Settlement]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
LEASE_S = 60
ENDED = NOW + timedelta(seconds=LEASE_S)
TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))
NOT_NOW = Deferred(Reply(451, "4.0.0", "later"))


@dataclass
class Carrier:
    """Has room for so many copies, and remembers what it was told."""

    room: int
    calm: bool = True
    carried: list[Claim] = field(default_factory=list)

    def leased_until(self) -> datetime | None:
        return ENDED if self.calm else None

    def lane_of(self, claim: Claim) -> str:
        return f"for {claim.copy.recipients[0].address.domain}"

    def reserve(self, claim: Claim) -> bool:
        del claim
        if not self.room:
            return False
        self.room -= 1
        return True

    def carry(self, claim: Claim) -> None:
        self.carried.append(claim)

    def release(self, claim: Claim) -> None:
        del claim
        self.room += 1


async def test_a_new_copy_is_carried_when_it_is_durable_and_claimed_by_nobody(
    spool: Spool, rows: Callable[[str], int], stored: Build, settlement: Settle
) -> None:
    spool.carrier = carrier = Carrier(room=1)
    mail = stored()
    await spool.store(mail)
    assert rows("spooled_copies") == 1
    (claim,) = carrier.carried
    assert claim == first_claim(mail, mail.copies[0], claim.lease)
    assert not spool.wake.is_set()
    assert await spool.claim(10, ENDED - timedelta(microseconds=1), LEASE_S) == ()
    assert await spool.settle(settlement(claim, TAKEN))
    assert rows("spooled_sends") == 0


async def test_what_is_carried_is_what_claiming_would_have_given(
    spool: Spool, stored: Build
) -> None:
    spool.carrier = carrier = Carrier(room=2)
    await spool.store(stored(("bob@example.org", "carol@example.org"), ("dave@example.org",)))
    claimed = await spool.claim(10, ENDED, LEASE_S)
    by_copy = {claim.copy.copy_id: claim for claim in carrier.carried}
    assert len(claimed) == 2
    for claim in claimed:
        assert replace(claim, lease="") == replace(by_copy[claim.copy.copy_id], lease="")


async def test_its_lease_ends_like_any_other_and_its_settlement_counts_no_more(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    spool.carrier = carrier = Carrier(room=1)
    await spool.store(stored())
    (again,) = await spool.claim(10, ENDED, LEASE_S)
    assert not await spool.settle(settlement(carrier.carried[0], TAKEN))
    assert await spool.settle(settlement(again, TAKEN))


async def test_its_lease_is_renewed_like_any_other(spool: Spool, stored: Build) -> None:
    spool.carrier = carrier = Carrier(room=1)
    await spool.store(stored())
    await spool.renew(carrier.carried, ENDED, LEASE_S)
    assert await spool.claim(10, ENDED, LEASE_S) == ()


async def test_for_which_there_is_no_room_waits_in_its_lane(spool: Spool, stored: Build) -> None:
    spool.carrier = carrier = Carrier(room=1)
    mail = stored(("a@one.example",), ("b@two.example",), ("c@three.example",))
    await spool.store(mail)
    assert [claim.copy for claim in carrier.carried] == [mail.copies[0]]
    assert spool.wake.is_set()
    assert await spool.claim(10, NOW, LEASE_S, "for one.example") == ()
    (waiting,) = await spool.claim(10, NOW, LEASE_S, "for three.example")
    assert waiting.copy == mail.copies[2]
    assert await spool.next_due_at(NOW, ["for two.example"]) == NOW
    assert await spool.next_due_at(NOW, ["for nobody"]) is None


async def test_nothing_is_leased_while_the_clock_can_not_be_trusted(
    spool: Spool, stored: Build
) -> None:
    spool.carrier = carrier = Carrier(room=1, calm=False)
    await spool.store(stored())
    assert (carrier.carried, carrier.room) == ([], 1)
    assert len(await spool.claim(10, NOW, LEASE_S)) == 1


async def test_room_is_given_back_where_nothing_was_stored(
    spool: Spool, store: Store, stored: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.carrier = carrier = Carrier(room=2)
    await spool.store(stored(copy_id=77))
    with pytest.raises(CopyIdTaken):
        await spool.store(stored(copy_id=77))
    assert carrier.room == 1

    async def failing(*_: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store, "transact", failing)
    with pytest.raises(SpoolError):
        await spool.store(stored())
    assert (len(carrier.carried), carrier.room) == (1, 1)


async def test_a_report_waits_in_its_lane(spool: Spool, stored: Build, settlement: Settle) -> None:
    spool.carrier = carrier = Carrier(room=9)
    await spool.store(stored())
    report = stored(("alice@example.com",))
    await spool.settle(replace(settlement(carrier.carried[0], NEVER), notices=(report,)))
    (claim,) = await spool.claim(10, NOW, LEASE_S, "for example.com")
    assert claim.copy == report.copies[0]


async def test_a_copy_that_is_put_back_may_wait_in_another_lane(
    spool: Spool, stored: Build, settlement: Settle
) -> None:
    spool.carrier = carrier = Carrier(room=1)
    await spool.store(stored())
    put_back = replace(settlement(carrier.carried[0], due_at=NOW), lane="other")
    await spool.settle(put_back)
    assert await spool.claim(10, NOW, LEASE_S, "for example.org") == ()
    assert len(await spool.claim(10, NOW, LEASE_S, "other")) == 1


async def test_who_waits_in_a_lane_that_is_no_more_is_adopted(spool: Spool, stored: Build) -> None:
    await spool.store(stored())
    spool.carrier = Carrier(room=0)
    await spool.store(stored(("b@kept.example",)))
    await spool.store(stored(("c@gone.example",)))
    await spool.adopt(["first", "for kept.example"])
    assert len(await spool.claim(10, NOW, LEASE_S, "for kept.example")) == 1
    assert len(await spool.claim(10, NOW, LEASE_S, "first")) == 2
