"""How the relay is reached: sockets, certificate, sign-in.

The parts of `accept` are built and joined here, for `app`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from config.settings import Settings
from ledger.address import matches_account
from ledger.engine import Store, sqlite_file
from ledger.room import has_room
from relay.accept.allowance import Allowance
from relay.accept.certificate import Certificate
from relay.accept.checks import Elsewhere, Users
from relay.accept.connection import Tls
from relay.accept.door import Door
from relay.accept.entrance import Entrance
from relay.accept.memory import Memory
from relay.accept.session import Session, Terms
from relay.accept.sign_in import SignIn
from relay.configured import upstreams_of
from relay.deliver.ask import check_credential
from relay.deliver.connect import ConnectError, TlsContexts, system_contexts
from relay.mail import Credential, Submission
from relay.reply import Reply
from relay.upstream import Timeouts, Upstream

TakeIn = Callable[[Submission], Coroutine[Any, Any, Reply]]

_CLIENTS_S = 10.0
"""How long clients may take to end a transaction when the relay is stopped."""

_BACKLOG = 512
"""Connections the kernel keeps for us while the loop is busy; asyncio's 100 is a burst."""

_HASHERS = 2
"""Passwords hashed at once, 64 MB each: some 20 a second, and the loop keeps its core."""

_ASKING = Timeouts(connect_s=10, open_s=20, command_s=20, quit_s=2)
"""Of an upstream that is asked for a person's credential: he waits for the answer."""

_HOUR_S = 3600.0


@asynccontextmanager
async def listen(
    settings: Settings, ledger: Store, take_in: TakeIn, sockets: Sequence[socket.socket] = ()
) -> AsyncIterator[tuple[int, ...]]:
    """Speak SMTP on `sockets`, else on `relay.listen`, while the block runs; give the ports.

    Raises OSError where an address can not be listened on, KeyFileError where certificate and key
    can not be used.
    """
    loop, door = asyncio.get_running_loop(), Door()
    servers: list[asyncio.Server] = []
    with ThreadPoolExecutor(_HASHERS, "password") as pool:
        terms = await _terms(settings, await _sign_in(settings, ledger, pool), take_in)
        new_session = partial(Session, terms, door, loop)
        proxies = settings.relay.trusted_proxies
        new_protocol = partial(Entrance, proxies, new_session, loop) if proxies else new_session
        try:
            for opened in sockets:
                server = await loop.create_server(new_protocol, sock=opened, backlog=_BACKLOG)
                servers.append(server)
            for endpoint in () if sockets else settings.relay.listen:
                server = await loop.create_server(
                    new_protocol, endpoint.host, endpoint.port, backlog=_BACKLOG
                )
                servers.append(server)
            yield tuple(server.sockets[0].getsockname()[1] for server in servers)
        finally:
            for server in servers:
                server.close()
            await door.empty(_CLIENTS_S)
            for server in servers:
                await server.wait_closed()


async def _terms(settings: Settings, sign_in: SignIn | None, take_in: TakeIn) -> Terms:
    relay = settings.relay
    most = relay.auth.max_recipients_per_hour
    return Terms(
        hostname=settings.server.hostname,
        trusted_networks=relay.trusted_networks,
        max_message_bytes=relay.max_message_bytes,
        max_recipients=relay.max_recipients,
        refuse_lone_lf=relay.bare_lf == "refuse",
        has_room=partial(has_room, sqlite_file(settings.database.spool_url).parent),
        take_in=take_in,
        tls=await asyncio.to_thread(_tls, settings),
        sign_in=sign_in,
        recipients=Allowance(most, _HOUR_S) if most else None,
        memory=Memory(relay.max_message_bytes),
    )


def _tls(settings: Settings) -> Tls | None:
    tls = settings.relay.tls
    if tls.certificate is None or tls.private_key is None:
        return None
    certificate = Certificate(tls.certificate, tls.private_key)
    return Tls(certificate.context, implicit=tls.mode == "implicit")


async def _sign_in(settings: Settings, ledger: Store, pool: ThreadPoolExecutor) -> SignIn | None:
    match settings.relay.auth.mode:
        case "none":
            return None
        case "users":
            return SignIn(Users(ledger, pool))
        case "upstream":
            contexts = await asyncio.to_thread(system_contexts)
            upstreams, hostname = upstreams_of(settings), settings.server.hostname
            return SignIn(Elsewhere(partial(_ask, upstreams, hostname, contexts)))


async def _ask(
    upstreams: tuple[Upstream, ...], hostname: str, contexts: TlsContexts, credential: Credential
) -> bool | None:
    """Return what the first upstream says that serves somebody and can be reached; else None.

    Nobody else is shown his password.
    """
    serving = [
        upstream
        for upstream in upstreams
        if any(matches_account(pattern, credential.username) for pattern in upstream.senders)
    ]
    for upstream in serving:
        try:
            return await check_credential(upstream, hostname, contexts, credential, _ASKING)
        except ConnectError:
            continue
    return None if serving else False
