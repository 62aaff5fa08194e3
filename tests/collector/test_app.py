import asyncio
from typing import Any

import pytest

from collector.answer import GIF
from ledger import schema


async def test_an_open_is_recorded_and_becomes_an_event_of_its_recipient(served: Any) -> None:
    send_id = await served.send(7)
    reply = await served.ask(served.pixel(7))
    assert (reply.status, reply.body) == (200, GIF)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "image/gif"
    (event,) = await served.events_when(1)
    assert (event.type, event.send_id, event.recipient) == (
        "email.opened",
        send_id,
        "b@example.org",
    )
    assert (event.attribution, event.first, event.url) == ("recipient", True, None)
    assert event.ip_address == "127.0.0.0"


async def test_a_click_is_redirected_and_told_with_the_stored_link(served: Any) -> None:
    await served.send(7, links={3: "https://example.net/a?b=c&d=%2F#end"})
    reply = await served.ask(served.link(7, 3, "https://example.net/a?b=c&d=%2F#end"))
    assert reply.status == 302
    assert reply.headers["location"] == "https://example.net/a?b=c&d=%2F"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-robots-tag"] == "noindex"
    (event,) = await served.events_when(1)
    assert (event.type, event.link_id, event.link_text) == ("email.clicked", "3", "our offer")
    assert event.url == "https://example.net/a?b=c&d=%2F#end"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_get_the_same_headers_and_leave_no_row(
    served: Any, method: str
) -> None:
    await served.send(7, links={1: "https://example.net/"})
    for target in (served.pixel(7), served.link(7, 1, "https://example.net/")):
        asked = await served.ask(target, method=method)
        assert await served.rows(schema.hits) == []
        got = await served.ask(target)
        assert asked.lasting[:2] == got.lasting[:2]
        async with served.stores.ledger.write() as connection:
            await connection.execute(schema.hits.delete())


async def test_other_methods_are_refused_and_leave_no_row(served: Any) -> None:
    reply = await served.ask(served.pixel(7), method="POST")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert await served.rows(schema.hits) == []


async def test_good_unknown_and_forged_pixels_can_not_be_told_apart(served: Any) -> None:
    await served.send(7)
    good = served.pixel(7)
    forged = good[:-5] + ("A" if good[-5] != "A" else "B") + ".gif"
    targets = (good, served.pixel(8), forged, "/o/x.gif", "/o/", good + "?x=1", "/o/%00/../c/x.gif")
    replies = [(await served.ask(target)).lasting for target in targets]
    assert replies == [replies[0]] * len(targets)
    rows = await served.rows(schema.hits)
    assert [row.copy_id for row in rows] == [7, 7]
    await served.send(8)
    await served.events_when(2)
    assert len(await served.rows(schema.hits)) == 3


def broken_links(link: str, other: str) -> dict[str, str]:
    prefix, token, tail = link[:3], link[3:39], link[39:]
    flip = "A" if token[20] != "A" else "B"
    return {
        "no token": "/c//example.net/a",
        "short token": prefix + token[:-1] + tail,
        "long token": prefix + token + "A" + tail,
        "flipped tag": prefix + token[:20] + flip + token[21:] + tail,
        "flipped head": prefix
        + ("A" if token[3] != "A" else "B").join((token[:3], token[4:]))
        + tail,
        "junk in the alphabet": prefix + token[:8] + "+" + token[9:] + tail,
        "token of another link": prefix + other[3:39] + tail,
        "another host": prefix + token + "/evil.example/a",
        "another user": prefix + token + "/example.net@evil.example/a",
        "backslashes": prefix + token + "/\\\\evil.example",
        "scheme-relative": prefix + token + "///evil.example",
        "javascript": prefix + token + "/javascript:alert(1)",
        "from the query": prefix + token + "/?url=https://evil.example/",
        "in the host": f"http://evil.example{prefix}{token}/evil.example/",
        "nothing more": prefix + token,
        "a pixel's path": "/o/" + token + ".gif" + tail,
    }


async def test_a_forged_link_redirects_nowhere_and_is_not_stored(served: Any) -> None:
    link = served.link(7, 1, "https://example.net/a")
    cases = broken_links(link, served.link(7, 2, "https://example.org/"))
    for name, target in cases.items():
        reply = await served.ask(target)
        assert "location" not in reply.headers, name
        assert reply.status == (200 if target.startswith("/o/") else 404), name
    assert await served.rows(schema.hits) == []


async def test_where_the_link_is_known_a_forgery_leads_to_it_or_nowhere(served: Any) -> None:
    url = "https://example.net/a"
    await served.send(7, links={1: url, 2: "https://example.org/"})
    cases = broken_links(served.link(7, 1, url), served.link(7, 2, "https://example.org/"))
    led = {
        name: (await served.ask(target)).headers.get("location") for name, target in cases.items()
    }
    assert {name for name, location in led.items() if location == url} == {
        "another host",
        "another user",
        "backslashes",
        "scheme-relative",
        "javascript",
        "from the query",
        "in the host",
        "nothing more",
    }
    assert led["token of another link"] == "https://example.org/"
    assert set(led.values()) == {None, url, "https://example.org/"}


