"""The page of the audit log, over real HTTP."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from collector.console.audit import PAGE_ROWS
from collector.console.own import LOOK
from ledger.audit import OPERATOR, Author, Head, SubjectKind, record_audit, verify_audit
from ledger.keys import load_audit_key
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

AUDITOR = Person("otto@example.com", Role.AUDITOR)


async def write(console: Any, count: int, **entry: Any) -> None:
    key = load_audit_key(console.settings.keys_dir)
    author = Author(OPERATOR, datetime.now(UTC), key)
    async with console.stores.ledger.write() as connection:
        for number in range(count):
            await record_audit(
                connection,
                author.entry(
                    entry.get("action", "policy.changed"),
                    entry.get("kind", SubjectKind.POLICY),
                    entry.get("subject", f"rule {number}"),
                    entry.get("detail"),
                ),
            )


async def test_entries_are_shown_the_latest_first_page_by_page(console: Any) -> None:
    auditor = await console.signed_in(AUDITOR)
    await write(console, PAGE_ROWS + 5)
    _, page, _ = await auditor.get("/audit")
    named = re.findall(r"<strong>rule (\d+)</strong>", page)
    assert [int(number) for number in named] == list(range(PAGE_ROWS + 4, 4, -1))
    older = re.search(r'href="(/audit\?before=\d+)"', page)
    assert older
    _, page, _ = await auditor.get(older[1])
    assert re.findall(r"<strong>rule (\d+)</strong>", page) == ["4", "3", "2", "1", "0"]
    assert "signed in" in page
    _, page, _ = await auditor.get("/audit?before=1")
    assert "nothing older" in page


async def test_people_are_named_and_recipients_are_not(console: Any) -> None:
    admin = await console.signed_in()
    token = await admin.form_token()
    form = {"form_token": token, "address": "bob@example.com", "role": "user"}
    await admin.post("/people", form)
    await write(
        console,
        1,
        action="consent.set",
        kind=SubjectKind.RECIPIENT,
        subject="rita@example.org",
        detail={"state": "denied", "by_form": True},
    )
    _, page, _ = await admin.get("/audit")
    assert "<strong>bob@example.com</strong>" in page
    assert "rita@example.org" not in page
    assert re.search(r"<strong>a recipient \([0-9a-f]{8}\)</strong>", page)
    assert "state denied, by form yes" in page
    assert "consent: set" in page


async def test_what_is_on_record_of_an_address_is_found_by_it(console: Any) -> None:
    auditor = await console.signed_in(AUDITOR)
    await write(console, 2, kind=SubjectKind.RECIPIENT, subject="rita@example.org")
    _, page, _ = await auditor.get("/audit?about=Rita@example.org")
    assert page.count("<strong>a recipient (") == 2
    _, page, _ = await auditor.get("/audit?about=nobody@example.org")
    assert "Nothing is on record of this address" in page
    status, page, _ = await auditor.get("/audit?about=rita")
    assert (status, "is no mail address" in page) == (422, True)


async def test_the_head_that_is_shown_is_the_one_that_verifies(console: Any) -> None:
    auditor = await console.signed_in(AUDITOR)
    _, page, _ = await auditor.get("/audit")
    shown = re.search(r"--head (\d+):([0-9a-f]{64})", page)
    assert shown
    kept = Head(int(shown[1]), shown[2])
    assert await verify_audit(console.stores.ledger, kept) == kept


async def test_who_looks_at_a_mail_is_on_record_once_a_look(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    auditor = await console.signed_in(AUDITOR)
    assert (await auditor.get(f"/messages/{send_id}"))[0] == 200
    # The page draws itself anew; a program only asks whether it is there.
    await auditor.get(f"/messages/{send_id}", headers={"HX-Request": "true"})
    async with auditor.http.head(f"{auditor.base}/messages/{send_id}") as response:
        assert response.status == 200
    assert (await auditor.get("/messages/01HZZZZZZZZZZZZZZZZZZZZZZZ"))[0] == 404
    _, page, _ = await auditor.get("/audit")
    assert page.count("looked at the mail") == 1
    assert "read a captured copy" not in page
    assert f'<a href="/messages/{send_id}"' in page


async def test_who_failed_to_sign_in_is_on_record_as_somebody(console: Any) -> None:
    stranger = await console.stranger()
    await stranger.post("/login", {"address": "bob@example.com", "password": "wrong"})
    auditor = await console.signed_in(AUDITOR)
    _, page, _ = await auditor.get("/audit")
    assert "<strong>Somebody</strong> tried to sign in as" in page


async def test_no_field_of_a_request_leaves_a_look_out(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    auditor = await console.signed_in(AUDITOR)
    await auditor.get(f"/messages/{send_id}", headers={"HX-Request": "true"})
    _, page, _ = await auditor.get("/audit")
    assert page.count("looked at the mail") == 1


@pytest.mark.parametrize("path", ["", "/body", "/mail.eml"])
async def test_who_reads_a_captured_copy_in_any_form_is_on_record(
    console: Any, captured_copy: Any, path: str
) -> None:
    send_id = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
    await console.capture(captured_copy(1001, send_id, ("to", "bob@example.org")))
    auditor = await console.signed_in(AUDITOR)
    for _ in range(2):
        assert (await auditor.get(f"/captured/1001{path}"))[0] == 200
    _, page, _ = await auditor.get("/audit")
    assert page.count("read a captured copy of the mail") == 1
    assert send_id in page


async def test_two_who_look_are_two_entries_and_so_are_two_looks(
    console: Any, explain: Any
) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    first = await console.signed_in(AUDITOR)
    await enrol(console, "eva@example.com")
    second = await console.signed_in(Person("eva@example.com", Role.AUDITOR, "eva@example.com"))
    for client in (first, second):
        await client.get(f"/messages/{send_id}")
    with time_machine.travel(datetime.now(UTC) + LOOK + timedelta(seconds=1), tick=True):
        await first.get(f"/messages/{send_id}")
    _, page, _ = await first.get("/audit")
    assert page.count("looked at the mail") == 3


async def enrol(console: Any, address: str) -> None:
    key = load_audit_key(console.settings.keys_dir)
    author = Author(OPERATOR, datetime.now(UTC), key)
    await add_account(console.stores.ledger, Account(address, Role.AUDITOR), author)
