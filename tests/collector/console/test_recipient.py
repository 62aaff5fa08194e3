"""The page of one recipient, over real HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.console.recipient import PAGE_SENDS
from ledger.audit import OPERATOR, Author
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.event import Agent, Attribution, EventType
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

AUDITOR = Person("otto@example.com", Role.AUDITOR)
UMA = Person("uma@acme.example", Role.USER, "uma@acme.example")
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


async def test_dates_counts_consent_and_all_mail_are_there(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1)], subject="Our offer")
    about = {"send_id": send_id, "subject": "Our offer"}
    await console.record(
        console.event(EventType.RELAYED, **about),
        console.event(EventType.OPENED, **about, timestamp=NOW, repeats=2),
        console.event(EventType.CLICKED, **about, timestamp=NOW + timedelta(days=1)),
        console.event(EventType.OPENED, **about, classification=Agent.SCANNER),
    )
    auditor = await console.signed_in(AUDITOR)
    status, page, _ = await auditor.get("/recipients/Bob@Example.org")
    assert status == 200
    for word in ("2026-11-20T09:30:00Z", "3 times in all", "2026-11-21T09:30:00Z", "1 time in all"):
        assert word in page
    for word in ("1 by programs", "not known", "handed on", "opened 3 times", "Our offer"):
        assert word in page
    assert f'href="/messages/{send_id}"' in page
    told = ConsentTold(Consent.DENIED, NOW, Method.FORM, "recipient")
    async with console.stores.ledger.write() as connection:
        await tell_consent(connection, parse_subject("example.org"), told)
    _, page, _ = await auditor.get("/recipients/bob@example.org")
    assert "<strong>denied</strong>" in page


async def test_nothing_counts_that_is_not_told_of_him_alone(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1, mode="shared")])
    shared: dict[str, Any] = {"recipient": None, "attribution": Attribution.SHARED}
    shared |= {"candidates": ("bob@example.org", "c@example.org")}
    anonymous = {"recipient": None, "recipient_type": None, "attribution": Attribution.ANONYMOUS}
    await console.record(
        console.event(EventType.OPENED, send_id=send_id, **shared),
        console.event(EventType.CLICKED, send_id=send_id, **anonymous),
    )
    auditor = await console.signed_in(AUDITOR)
    _, page, _ = await auditor.get("/recipients/bob@example.org")
    assert page.count("never, as far as can be told of this person alone") == 2
    assert "opened" not in page.partition("<ul class=")[2].partition("</ul>")[2]


async def test_a_user_sees_what_came_of_his_own_mail_alone(console: Any, explain: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account(UMA.name, UMA.role), author)
    sent = {}
    for name, sender in (("hers", UMA.name), ("others", "max@acme.example")):
        send_id = await console.send([explain("bob@example.org", 1)], subject=name, sender=sender)
        about = {"send_id": send_id, "subject": name, "sender": sender}
        at = NOW if name == "hers" else NOW + timedelta(days=3)
        await console.record(
            console.event(EventType.ACCEPTED, **about),
            console.event(EventType.OPENED, **about, timestamp=at),
        )
        sent[name] = send_id
    only = await console.send(
        [explain("gail@gov.example", 1)], subject="secret", sender="max@acme.example"
    )
    user = await console.signed_in(UMA)
    _, page, _ = await user.get("/recipients/bob@example.org")
    assert sent["hers"] in page
    assert sent["others"] not in page
    assert "1 time in all" in page
    assert "2026-11-23" not in page
    assert "/consent" not in page
    _, page, _ = await user.get("/recipients/gail@gov.example")
    _, unknown, _ = await user.get("/recipients/nobody@gov.example")
    assert only not in page
    assert page.replace("gail", "nobody") == unknown
    assert "You have sent nothing to it" in page


async def test_looking_is_on_record_once_a_look_and_by_pseudonym(console: Any) -> None:
    auditor = await console.signed_in(AUDITOR)
    for spelling in ("bob@example.org", "BOB@example.org"):
        await auditor.get(f"/recipients/{spelling}")
    _, page, _ = await auditor.get("/audit?about=bob@example.org")
    assert page.count("looked at the page of") == 1
    assert "<strong>a recipient (" in page


async def test_mail_goes_on_page_by_page(console: Any, explain: Any) -> None:
    for number in range(PAGE_SENDS + 2):
        at = NOW + timedelta(minutes=number)
        await console.send([explain("bob@example.org", 1)], accepted_at=at, subject=f"no {number};")
    auditor = await console.signed_in(AUDITOR)
    _, page, _ = await auditor.get("/recipients/bob@example.org")
    assert "no 2;" in page
    assert "no 1;" not in page
    link = page.partition('href="/recipients/bob%40example.org?before=')[2].partition('"')[0]
    _, page, _ = await auditor.get(f"/recipients/bob@example.org?before={link}")
    assert page.count("no ") >= 2
    assert "no 1;" in page
    assert "no 0;" in page
    _, page, _ = await auditor.get("/recipients/bob@example.org?before=00000000000000000000000000")
    assert "nothing older" in page


@pytest.mark.parametrize("name", ["bob", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "a%40b%40c%0A"])
async def test_what_is_no_address_is_no_page(console: Any, name: str) -> None:
    auditor = await console.signed_in(AUDITOR)
    status, page, _ = await auditor.get(f"/recipients/{name}")
    assert (status, "This is no mail address" in page) == (404, True)
    assert "<script>alert" not in page


async def test_an_odd_address_has_its_page_and_the_mail_leads_there(
    console: Any, explain: Any
) -> None:
    odd = '"a/b?<b>c"@example.org'
    send_id = await console.send([explain(odd, 1)])
    auditor = await console.signed_in(AUDITOR)
    _, page, _ = await auditor.get(f"/messages/{send_id}")
    path = "/recipients/%22a%2Fb%3F%3Cb%3Ec%22%40example.org"
    assert f'href="{path}"' in page
    status, page, _ = await auditor.get(path)
    assert (status, "<b>c" in page) == (200, False)
