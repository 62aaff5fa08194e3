"""The OpenID provider: what it says of itself, and of a code.

OpenID Connect Core 1.0 and Discovery 1.0; the authorization code flow with PKCE (RFC 7636).
"""

import asyncio
import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote_plus

import aiohttp
from yarl import URL

from collector.console.identity import (
    Claims,
    Expected,
    Refusal,
    Refused,
    UnknownKeyError,
    check_claims,
    read_token,
)
from collector.console.ticket import LIFE_S, Ticket
from config.kinds import is_loopback
from config.oidc import Oidc

_ANSWER_S = 10.0
"""Somebody waits before a white page meanwhile."""
_WHOLE_S = 2 * _ANSWER_S
"""Of up to four questions in a row, and of who asks the same before: one may be slow."""
_MAX_ANSWER_BYTES = 256 * 1024
"""Documents, keys and tokens have some kilobytes; a token with hundreds of groups has forty."""
_DOCUMENT_LIFE_S = 3600.0
"""Where a provider answers changes with its versions."""
_KEYS_LIFE_S = 60.0
"""Keys are asked for again when a token names an unknown one, at most once a minute."""
_MAX_AT_ONCE = 20
"""As many as may wait for their password to be compared."""
_MAX_SPENT = 10_000
"""Codes that were taken to the provider within a ticket's life; each costs a hundred bytes."""

_Found = TypeVar("_Found")

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderError(Exception):
    """The provider gives no answer of use; the text says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a provider says of itself (Discovery 1.0 section 3)."""

    authorize: URL
    token: str
    keys: str
    userinfo: str | None
    by_post: bool
    """The secret goes into the form, not into the header."""
    names_itself: bool
    """It says who it is beside each code (RFC 9207)."""


