"""The sign-in page: by a link that works once, or by address and password."""

import secrets
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from aiohttp import web

from collector.console.access import (
    SECRET_BYTES,
    SESSION_LIFE,
    cookie_name,
    safe_path,
)
from collector.console.desk import DESK, Desk
from collector.console.door import Wait
from collector.console.guard import client_of
from collector.console.page import render_page
from ledger.address import AddressError, parse_address
from ledger.audit import STRANGER, Author, SubjectKind, author_of, record_audit
from ledger.sessions import (
    Pass,
    end_session,
    find_sign_in_link,
    hash_secret,
    open_session,
    use_sign_in_link,
)

_NEXT_COOKIE = "indicia-next"
_NEXT_LIFE_S = 600

_OLD_LINK = "This link has been used already, or it is too old."
_WRONG = "This address and password do not sign anybody in."

_log = structlog.get_logger()


async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """Show the form, or the button that uses a link up.

    Programs that follow links press no buttons.
    """
    desk = request.app[DESK]
    code = request.query.get("code", "")
    person = await find_sign_in_link(desk.ledger, hash_secret(code), datetime.now(UTC))
    refused = bool(code) and person is None
    response = _page(
        request,
        HTTPStatus.FORBIDDEN if refused else HTTPStatus.OK,
        code=code,
        link_person=person,
        refused=_OLD_LINK if refused else "",
    )
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
    """Exchange a link, or an address and its password, for a new session; the one before ends."""
    form = await request.post()
    if "password" in form:
        return await _by_password(
            request, str(form.get("address", "")).strip(), str(form["password"])
        )
    return await _by_link(request, str(form.get("code", "")))


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End the session and go back to sign-in."""
    desk = request.app[DESK]
    await _end_own_session(request, desk)
    response = web.Response(status=303, headers={"Location": "/login"})
    response.del_cookie(cookie_name(desk), path="/", secure=desk.secure, samesite="Lax")
    return response


async def _by_link(request: web.Request, code: str) -> web.StreamResponse:
    desk = request.app[DESK]
    secret, session = _new_session()
    now = datetime.now(UTC)
    person = await use_sign_in_link(desk.ledger, hash_secret(code), session, now, desk.audit_key)
    if person is None:
        return _page(request, HTTPStatus.FORBIDDEN, refused=_OLD_LINK)
    return await _let_in(request, secret)


async def _by_password(request: web.Request, address: str, password: str) -> web.StreamResponse:
    desk = request.app[DESK]
    client = client_of(request)
    found = await desk.door.knock(address, password, client)
    if isinstance(found, Wait):
        response = _page(
            request,
            HTTPStatus.TOO_MANY_REQUESTS,
            address=address,
            refused=f"Too many tries. Wait {found.seconds} "
            f"{'second' if found.seconds == 1 else 'seconds'}, then try again.",
        )
        response.headers["Retry-After"] = str(found.seconds)
        return response
    secret, session = _new_session()
    if found is not None:
        author = author_of(found.key, datetime.now(UTC), desk.audit_key)
        if await open_session(desk.ledger, found, session, author) is not None:
            return await _let_in(request, secret)
    _log.warning("sign_in.refused", client=client)
    await _record_refusal(desk, address)
    return _page(request, HTTPStatus.FORBIDDEN, address=address, refused=_WRONG)


async def _record_refusal(desk: Desk, address: str) -> None:
    try:
        tried = parse_address(address).key
    except AddressError:
        tried = None
    author = Author(STRANGER, datetime.now(UTC), desk.audit_key)
    entry = author.entry("person.refused", SubjectKind.PERSON if tried else None, tried)
    async with desk.ledger.write() as connection:
        await record_audit(connection, entry)


async def _let_in(request: web.Request, secret: str) -> web.StreamResponse:
    desk = request.app[DESK]
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


def _new_session() -> tuple[str, Pass]:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return secret, Pass(hash_secret(secret), datetime.now(UTC) + SESSION_LIFE)


def _page(request: web.Request, status: HTTPStatus, **shown: object) -> web.Response:
    blank = {"code": "", "link_person": None, "refused": "", "address": ""}
    return render_page(request, "login.html", {**blank, **shown}, status)


async def _end_own_session(request: web.Request, desk: Desk) -> None:
    secret = request.cookies.get(cookie_name(desk))
    if secret is not None:
        await end_session(desk.ledger, hash_secret(secret))
