"""Consent at the time of the hit, over a real ledger."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from collector.permits import Bounds, Permits
from ledger import schema
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.story import RecordedHit
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOUNDS = Bounds(5, b"k" * 32)


def make_hit(number: int, copy_id: int = 7) -> RecordedHit:
    return RecordedHit(f"H{number:025d}", AT, HitKind.OPEN, copy_id, 0, html=True)


async def tell(house: Any, state: Consent) -> None:
    async with house.stores.ledger.write() as connection:
        told = ConsentTold(state, AT, Method.FORM, "recipient")
        await tell_consent(connection, parse_subject("b@example.org"), told)


async def entered(house: Any) -> list[str]:
    return [row.hit_id for row in await house.rows(schema.hits)]


async def test_a_denial_holds_from_the_next_hit_on_and_so_does_its_end(house: Any) -> None:
    permits = Permits(BOUNDS)
    await house.send(7)

    async def enter(number: int) -> list[RecordedHit]:
        hit = make_hit(number)
        waiting: list[RecordedHit] = await house.stores.ledger.transact(
            partial(permits.enter, batch=[hit])
        )
        return waiting

    assert await enter(1) == []
    await tell(house, Consent.DENIED)
    assert await enter(2) == []
    await tell(house, Consent.UNKNOWN)
    assert await enter(3) == []
    assert await entered(house) == [make_hit(1).hit_id, make_hit(3).hit_id]


async def test_a_copy_that_was_unknown_is_asked_for_again(house: Any) -> None:
    permits = Permits(BOUNDS)
    enter = partial(permits.enter, batch=[make_hit(1)])
    assert await house.stores.ledger.transact(enter) == [make_hit(1)]
    await house.send(7)
    assert await house.stores.ledger.transact(enter) == []


async def test_what_is_remembered_is_bounded(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.permits._MOST", 2)
    permits = Permits(BOUNDS)
    for copy_id in range(1, 8):
        await house.send(copy_id)
    for copy_id in range(1, 8):
        await house.stores.ledger.transact(
            partial(permits.enter, batch=[make_hit(copy_id, copy_id)])
        )
    assert len(permits._by_copy) <= 3
    assert len(await entered(house)) == 7


async def test_a_withdrawn_recipients_requests_are_answered_and_leave_no_trace(
    served: Any,
) -> None:
    await served.send(7, links={1: "https://example.net/x"})
    await served.send(8, recipients=("c@example.org",))
    await tell(served, Consent.DENIED)
    pixel = await served.ask(served.pixel(7))
    click = await served.ask(served.link(7, 1, "https://example.net/x"))
    assert pixel.lasting == (await served.ask(served.pixel(8))).lasting
    assert (click.status, click.headers["location"]) == (302, "https://example.net/x")
    (event,) = await served.events_when(1)
    assert event.recipient == "c@example.org"
    assert len(await entered(served)) == 1
