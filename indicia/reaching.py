"""Whether recipients would reach the collector at a base, and links lead where they should.

It asks with HEAD, which the collector answers like GET and never counts.
"""

import contextlib
import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from ledger.token import HitKind, Token, TokenKey, write_token

TIMEOUT_S = 10.0
DESTINATION = "example.com/a//b%2Fc/d;e=1,2/(f)?x=%7E&y=a+b%20c&z=%C3%A9&u=http://example.net//"
"""What proxies like to tidy up: double slashes, escapes, a URL within the URL."""

_FOUND = 302
_COPY_ID = 0
_SLOT = 1


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of asking."""

    host: str
    good: bool
    text: str
    mend: str = ""
    silent: bool = False
    """Nobody answered at all."""


def reach_base(base: str, key: TokenKey | None) -> Reached:
    """Return whether the host resolves, answers, and leads a link to its destination unaltered.

    Without a key the redirect is not asked for.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        mend = "give the name an address in DNS, or correct base_url"
        return Reached(host, good=False, text=f"no address in DNS ({error.strerror})", mend=mend)
    try:
        with contextlib.closing(_connection(parts.scheme, host, port)) as connection:
            return _ask(connection, host, key)
    except ssl.SSLError as error:
        mend = "mend the certificate of what answers there"
        return Reached(host, good=False, text=f"TLS failed: {error.reason or error}", mend=mend)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        mend = "start the collector, or let the proxy lead to it"
        return Reached(host, good=False, text=f"no answer ({reason})", mend=mend, silent=True)


def _connection(scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


def _ask(connection: http.client.HTTPConnection, host: str, key: TokenKey | None) -> Reached:
    status, _ = _head(connection, "/healthz")
    if status != http.HTTPStatus.OK:
        mend = "let the proxy lead to the collector, path and all"
        return Reached(host, good=False, text=f"/healthz answers {status}, not 200", mend=mend)
    if key is None:
        return Reached(host, good=True, text="the collector answers; no key to try a link with")
    status, location = _head(connection, _link(key))
    wanted = f"https://{DESTINATION}"
    if status == _FOUND and location == wanted:
        return Reached(host, good=True, text="the collector answers, and a link leads on unaltered")
    if status == http.HTTPStatus.NOT_FOUND:
        text = (
            "a link is not known there: the proxy alters its path, other keys are used,"
            " or another Indicia, such as the sandbox, answers at this address"
        )
    else:
        text = f"a link leads to {location or f'status {status}'}, not to {wanted}"
    mend = "let the proxy pass the path as it is (nginx: proxy_pass without a URI), and share keys"
    return Reached(host, good=False, text=text, mend=mend)


def _link(key: TokenKey) -> str:
    token = Token(HitKind.CLICK, key.key_id, _COPY_ID, _SLOT, https=True)
    return f"/c/{write_token(key, token, DESTINATION.encode()).decode()}/{DESTINATION}"


def _head(connection: http.client.HTTPConnection, target: str) -> tuple[int, str]:
    connection.request("HEAD", target)
    response = connection.getresponse()
    response.read()
    return response.status, response.headers.get("Location", "")
