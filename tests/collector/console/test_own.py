"""A user sees what came of his own mail, and nothing of others'."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.audit import OPERATOR, Author
from ledger.event import EventType
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

UMA = Person("Uma@acme.example", Role.USER, "uma@acme.example")


@pytest.fixture
async def sent(console: Any, explain: Any) -> dict[str, str]:
    """Three mails, each opened: one from Uma, one she signed in to send, one of somebody else."""
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account(UMA.name, UMA.role), author)
    found = {}
    for name, values in {
        "own": {"sender": "uma@ACME.example"},
        "submitted": {"sender": "info@acme.example", "account": "Uma@acme.example"},
        "others": {"sender": "max@acme.example", "account": "max@acme.example"},
    }.items():
        send_id = await console.send([explain("bob@example.org", 1)], subject=name, **values)
        about = {"send_id": send_id, "subject": name, "sender": values["sender"]}
        await console.record(
            console.event(EventType.ACCEPTED, **about), console.event(EventType.OPENED, **about)
        )
        found[name] = send_id
    return found


async def test_the_feed_and_the_list_hold_own_mail_only(console: Any, sent: dict[str, str]) -> None:
    user = await console.signed_in(UMA)
    for path in ("/", "/feed", "/messages"):
        _, page, _ = await user.get(path)
        assert f"/messages/{sent['own']}" in page, path
        assert f"/messages/{sent['submitted']}" in page, path
        assert sent["others"] not in page, path
        assert "max@" not in page, path


async def test_a_mail_of_somebody_else_is_not_there_at_all(
    console: Any, sent: dict[str, str]
) -> None:
    user = await console.signed_in(UMA)
    assert (await user.get(f"/messages/{sent['own']}"))[0] == 200
    assert (await user.get(f"/messages/{sent['submitted']}"))[0] == 200
    status, page, _ = await user.get(f"/messages/{sent['others']}")
    unknown = await user.get("/messages/01HZZZZZZZZZZZZZZZZZZZZZZZ")
    assert (status, page) == unknown[:2]
    assert status == 404


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AUDITOR])
async def test_admins_and_auditors_see_all(console: Any, sent: dict[str, str], role: Role) -> None:
    person = await console.signed_in(Person("otto@example.com", role))
    for send_id in sent.values():
        assert (await person.get(f"/messages/{send_id}"))[0] == 200
        assert send_id in (await person.get("/"))[1]


async def test_a_user_without_an_account_sees_nothing(console: Any, sent: dict[str, str]) -> None:
    user = await console.signed_in(Person("someone", Role.USER))
    _, page, _ = await user.get("/")
    assert not any(send_id in page for send_id in sent.values())
