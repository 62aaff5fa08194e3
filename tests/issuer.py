"""An OpenID provider of the tests' own, which can lie in every way."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from joserfc import jwk, jwt

CLIENT_ID = "indicia-console"
SECRET = "a secret: 100% of it + more"


def packed(raw: bytes) -> str:
    """Return bytes as tokens have them."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Issuer:
    """What it answers; a test changes it to lie."""

    base: str = ""
    key: jwk.ECKey = field(
        default_factory=lambda: jwk.ECKey.generate_key("P-256", {"kid": "first", "use": "sig"})
    )
    published: list[dict[str, Any]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """Over the true ones; None: left out."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    asked: list[str] = field(default_factory=list)
    exchanged: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Each code and what it was asked for with."""
    forgetful: bool = False
    """It takes a code again."""

    def grant(self, place: str, code: str) -> dict[str, str]:
        """Let somebody in who was sent to `place`; return what was asked for with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}
        self.codes[code] = asked
        return asked

    def token(self, nonce: str, **over: Any) -> str:
        """Return a signed ID token."""
        now = int(time.time())
        claims = {
            "iss": self.base,
            "aud": CLIENT_ID,
            "sub": "4711",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "anna@example.com",
            "email_verified": True,
            **self.claims,
            **over,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        if self.sign is not None:
            return self.sign(said)
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, said, self.key, ["ES256"])


def sign_with_hmac(claims: dict[str, Any], key: bytes, header: dict[str, str]) -> str:
    """Return a token signed by HS256, whatever the key is."""
    signed = ".".join(packed(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{packed(hmac.digest(key, signed.encode(), hashlib.sha256))}"


@asynccontextmanager
async def serve_issuer() -> AsyncIterator[Issuer]:
    """Serve an issuer on this machine while the block runs."""
    issuer = Issuer()
    issuer.published.append(issuer.key.as_dict(private=False))

    async def give_document(request: web.Request) -> web.Response:
        issuer.asked.append(request.path)
        document = {
            "issuer": issuer.base,
            "authorization_endpoint": f"{issuer.base}/authorize?tenant=t",
            "token_endpoint": f"{issuer.base}/token",
            "jwks_uri": f"{issuer.base}/keys",
            "userinfo_endpoint": f"{issuer.base}/userinfo",
            **issuer.document,
        }
        return web.json_response({k: v for k, v in document.items() if v is not None})

    async def give_keys(request: web.Request) -> web.Response:
        issuer.asked.append(request.path)
        return web.json_response({"keys": issuer.published})

    async def give_tokens(request: web.Request) -> web.Response:
        issuer.asked.append(request.path)
        form = {name: str(value) for name, value in (await request.post()).items()}
        issuer.exchanged.append({**form, "by": request.headers.get("Authorization", "")})
        asked = issuer.codes.get(form["code"])
        if asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if not issuer.forgetful:
            del issuer.codes[form["code"]]
        challenge = packed(hashlib.sha256(form["code_verifier"].encode()).digest())
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {"access_token": "for-userinfo", "id_token": issuer.token(asked["nonce"])}
        )

    async def give_userinfo(request: web.Request) -> web.Response:
        issuer.asked.append(request.path)
        assert request.headers["Authorization"] == "Bearer for-userinfo"
        return web.json_response(issuer.userinfo)

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", give_document)
    app.router.add_get("/keys", give_keys)
    app.router.add_post("/token", give_tokens)
    app.router.add_get("/userinfo", give_userinfo)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
