"""Who is let through: sessions, the tokens of forms, roles.

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
from collector.console.page import FORM_TOKEN, PERSON, SWITCHED_OFF
from collector.console.roles import may
from ledger.audit import Author
from ledger.engine import Store
from ledger.policies import is_tracking_on
from ledger.sessions import Pass, Person, find_session, hash_secret, keep_sign_in_link

LINK_LIFE = timedelta(hours=12)
"""A link is printed where Indicia is started; somebody uses it within the working day."""
SESSION_LIFE = timedelta(days=7)
"""Signing in weekly is bearable, and a lost machine is shut out within a week."""

PROVIDER_RETURN = "/login/callback"
"""Where the OpenID provider sends browsers back to; part of what is registered with it."""

SECRET_BYTES = 32
"""Of links and sessions: as many as nobody guesses."""

_OPEN = PROBES | {"/login", "/login/provider", PROVIDER_RETURN}
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


async def make_sign_in_link(ledger: Store, public_url: str, person: Person, author: Author) -> str:
    """Return a URL by which a person may sign in once, within LINK_LIFE.

    Only the hash of its secret is kept.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
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
async def require_role(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through where the person's role may use its route."""
    resource = request.match_info.route.resource
    # Without a resource it is nobody's route, and answered so; strangers get no further than OPEN.
    if resource is not None and PERSON in request:
        role = request[PERSON].role
        if not may(role, request.method, resource.canonical):
            raise web.HTTPForbidden(text=f"Your role, {role.value}, does not open this.")
    return await handler(request)


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
        async with desk.ledger.read() as connection:
            request[SWITCHED_OFF] = not await is_tracking_on(connection)
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
