import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from collector.wish import Wish, WishKind
from collector.wishes import ASKED_LASTS, Came, Places, Terms, Wishes
from ledger import schema
from ledger.engine import Store
from ledger.ident import RANDOM_BITS, new_ident
from ledger.keys import KeyRing
from ledger.migrate import open_store
from ledger.token import TokenKey

TERMS = Terms("https://t.example.com/w/", "https://t.example.com", b"p" * 32)


@pytest.fixture
async def spill(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'spill.db'}", schema.spill)
    yield opened
    await opened.close()


@pytest.fixture
async def wishes(house: Any, spill: Store) -> Wishes:
    places = Places(spill, house.stores.ledger, house.stores.spool)
    made = Wishes(places, house.keys, TERMS)
    await made.recall()
    return made


def wish(
    kind: WishKind, copy_id: int | None = 7, age: timedelta = timedelta(0), **more: Any
) -> Wish:
    at = datetime.now(UTC) - age
    wish_id = new_ident(int(at.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
    return Wish(wish_id, at, kind, "en", copy_id, **more)


async def left(spill: Store) -> list[str]:
    async with spill.read() as connection:
        return list(await connection.scalars(select(schema.spilled_wishes.c.kind)))


async def test_law_what_was_kept_is_on_disk_until_it_is_done(
    house: Any, wishes: Wishes, spill: Store
) -> None:
    """Law: a wish that `keep` has returned True for is on disk until it is done."""
    assert await wishes.keep(wish(WishKind.WITHDRAW))
    assert (await left(spill), wishes.withdrawn) == (["withdraw"], {7})
    await wishes.grant()
    assert await left(spill) == ["withdraw"]  # the copy is not known
    await house.send(7)
    await wishes.grant()
    assert (await left(spill), wishes.withdrawn) == ([], frozenset())
    assert [row.state for row in await house.rows(schema.consents)] == ["denied"]


async def test_what_one_process_has_kept_the_next_one_takes_up(
    house: Any, wishes: Wishes, spill: Store
) -> None:
    await wishes.keep(wish(WishKind.WITHDRAW))
    later = Wishes(Places(spill, house.stores.ledger, house.stores.spool), house.keys, TERMS)
    assert later.withdrawn == frozenset()
    await later.recall()
    assert later.withdrawn == {7}
    await house.send(7)
    await later.grant()
    assert await left(spill) == []


async def test_killed_before_the_spill_has_heard_of_it_a_denial_is_recorded_once(
    house: Any, wishes: Wishes, spill: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.send(7)
    await wishes.keep(wish(WishKind.WITHDRAW))
    with monkeypatch.context() as broken:
        broken.setattr("collector.wishes.delete_wish", lambda _connection, **_more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await wishes.grant()
    await wishes.grant()
    assert await left(spill) == []
    assert len(await house.rows(schema.consent_changes)) == 1
    assert len(await house.rows(schema.day_events)) == 1


async def test_a_wish_whose_key_is_gone_stays_and_holds(
    house: Any, wishes: Wishes, spill: Store
) -> None:
    await house.send(7)
    await wishes.keep(wish(WishKind.WITHDRAW))
    other = TokenKey(9, b"x" * 32)
    keyless = Wishes(
        Places(spill, house.stores.ledger, house.stores.spool), KeyRing({9: other}, other), TERMS
    )
    await keyless.recall()
    await keyless.grant()
    assert (await left(spill), keyless.withdrawn) == (["withdraw"], {7})


async def test_a_mail_that_can_not_be_sent_is_given_up_when_nobody_knows_of_it_any_more(
    wishes: Wishes, spill: Store
) -> None:
    await wishes.keep(wish(WishKind.ASK, address="b@example.org"))
    await wishes.keep(wish(WishKind.ASK, age=ASKED_LASTS + timedelta(seconds=1)))
    await wishes.grant()
    assert await left(spill) == ["ask"]


async def test_where_there_is_nothing_to_restore_nobody_is_written_to(
    house: Any, wishes: Wishes, spill: Store
) -> None:
    await house.send(7)
    await wishes.keep(wish(WishKind.RESTORE))
    await wishes.grant()
    assert await left(spill) == []
    async with house.stores.spool.read() as connection:
        assert (await connection.execute(select(schema.owed_mails))).all() == []


async def test_a_fault_of_ours_does_not_end_the_care(
    house: Any, wishes: Wishes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    await house.send(7)
    with monkeypatch.context() as broken:
        broken.setattr("collector.wishes.open_wish", lambda _keys, _spilled: 1 / 0)
        following = asyncio.create_task(wishes.follow())
        broken.setattr("collector.wishes.SOON_S", 0.2)
        assert await wishes.keep_and_wait(wish(WishKind.WITHDRAW)) is Came.KEPT
    async with asyncio.timeout(10):
        while wishes.withdrawn:  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    wishes.stop()
    await following
    assert "wishes.waiting" in "".join(capfd.readouterr())
