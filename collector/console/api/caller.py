"""Who calls: the token of a request, and what it may do.

Law: a good token is never made to wait, however many bad ones come from where it comes from.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from collector.console.api.problem import ProblemError
from collector.console.desk import DESK, Desk
from collector.console.guard import client_of
from collector.console.throttle import Throttle
from ledger.api_tokens import ApiToken, find_api_token
from ledger.audit import Author
from ledger.role import Scope
from ledger.sessions import hash_secret

THROTTLE = web.AppKey("api_throttle", Throttle)
"""Of bad tokens, by client."""

# RFC 6750 3: the challenge; `error` only where a token was given.
_CHALLENGE = 'Bearer realm="indicia"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, when, and what a request is answered from."""

    request: web.Request
    desk: Desk
    token: ApiToken
    secret_hash: str
    now: datetime

    @property
    def author(self) -> Author:
        """As whom the audit log names him."""
        return Author(self.token.actor, self.now, self.desk.audit_key)

    async def is_known(self) -> bool:
        """Tell whether his token is still good."""
        return await find_api_token(self.desk.ledger, self.secret_hash) is not None


async def admit_caller(request: web.Request, scope: Scope) -> Caller:
    """Return who calls, if he may do what asks for this scope.  Raises ProblemError."""
    desk = request.app[DESK]
    secret = _secret_of(request)
    secret_hash = hash_secret(secret)
    token = await find_api_token(desk.ledger, secret_hash)
    if token is None:
        raise _refused(request)
    if scope is Scope.ADMIN and token.scope is not Scope.ADMIN:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "Nothing was done. This token reads and changes nothing; use one that was made with "
            "`indicia token create NAME --scope admin`.",
            headers={
                "WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="admin"'
            },
        )
    return Caller(request, desk, token, secret_hash, datetime.now(UTC))


def _secret_of(request: web.Request) -> str:
    # RFC 9110 11.1: the scheme has no case.  A token in the URL would stand in logs: not read.
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    raise ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "Nothing was done. This request has no token; make one with `indicia token create NAME "
        "--scope read` and send it as `Authorization: Bearer TOKEN`.",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def _refused(request: web.Request) -> ProblemError:
    throttle, name = request.app[THROTTLE], f"client {client_of(request)}"
    now = asyncio.get_running_loop().time()
    wait_s = throttle.wait_s(name, now)
    if wait_s > 0:
        return ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Nothing was done. Too many bad tokens have come from there; wait as long as "
            "Retry-After says, and use a token of `indicia token list`.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )
    throttle.count(name, now)
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "Nothing was done. Nobody has this token; it was revoked, or it is cut off. Make one with "
        "`indicia token create NAME --scope read`.",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
    )
