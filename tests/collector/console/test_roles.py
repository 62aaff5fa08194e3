"""What each role may see and do, over the router's own table."""

import re
from typing import Any

import pytest

from collector.console.app import build_console
from collector.console.guard import API_PATH
from collector.console.roles import MAY, OPEN, may
from indicia.judging import decide_by
from ledger.role import Role
from ledger.sessions import Person

FILLED = {"send_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ", "copy_id": "1001", "filename": "mark.svg"}
EVERYBODYS = {"/", "/messages", "/log", "/stats"}
FILLED |= {"address": "bob%40example.org"}


def routes_of(console: Any) -> set[tuple[str, str]]:
    """Return method and path of every route of pages, the path as the router writes it."""
    app = build_console(console.settings, console.stores, decide_by(console.settings))
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        # Programs have scopes and no roles: api/test_routes.py.
        if route.resource is not None and not route.resource.canonical.startswith(API_PATH)
    }


def test_a_route_that_is_not_in_the_table_is_nobodys() -> None:
    # Law: a route that is not in the table is nobody's.
    for role in Role:
        assert not may(role, "GET", "/new")
        assert not may(role, "POST", "/audit")
        assert may(role, "HEAD", "/")


async def test_every_route_is_in_the_table_and_every_line_of_it_is_a_route(console: Any) -> None:
    routes = {
        f"{method} {path}"
        for method, path in routes_of(console)
        if path not in OPEN and method != "HEAD"
    }
    assert routes == set(MAY)
    assert {path for _, path in routes_of(console)} >= OPEN


@pytest.mark.parametrize("role", Role)
async def test_every_role_on_every_route_is_let_through_as_the_table_says(
    console: Any, role: Role
) -> None:
    person = await console.signed_in(Person("someone@example.com", role))
    token = await person.form_token()
    seen = 0
    for method, path in sorted(routes_of(console) - {("POST", "/logout")}):
        address = re.sub(r"\{(\w+)[^}]*\}", lambda match: FILLED[match[1]], path)
        if address == "/live" or (method == "HEAD" and path in OPEN):
            continue  # the one never ends, the others refuse without a word why
        async with person.http.request(
            method,
            person.base + address,
            data={"form_token": token} if method == "POST" else None,
            allow_redirects=False,
        ) as response:
            text = await response.text(errors="replace")
        refused = response.status == 403 and (
            method == "HEAD" or f"Your role, {role.value}," in text
        )
        # A link that is none is refused to everybody, and not by role.
        assert path == "/login" or refused is not may(role, method, path), (method, path)
        seen += 1
    assert seen > 25


async def test_a_line_to_the_news_is_refused_and_given_like_a_page(console: Any) -> None:
    user = await console.signed_in(Person("someone@example.com", Role.USER))
    async with user.http.get(user.base + "/live") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("role", "named"),
    [
        (
            Role.ADMIN,
            {*EVERYBODYS, "/captured", "/queue", "/policy", "/consent", "/people", "/audit"},
        ),
        (Role.AUDITOR, {*EVERYBODYS, "/captured", "/queue", "/policy", "/consent", "/audit"}),
        (Role.USER, EVERYBODYS),
    ],
)
async def test_the_frame_leads_only_where_the_role_may_go(
    console: Any, role: Role, named: set[str]
) -> None:
    person = await console.signed_in(Person("someone@example.com", role))
    _, page, _ = await person.get("/messages")
    assert set(re.findall(r'<li><a href="([^"]+)"', page)) == named
