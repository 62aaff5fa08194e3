"""The API as a part of the console."""

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import text
from yarl import URL

from ledger.audit import select_audit

PROBLEM = "application/problem+json"


async def test_a_path_that_is_not_there_is_a_problem_and_no_page(program: Any) -> None:
    for path in ("/nothing", "/messages/", "/../v2/messages"):
        status, told, headers = await program.ask("GET", path)
        assert status == 404
        assert headers["Content-Type"].startswith(PROBLEM)
        assert told["title"] == "Not Found"
        assert "openapi.json" in told["detail"]


async def test_a_method_that_is_not_there_names_those_that_are(program: Any) -> None:
    status, told, headers = await program.ask("DELETE", "/consent/example.org")
    assert status == 405
    assert set(re.split(r",\s*", headers["Allow"])) == {"GET", "HEAD", "PUT"}
    assert told["status"] == 405


async def test_a_body_that_is_too_long_is_refused(program: Any) -> None:
    body = {"state": "granted", "text": "x" * 100_000}
    status, told, _ = await program.ask("PUT", "/consent/example.org", body)
    assert status == 413
    assert "64 KiB" in told["detail"]


async def test_a_body_that_is_no_json_is_refused_by_its_type(program: Any) -> None:
    form = {"headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    status, told, headers = await program.ask("PUT", "/consent/example.org", {}, **form)
    assert status == 415
    assert headers["Accept"] == "application/json"
    assert "application/x-www-form-urlencoded" in told["detail"]


async def test_head_is_get_without_a_body_and_nobody_has_looked(program: Any) -> None:
    for path in ("/recipients/bob@example.org", f"/messages/{program.send_id}"):
        status, told, headers = await program.ask("HEAD", path)
        assert (status, told) == (200, None)
        assert headers["Content-Type"].startswith("application/json")
    async with program.console.stores.ledger.read() as connection:
        assert await select_audit(connection, about=f"token:{program.name}", limit=9) == ()


async def test_no_cookie_and_no_form_matters_and_none_is_given(program: Any) -> None:
    person = await program.console.signed_in()
    async with person.http.get(f"{person.base}/api/v1/messages") as response:
        assert response.status == 401
        assert "Set-Cookie" not in response.headers
    # A program may say any Host, and no other site's page has its token.
    strange = {"Host": "relay.acme.example", "Origin": "https://elsewhere.example"}
    status, told, headers = await program.ask(
        "PUT", "/consent/example.org", {"state": "denied"}, headers=strange
    )
    assert (status, told["state"]) == (200, "denied")
    assert "Set-Cookie" not in headers
    assert headers["Cache-Control"] == "no-store"


async def test_pages_are_as_they_were(program: Any) -> None:
    stranger = await program.console.stranger()
    status, _, headers = await stranger.get("/messages")
    assert (status, headers["Location"]) == (303, "/login?next=/messages")
    status, page, _ = await stranger.get("/apiary")
    assert status == 303, page


async def test_a_record_that_is_away_is_said_so(program: Any) -> None:
    async with program.console.stores.ledger.write() as connection:
        await connection.execute(text("ALTER TABLE consents RENAME TO elsewhere"))
    status, told, headers = await program.ask("GET", "/consent")
    assert status == 503
    assert headers["Retry-After"] == "5"
    assert "Ask again" in told["detail"]
    assert "elsewhere" not in str(told)
    assert (await program.ask("GET", "/policy"))[0] == 200


async def test_openapi_json_is_for_everybody(make_program: Any) -> None:
    stranger = await make_program(None)
    document = await stranger.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert "/messages/{send_id}" in document["paths"]


@pytest.mark.parametrize(
    "target",
    [
        "/api/../messages",
        "/api/%2e%2e/messages",
        "/api/./../captured",
        "/api/v1/../../captured/1001",
        "/api/..%2fmessages",
        "/api%2F..%2Fmessages",
        "/%61pi/../messages",
        "//api/../messages",
        "/api/;/../messages",
        "/api/\\..\\messages",
        "http://elsewhere.example/api/../messages",
        "/messages?/api/",
        "/messages#/api/",
    ],
)
async def test_no_spelling_of_a_path_leads_past_the_sign_in_to_a_page(
    program: Any, target: str
) -> None:
    url = URL(program.base)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    async with asyncio.timeout(10):
        answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert re.match(r"HTTP/1\.1 (303|400|401|404|421) ", answer), answer
    assert "Our offer" not in answer
