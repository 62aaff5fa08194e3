"""The page of people, over real HTTP."""

from typing import Any

import pytest

from ledger.audit import pseudonym, select_audit
from ledger.keys import load_audit_key
from ledger.password import verify_password
from ledger.people import Account, find_account
from ledger.role import Role
from ledger.sessions import Person

WORD = "correct horse battery"
ANNA = Person("anna@example.com", Role.ADMIN, "anna@example.com")


async def submit(client: Any, path: str, **form: str) -> tuple[int, str, Any]:
    answer: tuple[int, str, Any] = await client.post(
        path, {"form_token": await client.form_token(), **form}
    )
    return answer


async def add(client: Any, address: str, role: str = "user", **form: str) -> tuple[int, str, Any]:
    return await submit(client, "/people", address=address, role=role, **form)


async def account(console: Any, address: str) -> Account:
    found = await find_account(console.stores.ledger, address)
    assert found is not None
    return found


async def test_an_account_is_added_with_all_that_was_filled_in(console: Any) -> None:
    admin = await console.signed_in()
    status, _, headers = await add(
        admin,
        " Bob@example.com ",
        "auditor",
        send_as="*@a.example, b@c.example\n*@a.example",
        password=WORD,
    )
    assert (status, headers["Location"]) == (303, "/people?done=added")
    bob = await account(console, "bob@example.com")
    assert (bob.address, bob.role, bob.send_as) == (
        "Bob@example.com",
        Role.AUDITOR,
        ("*@a.example", "b@c.example"),
    )
    assert verify_password(bob.password_hash, WORD)
    status, page, _ = await admin.get("/people?done=added")
    assert (status, "Bob@example.com" in page, "Added." in page) == (200, True, True)
    assert WORD not in page


async def test_without_a_password_there_is_none_and_an_odd_address_is_asked_about(
    console: Any,
) -> None:
    admin = await console.signed_in()
    status, _, headers = await add(admin, "bob@localhost")
    assert (status, headers["Location"]) == (303, "/people?done=odd")
    assert (await account(console, "bob@localhost")).password_hash is None
    _, page, _ = await admin.get("/people?done=odd")
    assert "unusual" in page
    assert "no password" in page


@pytest.mark.parametrize(
    ("path", "form", "why"),
    [
        ("/people", {"address": "bob", "role": "user"}, "is no mail address"),
        ("/people", {"address": "", "role": "user"}, "is no mail address"),
        ("/people", {"address": "x@example.com", "role": "boss"}, "Choose a role"),
        ("/people", {"address": "x@example.com"}, "Choose a role"),
        ("/people", {"address": "x@example.com", "role": "user", "password": "short"}, "fewer"),
        ("/people", {"address": "BOB@example.com", "role": "user"}, "has an account already"),
        ("/people/role", {"address": "x@example.com", "role": "user"}, "no such account"),
        ("/people/role", {"address": "bob@example.com", "role": ""}, "Choose a role"),
        ("/people/send-as", {"address": "x@example.com"}, "no such account"),
        ("/people/password", {"address": "bob@example.com", "password": "short"}, "fewer"),
        ("/people/password", {"address": "x@example.com", "password": WORD}, "no such account"),
        ("/people/disabled", {"address": "no address", "disabled": "yes"}, "no such account"),
    ],
)
async def test_what_can_not_be_done_is_told_on_the_page_and_changes_nothing(
    console: Any, path: str, form: dict[str, str], why: str
) -> None:
    admin = await console.signed_in()
    await add(admin, "bob@example.com")
    before = await account(console, "bob@example.com")
    status, page, _ = await submit(admin, path, **form)
    assert (status, why in page) == (422, True)
    assert await account(console, "bob@example.com") == before
    assert await find_account(console.stores.ledger, "x@example.com") is None


async def test_each_change_is_done_and_audited_in_the_name_of_who_made_it(console: Any) -> None:
    admin = await console.signed_in()
    await add(admin, "anna@example.com", "admin")
    anna = await console.signed_in(ANNA)
    await add(anna, "bob@example.com")
    bob = {"address": "bob@example.com"}
    assert (await submit(anna, "/people/role", **bob, role="auditor"))[0] == 303
    assert (await submit(anna, "/people/send-as", **bob, send_as="*@a.example"))[0] == 303
    assert (await submit(anna, "/people/password", **bob, password=WORD))[0] == 303
    assert (await submit(anna, "/people/disabled", **bob, disabled="yes"))[0] == 303
    found = await account(console, "bob@example.com")
    assert (found.role, found.send_as, found.disabled) == (Role.AUDITOR, ("*@a.example",), True)
    assert (await submit(anna, "/people/disabled", **bob, disabled="no"))[0] == 303
    assert not (await account(console, "bob@example.com")).disabled
    key = load_audit_key(console.settings.keys_dir)
    async with console.stores.ledger.read() as connection:
        about = pseudonym(key, "bob@example.com")
        rows = await select_audit(connection, after=0, about=about, limit=50)
    assert {row.entry.actor for row in rows} == {pseudonym(key, "anna@example.com")}
    assert [row.entry.action for row in rows] == [
        "person.added",
        "person.role",
        "person.send_as",
        "person.password",
        "person.disabled",
        "person.enabled",
    ]


async def test_nobody_shuts_himself_out(console: Any) -> None:
    admin = await console.signed_in()
    await add(admin, "anna@example.com", "admin")
    anna = await console.signed_in(ANNA)
    own = {"address": "Anna@EXAMPLE.com"}
    status, page, _ = await submit(anna, "/people/role", **own, role="user")
    assert (status, "your own role" in page) == (422, True)
    status, page, _ = await submit(anna, "/people/disabled", **own, disabled="yes")
    assert (status, "disable yourself" in page) == (422, True)
    assert (await anna.get("/people"))[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/people", "/people/role", "/people/send-as", "/people/password", "/people/disabled"],
)
async def test_a_form_without_its_token_changes_nothing(console: Any, path: str) -> None:
    admin = await console.signed_in()
    await add(admin, "bob@example.com")
    before = await account(console, "bob@example.com")
    form = {"address": "bob@example.com", "role": "admin", "password": WORD, "disabled": "yes"}
    for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
        assert (await admin.post(path, {**form, **token}))[0] == 403
    assert await account(console, "bob@example.com") == before


async def test_an_address_is_shown_and_never_obeyed(console: Any) -> None:
    admin = await console.signed_in()
    await add(admin, '"<b onx=1>&"@example.com', send_as='"><script>alert(1)</script>')
    _, page, _ = await admin.get("/people")
    assert "<b onx" not in page
    assert "<script>alert" not in page
    assert "&lt;b onx=1&gt;" in page
