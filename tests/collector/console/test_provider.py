"""What is asked of an OpenID provider, and how often."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwk
from yarl import URL

from collector.console import provider as provider_module
from collector.console.identity import Refusal, Refused
from collector.console.provider import Provider
from collector.console.ticket import Ticket, draw_ticket
from config.oidc import Oidc
from tests.issuer import CLIENT_ID, Issuer, serve_issuer

BACK = "https://indicia.example/login/callback"
DOCUMENT = "/.well-known/openid-configuration"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serve_issuer() as issuer:
        yield issuer


def provider_of(issuer: Issuer, **oidc: Any) -> Provider:
    return Provider(Oidc(issuer=issuer.base, client_id=CLIENT_ID, **oidc), BACK)


async def whole_way(provider: Provider, issuer: Issuer, code: str) -> Any:
    ticket = draw_ticket()
    place = await provider.begin(ticket)
    assert isinstance(place, URL)
    issuer.grant(str(place), code)
    return await provider.identify(ticket, code, None)


def why(found: Any) -> str:
    assert isinstance(found, Refused)
    assert found.refusal is Refusal.UNREACHABLE
    return found.why


async def test_document_and_keys_are_asked_for_once(issuer: Issuer) -> None:
    provider = provider_of(issuer)
    for number in range(3):
        found = await whole_way(provider, issuer, f"code-{number}")
        assert found["email"] == "anna@example.com"
    assert issuer.asked.count(DOCUMENT) == 1
    assert issuer.asked.count("/keys") == 1
    assert issuer.asked.count("/token") == 3


async def test_a_new_key_is_found_and_keys_are_not_asked_for_in_a_row(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = provider_of(issuer)
    await whole_way(provider, issuer, "code-1")
    issuer.key = jwk.ECKey.generate_key("P-256", {"kid": "second"})
    issuer.published.append(issuer.key.as_dict(private=False))
    for number in range(3):  # within the minute
        assert isinstance(await whole_way(provider, issuer, f"early-{number}"), Refused)
    assert issuer.asked.count("/keys") == 1
    monkeypatch.setattr(provider_module, "_KEYS_LIFE_S", -1.0)  # the minute is over
    assert (await whole_way(provider, issuer, "code-2"))["sub"] == "4711"
    assert issuer.asked.count("/keys") == 2


async def test_the_secret_goes_where_the_provider_takes_it(issuer: Issuer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first line\r\nsecond", encoding="utf-8")
    issuer.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert "sub" in await whole_way(provider_of(issuer, client_secret_file=secret), issuer, "a")
    assert issuer.exchanged[-1]["client_secret"] == "first line"
    assert issuer.exchanged[-1]["by"] == ""
    assert "sub" in await whole_way(provider_of(issuer), issuer, "b")
    assert "client_secret" not in issuer.exchanged[-1]
    gone = provider_of(issuer, client_secret_file=tmp_path / "gone")
    assert "client_secret_file can not be read" in why(await whole_way(gone, issuer, "c"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "https://else.example"}, "issuer 'https://else.example', not"),
        ({"issuer": None}, "issuer 'None', not"),
        ({"authorization_endpoint": None}, "no authorization_endpoint with https"),
        ({"token_endpoint": "http://id.example/token"}, "no token_endpoint with https"),
        ({"token_endpoint": "file:///etc/passwd"}, "no token_endpoint with https"),
        ({"jwks_uri": "http://169.254.169.254/"}, "no jwks_uri with https"),
        ({"userinfo_endpoint": "javascript:alert(1)"}, "no userinfo_endpoint with https"),
        ({"userinfo_endpoint": "http://[x"}, "no userinfo_endpoint with https"),
        ({"padding": "x" * 300_000}, "answers more than 262144 bytes"),
    ],
)
async def test_a_document_that_can_not_be_trusted_is_refused(
    issuer: Issuer, change: dict[str, Any], told: str
) -> None:
    issuer.document.update(change)
    assert told in why(await provider_of(issuer).begin(draw_ticket()))


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (302, "", "answers 302, and no object of JSON"),
        (200, "[1]", "answers 200, and no object of JSON"),
        (200, "[" * 100_000, "answers 200, and no object of JSON"),
        (500, '{"error": "server_error"}', "answers 500 'server_error'"),
        (500, '{"error": {"a": 1}}', "answers 500, and no object of JSON"),
    ],
)
async def test_what_is_no_answer_of_use_is_refused_and_no_redirect_followed(
    status: int, body: str, told: str
) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        issuer = f"http://127.0.0.1:{server.port}"
        provider = Provider(Oidc(issuer=issuer, client_id="x"), BACK)
        assert told in why(await provider.begin(draw_ticket()))
    assert asked == [DOCUMENT]


async def test_who_takes_too_long_is_not_waited_for(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    provider = provider_of(issuer)
    monkeypatch.setattr(provider_module, "_WHOLE_S", 0.01)
    monkeypatch.setattr(Provider, "_ask_document", never)
    assert "takes too long" in why(await provider.begin(draw_ticket()))


async def test_no_more_than_a_few_wait_at_once(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = provider_of(issuer)
    monkeypatch.setattr(provider_module, "_MAX_AT_ONCE", 1)
    first = asyncio.ensure_future(provider.begin(draw_ticket()))
    await asyncio.sleep(0)
    assert "at once" in why(await provider.begin(draw_ticket()))
    assert isinstance(await first, URL)
    assert isinstance(await provider.begin(draw_ticket()), URL)


async def test_the_error_of_a_provider_is_told_and_no_code(issuer: Issuer) -> None:
    provider = provider_of(issuer)
    found = why(await provider.identify(Ticket("x"), "unknown-code", None))
    assert found == f"{issuer.base}/token answers 400 'invalid_grant'"


async def test_nobody_who_listens_is_said_so() -> None:
    provider = Provider(Oidc(issuer="http://127.0.0.1:1", client_id="x"), BACK)
    assert "can not be asked: ClientConnectorError" in why(await provider.begin(draw_ticket()))


async def test_codes_that_were_spent_are_forgotten_in_time(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = provider_of(issuer)
    monkeypatch.setattr(provider_module, "_MAX_SPENT", 2)
    assert [provider._spend(code) for code in "aabc"] == [True, False, True, True]
    assert len(provider._spent) == 2
    monkeypatch.setattr(provider_module, "LIFE_S", -1)
    assert provider._spend("c")
    assert len(provider._spent) == 1
