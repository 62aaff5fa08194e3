"""CONNECT: greeting, EHLO, TLS and AUTH with an upstream.

aiosmtplib speaks until mail may be sent; then a Wire has its transport.

Law: no password and no mail goes over a connection that is less secured than `tls` demands,
whatever the peer offers or leaves out.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import aiosmtplib

from relay.deliver.oauth import TokenError, Tokens
from relay.deliver.sign_in import Bearer, External, Proof, own_proof, sign_in, spellings
from relay.deliver.wire import Connection, Wire, cleaned_text
from relay.mail import Credential
from relay.reply import Reply
from relay.upstream import ClientCertificate, Timeouts, TlsMode, Upstream

# RFC 4954 6: 530 and 538 are about the way and not the person, and 500 to 504 (RFC 5321 4.2.4)
# say that the command is not known.
_NO_JUDGEMENT = frozenset({500, 501, 502, 503, 504, 530, 538})


class ConnectError(Exception):
    """No mail can be sent now; `reply` says why, in words for the queue and the sender."""

    def __init__(self, reply: Reply) -> None:
        """Keep the reply."""
        super().__init__(str(reply))
        self.reply = reply


class SignInRefused(ConnectError):  # noqa: N818 - what happened, not who is to blame
    """The upstream was asked and does not take what we sign in with."""


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """How peers are verified."""

    verified: ssl.SSLContext
    unverified: ssl.SSLContext
    new_verified: Callable[[], ssl.SSLContext] = ssl.create_default_context
    """Makes another that verifies alike, to be given a certificate of ours."""


def system_contexts() -> TlsContexts:
    """Return contexts that trust the authorities of this machine (blocking: reads their files)."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return TlsContexts(ssl.create_default_context(), unverified)


@dataclass(frozen=True, slots=True)
class Access:
    """How one upstream is reached."""

    upstream: Upstream
    hostname: str
    """Our name in EHLO."""
    contexts: TlsContexts
    timeouts: Timeouts = field(default_factory=Timeouts)
    tokens: Tokens | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Keep tokens where the upstream is signed in to with them."""
        if (oauth := self.upstream.oauth) is not None:
            tokens = Tokens(oauth, self.contexts.verified, self.timeouts.token_s)
            object.__setattr__(self, "tokens", tokens)


async def open_connection(access: Access, credential: Credential | None = None) -> Connection:
    """Return a connection to an upstream, secured and signed in as it is configured.

    With a person's `credential` it is signed in with that and nothing else.

    Raises ConnectError, SignInRefused where we were not let in.
    """
    tokens = access.tokens
    if credential is not None or tokens is None or not tokens.is_kept():
        return await _open(access, credential)
    try:
        return await _open(access, None)
    except SignInRefused:
        # A token may be withdrawn before its time: what was refused is forgotten, so this is new.
        return await _open(access, None)


async def _open(access: Access, credential: Credential | None) -> Connection:
    upstream = access.upstream
    proof: Proof | None = credential
    try:
        async with asyncio.timeout(access.timeouts.open_s):
            proof = credential or await own_proof(upstream, access.tokens)
            context = await _context(access, proof)
            sock = await _open_socket(upstream, access.timeouts.connect_s)
            smtp = _client(access, context, at_will=proof is None)
            await smtp.connect(sock=sock)
            try:
                await _greet(smtp)
                if proof is not None:
                    await sign_in(smtp, upstream.tls, proof)
                return _taken_over(smtp, upstream, credential)
            except BaseException:
                smtp.close()
                raise
    except TokenError as error:
        raise ConnectError(Reply(451, "4.7.0", str(error))) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        refused = _is_refused(error)
        if refused and isinstance(proof, Bearer) and access.tokens is not None:
            access.tokens.forget(proof.token)
        kind = SignInRefused if refused else ConnectError
        raise kind(_reply_of(error, upstream, proof)) from None


def _is_refused(error: Exception) -> bool:
    # RFC 4954 6: 454 and 432 are not for good.
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


async def _context(access: Access, proof: Proof | None) -> ssl.SSLContext:
    upstream, contexts = access.upstream, access.contexts
    if isinstance(proof, External) and upstream.certificate is not None:
        return await asyncio.to_thread(_with_certificate, contexts, upstream.certificate)
    # A secret needs a verified peer, so where there is one opportunity is not enough.
    unverified = upstream.tls is TlsMode.OPPORTUNISTIC and proof is None
    return contexts.unverified if unverified else contexts.verified


def _with_certificate(contexts: TlsContexts, ours: ClientCertificate) -> ssl.SSLContext:
    context = contexts.new_verified()
    # Without a word for it OpenSSL would ask the terminal for the passphrase of a key that has one.
    context.load_cert_chain(ours.certificate_file, ours.private_key_file, password="")
    return context


def _client(access: Access, context: ssl.SSLContext, *, at_will: bool) -> aiosmtplib.SMTP:
    upstream = access.upstream
    at_will = at_will and upstream.tls is TlsMode.OPPORTUNISTIC
    must_start = upstream.tls in {TlsMode.STARTTLS, TlsMode.OPPORTUNISTIC}
    return aiosmtplib.SMTP(
        hostname=upstream.host,
        local_hostname=access.hostname,
        timeout=access.timeouts.command_s,
        use_tls=upstream.tls is TlsMode.IMPLICIT,
        # None is aiosmtplib's word for "where it is offered".
        start_tls=None if at_will else must_start,
        tls_context=context,
    )


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    if smtp.is_ehlo_or_helo_needed:
        try:
            await smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            # RFC 5321 3.2: a server that knows no EHLO is greeted the old way.
            await smtp.helo()


def _taken_over(
    smtp: aiosmtplib.SMTP, upstream: Upstream, credential: Credential | None
) -> Connection:
    transport = smtp.transport
    if transport is None or transport.is_closing():
        msg = "the connection was closed"
        raise aiosmtplib.SMTPServerDisconnected(msg)
    wire = Wire()
    transport.set_protocol(wire)
    wire.connection_made(transport)
    return Connection(wire, upstream.host, frozenset(smtp.esmtp_extensions), credential)


def _reply_of(error: Exception, upstream: Upstream, proof: Proof | None) -> Reply:
    place, secrets = f"{upstream.host} port {upstream.port}", spellings(proof)
    cause = error.__cause__
    match error, cause:
        case (ssl.SSLError(), _) | (_, ssl.SSLError()):
            failed = error if isinstance(error, ssl.SSLError) else cause
            return Reply(451, "4.7.5", f"TLS with {place} failed: {cleaned_text(str(failed))}")
        case aiosmtplib.SMTPAuthenticationError(), _:
            said = _without(secrets, f"{error.code} {cleaned_text(error.message)}")
            name = f" of {proof.username}" if proof is not None and proof.username else ""
            return Reply(454, "4.7.8", f"{place} refused the sign-in{name}: {said}")
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


def _without(secrets: Collection[str], text: str) -> str:
    # A peer that repeats what it was given must not bring it into logs and bounces.
    if any(secret and secret in text for secret in secrets):
        return "(withheld: it repeats the secret)"
    return text
