"""How a session begins and ends in a browser.

Law: who comes in has a session of which nobody knew before; the one he had ends.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from collector.console.access import SECRET_BYTES, SESSION_LIFE, cookie_name, safe_path
from collector.console.desk import DESK, Desk
from collector.console.page import render_page
from ledger.address import AddressError, parse_address
from ledger.audit import STRANGER, Author, SubjectKind, record_audit
from ledger.sessions import Pass, end_session, hash_secret

NEXT_COOKIE = "indicia-next"
"""Where somebody wanted to go before he was asked to sign in."""


def new_session() -> tuple[str, Pass]:
    """Return the secret of a session for the browser, and how it is kept."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return secret, Pass(hash_secret(secret), datetime.now(UTC) + SESSION_LIFE)


async def let_in(request: web.Request, secret: str) -> web.StreamResponse:
    """Give the browser a session that was opened, and send it where it wanted to go."""
    desk = request.app[DESK]
    await end_own_session(request)
    response = web.Response(
        status=303, headers={"Location": safe_path(request.cookies.get(NEXT_COOKIE, "/"))}
    )
    response.del_cookie(NEXT_COOKIE, path="/login")
    response.set_cookie(
        cookie_name(desk),
        secret,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        secure=desk.secure,
        samesite="Lax",
    )
    return response


async def end_own_session(request: web.Request) -> None:
    """End the session that the browser has, if it has one."""
    desk = request.app[DESK]
    secret = request.cookies.get(cookie_name(desk))
    if secret is not None:
        await end_session(desk.ledger, hash_secret(secret))


def draw_door(request: web.Request, status: HTTPStatus, **shown: object) -> web.Response:
    """Return the sign-in page."""
    provider = request.app[DESK].provider
    frame = {
        "code": "",
        "link_person": None,
        "refused": "",
        "address": "",
        "provider": None if provider is None else provider.oidc.name,
        "passwords": provider is None or provider.oidc.passwords,
    }
    return render_page(request, "login.html", {**frame, **shown}, status)


async def record_refusal(
    desk: Desk, address: str, detail: Mapping[str, object] | None = None
) -> None:
    """Put into the audit log that somebody was not let in, and as whom he came."""
    try:
        tried = parse_address(address).key
    except AddressError:
        tried = None
    author = Author(STRANGER, datetime.now(UTC), desk.audit_key)
    kind = SubjectKind.PERSON if tried else None
    async with desk.ledger.write() as connection:
        await record_audit(connection, author.entry("person.refused", kind, tried, detail))