async def test_an_altered_destination_is_answered_with_the_stored_link(served: Any) -> None:
    await served.send(7, links={1: "https://example.net/a?q=1#top", 2: "http://example.org/"})
    altered = served.link(7, 1, "https://example.net/a?q=1") + "%27"
    reply = await served.ask(altered)
    assert (reply.status, reply.headers["location"]) == (302, "https://example.net/a?q=1")
    no_slash = served.link(7, 2, "http://example.org") + "/?utm=x"
    assert (await served.ask(no_slash)).headers["location"] == "http://example.org/"
    first, second = await served.events_when(2)
    assert "altered_destination" in first.reasons
    assert (first.first, second.first) == (False, False)
    assert first.url == "https://example.net/a?q=1#top"


async def test_a_bar_that_chromium_has_encoded_is_no_alteration(served: Any) -> None:
    await served.send(7, links={1: "https://example.net/a|b?c"})
    target = served.link(7, 1, "https://example.net/a|b?c").replace("|", "%7C")
    reply = await served.ask(target)
    assert (reply.status, reply.headers["location"]) == (302, "https://example.net/a|b?c")
    (clicked,) = await served.events_when(1)
    assert "altered_destination" not in clicked.reasons


async def test_an_altered_destination_of_another_copy_is_not_found(served: Any) -> None:
    await served.send(7, links={1: "https://example.net/a"})
    target = served.link(8, 1, "https://example.net/a") + "x"  # copy 8 is not known
    assert (await served.ask(target)).status == 404
    beyond = f"/c/{'_' * 36}/example.net/a"  # claims copy 2**64 - 1
    assert (await served.ask(beyond)).status == 404


async def test_a_hit_before_its_send_waits_and_is_joined_when_the_facts_arrive(served: Any) -> None:
    assert (await served.ask(served.pixel(7))).status == 200
    assert await served.rows(schema.hits) == []
    assert await served.events() == ()
    await served.send(7)
    async with asyncio.timeout(2):
        (event,) = await served.events_when(1)
    (row,) = await served.rows(schema.hits)
    assert event.event_id == row.hit_id
    assert not row.waiting


async def test_the_client_is_told_by_a_trusted_proxy_only(house: Any, serve: Any) -> None:
    headers = {"X-Forwarded-For": "198.51.100.9, 203.0.113.77, 127.0.0.1", "User-Agent": "Thing"}
    await house.send(7)
    async with serve(house, collector={"trusted_proxies": ["127.0.0.0/8"]}):
        await house.ask(house.pixel(7), headers)
        (event,) = await house.events_when(1)
    assert event.ip_address == "203.0.113.0"
    await house.send(8)
    async with serve(house):
        await house.ask(house.pixel(8), headers)
        _, event = await house.events_when(2)
    assert event.ip_address == "127.0.0.0"


async def test_a_click_with_gpc_keeps_sender_and_day_only(served: Any) -> None:
    await served.send(7, links={1: "https://example.net/"})
    headers = {"Sec-GPC": "1", "User-Agent": "curl/8"}
    assert (await served.ask(served.link(7, 1, "https://example.net/"), headers)).status == 302
    (row,) = await served.rows_when(schema.day_events, 1)
    assert (row.sender, row.type, row.classification) == (
        "a@example.com",
        "email.clicked",
        "scanner",
    )
    assert (row.day.hour, row.day.microsecond) == (0, 0)
    assert row.reasons == ["gpc"]
    assert await served.rows(schema.hits) == []
    assert await served.events() == ()  # until the day is over


async def test_of_an_anonymous_copy_no_client_data_reaches_the_disk(served: Any) -> None:
    await served.send(7, tuple(f"r{n}@example.org" for n in range(5)), "anonymous", relayed=True)
    marked = {"User-Agent": "Canary-Agent/77", "Accept-Language": "sv", "Referer": "http://canary/"}
    await served.ask(served.pixel(7, anonymous=True), marked)
    *_, event = await served.events_when(6)
    assert (event.attribution, event.recipient, event.candidates) == ("anonymous", None, ())
    assert (event.user_agent, event.ip_address) == (None, None)
    assert event.send_id is not None
    state = served.settings.server.state_dir
    held = b"".join(file.read_bytes() for file in state.iterdir() if file.is_file())
    assert b"S0000000000000000000000001" in held
    assert b"anary" not in held
    assert b"127.0.0.0" not in held


async def test_pages_say_what_this_host_is(served: Any) -> None:
    notice = await served.ask("/", {"Accept-Language": "en"})
    assert notice.status == 200
    assert b"object" in notice.body
    assert b'<form method="post" action="/">' in notice.body
    assert (await served.ask("/healthz")).body == b"ok\n"
    assert b"Disallow: /c/" in (await served.ask("/robots.txt")).body
    assert (await served.ask("/elsewhere")).status == 404
    assert (await served.ask("//")).status == 404


async def test_a_malformed_request_leaves_no_address_in_the_log(
    served: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (await served.ask("/c/a b")).status == 400
    assert "127.0.0.1" not in "".join(capfd.readouterr())


async def test_a_fault_of_ours_answers_500_and_is_logged(
    house: Any, serve: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("collector.collect.read_target", lambda _target: 1 / 0)
    async with serve(house):
        assert (await house.ask("/")).status == 500
    assert "request.failed" in "".join(capfd.readouterr())
