"""The page of one's own notices."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.audit import Author
from ledger.notice_wishes import MailWish, NoticeWish, wish_of
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

ANN = "ann@acme.example"
FORM = {
    "mail": "digest",
    "sure": "0.6",
    "first_only": "yes",
    "quiet_from": "1200",
    "quiet_until": "420",
    "zone": "Europe/Stockholm",
}


async def signed_in(console: Any, role: Role = Role.USER) -> Any:
    author = Author("operator", datetime.now(UTC), b"k" * 32)
    await add_account(console.stores.ledger, Account(ANN, role), author)
    return await console.signed_in(Person(ANN, role, ANN))


async def kept(console: Any) -> NoticeWish:
    async with console.stores.ledger.read() as connection:
        return await wish_of(connection, ANN)


@pytest.mark.parametrize("role", list(Role))
async def test_each_chooses_what_he_is_told(console: Any, role: Role) -> None:
    ann = await signed_in(console, role)
    status, page, _ = await ann.get("/notices")
    assert (status, "<h1>Notices by mail</h1>" in page) == (200, True)
    assert "<code>notices.mail</code> is off" in page
    status, _, headers = await ann.post("/notices", {"form_token": await ann.form_token(), **FORM})
    assert (status, headers["Location"]) == (303, "/notices?done=yes")
    wanted = NoticeWish(MailWish.DIGEST, True, 0.6, 1200, 420, "Europe/Stockholm")
    assert await kept(console) == wanted
    _, page, _ = await ann.get("/notices?done=yes")
    assert page.count(" selected>") == 5
    assert " checked>" in page
    assert 'role="status"' in page


async def test_without_the_token_of_the_form_nothing_changes(console: Any) -> None:
    ann = await signed_in(console)
    status, _, _ = await ann.post("/notices", FORM)
    assert (status, await kept(console)) == (403, NoticeWish())


async def test_a_form_that_is_none_of_ours_makes_it_quiet(console: Any) -> None:
    ann = await signed_in(console)
    odd = {"mail": "loud", "sure": "-1", "quiet_from": "x", "quiet_until": "420", "zone": "Mars/X"}
    await ann.post("/notices", {"form_token": await ann.form_token(), **odd})
    assert await kept(console) == NoticeWish(MailWish.OFF, False, 0.8)


async def test_who_has_no_account_is_told_that_nothing_is_sent(console: Any) -> None:
    admin = await console.signed_in()
    _, page, _ = await admin.get("/notices")
    assert "without an account" in page
    assert 'action="/notices"' not in page
    status, _, _ = await admin.post("/notices", {"form_token": await admin.form_token(), **FORM})
    assert status == 409
