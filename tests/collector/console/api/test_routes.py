"""Every route of the API, by every kind of token."""

import re
from typing import Any

import pytest

from collector.console.api.routes import PREFIX, ROUTES
from collector.console.api.served import DOCUMENT_PATH
from collector.console.app import build_console
from collector.console.guard import API_PATH
from indicia.judging import decide_by
from ledger.role import Scope

BODIES = {
    "PUT /consent/{subject}": {"state": "denied"},
    "POST /queue": {"action": "retry", "copy_ids": ["5"]},
    "PUT /policy/tracking": {"tracking": True, "reason": "a test"},
    "POST /webhooks/resend": {"delivery_ids": [f"msg_{'0' * 26}"]},
}
QUERIES = {"GET /policy/pair": {"to": "bob@example.org"}}


def filled(path: str, send_id: str) -> str:
    values = {"send_id": send_id, "address": "bob@example.org", "subject": "example.org"}
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


async def test_the_router_has_the_routes_of_the_table_and_no_others(console: Any) -> None:
    app = build_console(console.settings, console.stores, decide_by(console.settings))
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith(API_PATH)
    }
    heads = {("HEAD", path) for method, path in routed if method == "GET"}
    told = {(route.method, PREFIX + route.path) for route in ROUTES} | {("GET", DOCUMENT_PATH)}
    assert routed - heads == told
    # A stream has no end: there is no HEAD of it.
    assert heads - routed == {("HEAD", f"{PREFIX}/events/stream")}


@pytest.mark.parametrize("bearer", ["none", "bad", "read", "admin"])
async def test_every_route_answers_every_kind_of_token_as_the_table_says(
    make_program: Any, bearer: str
) -> None:
    program = await make_program(Scope(bearer) if bearer in set(Scope) else None)
    seen = 0
    for route in ROUTES:
        name = f"{route.method} {route.path}"
        program.token = f"bad-{seen}" if bearer == "bad" else program.token
        if route.told is None and bearer in set(Scope):
            continue  # it never ends: test_stream.py
        status, told, headers = await program.ask(
            route.method,
            filled(route.path, program.send_id),
            BODIES.get(name),
            params=QUERIES.get(name),
        )
        seen += 1
        if bearer == "none":
            assert status == 401, name
            assert headers["WWW-Authenticate"] == 'Bearer realm="indicia"'
        elif bearer == "bad":
            assert status in (401, 429), name
            assert status == 429 or 'error="invalid_token"' in headers["WWW-Authenticate"]
        elif bearer == "read" and route.scope is Scope.ADMIN:
            assert status == 403, name
            assert 'error="insufficient_scope", scope="admin"' in headers["WWW-Authenticate"]
        else:
            assert status == 200, (name, told)
        assert status == 200 or headers["Content-Type"].startswith("application/problem+json")
    assert seen >= len(ROUTES) - 1


def test_what_changes_something_asks_for_admin_and_what_reads_does_not() -> None:
    for route in ROUTES:
        assert (route.scope is Scope.ADMIN) == (route.method != "GET"), route.path


async def test_no_answer_holds_a_token_its_hash_or_a_body_of_mail(make_program: Any) -> None:
    program = await make_program(Scope.ADMIN)
    kept = []
    for route in ROUTES:
        if route.told is not None:
            name = f"{route.method} {route.path}"
            _, told, headers = await program.ask(
                route.method,
                filled(route.path, program.send_id),
                BODIES.get(name),
                params=QUERIES.get(name),
            )
            kept.append(f"{told} {dict(headers)}")
    everything = "\n".join(kept)
    for secret in ("canary", "secret", "password", "$argon2", "/o/", "/c/", "Content-Type: text"):
        assert secret not in everything.replace("'Content-Type': ", "")
    assert "bob@example.org" in everything
