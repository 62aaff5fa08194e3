import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from relay.deliver.hop import Unreachable
from relay.deliver.oauth import TokenError, Tokens
from relay.reply import Delivered
from relay.upstream import OAuth

SECRET, REFRESH = "client-secret-canary", "refresh-token-canary"
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


class TokenServer:
    """Gives the tokens token-1, token-2, … or what `says` has."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.says: list[tuple[int, Any]] = []
        self.life_s: object = 3600
        self.port = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.forms.append({name: str(value) for name, value in form.items()})
        await self.gate.wait()
        if self.says:
            status, said = self.says.pop(0)
            headers = {"Location": "/elsewhere"} if status == 302 else {}
            text = said if isinstance(said, str) else json.dumps(said)
            return web.Response(status=status, text=text, headers=headers)
        token = f"token-{len(self.forms)}"
        told = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s}
        return web.json_response(told)


@pytest.fixture
async def token_server(authority: Any) -> AsyncIterator[TokenServer]:
    server, app = TokenServer(), web.Application()
    app.router.add_post("/token", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.good)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
def oauth(token_server: TokenServer, tmp_path: Path) -> Callable[..., OAuth]:
    def build(**options: Any) -> OAuth:
        secret = tmp_path / "client-secret"
        secret.write_text(f"{SECRET}\n")
        url = f"https://localhost:{token_server.port}/token"
        return OAuth(url, "our-id", secret, "https://mail.example/.default", **options)

    return build


@pytest.fixture
def tokens(oauth: Any, authority: Any) -> Callable[..., Tokens]:
    return lambda **options: Tokens(oauth(**options), authority.contexts.verified, 5)


async def test_a_token_is_asked_for_in_our_own_name(tokens: Any, token_server: Any) -> None:
    assert await tokens().token() == "token-1"
    assert token_server.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "our-id",
            "client_secret": SECRET,
            "scope": "https://mail.example/.default",
        }
    ]


async def test_a_token_is_asked_for_in_a_persons_name(
    tokens: Any, token_server: Any, tmp_path: Path
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text(f"{REFRESH}\n")
    some = tokens(refresh_token_file=file)
    told = {"access_token": "a", "expires_in": 1, "refresh_token": "newer"}
    token_server.says = [(200, told)]
    assert await some.token() == "a"
    assert await some.token() == "token-2"
    asked = [(form["grant_type"], form["refresh_token"]) for form in token_server.forms]
    # RFC 6749 6: a new refresh token is to be used instead of the old.
    assert asked == [("refresh_token", REFRESH), ("refresh_token", "newer")]
    assert file.read_text() == f"{REFRESH}\n"


async def test_a_token_is_kept_until_shortly_before_its_end(tokens: Any, monkeypatch: Any) -> None:
    some, loop = tokens(), asyncio.get_running_loop()
    ahead, real = 0.0, loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    assert await some.token() == "token-1"
    ahead = 3600 - 65
    assert await some.token() == "token-1"
    assert some.is_kept()
    ahead = 3600 - 55
    assert not some.is_kept()
    assert await some.token() == "token-2"


@pytest.mark.parametrize(
    ("life_s", "kept"), [(None, True), ("3599", True), ("x", True), (0, False)]
)
async def test_what_is_said_of_its_life_may_be_odd(
    tokens: Any, token_server: Any, life_s: Any, kept: Any
) -> None:
    token_server.life_s = life_s
    some = tokens()
    await some.token()
    assert some.is_kept() == kept


async def test_however_many_wait_it_is_asked_for_once(tokens: Any, token_server: Any) -> None:
    token_server.gate.clear()
    some = tokens()
    waiting = [asyncio.create_task(some.token()) for _ in range(20)]
    while not token_server.forms:  # noqa: ASYNC110 - until the first has come
        await asyncio.sleep(0.001)
    token_server.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    assert len(token_server.forms) == 1


REFUSED = [
    (400, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid"}, "AADSTS7000"),
    (401, {"error": "invalid_grant"}, "401 invalid_grant"),
    (200, {}, "200"),
    (200, "no JSON", "200"),
    (200, [1], "200"),
    (200, {"access_token": 5}, "200"),
    (200, {"access_token": "with\1control"}, "200"),
    (200, {"access_token": "x", "token_type": "mac"}, "another kind"),
    (302, "", "302"),
    (500, "x" * 100_000, "too long"),
    (400, {"error": f"you said {SECRET}"}, "withheld"),
]


@pytest.mark.parametrize(("status", "said", "told"), REFUSED)
async def test_no_token_has_a_reason_without_a_secret(
    tokens: Any, token_server: Any, status: Any, said: Any, told: Any
) -> None:
    """Law: no secret and no token is in what is raised."""
    token_server.says = [(status, said)]
    some = tokens()
    with pytest.raises(TokenError) as caught:
        await some.token()
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)
    assert f"localhost:{token_server.port} gives no access token" in str(caught.value)
    assert not some.is_kept()
    assert await some.token() == "token-2"


async def test_a_server_that_can_not_be_trusted_is_told_no_secret(
    oauth: Any, token_server: Any, authority: Any, tmp_path: Path
) -> None:
    trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(TokenError, match=r"(?i)certificate"):
        await Tokens(oauth(), trusting_nobody, 5).token()
    assert token_server.forms == []
    absent = OAuth("https://localhost:1/token", "c", tmp_path / "gone")
    with pytest.raises(TokenError, match="No such file"):
        await Tokens(absent, authority.contexts.verified, 5).token()


async def test_a_server_that_is_silent_is_not_waited_for(
    oauth: Any, token_server: Any, authority: Any
) -> None:
    token_server.gate.clear()
    with pytest.raises(TokenError, match="did not answer in time"):
        await Tokens(oauth(), authority.contexts.verified, 0.1).token()
    token_server.gate.set()


@pytest.fixture
def bearing(oauth: Any, next_hop: Any) -> Callable[..., Any]:
    def build(server: Any, **options: Any) -> Any:
        return next_hop(server, tls="starttls", username="box@x.example", oauth=oauth(), **options)

    return build


async def test_mail_is_sent_with_a_token_that_is_used_again(
    fake_upstream: Any, bearing: Any, envelope: Any, authority: Any, token_server: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH XOAUTH2",), password=("box@x.example", "token-1")
    )
    hop = bearing(server)
    for _ in range(2):
        (outcome,) = await hop.deliver_copy(envelope(), content)
        assert isinstance(outcome, Delivered)
        server.cut()
    assert server.signed_in == [("box@x.example", "token-1")] * 2
    assert len(token_server.forms) == 1
    assert b"AUTH" not in server.clear


async def test_a_kept_token_that_is_refused_is_renewed_once(
    fake_upstream: Any, bearing: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH XOAUTH2",), password=("box@x.example", "token-1")
    )
    hop = bearing(server)
    await hop.deliver_copy(envelope(), content)
    server.cut()
    server.password = ("box@x.example", "token-2")
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    server.cut()
    server.password = ("box@x.example", "none")
    before = server.verbs.count("AUTH")
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert server.verbs.count("AUTH") == before + 2
    assert told.reply.text.endswith("refused the sign-in of box@x.example: 535 5.7.8 no")
    assert "token-" not in repr(told)


async def test_where_no_token_is_given_the_mail_waits_and_says_why(
    fake_upstream: Any, bearing: Any, envelope: Any, authority: Any, token_server: Any
) -> None:
    token_server.says = [(401, {"error": "invalid_client"})]
    server = await fake_upstream(tls=authority.good, extensions=("AUTH XOAUTH2",))
    told = await bearing(server).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert "gives no access token: 401 invalid_client" in str(told.reply)
    assert server.verbs == []


async def test_no_token_goes_where_it_is_not_asked_for_or_in_clear(
    fake_upstream: Any, bearing: Any, envelope: Any, authority: Any
) -> None:
    passwords = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN LOGIN",))
    stripped = await fake_upstream(extensions=("AUTH XOAUTH2",))
    for server in (passwords, stripped):
        assert isinstance(await bearing(server).deliver_copy(envelope(), content), Unreachable)
        assert "AUTH" not in server.verbs
