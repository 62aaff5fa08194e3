"""Sign-in by an OpenID provider, with one on this machine that lies."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt
from yarl import URL

from ledger.audit import OPERATOR, Author, select_audit
from ledger.keys import load_audit_key
from ledger.password import hash_password
from ledger.people import Account, add_account, find_account, set_disabled
from ledger.role import Role
from tests.issuer import CLIENT_ID, SECRET, Issuer, packed, serve_issuer, sign_with_hmac

ANNA = "anna@example.com"

pytestmark = pytest.mark.slow  # a console of its own for each lie


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serve_issuer() as issuer:
        yield issuer


@pytest.fixture
def begin(start_console: Any, issuer: Issuer, tmp_path: Path) -> Callable[..., Any]:
    """Return a way to start a console whose people sign in there."""

    async def start(*people: Account, console: dict[str, Any] | None = None, **oidc: Any) -> Any:
        secret = tmp_path / "oidc.secret"
        secret.write_text(f"{SECRET}\n", encoding="utf-8")
        table = {
            "issuer": issuer.base,
            "client_id": CLIENT_ID,
            "client_secret_file": str(secret),
            "name": "Example Staff",
            **oidc,
        }
        running = await start_console(oidc=table, **(console or {}))
        for account in people or (Account(ANNA, Role.AUDITOR),):
            assert await add_account(running.stores.ledger, account, boss(running))
        return running

    return start


def boss(console: Any) -> Author:
    return Author(OPERATOR, datetime.now(UTC), load_audit_key(console.settings.keys_dir))


async def go(client: Any, issuer: Issuer, code: str = "code-1") -> dict[str, str]:
    """Press the button and sign in there; return what the browser was sent with."""
    status, _, headers = await client.get("/login/provider")
    assert status == 303
    assert headers["Location"].startswith(f"{issuer.base}/authorize?tenant=t&")
    return issuer.grant(headers["Location"], code)


async def come_back(client: Any, **query: str) -> tuple[int, str, Any]:
    answer: tuple[int, str, Any] = await client.get(str(URL("/login/callback") % query))
    return answer


async def sign_in(client: Any, issuer: Issuer, code: str = "code-1") -> tuple[int, str, Any]:
    asked = await go(client, issuer, code)
    return await come_back(client, code=code, state=asked["state"])


async def told(console: Any) -> list[tuple[str, dict[str, Any]]]:
    async with console.stores.ledger.read() as connection:
        rows = await select_audit(connection, after=0, limit=100)
    return [(row.entry.action, dict(row.entry.detail)) for row in rows]


async def refused(console: Any, client: Any, answer: tuple[int, str, Any]) -> str:
    """Assert that nobody came in, and return why by the audit log."""
    status, page, _ = answer
    assert status == 403
    assert 'role="alert"' in page
    assert (await client.get("/messages"))[0] == 303
    action, detail = (await told(console))[-1]
    assert (action, detail["by"]) == ("person.refused", "provider")
    return str(detail["why"])


async def test_whom_the_provider_vouches_for_is_signed_in_as_his_account(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin(Account("Anna@Example.com", Role.AUDITOR))
    client = await console.stranger()
    _, page, _ = await client.get("/login?next=/audit")
    assert "Sign in with Example Staff" in page
    assert 'type="password"' in page
    status, _, headers = await sign_in(client, issuer)
    assert (status, headers["Location"]) == (303, "/audit")
    _, page, _ = await client.get("/")
    assert "Anna@Example.com, auditor" in page
    assert (await told(console))[-1] == ("person.signed_in", {"by": "provider"})
    (exchange,) = issuer.exchanged
    assert exchange["by"].startswith("Basic ")
    assert "client_secret" not in exchange


async def test_what_is_asked_for_is_a_code_by_pkce_with_state_and_nonce(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    client = await console.stranger()
    asked = await go(client, issuer)
    others = await go(await console.stranger(), issuer)
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"].endswith("/login/callback")
    drawn = ("state", "nonce", "code_challenge")
    assert len({way[name] for way in (asked, others) for name in drawn}) == 6
    cookies = client.http.cookie_jar.filter_cookies(URL(client.base))
    assert cookies["indicia-ticket"].value not in asked.values()


async def test_the_ticket_is_for_a_short_time_and_for_this_host_alone(
    begin: Any,
) -> None:
    console = await begin(console={"public_url": "https://127.0.0.1"})
    _, _, headers = await (await console.stranger()).get("/login/provider")
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-indicia-ticket=")
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"):
        assert word in cookie
    assert "Domain" not in cookie


async def test_a_sign_in_is_a_new_session_and_ends_the_one_before(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    client = await console.signed_in()
    before = client.session
    assert (await sign_in(client, issuer))[0] == 303
    assert client.session != before
    other = await console.stranger()
    assert (await other.get("/", headers={"Cookie": f"indicia={before}"}))[0] == 303


async def test_a_session_that_somebody_planted_is_not_the_one_that_is_opened(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    client = await console.stranger()
    client.http.cookie_jar.update_cookies({"indicia": "planted"}, URL(client.base))
    assert (await sign_in(client, issuer))[0] == 303
    assert client.session != "planted"
    other = await console.stranger()
    assert (await other.get("/", headers={"Cookie": "indicia=planted"}))[0] == 303


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "of another sign-in"},
    "no nonce": {"nonce": None},
    "wrong aud": {"aud": "another-client"},
    "aud of two without azp": {"aud": [CLIENT_ID, "another-client"]},
    "azp of another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "wrong iss": {"iss": "http://127.0.0.1:1"},
    "iss with a slash more": {"iss": "SLASH"},
    "expired": {"exp": timedelta(seconds=-100)},
    "no exp": {"exp": None},
    "exp as text": {"exp": "9999999999"},
    "from the future": {"iat": timedelta(seconds=1000), "exp": timedelta(seconds=2000)},
    "old": {"iat": timedelta(seconds=-1000)},
    "no sub": {"sub": None},
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
async def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    begin: Any, issuer: Issuer, wrong: str
) -> None:
    console = await begin()
    client = await console.stranger()
    now = int(time.time())
    for name, value in WRONG_CLAIMS[wrong].items():
        if isinstance(value, timedelta):
            issuer.claims[name] = now + int(value.total_seconds())
        else:
            issuer.claims[name] = f"{issuer.base}/" if value == "SLASH" else value
    assert await refused(console, client, await sign_in(client, issuer)) == "unsound"


def unsigned(_: Issuer) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        return sign_with_hmac(claims, b"", {"alg": "none"}).rpartition(".")[0] + "."

    return sign


def by_public_key(issuer: Issuer) -> Callable[[dict[str, Any]], str]:
    return lambda claims: sign_with_hmac(
        claims, issuer.key.as_pem(private=False), {"alg": "HS256", "kid": "first"}
    )


def by_client_secret(_: Issuer) -> Callable[[dict[str, Any]], str]:
    return lambda claims: sign_with_hmac(claims, SECRET.encode(), {"alg": "HS256"})


def by_another(_: Issuer) -> Callable[[dict[str, Any]], str]:
    other = jwk.ECKey.generate_key("P-256", {"kid": "first"})
    return lambda claims: jwt.encode({"alg": "ES256", "kid": "first"}, claims, other, ["ES256"])


def by_a_key_it_brings(_: Issuer) -> Callable[[dict[str, Any]], str]:
    other = jwk.ECKey.generate_key("P-256", {"kid": "brought"})
    header = {"alg": "ES256", "kid": "brought", "jwk": other.as_dict(private=False)}
    return lambda claims: jwt.encode(header, claims, other, ["ES256"])


def altered(issuer: Issuer) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        header = {"alg": "ES256", "kid": "first"}
        true = jwt.encode(header, {**claims, "email": "eve@example.com"}, issuer.key, ["ES256"])
        false = jwt.encode(header, claims, issuer.key, ["ES256"])
        return ".".join((*false.split(".")[:2], true.split(".")[2]))

    return sign


def nonsense(_: Issuer) -> Callable[[dict[str, Any]], str]:
    return lambda _claims: f"{packed(b'[' * 100_000)}.{packed(b'{}')}."


@pytest.mark.parametrize(
    "forge",
    [unsigned, by_public_key, by_client_secret, by_another, by_a_key_it_brings, altered, nonsense],
)
async def test_a_token_that_the_issuer_has_not_signed_lets_nobody_in(
    begin: Any, issuer: Issuer, forge: Callable[[Issuer], Any]
) -> None:
    console = await begin()
    client = await console.stranger()
    issuer.sign = forge(issuer)
    assert await refused(console, client, await sign_in(client, issuer)) == "unsound"


async def test_who_did_not_begin_in_this_browser_is_not_let_in(begin: Any, issuer: Issuer) -> None:
    # Law: who comes back is let in only by the browser in which he began.
    console = await begin()
    attacker, victim = await console.stranger(), await console.stranger()
    asked = await go(attacker, issuer)
    answer = await come_back(victim, code="code-1", state=asked["state"])
    assert await refused(console, victim, answer) == "not_begun"
    await go(victim, issuer, "code-2")
    answer = await come_back(victim, code="code-1", state=asked["state"])
    assert await refused(console, victim, answer) == "not_begun"
    assert issuer.exchanged == []


async def test_a_code_of_another_browser_is_worth_nothing_without_its_verifier(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    attacker, victim = await console.stranger(), await console.stranger()
    await go(victim, issuer, "of the victim")
    asked = await go(attacker, issuer)
    answer = await come_back(attacker, code="of the victim", state=asked["state"])
    assert await refused(console, attacker, answer) == "unreachable"
    assert issuer.exchanged[-1]["code"] == "of the victim"


async def test_a_code_is_taken_once_even_by_a_provider_that_takes_it_again(
    begin: Any, issuer: Issuer
) -> None:
    # Law: a code is taken to the provider once, whatever it would answer the second time.
    console = await begin()
    issuer.forgetful = True
    client = await console.stranger()
    asked = await go(client, issuer)
    jar = client.http.cookie_jar
    ticket = jar.filter_cookies(URL(client.base))["indicia-ticket"].value
    assert (await come_back(client, code="code-1", state=asked["state"]))[0] == 303
    other = await console.stranger()
    answer = await come_back(other, code="code-1", state=asked["state"])
    assert await refused(console, other, answer) == "not_begun"
    other.http.cookie_jar.update_cookies({"indicia-ticket": ticket}, URL(other.base))
    answer = await come_back(other, code="code-1", state=asked["state"])
    assert await refused(console, other, answer) == "unsound"
    assert len(issuer.exchanged) == 1


async def test_the_ticket_is_used_up_by_a_way_back_that_failed_too(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    client = await console.stranger()
    asked = await go(client, issuer)
    answer = await come_back(client, error="access_denied", state=asked["state"])
    assert await refused(console, client, answer) == "denied"
    answer = await come_back(client, code="code-1", state=asked["state"])
    assert await refused(console, client, answer) == "not_begun"


@pytest.mark.parametrize(("named", "iss"), [(False, "http://127.0.0.1:1"), (True, None)])
async def test_a_code_that_another_issuer_brings_is_not_taken_anywhere(
    begin: Any, issuer: Issuer, named: bool, iss: str | None
) -> None:
    issuer.document["authorization_response_iss_parameter_supported"] = named
    console = await begin()
    client = await console.stranger()
    asked = await go(client, issuer)
    query = {"code": "code-1", "state": asked["state"]} | ({"iss": iss} if iss else {})
    assert await refused(console, client, await come_back(client, **query)) == "unsound"
    assert issuer.exchanged == []


async def test_an_issuer_that_names_itself_is_believed(begin: Any, issuer: Issuer) -> None:
    issuer.document["authorization_response_iss_parameter_supported"] = True
    console = await begin()
    client = await console.stranger()
    asked = await go(client, issuer)
    answer = await come_back(client, code="code-1", state=asked["state"], iss=issuer.base)
    assert answer[0] == 303


@pytest.mark.parametrize("verified", [False, None, "false", "true", 1])
async def test_an_address_that_is_not_verified_is_nobodys(
    begin: Any, issuer: Issuer, verified: Any
) -> None:
    console = await begin()
    issuer.claims = {"email_verified": verified}
    issuer.userinfo = {"sub": "4711"}
    client = await console.stranger()
    answer = await sign_in(client, issuer)
    assert await refused(console, client, answer) == "unverified"
    assert "Have it verified there" in answer[1]


async def test_what_the_token_does_not_say_is_asked_of_userinfo(begin: Any, issuer: Issuer) -> None:
    console = await begin()
    issuer.claims = {"email": None, "email_verified": None}
    issuer.userinfo = {"sub": "4711", "email": ANNA, "email_verified": True}
    client = await console.stranger()
    assert (await sign_in(client, issuer))[0] == 303
    issuer.userinfo["sub"] = "somebody else"
    other = await console.stranger()
    answer = await sign_in(other, issuer, "code-2")
    assert await refused(console, other, answer) == "unsound"


async def test_that_one_address_is_verified_says_nothing_of_another(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    issuer.claims = {"email": None, "email_verified": True}
    issuer.userinfo = {"sub": "4711", "email": ANNA}
    client = await console.stranger()
    assert await refused(console, client, await sign_in(client, issuer)) == "unverified"


async def test_who_is_disabled_or_unknown_stays_out_and_is_told_the_same(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    await set_disabled(console.stores.ledger, ANNA, True, boss(console))
    pages = []
    for number, address in enumerate((ANNA, "nobody@example.com")):
        issuer.claims = {"email": address}
        client = await console.stranger()
        answer = await sign_in(client, issuer, f"code-{number}")
        assert await refused(console, client, answer) == "no_account"
        pages.append(answer[1])
    assert pages[0] == pages[1]
    assert await find_account(console.stores.ledger, "nobody@example.com") is None


async def test_who_comes_first_is_made_a_user_where_the_configuration_says_so(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin(create=True, domains=["example.com"])
    client = await console.stranger()
    issuer.claims = {"email": "new@example.com"}
    assert (await sign_in(client, issuer))[0] == 303
    made = await find_account(console.stores.ledger, "new@example.com")
    assert (made.role, made.password_hash) == (Role.USER, None)
    issuer.claims = {"email": "guest@example.org"}
    other = await console.stranger()
    assert await refused(console, other, await sign_in(other, issuer, "code-2")) == "not_ours"
    assert await find_account(console.stores.ledger, "guest@example.org") is None


async def test_the_groups_decide_the_role_at_each_sign_in(begin: Any, issuer: Issuer) -> None:
    console = await begin(admin_groups=["indicia-admins"], user_groups=["staff"])
    for number, (groups, role) in enumerate(
        ((["staff", "indicia-admins"], Role.ADMIN), (["staff"], Role.USER), ("staff", Role.USER))
    ):
        issuer.claims = {"groups": groups}
        client = await console.stranger()
        assert (await sign_in(client, issuer, f"code-{number}"))[0] == 303
        found = await find_account(console.stores.ledger, ANNA)
        assert found.role is role
    issuer.claims = {"groups": ["cleaners"]}
    client = await console.stranger()
    assert await refused(console, client, await sign_in(client, issuer, "last")) == "not_ours"


async def test_who_loses_a_role_loses_the_sessions_he_had_with_it(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin(admin_groups=["bosses"], user_groups=["staff"])
    issuer.claims = {"groups": ["bosses"]}
    before = await console.stranger()
    assert (await sign_in(before, issuer))[0] == 303
    issuer.claims = {"groups": ["staff"]}
    assert (await sign_in(await console.stranger(), issuer, "code-2"))[0] == 303
    assert (await before.get("/people"))[0] == 303


async def test_where_no_passwords_are_taken_the_right_one_lets_nobody_in_and_a_link_does(
    begin: Any,
) -> None:
    console = await begin(
        Account(ANNA, Role.ADMIN, (), hash_password("correct horse")), passwords=False
    )
    client = await console.stranger()
    _, page, _ = await client.get("/login")
    assert 'type="password"' not in page
    status, page, _ = await client.post("/login", {"address": ANNA, "password": "correct horse"})
    assert status == 403
    assert "No passwords are taken here" in page
    assert (await client.post("/login", {"code": await console.link_code()}))[0] == 303


async def test_who_fails_again_and_again_waits(begin: Any) -> None:
    console = await begin()
    client = await console.stranger()
    statuses = [(await come_back(client, code="x", state="y"))[0] for _ in range(5)]
    assert statuses == [403, 403, 403, 429, 429]
    status, page, headers = await come_back(client, code="x", state="y")
    assert (status, int(headers["Retry-After"]) >= 1) == (429, True)
    assert "Too many tries" in page
    assert (await client.post("/login", {"code": await console.link_code()}))[0] == 303


async def test_without_a_provider_there_is_no_button_and_no_way(console: Any) -> None:
    client = await console.stranger()
    assert "/login/provider" not in (await client.get("/login"))[1]
    for path in ("/login/provider", "/login/callback?code=x&state=y"):
        status, _, headers = await client.get(path)
        assert (status, headers["Location"]) == (303, "/login")


async def test_the_log_says_why_and_no_secret(
    begin: Any, issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    console = await begin()
    client = await console.stranger()
    issuer.claims = {"aud": "another"}
    asked = await go(client, issuer, "code-secret")
    await come_back(client, code="code-secret", state=asked["state"])
    said = capsys.readouterr().out
    assert "aud does not name us" in said
    for secret in ("code-secret", asked["state"], asked["nonce"], SECRET, ANNA):
        assert secret not in said


async def test_a_provider_that_is_away_is_said_so_and_asked_again_later(
    begin: Any, issuer: Issuer
) -> None:
    console = await begin()
    client = await console.stranger()
    issuer.document["issuer"] = "https://somebody.else.example"
    answer = await client.get("/login/provider")
    assert await refused(console, client, answer) == "unreachable"
    assert "Example Staff gives no answer" in answer[1]
    del issuer.document["issuer"]
    assert (await sign_in(client, issuer))[0] == 303
