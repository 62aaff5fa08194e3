"""The activity feed over real HTTP, and the stream that says there is news."""

import asyncio
import re
import time
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from collector.console import feed
from collector.console.app import build_console
from collector.console.page import read_number
from indicia.judging import decide_by
from ledger.event import Agent, Attribution, EventType

OPENED, CLICKED = EventType.OPENED, EventType.CLICKED


async def test_the_first_run_says_what_to_do(console: Any) -> None:
    _, page, _ = await (await console.signed_in()).get("/")
    assert ".venv/bin/indicia sandbox send" in page
    assert 'href="/captured"' in page


async def test_without_a_sandbox_it_says_something_else(start_console: Any) -> None:
    console = await start_console()
    # A console whose mail is forwarded: same stores, other configuration.
    forwarding = console.settings.model_copy(update={"upstream": ({"host": "smtp.example.net"},)})
    assert not forwarding.captures
    from collector.console.app import run_console  # noqa: PLC0415 - only here

    (port,) = await console.closing.enter_async_context(
        run_console(forwarding, console.stores, decide_by(forwarding))
    )
    console.base = f"http://127.0.0.1:{port}"
    person = await console.signed_in()
    for path in ("/", "/messages"):
        _, page, _ = await person.get(path)
        assert "sandbox send" not in page
        assert "as the outgoing server" in page
        assert 'href="/captured"' not in page


async def test_who_opened_and_clicked_what_is_told(console: Any, seed_demo: Any) -> None:
    send_id = await seed_demo(console)
    person = await console.signed_in()
    _, page, _ = await person.get("/")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "bob@example.org Clicked our offer for 2027" in text
    assert "Opened 3 times" in text
    assert "very likely a person · provisional" in text
    assert "probably a person, through an image proxy" in text
    assert "Someone of erin@example.org, frank@example.org, grace@example.org" in text
    assert "One of the mails of sales@acme.example" in text
    told = "Not counted, by programs: copy of dave@example.net opened 2 times, clicked"
    assert told in text
    assert "Refused for nobody@example.org : 550 5.1.1" in text or "550 5.1.1" in text
    assert "Deferred for slow@example.com, will be tried again" in text
    assert "Handed on for bob@example.org, carol.fitzgerald@example.org, dave@example.net" in text
    assert "Not tracked, so nobody can tell whether it is read." in text
    assert "Gmail&#39;s image proxy fetched it" in page
    assert f'href="/messages/{send_id}"' in page
    _, piece, _ = await person.get("/feed")
    assert piece.lstrip().startswith('<div id="stories"')
    assert "Clicked" in piece


async def test_an_event_that_keeps_its_day_only_tells_no_time(console: Any) -> None:
    await console.record(
        console.event(
            CLICKED,
            subject=None,
            recipient=None,
            recipient_type=None,
            attribution=Attribution.ANONYMOUS,
            url=None,
            link_text=None,
            user_agent=None,
            ip_address=None,
        )
    )
    _, page, _ = await (await console.signed_in()).get("/")
    assert "Someone" in page
    assert not re.search(r'<time datetime="[^"]*T', page)
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\d">', page)


async def test_a_mail_nobody_opened_says_so(console: Any) -> None:
    kinds = (EventType.ACCEPTED, EventType.RELAYED)
    await console.record(*(console.event(kind, send_id="S1", subject="Quiet") for kind in kinds))
    _, page, _ = await (await console.signed_in()).get("/")
    assert "Nobody has opened it so far." in page


async def test_every_event_is_on_exactly_one_page(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE_EVENTS", 3)
    for number in range(8):
        await console.record(
            console.event(OPENED, send_id=f"S{number}", subject=f"Mail number {number}.")
        )
    person = await console.signed_in()
    path, seen = "/", []
    while path:
        _, page, _ = await person.get(path)
        seen += re.findall(r"Mail number (\d)\.</a>", page)
        older = re.search(r'href="(/\?before=\d+)"', page)
        path = older[1] if older else ""
        assert ("Back to the latest" in page) is (len(seen) > 3)
        assert ("hx-sse:connect" in page) is (len(seen) <= 3)
    assert seen == list("76543210")


async def test_after_the_last_page_there_is_nothing_older(console: Any) -> None:
    await console.record(console.event(OPENED, send_id="S1"))
    person = await console.signed_in()
    _, page, _ = await person.get("/?before=1")
    assert "There is nothing older." in page
    for nonsense in ("x", "-1", "9" * 40, "1;DROP TABLE events", "²"):
        assert (await person.get("/", params={"before": nonsense}))[0] == 200


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("0", 0), ("", None), ("-1", None), ("²", None), ("9" * 19, 2**63 - 1)],
)
def test_a_number_is_read_or_it_is_none(text: str, number: int | None) -> None:
    assert read_number(text) == number


