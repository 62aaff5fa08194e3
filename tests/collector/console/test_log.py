"""The log review: what it finds, what it gives away, and to whom."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.audit import OPERATOR, Author, select_audit
from ledger.event import Agent, EventType
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person

UMA = Person("Uma@acme.example", Role.USER, "uma@acme.example")
EXPORTS = ("/log/events.csv", "/log/events.ndjson")


@pytest.fixture
async def sent(console: Any, explain: Any) -> dict[str, str]:
    """Three mails, each opened and clicked: from Uma, of her account, of somebody else."""
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account(UMA.name, UMA.role), author)
    found = {}
    for minutes, (name, values) in enumerate(
        {
            "own": {"sender": "uma@ACME.example"},
            "submitted": {"sender": "info@acme.example", "account": "Uma@acme.example"},
            "others": {"sender": "max@acme.example", "account": "max@acme.example"},
        }.items()
    ):
        subject = f"Subject {name}"
        send_id = await console.send([explain("bob@example.org", 1)], subject=subject, **values)
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        about = {
            "send_id": send_id,
            "subject": subject,
            "sender": values["sender"],
            "message_id": f"{name}@acme.example",
            "timestamp": at,
        }
        await console.record(
            console.event(EventType.ACCEPTED, **about),
            console.event(EventType.FAILED, reply=f"550 5.1.1 no {name} here", **about),
            console.event(EventType.OPENED, classification=Agent.SCANNER, **about),
            console.event(EventType.CLICKED, **about | {"url": f"https://{name}.example/"}),
        )
        found[name] = send_id
    return found


@pytest.mark.parametrize(
    "query",
    [
        "sender=max@acme.example",
        "subject=SUBJECT+others",
        "message_id=<others@acme.example>",
        "url=others.example",
        "reply=no+others",
        "subject=others&type=clicked&classification=human_likely&since=2d&recipient=bob@example.org",
    ],
)
async def test_a_mail_is_found_by_what_is_known_of_it(
    console: Any, sent: dict[str, str], query: str
) -> None:
    admin = await console.signed_in()
    status, page, _ = await admin.get(f"/log?{query}")
    assert status == 200
    assert sent["others"] in page
    assert sent["own"] not in page


@pytest.mark.parametrize(
    "query", ["", "?type=opened", "?recipient=bob@example.org", "?subject=subject", "?reply=no"]
)
@pytest.mark.parametrize("path", ["/log", *EXPORTS])
async def test_a_user_is_shown_and_given_his_own_mail_only(
    console: Any, sent: dict[str, str], path: str, query: str
) -> None:
    user = await console.signed_in(UMA)
    status, page, _ = await user.get(path + query)
    assert status == 200
    assert sent["own"] in page
    assert sent["submitted"] in page
    assert sent["others"] not in page
    assert "max@" not in page


@pytest.mark.parametrize("path", ["/log", *EXPORTS])
@pytest.mark.parametrize("query", ["sender=max@acme.example", "url=others", "reply=no+others"])
async def test_asking_for_the_mail_of_others_gives_a_user_nothing(
    console: Any, sent: dict[str, str], path: str, query: str
) -> None:
    user = await console.signed_in(UMA)
    _, page, _ = await user.get(f"{path}?{query}")
    assert not any(send_id in page for send_id in sent.values())


async def test_pages_follow_each_other_to_the_end(console: Any) -> None:
    admin = await console.signed_in()
    at = datetime.now(UTC)
    for number in range(60):
        await console.record(
            console.event(EventType.OPENED, subject=f"mail {number:03}", send_id="S", timestamp=at)
        )
    _, first, _ = await admin.get("/log?type=opened")
    assert "mail 059" in first
    assert "mail 009" not in first
    following = first.split('role="button" class="secondary outline" href="')[1].split('"')[0]
    _, second, _ = await admin.get(following.replace("&amp;", "&"))
    assert "mail 009" in second
    assert "mail 010" not in second
    assert "Older</a>" not in second


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sender=nobody", "nobody"),
        ("type=looked", "is no event type"),
        ("classification=robot", "is no classification"),
        ("since=yesterday", "is no age or instant"),
    ],
)
async def test_what_can_not_be_read_is_said_beside_the_field_and_nothing_is_exported(
    console: Any, sent: dict[str, str], query: str, told: str
) -> None:
    admin = await console.signed_in()
    status, page, _ = await admin.get(f"/log?{query}")
    assert status == 422
    assert told in page
    assert sent["own"] not in page
    for path in EXPORTS:
        assert (await admin.get(f"{path}?{query}"))[0] == 422


async def test_no_cell_of_an_export_is_a_formula(console: Any) -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x")']
    for subject in evil:
        await console.record(console.event(EventType.OPENED, subject=subject))
    admin = await console.signed_in()
    status, page, headers = await admin.get("/log/events.csv")
    assert status == 200
    assert headers["Content-Type"].startswith("text/csv")
    assert "attachment" in headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(page, newline="")))
    assert [row["subject"] for row in rows] == [f"'{subject}" for subject in reversed(evil)]
    assert not any(
        cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values()
    )


async def test_an_export_holds_every_event_and_is_on_record(console: Any) -> None:
    for number in range(1203):
        await console.record(console.event(EventType.OPENED, subject=f"mail {number}"))
    admin = await console.signed_in()
    _, page, _ = await admin.get("/log/events.ndjson?type=opened")
    told = [json.loads(line) for line in page.splitlines()]
    assert [one["subject"] for one in told] == [f"mail {number}" for number in range(1202, -1, -1)]
    async with console.stores.ledger.read() as connection:
        (row, *_) = await select_audit(connection, limit=1)
    assert row.entry.action == "log.exported"
    assert row.entry.detail == {"form": "ndjson", "narrowed_by": "type"}


@pytest.mark.usefixtures("sent")
async def test_a_view_is_kept_under_a_name_for_the_person_alone(console: Any) -> None:
    admin, user = await console.signed_in(), await console.signed_in(UMA)
    query = "type=failed&subject=a+%26+b"
    form = {"form_token": await user.form_token(), "name": " my  view ", "query": query + "&x=1"}
    status, _, headers = await user.post("/log/views", form)
    assert (status, headers["Location"]) == (303, f"/log?{query}")
    _, page, _ = await user.get("/log")
    assert "my view</a>" in page
    assert "my view" not in (await admin.get("/log"))[1]
    assert (await user.get(headers["Location"]))[0] == 200
    form = {"form_token": await user.form_token(), "name": "my view"}
    assert (await user.post("/log/views/remove", form))[0] == 303
    assert "my view" not in (await user.get("/log"))[1]


@pytest.mark.parametrize(
    ("name", "query"), [("", "type=failed"), ("x" * 61, "type=failed"), ("x", ""), ("x", "x=1")]
)
async def test_a_view_without_name_or_question_is_refused(
    console: Any, name: str, query: str
) -> None:
    admin = await console.signed_in()
    form = {"form_token": await admin.form_token(), "name": name, "query": query}
    assert (await admin.post("/log/views", form))[0] == 422
