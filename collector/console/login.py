"""The sign-in page: by a link that works once, or by address and password."""

from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from aiohttp import web

from collector.console.access import cookie_name, safe_path
from collector.console.desk import DESK
from collector.console.door import Wait
from collector.console.entry import (
    NEXT_COOKIE,
    draw_door,
    end_own_session,
    let_in,
    new_session,
    record_refusal,
)
from collector.console.guard import client_of
from ledger.audit import author_of
from ledger.sessions import find_sign_in_link, hash_secret, open_session, use_sign_in_link

_NEXT_LIFE_S = 600

_OLD_LINK = "This link has been used already, or it is too old."
_NO_PASSWORDS = "No passwords are taken here. Use the button."
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
    response = draw_door(
        request,
        HTTPStatus.FORBIDDEN if refused else HTTPStatus.OK,
        code=code,
        link_person=person,
        refused=_OLD_LINK if refused else "",
    )
    if "next" in request.query:
        response.set_cookie(
            NEXT_COOKIE,
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
    await end_own_session(request)
    response = web.Response(status=303, headers={"Location": "/login"})
    response.del_cookie(cookie_name(desk), path="/", secure=desk.secure, samesite="Lax")
    return response


async def _by_link(request: web.Request, code: str) -> web.StreamResponse:
    desk = request.app[DESK]
    secret, session = new_session()
    now = datetime.now(UTC)
    person = await use_sign_in_link(desk.ledger, hash_secret(code), session, now, desk.audit_key)
    if person is None:
        return draw_door(request, HTTPStatus.FORBIDDEN, refused=_OLD_LINK)
    return await let_in(request, secret)


async def _by_password(request: web.Request, address: str, password: str) -> web.StreamResponse:
    desk = request.app[DESK]
    client = client_of(request)
    if desk.provider is not None and not desk.provider.oidc.passwords:
        return draw_door(request, HTTPStatus.FORBIDDEN, refused=_NO_PASSWORDS)
    found = await desk.door.knock(address, password, client)
    if isinstance(found, Wait):
        response = draw_door(
            request,
            HTTPStatus.TOO_MANY_REQUESTS,
            address=address,
            refused=f"Too many tries. Wait {found.seconds} "
            f"{'second' if found.seconds == 1 else 'seconds'}, then try again.",
        )
        response.headers["Retry-After"] = str(found.seconds)
        return response
    secret, session = new_session()
    if found is not None:
        author = author_of(found.key, datetime.now(UTC), desk.audit_key)
        if await open_session(desk.ledger, found, session, author) is not None:
            return await let_in(request, secret)
    _log.warning("sign_in.refused", client=client)
    await record_refusal(desk, address)
    return draw_door(request, HTTPStatus.FORBIDDEN, address=address, refused=_WRONG)
