"""Sign-in by the OpenID provider: there and back.

Law: who comes back is let in only by the browser in which he began.
"""

import asyncio
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from aiohttp import web

from collector.console.desk import DESK, Desk
from collector.console.entry import draw_door, let_in, new_session, record_refusal
from collector.console.guard import client_of
from collector.console.identity import Identity, Refusal, Refused, read_identity
from collector.console.provider import Provider
from collector.console.ticket import LIFE_S, Ticket, draw_ticket
from ledger.audit import PROVIDER, Author, author_of
from ledger.people import Account, add_account, find_account, set_role
from ledger.role import Role
from ledger.sessions import open_session

_TOLD: Mapping[Refusal, str] = {
    Refusal.NOT_BEGUN: "This sign-in was not begun in this browser, or too long ago. Begin again.",
    Refusal.UNREACHABLE: "{name} gives no answer that can be used. Try again in a minute; "
    "the log of Indicia says why.",
    Refusal.DENIED: "{name} did not let you in. Begin again, or ask who runs it.",
    Refusal.UNSOUND: "The answer of {name} does not hold, so nobody was let in. Begin again; "
    "the log of Indicia says why.",
    Refusal.UNVERIFIED: "{name} does not say that your mail address is verified. "
    "Have it verified there, then come again.",
    Refusal.NOT_OURS: "Your address or your groups at {name} are not among those let in here. "
    "Ask an admin of Indicia.",
    Refusal.NO_ACCOUNT: "No account here has your address, or it is disabled. "
    "Ask an admin of Indicia.",
}
"""What each refusal tells the person to do."""

_ERROR = re.compile(r"[a-z_]{1,40}")


async def begin_sign_in(request: web.Request) -> web.StreamResponse:
    """Send the browser to the provider, with a ticket to come back with."""
    desk, provider = _desk_of(request)
    ticket = draw_ticket()
    wait_s = _wait_s(request)
    if wait_s > 0:
        return _ask_to_wait(request, wait_s)
    place = await provider.begin(ticket)
    if isinstance(place, Refused):
        _count(request)
        return await _turn_away(request, place)
    response = web.Response(status=303, headers={"Location": str(place)})
    response.set_cookie(
        _cookie_name(desk),
        ticket.secret,
        max_age=LIFE_S,
        path="/",
        httponly=True,
        secure=desk.secure,
        # The way back is a link from the provider's site, which Strict would not count as ours.
        samesite="Lax",
    )
    return response


async def end_sign_in(request: web.Request) -> web.StreamResponse:
    """Let in whom the provider vouches for, or say why not; the ticket is used up either way."""
    desk, provider = _desk_of(request)
    wait_s = _wait_s(request)
    if wait_s > 0:
        return _ask_to_wait(request, wait_s)
    _count(request)
    response = await _arrive(request, desk, provider)
    if response.status == HTTPStatus.SEE_OTHER:
        desk.arrivals.uncount(_name_of(request))
    response.del_cookie(_cookie_name(desk), path="/", secure=desk.secure, samesite="Lax")
    return response


async def _arrive(request: web.Request, desk: Desk, provider: Provider) -> web.StreamResponse:
    identity = await _read_arrival(request, provider)
    if isinstance(identity, Refused):
        return await _turn_away(request, identity)
    account = await _find_or_make(desk, provider, identity)
    if isinstance(account, Account):
        secret, session = new_session()
        author = author_of(account.key, datetime.now(UTC), desk.audit_key)
        if await open_session(desk.ledger, account, session, author, "provider") is not None:
            return await let_in(request, secret)
        account = Refused(Refusal.NO_ACCOUNT, "the account has changed meanwhile")
    return await _turn_away(request, account, str(identity.address))


async def _read_arrival(request: web.Request, provider: Provider) -> Identity | Refused:
    """Return whom the provider vouches for in what the browser brings back."""
    query = request.query
    secret = request.cookies.get(_cookie_name(request.app[DESK]), "")
    ticket = Ticket(secret)
    if not secret or not ticket.owns(query.get("state", "")):
        return Refused(Refusal.NOT_BEGUN, "no ticket of this browser has the state")
    if "error" in query:
        # RFC 6749 4.1.2.1; it came through the browser, so it may be anything.
        word = query["error"] if _ERROR.fullmatch(query["error"]) else "something unreadable"
        return Refused(Refusal.DENIED, f"the provider says {word}")
    claims = await provider.identify(ticket, query.get("code", ""), query.get("iss"))
    return claims if isinstance(claims, Refused) else read_identity(claims, provider.oidc)


async def _find_or_make(desk: Desk, provider: Provider, identity: Identity) -> Account | Refused:
    """Return the account of an identity, with the role that its groups give it."""
    address, author = str(identity.address), Author(PROVIDER, datetime.now(UTC), desk.audit_key)
    account = await find_account(desk.ledger, address)
    if account is None and provider.oidc.create:
        await add_account(desk.ledger, Account(address, identity.role or Role.USER), author)
        account = await find_account(desk.ledger, address)
    if account is None:
        return Refused(Refusal.NO_ACCOUNT, "there is no account of this address")
    if account.disabled:
        return Refused(Refusal.NO_ACCOUNT, "the account is disabled")
    if identity.role in (None, account.role):
        return account
    await set_role(desk.ledger, address, identity.role, author)
    return await find_account(desk.ledger, address) or account


async def _turn_away(
    request: web.Request, refused: Refused, address: str = ""
) -> web.StreamResponse:
    desk, provider = _desk_of(request)
    log = structlog.get_logger()
    log.warning("sign_in.refused", client=client_of(request), by="provider", why=refused.why)
    await record_refusal(desk, address, {"by": "provider", "why": refused.refusal.value})
    told = _TOLD[refused.refusal].format(name=provider.oidc.name)
    return draw_door(request, HTTPStatus.FORBIDDEN, refused=told[:1].upper() + told[1:])


def _ask_to_wait(request: web.Request, wait_s: int) -> web.StreamResponse:
    told = (
        f"Too many tries. Wait {wait_s} {'second' if wait_s == 1 else 'seconds'}, then try again."
    )
    response = draw_door(request, HTTPStatus.TOO_MANY_REQUESTS, refused=told)
    response.headers["Retry-After"] = str(wait_s)
    return response


def _wait_s(request: web.Request) -> int:
    now = asyncio.get_running_loop().time()
    return math.ceil(request.app[DESK].arrivals.wait_s(_name_of(request), now))


def _count(request: web.Request) -> None:
    request.app[DESK].arrivals.count(_name_of(request), asyncio.get_running_loop().time())


def _name_of(request: web.Request) -> str:
    return f"client {client_of(request)}"


def _desk_of(request: web.Request) -> tuple[Desk, Provider]:
    desk = request.app[DESK]
    if desk.provider is None:
        raise web.HTTPSeeOther(location="/login")
    return desk, desk.provider


def _cookie_name(desk: Desk) -> str:
    # As access.cookie_name: with __Host- nobody else's subdomain can give the browser a ticket.
    return "__Host-indicia-ticket" if desk.secure else "indicia-ticket"
