"""What holds for every answer."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from yarl import URL

from collector.console.guard import PAGE_POLICY, is_our_host
from collector.console.roles import MAY
from ledger.engine import sqlite_file


@pytest.mark.parametrize(
    ("host", "public_url", "ours"),
    [
        ("127.0.0.1:8026", "http://127.0.0.1:8026", True),
        ("localhost:8026", "http://127.0.0.1:8026", True),
        ("[::1]:8026", "http://127.0.0.1:8026", True),
        ("127.0.0.1:9000", "http://127.0.0.1:8026", True),
        ("indicia.example", "https://indicia.example", True),
        ("INDICIA.example:443", "https://indicia.example", True),
        ("indicia.example.evil.example", "https://indicia.example", False),
        ("localhost", "https://indicia.example", False),
        ("127.0.0.1", "https://indicia.example", False),
        ("rebound.example:8026", "http://127.0.0.1:8026", False),
        ("localhost.evil.example", "http://127.0.0.1:8026", False),
        ("127.0.0.1.evil.example", "http://127.0.0.1:8026", False),
        ("evil.example@127.0.0.1", "http://indicia.example", False),
        ("", "http://127.0.0.1:8026", False),
        ("[", "http://127.0.0.1:8026", False),
        ("a:b:c", "http://127.0.0.1:8026", False),
    ],
)
def test_a_host_is_ours_by_its_name_alone(host: str, public_url: str, *, ours: bool) -> None:
    assert is_our_host(host, URL(public_url)) is ours


async def test_another_host_gets_nothing_though_it_has_a_session(console: Any) -> None:
    person = await console.signed_in()
    for path in ("/", "/messages", "/login", "/static/console.css"):
        status, page, _ = await person.get(path, headers={"Host": "rebound.example"})
        assert status == 421, path
        assert "console.public_url" in page
        assert "operator" not in page


async def test_probes_may_come_by_any_name(console: Any) -> None:
    stranger = await console.stranger()
    for path in ("/healthz", "/readyz"):
        assert (await stranger.get(path, headers={"Host": "10.0.0.7"}))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
async def test_another_site_changes_nothing(console: Any, headers: dict[str, str]) -> None:
    # Law: a request whose Host is not ours, or that another site's page made a browser send,
    # changes nothing.
    person = await console.signed_in()
    token = await person.form_token()
    assert (await person.post("/logout", {"form_token": token}, headers=headers))[0] == 403
    assert (await person.get("/"))[0] == 200
    stranger = await console.stranger()
    code = await console.link_code()
    assert (await stranger.post("/login", {"code": code}, headers=headers))[0] == 403
    assert (await stranger.post("/login", {"code": code}))[0] == 303


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_page_may(console: Any, site: str) -> None:
    person = await console.signed_in()
    headers = {"Sec-Fetch-Site": site, "Origin": console.base}
    form = {"form_token": await person.form_token()}
    assert (await person.post("/logout", form, headers=headers))[0] == 303


async def test_every_answer_has_the_headers(console: Any) -> None:
    person, stranger = await console.signed_in(), await console.stranger()
    for client, path in [
        (person, "/"),
        (person, "/messages"),
        (person, "/nothing"),
        (stranger, "/"),
        (stranger, "/login"),
        (stranger, "/healthz"),
        (stranger, "/static/console.css"),
    ]:
        _, _, headers = await client.get(path)
        assert headers["Content-Security-Policy"] == PAGE_POLICY, path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        kept = "no-cache" if path.startswith("/static/") else "no-store"
        assert headers["Cache-Control"] == kept, path
        assert headers["Server"] == "indicia", path
    assert "unsafe" not in PAGE_POLICY
    assert "default-src 'self'" in PAGE_POLICY


async def test_what_pages_are_drawn_with_is_not_sent_again_while_it_is_the_same(
    console: Any,
) -> None:
    stranger = await console.stranger()
    _, _, headers = await stranger.get("/static/vendor/pico.min.css")
    tag = {"If-None-Match": headers["ETag"]}
    assert (await stranger.get("/static/vendor/pico.min.css", headers=tag))[0] == 304


async def test_no_form_of_the_console_is_taken_from_another_site_or_without_its_token(
    console: Any,
) -> None:
    """Law: a request whose Host is not ours, or that another site's page made a browser send,
    changes nothing.
    """
    person, other = await console.signed_in(), await console.signed_in()
    right, wrong = await person.form_token(), await other.form_token()
    paths = sorted({line.split()[1] for line in MAY if line.startswith("POST ")} | {"/logout"})
    assert len(paths) > 8
    before = all_of(console)
    for path in paths:
        for token in (None, "", wrong):
            form = {} if token is None else {"form_token": token}
            answer = await person.post(path, form, headers={"Origin": console.base})
            assert answer[0] == 403, (path, token)
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            answer = await person.post(path, {"form_token": right}, headers=headers)
            assert answer[0] == 403, (path, headers)
            assert "Another site asked for this" in answer[1]
    assert all_of(console) == before
    assert (await person.get("/"))[0] == 200


def all_of(console: Any) -> list[str]:
    """Return all that the ledger holds."""
    file = sqlite_file(console.settings.database.url)
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())
