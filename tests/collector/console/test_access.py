"""Who is let in, over real HTTP."""

import asyncio
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
import time_machine
from hypothesis import example, given
from hypothesis import strategies as st

from collector.console.access import LINK_LIFE, SESSION_LIFE, safe_path
from collector.console.app import build_console
from indicia.judging import decide_by

FEDERATED = {"/login/provider", "/login/callback"}
"""Without a provider they lead to sign-in: test_federated.py."""
OPEN = {"/healthz", "/readyz", "/metrics", "/login", *FEDERATED}
SENT_BY_US = {"Sec-Fetch-Site": "same-origin"}


def paths_of(console: Any) -> list[tuple[str, str]]:
    """Return every method and path that the router has, with something in each blank."""
    app = build_console(console.settings, console.stores, decide_by(console.settings))
    filled = {
        "send_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
        "copy_id": "1001",
        "filename": "mark.svg",
        "address": "b%40example.org",
    }
    found = []
    for route in app.router.routes():
        assert route.resource is not None
        if route.resource.canonical.startswith("/api/"):
            continue  # by token, not by session: api/test_caller.py
        path = re.sub(r"\{(\w+)[^}]*\}", lambda match: filled[match[1]], route.resource.canonical)
        found.append((route.method, path))
    return found


async def test_without_a_session_every_route_of_the_router_is_refused(console: Any) -> None:
    # Law: without a session only the open paths answer; every other path, known or not, leads to
    # sign-in.
    stranger = await console.stranger()
    paths = paths_of(console)
    assert len(paths) > 20
    for method, path in [*paths, ("GET", "/nothing")]:
        if path in OPEN or path.startswith("/static"):
            continue
        async with stranger.http.request(
            method, stranger.base + path, allow_redirects=False
        ) as response:
            if method in ("GET", "HEAD"):
                assert response.status == 303, (method, path)
                assert response.headers["Location"].startswith("/login?next="), (method, path)
            else:
                assert response.status == 401, (method, path)
            assert "Our offer" not in await response.text(errors="replace")


@pytest.mark.parametrize("cookie", ["", "0" * 43, "' OR 1=1 --", "\u00e4"])
async def test_a_made_up_session_is_none(console: Any, cookie: str) -> None:
    stranger = await console.stranger()
    header = {"Cookie": f"indicia={cookie}"}
    assert (await stranger.get("/messages", headers=header))[0] == 303


async def test_a_live_page_and_a_piece_of_a_page_are_not_led_to_a_sign_in_page(
    console: Any,
) -> None:
    stranger = await console.stranger()
    assert (await stranger.get("/live", headers={"Accept": "text/event-stream"}))[0] == 401
    status, _, headers = await stranger.get("/feed", headers={"HX-Request": "true"})
    assert (status, headers["HX-Redirect"]) == (401, "/login")


async def test_the_open_paths_answer_strangers(console: Any) -> None:
    stranger = await console.stranger()
    for path in (*(OPEN - FEDERATED), "/static/console.css", "/static/vendor/htmx.min.js"):
        assert (await stranger.get(path))[0] == 200, path
    assert (await stranger.get("/static/../app.py"))[0] in (303, 404)
    assert (await stranger.get("/static/%2e%2e/app.py"))[0] in (303, 404)


async def test_looking_at_a_link_does_not_use_it_up(console: Any) -> None:
    stranger = await console.stranger()
    code = await console.link_code()
    for _ in range(3):
        status, page, headers = await stranger.get(f"/login?code={code}")
        assert status == 200
        assert "admin@example.com" in page
        assert "Set-Cookie" not in headers
    assert (await stranger.post("/login", {"code": code}))[0] == 303


async def test_a_link_signs_in_once(console: Any) -> None:
    first, second = await console.stranger(), await console.stranger()
    code = await console.link_code()
    assert (await first.post("/login", {"code": code}))[0] == 303
    assert (await first.get("/"))[0] == 200
    status, page, headers = await second.post("/login", {"code": code})
    assert status == 403
    assert "used already" in page
    assert "Set-Cookie" not in headers
    assert (await second.get("/"))[0] == 303
    assert (await second.get(f"/login?code={code}"))[0] == 403


async def test_of_many_who_press_the_button_at_once_one_gets_in(console: Any) -> None:
    code = await console.link_code()
    strangers = [await console.stranger() for _ in range(8)]
    answers = await asyncio.gather(*(one.post("/login", {"code": code}) for one in strangers))
    assert sorted(status for status, _, _ in answers) == [303] + [403] * 7


@pytest.mark.parametrize("form", [{}, {"code": ""}, {"code": "x" * 43}, {"code": "\x00"}])
async def test_what_is_no_link_lets_nobody_in(console: Any, form: dict[str, str]) -> None:
    stranger = await console.stranger()
    assert (await stranger.post("/login", form))[0] == 403


async def test_a_link_and_a_session_end_by_time(console: Any) -> None:
    early = datetime.now(UTC) - LINK_LIFE - timedelta(seconds=1)
    with time_machine.travel(early):
        code = await console.link_code()
    stranger = await console.stranger()
    assert (await stranger.post("/login", {"code": code}))[0] == 403
    person = await console.signed_in()
    kept = {"Cookie": f"indicia={person.session}"}  # the jar would drop it by itself
    assert (await stranger.get("/", headers=kept))[0] == 200
    with time_machine.travel(datetime.now(UTC) + SESSION_LIFE + timedelta(seconds=1)):
        assert (await stranger.get("/", headers=kept))[0] == 303


