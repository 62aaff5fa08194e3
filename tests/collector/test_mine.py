from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.mine import COOKIE, LINK_LASTS, MARK_LASTS, Purpose, is_good, is_marked, write_code
from ledger import schema
from ledger.token import TokenKey

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, OTHER = TokenKey(3, b"k" * 32), TokenKey(3, b"o" * 32)
KEYS = {3: KEY}
GOOD = write_code(KEY, Purpose.MARK, AT)
BEFORE = AT - timedelta(seconds=1)
URL = "https://example.net/offer"
CHROME = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "*/*",
    "Accept-Language": "sv",
}


@pytest.mark.parametrize(
    ("cookies", "marked"),
    [
        (f"{COOKIE}={GOOD}", True),
        (f"a=b; {COOKIE}={GOOD}; c", True),
        (f"{COOKIE}=x; {COOKIE}={GOOD}", True),
        ("", False),
        (COOKIE, False),
        (f"other={GOOD}", False),
        (f"{COOKIE}={GOOD}x", False),
        (f"{COOKIE}={write_code(KEY, Purpose.LINK, AT)}", False),
        (f"{COOKIE}={write_code(OTHER, Purpose.MARK, AT)}", False),
        (f"{COOKIE}=\udcff", False),
    ],
)
def test_a_browser_is_marked_by_a_good_cookie_alone(cookies: str, *, marked: bool) -> None:
    assert is_marked(KEYS, cookies, BEFORE) is marked
    assert not is_marked({}, cookies, BEFORE)
    assert not is_marked(KEYS, cookies, AT), "it has ended"


@given(
    st.sampled_from(Purpose),
    st.sampled_from(Purpose),
    st.integers(0, 27),
    st.text("ABab01-_", min_size=1, max_size=1),
)
def test_law_only_what_was_signed_for_the_purpose_counts(
    signed: Purpose, asked: Purpose, place: int, character: str
) -> None:
    """Law: only what was signed for the purpose, and has not ended, counts."""
    code = write_code(KEY, signed, AT)
    changed = code[:place] + character + code[place + 1 :]
    good = signed is asked and changed == code
    assert is_good(KEYS, asked, changed.encode(), BEFORE) is good


# Through a collector, over its socket


def link(house: Any, lasts: timedelta = LINK_LASTS) -> str:
    code = write_code(house.keys.current, Purpose.LINK, datetime.now(UTC) + lasts)
    return f"/mine/{code}"


async def mark(house: Any, cookie: Mapping[str, str] | None = None) -> str:
    """Press the page's button; return the cookie that came."""
    reply = await house.ask(link(house), {**CHROME, **(cookie or {})}, method="POST")
    assert reply.status == 200
    return str(reply.headers["set-cookie"])


async def test_what_a_marked_browser_does_is_self_and_others_are_not_affected(served: Any) -> None:
    await served.send(7, links={1: URL})
    await served.send(8)
    cookie = {"Cookie": (await mark(served)).partition(";")[0]}
    await served.ask(served.pixel(7), {**CHROME, **cookie})
    await served.ask(served.link(7, 1, URL), {**CHROME, **cookie})
    own = await served.events_when(2)
    assert {(one.classification, one.first) for one in own} == {("self", False)}
    assert all("own_browser" in one.reasons for one in own)
    await served.ask(served.pixel(8), CHROME)
    *_, reader = await served.events_when(3)
    assert (reader.classification, reader.first) == ("human_likely", True)


async def test_the_mark_itself_is_kept_nowhere(served: Any) -> None:
    await served.send(7)
    value = (await mark(served)).partition(";")[0]
    await served.ask(served.pixel(7), {**CHROME, "Cookie": value})
    (row,) = await served.rows_when(schema.hits, 1)
    assert row.features["signs"] == ["own_browser"]
    assert value.partition("=")[2] not in str(row.features)


async def test_the_page_marks_by_its_button_only_and_takes_the_mark_away(served: Any) -> None:
    shown = await served.ask(link(served))
    assert "set-cookie" not in shown.headers
    assert b"Mark this browser as my own" in shown.body
    cookie = await mark(served)
    lasts_s = int(MARK_LASTS.total_seconds())
    assert cookie.endswith(f"; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax")
    held = {"Cookie": cookie.partition(";")[0]}
    again = await served.ask(link(served), {**CHROME, **held})
    assert b"Take the mark away" in again.body
    assert (await mark(served, held)).startswith(f"{COOKIE}=; Path=/; Max-Age=0;")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_a_link_that_has_ended_or_is_forged_marks_nobody(served: Any, method: str) -> None:
    good = link(served)
    for target in (link(served, timedelta(seconds=-1)), good[:-1] + "~", "/mine/", good + "/x"):
        reply = await served.ask(target, method=method)
        assert (reply.status, "set-cookie" in reply.headers) == (404, False)


async def test_another_sites_form_marks_nobody(served: Any) -> None:
    foreign = {**CHROME, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    reply = await served.ask(link(served), foreign, method="POST")
    assert (reply.status, "set-cookie" in reply.headers) == (404, False)
    assert (await served.ask(link(served), method="PUT")).status == 405


async def test_behind_https_the_cookie_goes_with_images_of_webmail(house: Any, serve: Any) -> None:
    tracking = {"base_url": "https://t.example.com", "unknown_consent": "individual"}
    async with serve(house, tracking=tracking):
        assert (await mark(house)).endswith("; HttpOnly; Secure; SameSite=None")


async def test_no_answer_to_a_recipient_has_a_cookie(served: Any) -> None:
    await served.send(7, links={1: URL})
    for target in (served.pixel(7), served.link(7, 1, URL), "/", "/w" + served.pixel(7)[2:-4]):
        assert "set-cookie" not in (await served.ask(target)).headers
