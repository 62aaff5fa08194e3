import asyncio
import sqlite3
from typing import Any

import pytest
from ada_url import URL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import schema
from ledger.engine import sqlite_file


async def test_the_story_of_two_recipients_is_told_apart(served: Any) -> None:
    await served.send(7, ("b@example.org",), links={1: "https://example.net/"})
    await served.send(8, ("c@example.org",))
    await asyncio.gather(
        served.ask(served.pixel(7)),
        served.ask(served.pixel(8)),
        served.ask(served.link(7, 1, "https://example.net/")),
    )
    told = await served.events_when(3)
    assert sorted((event.recipient, event.type) for event in told) == [
        ("b@example.org", "email.clicked"),
        ("b@example.org", "email.opened"),
        ("c@example.org", "email.opened"),
    ]


async def test_reloading_a_mail_is_one_event_with_repeats(served: Any) -> None:
    await served.send(7)
    for _ in range(3):
        await served.ask(served.pixel(7))
    (event,) = await served.repeats_when(2)
    assert event.repeats == 2


async def said_in_log(capfd: pytest.CaptureFixture[str], words: str) -> None:
    """Return when the log has these words."""
    log = ""
    async with asyncio.timeout(5):
        while words not in log:
            await asyncio.sleep(0.01)
            log += "".join(capfd.readouterr())


async def test_while_the_ledger_is_locked_hits_are_answered_and_told_afterwards(
    house: Any, serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    await house.send(7, links={1: "https://example.net/"})
    other = sqlite3.connect(sqlite_file(house.settings.database.url), isolation_level=None)
    async with serve(house):
        other.execute("BEGIN EXCLUSIVE")
        async with asyncio.timeout(2):
            assert (await house.ask(house.pixel(7))).status == 200
            assert (await house.ask(house.link(7, 1, "https://example.net/"))).status == 302
        await said_in_log(capfd, "hits.unjudged")
        assert await house.events() == ()
        other.execute("ROLLBACK")
        other.close()
        told = await house.events_when(2)
    assert {event.type for event in told} == {"email.opened", "email.clicked"}


async def test_a_fault_in_judging_is_logged_and_the_next_round_goes_on(
    house: Any,
    serve: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    await house.send(7)
    with monkeypatch.context() as broken:
        broken.setattr("collector.attribute.kept_of", lambda _hit: 1 / 0)
        async with serve(house):
            await house.ask(house.pixel(7))
            await said_in_log(capfd, "hits.unjudged")
    assert await house.events() == ()
    async with serve(house):
        assert len(await house.events_when(1)) == 1


async def test_what_an_earlier_process_left_is_judged_at_the_start(house: Any, serve: Any) -> None:
    async with serve(house):
        await house.ask(house.pixel(7))
    await house.send(7)
    async with serve(house):
        (event,) = await house.events_when(1)
    assert event.recipient == "b@example.org"


hosts = st.sampled_from(
    ["example.net", "räksmörgås.example:81", "[2001:db8::1]", "u:p@example.net"]
)
tails = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(host=hosts, tail=tails)
async def test_law_the_redirect_gives_back_the_url_byte_by_byte(
    served: Any, host: str, tail: str
) -> None:
    """Law: the redirect leads to the URL that was in the mail, by the URL Standard, or nowhere."""
    try:
        url = URL(f"https://{host}/{tail}").href
    except ValueError:
        return
    reply = await served.ask(served.link(7, 1, url))
    assert (reply.status, reply.headers["location"]) == (302, url.partition("#")[0])


async def test_500_hits_at_once_are_all_answered_and_recorded(served: Any) -> None:
    for copy_id in range(5):
        await served.send(copy_id)
    pixels = [served.pixel(number % 5) for number in range(500)]
    replies = await asyncio.gather(*map(served.ask, pixels))
    assert {reply.status for reply in replies} == {200}
    assert len(await served.rows(schema.hits)) == 500