async def test_only_what_is_new_since_the_page_is_marked(console: Any) -> None:
    await console.record(console.event(OPENED, send_id="S1", subject="Old"))
    person = await console.signed_in()
    _, page, _ = await person.get("/")
    assert "story fresh" not in page
    await console.record(console.event(OPENED, send_id="S2", subject="New one"))
    _, piece, _ = await person.get("/feed?seen=1")
    assert piece.count("story fresh") == 1
    assert re.search(r'role="status">New: bob@example.org, opened, New one', piece)
    assert 'name="seen" value="2"' in piece


async def news(stream: Any) -> tuple[str, str]:
    """Return the name and id of the next event of a stream."""
    name = number = ""
    while line := (await stream.content.readline()).decode().strip() or None:
        key, _, value = line.partition(": ")
        name, number = (value if key == "event" else name), (value if key == "id" else number)
    return name, number


async def test_an_event_is_told_within_a_second(console: Any) -> None:
    person = await console.signed_in()
    async with asyncio.timeout(5), person.http.get(console.base + "/live?after=0") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await news(stream) == ("hello", "")
        took = []
        for number in range(1, 6):
            began = time.monotonic()
            await console.record(console.event(OPENED, send_id="S1"))
            assert await news(stream) == ("news", str(number))
            took.append(time.monotonic() - began)
    assert max(took) < 1.0


async def test_a_page_that_comes_back_is_told_what_it_missed(console: Any) -> None:
    person = await console.signed_in()
    await console.record(console.event(OPENED, send_id="S1"), console.event(OPENED, send_id="S1"))
    last = {"Last-Event-ID": "1"}
    async with (
        asyncio.timeout(5),
        person.http.get(console.base + "/live?after=2", headers=last) as stream,
    ):
        assert (await news(stream))[0] == "hello"
        assert await news(stream) == ("news", "2")


async def test_all_listeners_are_told(console: Any) -> None:
    person = await console.signed_in()
    async with asyncio.timeout(5):
        streams = [await person.http.get(console.base + "/live") for _ in range(20)]
        for stream in streams:
            assert (await news(stream))[0] == "hello"
        await console.record(console.event(OPENED, send_id="S1"))
        assert await asyncio.gather(*map(news, streams)) == [("news", "1")] * 20
        for stream in streams:
            stream.close()


async def test_the_stream_tells_nothing_of_anybody(console: Any) -> None:
    person = await console.signed_in()
    await console.record(console.event(OPENED, send_id="S1", classification=Agent.PROXY))
    async with asyncio.timeout(5), person.http.get(console.base + "/live") as stream:
        raw = await stream.content.readuntil(b"event: news\r\n")
        raw += await stream.content.readuntil(b"\r\n\r\n")
    assert b"@" not in raw


async def test_open_streams_do_not_hold_the_end_up(console: Any) -> None:
    person = await console.signed_in()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(console.base.rpartition(":")[2])
    )
    cookie = f"Cookie: indicia={person.session}\r\n"
    writer.write(f"GET /live HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n".encode())
    async with asyncio.timeout(5):
        assert b"200 OK" in await reader.readuntil(b"event: hello")
    began = time.monotonic()
    await console.closing.aclose()
    assert time.monotonic() - began < 2
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()


async def test_a_page_that_was_left_at_once_is_no_fault(console: Any) -> None:
    app = build_console(console.settings, console.stores, decide_by(console.settings))
    left = make_mocked_request("GET", "/live?after=0", app=app, transport=Transport())
    assert left.transport is not None
    left.transport.close()
    assert (await feed.stream_news(left)).status == 200


class Transport(asyncio.Transport):
    """Of a browser that can go away."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = False

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        self._gone = True
