"""The page of the queue: what it shows to whom, and what its forms do."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console import queue
from collector.console.queue import read_filter, read_place, write_place
from ledger.audit import select_audit
from ledger.queue import QueueFilter, Waiting, list_queue
from ledger.role import Role
from ledger.sessions import Person

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def left(console: Any) -> dict[int, Any]:
    async with console.stores.spool.read() as connection:
        return {copy.copy_id: copy for copy in await list_queue(connection, 1000)}


async def act(client: Any, do: str, *copies: int, **more: str) -> Any:
    form = [("form_token", await client.form_token()), ("do", do), *more.items()]
    form += [("copy", str(copy)) for copy in copies]
    return await client.post("/queue", form)


async def test_an_empty_queue_says_what_that_means(console: Any) -> None:
    _, page, _ = await (await console.signed_in()).get("/queue")
    assert "Nothing waits" in page
    assert "its sender has been told" in page
    assert "<form method" not in page.split("<main")[1]


async def test_each_copy_tells_whom_it_waits_for_and_why(console: Any, put_in_queue: Any) -> None:
    now = datetime.now(UTC)
    deferred = await put_in_queue(
        console.stores.spool,
        1,
        subject="Our <b>offer</b>",
        attempts=3,
        tried_at=now,
        due_at=now + 0.5 * HOUR,
        upstream="default",
        reply="451 4.7.1 Greylisted",
        recipients=[f"b{number}@example.org" for number in range(7)],
    )
    await put_in_queue(console.stores.spool, 2, held=True, fate="dead", sender=None)
    _, page, _ = await (await console.signed_in()).get("/queue")
    told = words_of(page)
    assert f'href="/messages/{deferred}"' in page
    assert "Our &lt;b&gt;offer" in page
    assert "b4@example.org and 2 more" in told
    assert "451 4.7.1 Greylisted" in told
    assert "tried 3 times, last" in told
    assert "at “default”" in told
    assert "tried again in 30 min" in told
    assert "dead letter" in told
    assert "&lt;&gt; → bob@example.org" in told


async def test_every_copy_is_on_exactly_one_page(
    console: Any, put_in_queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PAGE_COPIES", 3)
    for number in range(1, 9):
        await put_in_queue(console.stores.spool, number, due_at=NOW, held=number > 6)
    person = await console.signed_in()
    path, seen = "/queue?sender=sender.example", []
    while path:
        _, page, _ = await person.get(path)
        seen += re.findall(r'name="copy" value="(\d+)"', page)
        further = re.search(r'href="(/queue\?[^"]*after=[^"]*)"', page)
        path = further[1].replace("&amp;", "&") if further else ""
        assert not path or "sender=sender.example" in path
    assert seen == list("12345678")
    _, page, _ = await person.get(f"/queue?after={write_place((await left(console))[8])}")
    assert "There is nothing further on." in page


async def test_the_list_can_be_narrowed(console: Any, put_in_queue: Any) -> None:
    spool = console.stores.spool
    await put_in_queue(spool, 1, reply="451 4.7.1 x", received_at=datetime.now(UTC) - 5 * HOUR)
    await put_in_queue(spool, 2, recipients=("carol@example.com",), held=True)
    person = await console.signed_in()
    for query, shown in (
        ("recipient=example.com", ["2"]),
        ("sender=*@sender.example", ["1", "2"]),
        ("reply=4.7.1", ["1"]),
        ("older=4h", ["1"]),
        ("waiting=held", ["2"]),
        ("waiting=nonsense", ["1", "2"]),
        ("recipient=nobody.example", []),
    ):
        _, page, _ = await person.get(f"/queue?{query}")
        assert re.findall(r'name="copy" value="(\d+)"', page) == shown, query
    assert "Nothing in the queue matches." in page


async def test_what_is_chosen_is_acted_on_and_told(console: Any, put_in_queue: Any) -> None:
    for number in (1, 2, 3):
        await put_in_queue(console.stores.spool, number, attempts=1, due_at=NOW + HOUR)
    person = await console.signed_in()
    status, _, headers = await act(person, "hold", 1, 2)
    assert status == 303
    assert {number for number, copy in (await left(console)).items() if copy.held} == {1, 2}
    _, page, _ = await person.get(headers["Location"])
    assert "2 mails are held: no relay tries them until they are released." in page
    _, _, headers = await act(person, "retry", 1, 3, recipient="*@example.org")
    assert headers["Location"].startswith("/queue?recipient=*@example.org&did=retry")
    _, page, _ = await person.get(headers["Location"])
    assert "1 mail is due now: a relay tries it within seconds." in page
    assert "1 mail is held, so not tried: release it first." in page
    await act(person, "release", whole="yes", waiting="held")
    assert {copy.held for copy in (await left(console)).values()} == {False}
    async with console.stores.ledger.read() as connection:
        done = [row.entry for row in await select_audit(connection, limit=3)]
    assert [(one.action, one.detail["copies"]) for one in done] == [
        ("queue.released", 2),
        ("queue.retried", 1),
        ("queue.held", 2),
    ]


@pytest.mark.parametrize(("do", "fate"), [("drop", None), ("bounce", "bounce")])
async def test_what_gives_mail_up_is_asked_twice(
    console: Any, put_in_queue: Any, do: str, fate: str | None
) -> None:
    """Law: what gives mail up is asked twice; a form without that answer changes nothing."""
    await put_in_queue(console.stores.spool, 1, recipients=("b@example.org", "c@example.org"))
    await put_in_queue(console.stores.spool, 2)
    person = await console.signed_in()
    before = await left(console)
    status, page, _ = await act(person, do, 1)
    assert (status, await left(console)) == (200, before)
    assert "Drop this mail?" in page
    assert "2 recipients will not get it" in words_of(page)
    status, _, _ = await act(person, do, 1, sure="yes")
    after = await left(console)
    assert (status, after[2]) == (303, before[2])
    assert (after[1].fate if 1 in after else None) == fate


async def test_a_mail_that_went_in_between_is_told(console: Any) -> None:
    person = await console.signed_in()
    _, page, _ = await act(person, "drop", 1)
    assert "no longer in the queue" in page
    _, _, headers = await act(person, "retry", 1)
    _, page, _ = await person.get(headers["Location"])
    assert "Nothing in the queue matches." in page


@pytest.mark.parametrize(
    "form", [{"do": "retry"}, {"do": "burn", "copy": "1"}, {"do": "hold", "copy": "x"}]
)
async def test_a_form_that_means_nothing_is_refused(console: Any, form: dict[str, str]) -> None:
    person = await console.signed_in()
    status, page, _ = await person.post("/queue", {"form_token": await person.form_token(), **form})
    assert (status, "Choose what to do, and with which mail." in page) == (422, True)


async def test_who_may_not_act_is_offered_nothing_and_refused(
    console: Any, put_in_queue: Any
) -> None:
    await put_in_queue(console.stores.spool, 1)
    auditor = await console.signed_in(Person("auditor@example.com", Role.AUDITOR))
    status, page, _ = await auditor.get("/queue")
    assert (status, "Number 1" in page, 'name="do"' in page) == (200, True, False)
    assert (await act(auditor, "hold", 1))[0] == 403
    user = await console.signed_in(Person("user@example.com", Role.USER))
    assert (await user.get("/queue"))[0] == 403
    admin = await console.signed_in()
    assert (await admin.post("/queue", {"do": "hold", "copy": "1"}))[0] == 403
    assert not (await left(console))[1].held


@given(st.booleans(), st.integers(0, 10**17), st.integers(0, 2**63 - 1))
def test_law_of_the_place(held: bool, due: int, copy_id: int) -> None:
    """Law: read_place gives the place back."""
    due_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=due)

    class Copy:
        def __init__(self) -> None:
            self.held, self.due_at, self.copy_id = held, due_at, copy_id

    copy: Any = Copy()
    assert read_place(write_place(copy)) == (held, due_at, copy_id)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2-1-1", "1-x-1", "0-1-99999999999999999999", "0-1-9223372036854775808"),
        "0-999999999999999999-1",
    ],
)
def test_a_text_that_is_no_place_is_none(text: str) -> None:
    assert read_place(text) is None


def test_words_that_make_no_sense_narrow_nothing() -> None:
    assert read_filter({"older": "soon", "waiting": "bored", "recipient": ""}, NOW).is_empty
    assert read_filter({"older": "1d", "waiting": "dead"}, NOW) == QueueFilter(
        received_before=NOW - timedelta(days=1), waiting=frozenset({Waiting.DEAD})
    )