class Provider:
    """Asks the provider; keeps its document and its keys for a while."""

    def __init__(self, oidc: Oidc, redirect_uri: str) -> None:
        """Begin without asking anything: a provider that is down keeps nobody from starting."""
        self.oidc = oidc
        self._redirect_uri = redirect_uri
        self._document: tuple[float, Document] | None = None
        self._keys: tuple[float, tuple[Claims, ...]] | None = None
        self._asking = asyncio.Lock()
        self._spent: OrderedDict[str, float] = OrderedDict()
        self._busy = 0

    async def begin(self, ticket: Ticket) -> URL | Refused:
        """Return where the browser goes to sign in."""

        async def ask() -> URL:
            document = await self._read_document()
            # Core 3.1.2.1; what stands in the endpoint's own query stays.
            return document.authorize.update_query(
                response_type="code",
                client_id=self.oidc.client_id,
                redirect_uri=self._redirect_uri,
                scope="openid email profile",
                state=ticket.state,
                nonce=ticket.nonce,
                code_challenge=ticket.challenge,
                code_challenge_method="S256",
            )

        return await self._at_most(ask)

    async def identify(self, ticket: Ticket, code: str, issuer: str | None) -> Claims | Refused:
        """Return the claims on who has signed in, checked.

        `issuer` is who sent the browser back, where that was told.
        Law: a code is taken to the provider once, whatever it would answer the second time.
        """
        return await self._at_most(partial(self._identify, ticket, code, issuer))

    async def _at_most(self, ask: Callable[[], Awaitable[_Found]]) -> _Found | Refused:
        if self._busy >= _MAX_AT_ONCE:
            return Refused(Refusal.UNREACHABLE, "too many sign in at once")
        self._busy += 1
        try:
            async with asyncio.timeout(_WHOLE_S):
                return await ask()
        except ProviderError as error:
            return Refused(Refusal.UNREACHABLE, str(error))
        except TimeoutError:
            return Refused(Refusal.UNREACHABLE, "the issuer takes too long")
        finally:
            self._busy -= 1

    async def _identify(self, ticket: Ticket, code: str, issuer: str | None) -> Claims | Refused:
        document = await self._read_document()
        # RFC 9207 2.4: against a code of another provider.
        if issuer != self.oidc.issuer and (issuer is not None or document.names_itself):
            return Refused(Refusal.UNSOUND, "another issuer sent the browser back")
        if not self._spend(code):
            return Refused(Refusal.UNSOUND, "the code came before")
        tokens = await self._exchange(document, ticket, code)
        claims = await self._read(document, str(tokens.get("id_token", "")))
        if isinstance(claims, Refused):
            return claims
        expected = Expected(self.oidc.issuer, self.oidc.client_id, ticket.nonce)
        fault = check_claims(claims, expected, time.time())
        if fault is not None or document.userinfo is None or self._tells_all(claims):
            return fault or claims
        return await self._ask_more(document.userinfo, str(tokens.get("access_token", "")), claims)

    def _spend(self, code: str) -> bool:
        now, name = time.monotonic(), hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
        while self._spent and next(iter(self._spent.values())) < now - LIFE_S:
            self._spent.popitem(last=False)
        if name in self._spent:
            return False
        self._spent[name] = now
        if len(self._spent) > _MAX_SPENT:
            self._spent.popitem(last=False)
        return True

    async def _exchange(self, document: Document, ticket: Ticket, code: str) -> Claims:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": ticket.verifier,
            "client_id": self.oidc.client_id,
        }
        headers = {}
        secret = await self._read_secret()
        if secret and document.by_post:
            form["client_secret"] = secret
        elif secret:
            # RFC 6749 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(self.oidc.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await _ask("POST", document.token, data=form, headers=headers)

    async def _read_secret(self) -> str:
        file = self.oidc.client_secret_file
        if file is None:
            return ""
        try:
            text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, ValueError) as error:
            msg = f"console.oidc.client_secret_file can not be read: {type(error).__name__}"
            raise ProviderError(msg) from error
        return text.split("\n")[0].rstrip("\r")

    async def _read(self, document: Document, token: str) -> Claims | Refused:
        try:
            return read_token(token, await self._read_keys(document, fresh=False))
        except UnknownKeyError:
            pass
        try:
            return read_token(token, await self._read_keys(document, fresh=True))
        except UnknownKeyError:
            return Refused(Refusal.UNSOUND, "the ID token is signed by a key the issuer has not")

    def _tells_all(self, claims: Claims) -> bool:
        groups = {self.oidc.groups_claim} if self.oidc.maps_roles else set()
        return claims.keys() >= {"email", self.oidc.verified_claim, *groups}

    async def _ask_more(self, url: str, access_token: str, claims: Claims) -> Claims | Refused:
        """Return the claims with those that the provider gives only there."""
        more = await _ask("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            # Core 5.3.2: else it may be about somebody else.
            return Refused(Refusal.UNSOUND, "userinfo is about another sub")
        # Whether an address is verified is said where the address is.
        kept = dict(claims)
        for name in ("email", self.oidc.verified_claim) if "email" in more else ():
            kept.pop(name, None)
        return {**kept, **more}

    async def _read_document(self) -> Document:
        async with self._asking:
            now = time.monotonic()
            if self._document is None or self._document[0] + _DOCUMENT_LIFE_S < now:
                self._document = (now, await self._ask_document())
            return self._document[1]

    async def _ask_document(self) -> Document:
        issuer = self.oidc.issuer
        found = await _ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            # Discovery 4.3: exactly, or it speaks for somebody else.
            msg = f"the document says issuer {str(found.get('issuer'))[:200]!r}, not {issuer!r}"
            raise ProviderError(msg)
        authorize, token, keys = (self._endpoint(name, found.get(name)) for name in _ENDPOINTS)
        userinfo = found.get("userinfo_endpoint")
        ways = found.get("token_endpoint_auth_methods_supported")
        return Document(
            authorize=URL(authorize),
            token=token,
            keys=keys,
            userinfo=None if userinfo is None else self._endpoint("userinfo_endpoint", userinfo),
            # Discovery 3: left out it is client_secret_basic.
            by_post=isinstance(ways, list) and "client_secret_basic" not in ways,
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, name: str, value: object) -> str:
        try:
            url = URL(str(value))
        except ValueError:
            url = URL()
        here = self.oidc.issuer.startswith("http:") and is_loopback(url.host or "")
        if not url.host or not (url.scheme == "https" or (url.scheme == "http" and here)):
            msg = f"the document has no {name} with https"
            raise ProviderError(msg)
        return str(url)

    async def _read_keys(self, document: Document, *, fresh: bool) -> tuple[Claims, ...]:
        async with self._asking:
            now = time.monotonic()
            if self._keys is None or (fresh and self._keys[0] + _KEYS_LIFE_S < now):
                found = (await _ask("GET", document.keys)).get("keys")
                keys = found if isinstance(found, list) else []
                self._keys = (now, tuple(key for key in keys if isinstance(key, dict)))
            return self._keys[1]


async def _ask(method: str, url: str, **options: Any) -> Claims:  # noqa: ANN401 - aiohttp's
    """Return the object of JSON that is answered.  Raises ProviderError."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, url, allow_redirects=False, **options) as answer,
        ):
            raw = b""
            async for chunk in answer.content.iter_chunked(_MAX_ANSWER_BYTES):
                raw += chunk
                if len(raw) > _MAX_ANSWER_BYTES:
                    msg = f"{url} answers more than {_MAX_ANSWER_BYTES} bytes"
                    raise ProviderError(msg)
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        msg = f"{url} can not be asked: {type(error).__name__}"
        raise ProviderError(msg) from error
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if status != 200 or not isinstance(found, dict):  # noqa: PLR2004 - OK
        # RFC 6749 5.2: a word such as invalid_grant or invalid_client tells what to mend.
        said = found.get("error") if isinstance(found, dict) else None
        word = f" {said[:60]!r}" if isinstance(said, str) else ""
        msg = f"{url} answers {status}{word or ', and no object of JSON'}"
        raise ProviderError(msg)
    return found
