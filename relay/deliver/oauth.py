"""OAUTH: the access tokens with which we sign in, kept while good.

RFC 6749: by the client credentials grant (4.4) in our own name, or by a refresh token (6) in that
of the person who gave it.

Law: no secret and no token is in what is raised.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from relay.deliver.wire import cleaned_text
from relay.upstream import OAuth

_MAX_ANSWER_BYTES = 64 * 1024
"""A token is a few kilobytes at most."""

_EARLY_S = 60.0
"""A token is not used in its last minute: clocks differ, and connecting takes its time."""

_USUAL_S = 600.0
"""Where no `expires_in` is said (RFC 6749 5.1 only recommends it); providers grant an hour."""

_MAX_SAID = 300
"""Characters of a refusal: enough for what providers say, which is long."""

# RFC 6750 2.1, b64token.  In XOAUTH2 a control character would end the field.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenError(Exception):
    """No token was given; the text says why, in words for the queue and the sender."""


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str = field(repr=False)
    until_s: float
    """On the loop's clock."""


class Tokens:
    """The access tokens of one upstream."""

    def __init__(self, oauth: OAuth, verified: ssl.SSLContext, timeout_s: float) -> None:
        """Ask for nothing yet; `verified` is how the token server is."""
        self._oauth = oauth
        self._verified = verified
        self._timeout_s = timeout_s
        self._kept: _Kept | None = None
        self._refresh_token: str | None = None
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is good for a while, asking for one where none is kept.

        However many wait for it, it is asked for once.  Raises TokenError.
        """
        async with self._asking:
            now_s = asyncio.get_running_loop().time()
            if self._kept is None or now_s >= self._kept.until_s:
                self._kept = None
                self._kept = await self._ask(now_s)
            return self._kept.token

    def is_kept(self) -> bool:
        """Tell whether the next token is one that was asked for earlier."""
        return self._kept is not None and asyncio.get_running_loop().time() < self._kept.until_s

    def forget(self, token: str) -> None:
        """Ask anew next time, where this token is still the one that is kept."""
        if self._kept is not None and self._kept.token == token:
            self._kept = None

    async def _ask(self, now_s: float) -> _Kept:
        secrets: list[str] = []
        try:
            form = await self._form(secrets)
            status, answer = await self._post(form)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # TimeoutError is an OSError without words.
            why = cleaned_text(str(error)) or "it did not answer in time"
            raise TokenError(self._words(why, secrets)) from None
        token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
        if status != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):  # noqa: PLR2004 - RFC 6749 5.1
            raise TokenError(self._words(_refusal(status, answer), secrets))
        if str(kind).lower() != "bearer":
            raise TokenError(self._words("its token is of another kind than Bearer", secrets))
        fresh = answer.get("refresh_token")
        if self._oauth.refresh_token_file is not None and isinstance(fresh, str) and fresh:
            # RFC 6749 6: the new one replaces the old; the file is the admin's and stays.
            self._refresh_token = fresh
        return _Kept(token, now_s + _life_s(answer.get("expires_in")))

    async def _form(self, secrets: list[str]) -> Mapping[str, str]:
        oauth = self._oauth
        form = {"client_id": oauth.client_id}
        if oauth.client_secret_file is not None:
            form["client_secret"] = await _first_line(oauth.client_secret_file)
            secrets.append(form["client_secret"])
        if oauth.refresh_token_file is not None:
            if self._refresh_token is None:
                self._refresh_token = await _first_line(oauth.refresh_token_file)
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
            secrets.append(self._refresh_token)
        else:
            form["grant_type"] = "client_credentials"
        return form | ({"scope": oauth.scope} if oauth.scope else {})

    async def _post(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                self._oauth.token_url,
                data=form,
                ssl=self._verified,
                # Secrets go where the configuration says and nowhere else.
                allow_redirects=False,
                headers={"Accept": "application/json"},
            ) as response,
        ):
            raw = bytearray()
            async for chunk in response.content.iter_chunked(_MAX_ANSWER_BYTES):
                raw += chunk
                if len(raw) > _MAX_ANSWER_BYTES:
                    msg = "its answer is too long"
                    raise ValueError(msg)
            return response.status, _json_object(bytes(raw))

    def _words(self, why: str, secrets: list[str]) -> str:
        # A server that repeats what it was given must not bring it into logs and bounces.
        if any(secret and secret in why for secret in secrets):
            why = "(withheld: it repeats the secret)"
        host = urlsplit(self._oauth.token_url).netloc
        return f"{host} gives no access token: {why}"


async def _first_line(path: Path) -> str:
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    return text.split("\n")[0].strip()


def _json_object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(status: int, answer: Mapping[str, Any]) -> str:
    """Return what RFC 6749 5.2 lets it say."""
    said = (answer.get(name) for name in ("error", "error_description"))
    words = [str(status), *(cleaned_text(text) for text in said if isinstance(text, str))]
    return " ".join(words)[:_MAX_SAID]


def _life_s(expires_in: object) -> float:
    try:
        life_s = float(str(expires_in))
    except ValueError:
        life_s = _USUAL_S
    # Not a number compares as false, and what lives too short is used once.
    return max(life_s - _EARLY_S, 0.0) if life_s > 0 else 0.0
