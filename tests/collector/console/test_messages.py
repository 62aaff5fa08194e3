"""The pages of what was sent."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.console import messages
from ledger.event import EventType


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_the_first_run_says_what_to_do(console: Any) -> None:
    _, page, _ = await (await console.signed_in()).get("/messages")
    assert "Nothing has been sent yet" in page
    assert ".venv/bin/indicia sandbox send" in page


async def test_the_list_tells_what_became_of_each_mail(console: Any, seed_demo: Any) -> None:
    send_id = await seed_demo(console)
    _, page, _ = await (await console.signed_in()).get("/messages")
    rows = {
        row.split("</strong>")[0].rpartition(">")[2]: words_of(row) for row in page.split("<li>")
    }
    offer = rows["Our offer for 2027"]
    assert "sales@acme.example → bob@example.org, carol.fitzgerald@example.org, dave" in offer
    assert "opened by 2" in offer
    assert "clicked by 1" in offer
    assert "handed on for 3" in offer
    assert "refused for 1" in rows["Re: delivery dates"]
    assert "on its way to 1" in rows["Re: delivery dates"]
    assert "not tracked" in rows["Annual report"]
    assert "opened" not in rows["Annual report"]
    assert f'href="/messages/{send_id}"' in page


async def test_every_mail_is_on_exactly_one_page(
    console: Any, explain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PAGE_SENDS", 3)
    for number in range(8):
        at = datetime.now(UTC) - timedelta(minutes=number)
        verdict = [explain("bob@example.org", 1)]
        await console.send(verdict, subject=f"Mail number {number}.", accepted_at=at)
    person = await console.signed_in()
    path, seen = "/messages", []
    while path:
        _, page, _ = await person.get(path)
        seen += re.findall(r"Mail number (\d)\.</strong>", page)
        older = re.search(r'href="(/messages\?before=[0-9A-Z]{26})"', page)
        path = older[1] if older else ""
    assert seen == list("01234567")
    _, page, _ = await person.get("/messages?before=00000000000000000000000000")
    assert "There is nothing older." in page
    assert (await person.get("/messages?before=%27%20OR%201"))[0] == 200


async def test_a_mail_is_told_whole(console: Any, seed_demo: Any) -> None:
    send_id = await seed_demo(console)
    _, page, _ = await (await console.signed_in()).get(f"/messages/{send_id}")
    text = words_of(page)
    assert "bob@example.org Clicked our offer for 2027" in text
    assert "Not counted, by programs: copy of dave@example.net opened 2 times, clicked" in text
    assert "Bcc dave@example.net by name" in text
    assert "through default: 250 2.0.0 Ok: queued" in text
    assert "by name because of the general setting tracking.mode" in text
    assert "https://shop.example/offer?price=1&amp;year=2027#rates 1 click" in text
    assert "left alone" in text
    assert "Its text is itself an address" in text
    assert "1 part left as written" in text
    assert "1.1 text/plain it is plain text" in text
    assert "offer.4@acme.example" in text
    assert "47 KB" in text
    assert "Tags offers" in text
    assert text.count("Accepted · ") == 3
    assert 'hx-select="#message"' in page


async def test_the_timeline_is_in_the_order_of_time(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    now = datetime.now(UTC)
    # What was spilled is recorded later than it came.
    await console.record(
        console.event(EventType.RELAYED, send_id=send_id, timestamp=now),
        console.event(EventType.CLICKED, send_id=send_id, timestamp=now + timedelta(seconds=9)),
        console.event(EventType.OPENED, send_id=send_id, timestamp=now + timedelta(seconds=5)),
    )
    _, page, _ = await (await console.signed_in()).get(f"/messages/{send_id}")
    timeline = words_of(page.partition('id="timeline"')[2])
    assert re.findall(r"(Handed on|Opened|Clicked) · bob", timeline) == [
        "Handed on",
        "Opened",
        "Clicked",
    ]


async def test_a_mail_nobody_has_opened_says_what_that_may_mean(console: Any, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1, links=[], parts=[])])
    person = await console.signed_in()
    _, page, _ = await person.get(f"/messages/{send_id}")
    assert "Who reads with images off leaves no mark." in page
    assert "There are no links in it" in page
    assert "Nothing has happened so far." in page
    assert "On its way, no answer so far" in page
    quiet = explain("bob@example.org", 1, mode="off", opens=False, clicks="none")
    send_id = await console.send([quiet], subject=None, sender=None, message_id=None)
    _, page, _ = await person.get(f"/messages/{send_id}")
    assert "It is not tracked, so nobody can tell whether it is read." in page
    assert "(no subject)" in page


async def test_of_each_recipient_it_is_told_why_no_open_is_counted(
    console: Any, explain: Any
) -> None:
    whom = ("bob@example.org", "eve@example.org", "max@example.org")
    send_id = await console.send([explain(one, n) for n, one in enumerate(whom)])
    await console.record(
        console.event(EventType.RELAYED, send_id=send_id, recipient=whom[0]),
        console.event(EventType.RELAYED, send_id=send_id, recipient=whom[1]),
        console.event(EventType.OPENED, send_id=send_id, recipient=whom[1]),
    )
    _, page, _ = await (await console.signed_in()).get(f"/messages/{send_id}")
    lines = [words_of(one) for one in page.partition('id="recipients"')[2].split("<li>")]
    told = [line.partition("Why is no open counted? ")[2].partition(".")[0] for line in lines[1:4]]
    assert told == [
        "Its pixel was not fetched: images are off, or it was not read",
        "",
        "It is not delivered yet: there is no answer so far",
    ]


async def test_of_very_many_events_the_newest_are_shown(
    console: Any, explain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "STORY_EVENTS", 4)
    send_id = await console.send([explain("bob@example.org", 1)])
    await console.record(*(console.event(EventType.OPENED, send_id=send_id) for _ in range(6)))
    _, page, _ = await (await console.signed_in()).get(f"/messages/{send_id}")
    assert "Only the newest 4 events are shown." in page
    assert "Opened</strong>" in page


@pytest.mark.parametrize("name", ["x", "01HZZZZZZZZZZZZZZZZZZZZZZZ", "%27%20OR%201=1", "%00"])
async def test_a_mail_that_is_not_on_record_is_not_found(console: Any, name: str) -> None:
    status, page, _ = await (await console.signed_in()).get(f"/messages/{name}")
    assert status == 404
    assert "No message of this name is on record." in page
