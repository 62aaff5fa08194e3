"""SIGN IN: how we prove who we are, or who the person is whose mail it is.

Law: a secret is spoken only where the upstream offers a way to say it, once for each connection,
and what the upstream says is not passed on where it repeats it.
"""

import asyncio
import base64
from dataclasses import dataclass, field
from functools import partial

import aiosmtplib

from relay.deliver.oauth import Tokens
from relay.mail import Credential
from relay.upstream import TlsMode, Upstream

_WITH_TLS = ("plain", "login", "cram-md5")
_WITHOUT_TLS = ("cram-md5", "plain", "login")
"""Of what is offered the first is taken, and only that: a wrong password is tried once."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A name with an access token (XOAUTH2)."""

    username: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class External:
    """A name, or none, for which the certificate of the handshake speaks (RFC 4422 A)."""

    username: str


Proof = Credential | Bearer | External


async def own_proof(upstream: Upstream, tokens: Tokens | None) -> Proof | None:
    """Return with what we sign in ourselves; None: we do not.

    Raises TokenError, OSError and ValueError where a file can not be read, and
    aiosmtplib.SMTPException where there is nothing to sign in with.
    """
    if upstream.certificate is not None:
        return External(upstream.username)
    if not upstream.username:
        return None
    if tokens is not None:
        return Bearer(upstream.username, await tokens.token())
    if upstream.password_file is None:
        msg = "no password_file is configured"
        raise aiosmtplib.SMTPException(msg)
    read = partial(upstream.password_file.read_text, encoding="utf-8")
    password = (await asyncio.to_thread(read)).split("\n")[0].rstrip("\r")
    return Credential(upstream.username, password)


async def sign_in(smtp: aiosmtplib.SMTP, tls: TlsMode, proof: Proof) -> None:
    """Sign in over a connection that was greeted.

    Raises aiosmtplib.SMTPException, of which SMTPAuthenticationError is the upstream's answer.
    """
    match proof:
        case Credential(username, password):
            await _by_password(smtp, tls, username, password)
        case Bearer(username, token):
            if "xoauth2" not in smtp.server_auth_methods:
                msg = "it offers no AUTH XOAUTH2"
                raise aiosmtplib.SMTPException(msg)
            await smtp.auth_xoauth2(username, token)
        case External(username):
            # Where it is not offered the handshake itself has told who we are.
            if "external" in smtp.server_auth_methods:
                await _externally(smtp, username)


def spellings(proof: Proof | None) -> tuple[str, ...]:
    """Return how what is secret of a proof looks on the wire."""
    match proof:
        case Credential(username, secret):
            whole = f"\0{username}\0{secret}"
        case Bearer(username, secret):
            whole = f"user={username}\1auth=Bearer {secret}\1\1"
        case _:
            return ()
    return (secret, _base64(secret), _base64(whole))


async def _by_password(smtp: aiosmtplib.SMTP, tls: TlsMode, username: str, password: str) -> None:
    methods = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
    liked = _WITHOUT_TLS if tls is TlsMode.NONE else _WITH_TLS
    method = next((name for name in liked if name in smtp.server_auth_methods), None)
    if method is None:
        msg = "it offers no AUTH with a password"
        raise aiosmtplib.SMTPException(msg)
    await methods[method](username, password)


async def _externally(smtp: aiosmtplib.SMTP, username: str) -> None:
    # RFC 4954 4: an empty initial response is "=".
    name = _base64(username) if username else "="
    response = await smtp.execute_command(b"AUTH", b"EXTERNAL", name.encode())
    if response.code != 235:  # noqa: PLR2004 - RFC 4954 6
        raise aiosmtplib.SMTPAuthenticationError(response.code, response.message)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
