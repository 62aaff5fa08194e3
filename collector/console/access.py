"""Who is let in: one-time links, sessions, sign-out.

Law: without a session only the open paths answer; every other path, known or not, leads to sign-in.
Law: a form without its session's token changes nothing.
"""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from aiohttp import web
from yarl import URL

from collector.console.desk import DESK, Desk
from collector.console.guard import PROBES, STATIC_PATH, Handler
from collector.console.page import FORM_TOKEN, PERSON, render_page
from ledger.audit import Author
from ledger.engine import Store
from ledger.sessions import (
    Pass,
    Person,
    end_session,
    find_session,
    find_sign_in_link,
    hash_secret,
    keep_sign_in_link,
    use_sign_in_link,
)

LINK_LIFE = timedelta(hours=12)
"""A link is printed where Indicia is started; somebody uses it within the working day."""
SESSION_LIFE = timedelta(days=7)
"""Signing in weekly is bearable, and a lost machine is shut out within a week."""

_SECRET_BYTES = 32
_OPEN = PROBES | {"/login"}
_NEXT_COOKIE = "indicia-next"
_NEXT_LIFE_S = 600
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


async def make_sign_in_link(ledger: Store, public_url: str, person: Person, author: Author) -> str:
    """Return a URL by which a person may sign in once, within LINK_LIFE.

    Only the hash of its secret is kept.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    link = Pass(hash_secret(secret), author.at + LINK_LIFE)
    await keep_sign_in_link(ledger, link, person, author)
    return str(URL(public_url) / "login" % {"code": secret})


def safe_path(path: str) -> str:
    """Return a path of ours to go to, `/` where what was asked for is none.

    Law: what comes back begins with one slash and holds no backslash, space or control character,
    so no browser reads another host in it.
    """
    return path if _PATH.fullmatch(path) else "/"


@web.middleware
async def require_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through with a session or to an open path; check the token of each form."""
    desk = request.app[DESK]
    await _recognise(request, desk)
    if PERSON not in request:
        if request.path in _OPEN or request.path.startswith(STATIC_PATH):
            return await handler(request)
        return _ask_to_sign_in(request)
    if request.method == "POST" and request.path != "/login":
        form = await request.post()
        given = str(form.get("form_token", ""))
        if not hmac.compare_digest(given.encode(), request[FORM_TOKEN].encode()):
            raise web.HTTPForbidden(text="This form is no longer valid. Load the page again.")
    return await handler(request)


async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """Show the button that uses a link up: programs that follow links do not press it."""
    desk = request.app[DESK]
    code = request.query.get("code", "")
    person = await find_sign_in_link(desk.ledger, hash_secret(code), datetime.now(UTC))
    shown = {"code": code, "link_person": person, "tried": bool(code)}
    response = render_page(request, "login.html", shown, status=403 if code and not person else 200)
    if "next" in request.query:
        response.set_cookie(
            _NEXT_COOKIE,
            safe_path(request.query["next"]),
            max_age=_NEXT_LIFE_S,
            path="/login",
            httponly=True,
            secure=desk.secure,
            samesite="Lax",
        )
    return response


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Exchange a link for a new session; the one there was before ends."""
    desk = request.app[DESK]
    form = await request.post()
    secret, now = secrets.token_urlsafe(_SECRET_BYTES), datetime.now(UTC)
    session = Pass(hash_secret(secret), now + SESSION_LIFE)
    link_hash = hash_secret(str(form.get("code", "")))
    person = await use_sign_in_link(desk.ledger, link_hash, session, now, desk.audit_key)
    if person is None:
        shown = {"code": "", "link_person": None, "tried": True}
        return render_page(request, "login.html", shown, status=403)
    await _end_own_session(request, desk)
    response = web.Response(
        status=303, headers={"Location": safe_path(request.cookies.get(_NEXT_COOKIE, "/"))}
    )
    response.del_cookie(_NEXT_COOKIE, path="/login")
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


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End the session and go back to sign-in."""
    desk = request.app[DESK]
    await _end_own_session(request, desk)
    response = web.Response(status=303, headers={"Location": "/login"})
    response.del_cookie(cookie_name(desk), path="/", secure=desk.secure, samesite="Lax")
    return response


def cookie_name(desk: Desk) -> str:
    """Return the session cookie's name; `__Host-` binds it to the host where there is https.

    RFC 6265bis 4.1.3.2: Secure, Path=/ and no Domain, or browsers refuse it.
    """
    return "__Host-indicia" if desk.secure else "indicia"


async def _recognise(request: web.Request, desk: Desk) -> None:
    secret = request.cookies.get(cookie_name(desk))
    if secret is None or request.path in PROBES or request.path.startswith(STATIC_PATH):
        return
    person = await find_session(desk.ledger, hash_secret(secret), datetime.now(UTC))
    if person is not None:
        request[PERSON] = person
        request[FORM_TOKEN] = hmac.digest(secret.encode(), b"form", hashlib.sha256).hex()


def _ask_to_sign_in(request: web.Request) -> web.StreamResponse:
    if "HX-Request" in request.headers:
        # A piece of a page must not become a sign-in page: the whole page goes there.
        return web.Response(status=401, headers={"HX-Redirect": "/login"})
    if request.method not in ("GET", "HEAD") or "text/event-stream" in request.headers.get(
        "Accept", ""
    ):
        raise web.HTTPUnauthorized(text="Sign in first.")
    location = URL("/login").with_query(next=safe_path(request.raw_path))
    return web.Response(status=303, headers={"Location": str(location)})


async def _end_own_session(request: web.Request, desk: Desk) -> None:
    secret = request.cookies.get(cookie_name(desk))
    if secret is not None:
        await end_session(desk.ledger, hash_secret(secret))
