"""CONNECT: greeting, EHLO, TLS and AUTH with an upstream.

aiosmtplib speaks until mail may be sent; then a Wire has its transport.

Law: no password and no mail goes over a connection that is less secured than `tls` demands,
whatever the peer offers or leaves out.
"""

import asyncio
import base64
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import aiosmtplib

from relay.deliver.wire import Connection, Wire, cleaned_text
from relay.mail import Credential
from relay.reply import Reply
from relay.upstream import Timeouts, TlsMode, Upstream

_WITH_TLS = ("plain", "login", "cram-md5")
_WITHOUT_TLS = ("cram-md5", "plain", "login")
"""Of what is offered the first is taken, and only that: a wrong password is tried once."""


_NO_JUDGEMENT = frozenset({500, 501, 502, 503, 504, 530, 538})


class ConnectError(Exception):
    """No mail can be sent now; `reply` says why, in words for the queue and the sender."""

    def __init__(self, reply: Reply) -> None:
        """Keep the reply."""
        super().__init__(str(reply))
        self.reply = reply


class SignInRefused(ConnectError):  # noqa: N818 - what happened, not who is to blame
    """The upstream was asked and does not take the credential."""


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """How peers are verified."""

    verified: ssl.SSLContext
    unverified: ssl.SSLContext


def system_contexts() -> TlsContexts:
    """Return contexts that trust the authorities of this machine (blocking: reads their files)."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return TlsContexts(ssl.create_default_context(), unverified)


async def open_connection(
    upstream: Upstream,
    hostname: str,
    contexts: TlsContexts,
    timeouts: Timeouts,
    credential: Credential | None = None,
) -> Connection:
    """Return a connection to an upstream, secured and signed in as it is configured.

    With a `credential` it is signed in with that and nothing else.

    Raises ConnectError, SignInRefused where the credential is not taken.
    """
    secrets: list[str] = []
    try:
        async with asyncio.timeout(timeouts.open_s):
            sock = await _open_socket(upstream, timeouts.connect_s)
            signs_in = bool(credential or upstream.username)
            smtp = _client(upstream, hostname, contexts, timeouts, signs_in=signs_in)
            await smtp.connect(sock=sock)
            try:
                if credential is None and upstream.username:
                    credential = await _own_credential(upstream)
                if credential is not None:
                    await _sign_in(smtp, upstream, credential, secrets)
                await _greet(smtp)
                return _taken_over(smtp, upstream)
            except BaseException:
                smtp.close()
                raise
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        kind = SignInRefused if _is_refused(error) else ConnectError
        raise kind(_reply_of(error, upstream, secrets)) from None


def _is_refused(error: Exception) -> bool:
    # RFC 4954 6: 454 and 432 are not for good, 530 and 538 are about the way and not the person,
    # and 500 to 504 (RFC 5321 4.2.4) say that the command is not known.
    return (
        isinstance(error, aiosmtplib.SMTPAuthenticationError)
        and error.code // 100 == 5  # noqa: PLR2004 - RFC 5321 4.2.1
        and error.code not in _NO_JUDGEMENT
    )


async def _open_socket(upstream: Upstream, timeout_s: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
    last: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(sock, address)
        except OSError as error:  # TimeoutError is one
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


def _client(
    upstream: Upstream, hostname: str, contexts: TlsContexts, timeouts: Timeouts, *, signs_in: bool
) -> aiosmtplib.SMTP:
    # A password needs a verified peer, so STARTTLS is no matter of opportunity where there is one.
    must_start = upstream.tls is TlsMode.STARTTLS or (
        upstream.tls is TlsMode.OPPORTUNISTIC and signs_in
    )
    verified = must_start or upstream.tls is TlsMode.IMPLICIT
    return aiosmtplib.SMTP(
        hostname=upstream.host,
        local_hostname=hostname,
        timeout=timeouts.command_s,
        use_tls=upstream.tls is TlsMode.IMPLICIT,
        # None is aiosmtplib's word for "where it is offered".
        start_tls=None if upstream.tls is TlsMode.OPPORTUNISTIC and not must_start else must_start,
        tls_context=contexts.verified if verified else contexts.unverified,
    )


async def _own_credential(upstream: Upstream) -> Credential:
    if upstream.password_file is None:
        msg = "no password_file is configured"
        raise aiosmtplib.SMTPException(msg)
    read = partial(upstream.password_file.read_text, encoding="utf-8")
    password = (await asyncio.to_thread(read)).split("\n")[0].rstrip("\r")
    return Credential(upstream.username, password)


async def _sign_in(
    smtp: aiosmtplib.SMTP, upstream: Upstream, credential: Credential, secrets: list[str]
) -> None:
    secrets += _spellings(credential)
    await _greet(smtp)
    methods = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
    liked = _WITHOUT_TLS if upstream.tls is TlsMode.NONE else _WITH_TLS
    method = next((name for name in liked if name in smtp.server_auth_methods), None)
    if method is None:
        msg = "it offers no AUTH with a password"
        raise aiosmtplib.SMTPException(msg)
    await methods[method](credential.username, credential.password)


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    if smtp.is_ehlo_or_helo_needed:
        try:
            await smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            # RFC 5321 3.2: a server that knows no EHLO is greeted the old way.
            await smtp.helo()


def _taken_over(smtp: aiosmtplib.SMTP, upstream: Upstream) -> Connection:
    transport = smtp.transport
    if transport is None or transport.is_closing():
        msg = "the connection was closed"
        raise aiosmtplib.SMTPServerDisconnected(msg)
    wire = Wire()
    transport.set_protocol(wire)
    wire.connection_made(transport)
    return Connection(wire, upstream.host, frozenset(smtp.esmtp_extensions))


def _reply_of(error: Exception, upstream: Upstream, secrets: Collection[str]) -> Reply:
    place = f"{upstream.host} port {upstream.port}"
    cause = error.__cause__
    match error, cause:
        case (ssl.SSLError(), _) | (_, ssl.SSLError()):
            failed = error if isinstance(error, ssl.SSLError) else cause
            return Reply(451, "4.7.5", f"TLS with {place} failed: {cleaned_text(str(failed))}")
        case aiosmtplib.SMTPAuthenticationError(), _:
            said = _without(secrets, f"{error.code} {cleaned_text(error.message)}")
            return Reply(454, "4.7.8", f"{place} refused the sign-in: {said}")
        case aiosmtplib.SMTPResponseException(), _:
            said = _without(secrets, f"{error.code} {cleaned_text(error.message)}")
            return Reply(451, "4.3.2", f"{place} does not serve us: {said}")
        case TimeoutError(), _:
            return Reply(451, "4.4.2", f"{place} did not answer in time")
        case aiosmtplib.SMTPException(), _ if not isinstance(error, OSError):
            said = _without(secrets, cleaned_text(str(error)))
            return Reply(451, "4.7.4", f"{place}: {said}")
        case _:
            said = _without(secrets, cleaned_text(str(error)))
            return Reply(451, "4.4.1", f"no connection to {place}: {said}")


def _spellings(credential: Credential) -> list[str]:
    """Return how the password looks on the wire."""
    password = credential.password
    plain = f"\0{credential.username}\0{password}".encode()
    return [password, *(base64.b64encode(raw).decode() for raw in (password.encode(), plain))]


def _without(secrets: Collection[str], text: str) -> str:
    # A peer that repeats what it was given must not bring it into logs and bounces.
    if any(secret and secret in text for secret in secrets):
        return "(withheld: it repeats the password)"
    return text