async def test_the_session_cookie_is_for_browsers_and_this_site_alone(console: Any) -> None:
    stranger = await console.stranger()
    _, _, headers = await stranger.post("/login", {"code": await console.link_code()})
    (cookie,) = [one for one in headers.getall("Set-Cookie") if one.startswith("indicia=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


async def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(start_console: Any) -> None:
    console = await start_console(public_url="https://indicia.example")
    stranger = await console.stranger()
    host = {"Host": "indicia.example"}
    code = await console.link_code()
    status, _, headers = await stranger.post("/login", {"code": code}, headers=host)
    assert status == 303
    (text,) = [one for one in headers.getall("Set-Cookie") if one.startswith("__Host-indicia=")]
    cookie = SimpleCookie(text)["__Host-indicia"]
    assert cookie["secure"]
    assert cookie["path"] == "/"
    header = host | {"Cookie": f"__Host-indicia={cookie.value}"}
    assert (await stranger.get("/", headers=header))[0] == 200
    assert (await stranger.get("/", headers=host | {"Cookie": f"indicia={cookie.value}"}))[0] == 303


async def test_a_session_somebody_else_has_set_is_not_taken_over(console: Any) -> None:
    """Session fixation: the secret after sign-in is never one that was there before."""
    attacker = await console.signed_in()
    theirs = attacker.session
    victim = await console.stranger()
    for planted in (theirs, "planted-by-somebody"):
        code = await console.link_code()
        header = {"Cookie": f"indicia={planted}"}
        status, _, headers = await victim.post("/login", {"code": code}, headers=header)
        assert status == 303
        (mine,) = [one for one in headers.getall("Set-Cookie") if one.startswith("indicia=")]
        assert planted not in mine
    # The session that was replaced has ended.
    assert (await attacker.get("/"))[0] == 303


async def test_sign_out_ends_the_session_and_not_only_the_cookie(console: Any) -> None:
    person = await console.signed_in()
    secret = person.session
    token = await person.form_token()
    status, _, headers = await person.post("/logout", {"form_token": token})
    assert (status, headers["Location"]) == (303, "/login")
    assert (await person.get("/", headers={"Cookie": f"indicia={secret}"}))[0] == 303


@pytest.mark.parametrize(
    "token", ["", "0" * 64, "\u00e4", None], ids=["empty", "wrong", "not ascii", "none"]
)
async def test_a_form_without_its_sessions_token_changes_nothing(
    console: Any, token: str | None
) -> None:
    # Law: a form without its session's token changes nothing.
    person = await console.signed_in()
    form = {} if token is None else {"form_token": token}
    assert (await person.post("/logout", form, headers=SENT_BY_US))[0] == 403
    assert (await person.get("/"))[0] == 200


async def test_the_token_of_another_session_is_refused(console: Any) -> None:
    first, second = await console.signed_in(), await console.signed_in()
    token = await first.form_token()
    assert (await second.post("/logout", {"form_token": token}))[0] == 403
    assert token != await second.form_token()


async def test_what_was_asked_for_is_shown_after_sign_in(console: Any) -> None:
    stranger = await console.stranger()
    status, _, headers = await stranger.get("/messages?before=01HZZZZZZZZZZZZZZZZZZZZZZZ")
    assert status == 303
    status, page, _ = await stranger.get(headers["Location"])
    assert status == 200
    assert "sign-in link" in page
    status, _, headers = await stranger.post("/login", {"code": await console.link_code()})
    assert headers["Location"] == "/messages?before=01HZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y",
        "\\\\evil.example",
        "",
        "/ü",
    ],
)
async def test_sign_in_leads_nowhere_else(console: Any, elsewhere: str) -> None:
    assert safe_path(elsewhere) == "/"
    stranger = await console.stranger()
    await stranger.get("/login", params={"next": elsewhere})
    _, _, headers = await stranger.post("/login", {"code": await console.link_code()})
    assert headers["Location"] == "/"
    planted = {"Cookie": f'indicia-next="{elsewhere.encode("unicode_escape").decode()}"'}
    code = await console.link_code()
    _, _, headers = await stranger.post("/login", {"code": code}, headers=planted)
    assert headers["Location"].startswith("/")
    assert not headers["Location"].startswith(("//", "/\\"))


@given(st.text())
@example("/messages?before=1#x")
@example("/\\\\")
def test_a_path_to_go_to_is_always_one_of_ours(path: str) -> None:
    # Law: what comes back begins with one slash and holds no backslash, space or control character,
    # so no browser reads another host in it.
    safe = safe_path(path)
    assert safe in (path, "/")
    assert re.fullmatch(
        r"/|/[^/\\\s\x00-\x20\x7f-\U0010ffff][^\\\s\x00-\x20\x7f-\U0010ffff]*", safe
    )


async def test_a_link_for_somebody_else_says_so_first(console: Any) -> None:
    person = await console.signed_in()
    _, page, _ = await person.get(f"/login?code={await console.link_code()}")
    assert "instead of admin@example.com" in page


async def test_the_database_has_neither_link_nor_session(console: Any) -> None:
    code = await console.link_code()
    person = await console.signed_in()
    secret = person.session
    database = sqlite3.connect(console.settings.server.state_dir / "ledger.db")
    kept = repr(database.execute("SELECT * FROM sign_in_links").fetchall())
    kept += repr(database.execute("SELECT * FROM sessions").fetchall())
    database.close()
    assert "admin@example.com" in kept
    assert code not in kept
    assert secret not in kept
