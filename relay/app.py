"""The relay's wiring: the only place that builds its parts and joins them.

They end in the order of the way: no new mail comes in, what was read whole is stored, transactions
with upstreams end, and what is left lies in the spool.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from config.settings import Settings
from ledger.engine import sqlite_file
from ledger.keys import KeyRing
from ledger.migrate import Stores
from relay import conclude
from relay.accept.door import Door
from relay.accept.room import has_room
from relay.accept.session import Session, Terms
from relay.configured import policy_of, upstreams_of
from relay.deliver.connect import system_contexts
from relay.deliver.hop import NextHop
from relay.dispatch import Dispatch, DispatchSettings
from relay.forward import forward_facts
from relay.intake import Intake
from relay.retry import RetryTimes
from relay.signers import load_signers
from relay.spool import Spool

_CLIENTS_S = 10.0
"""How long clients may take to end a transaction when the relay is stopped."""

_UPSTREAMS_S = 15.0
"""How long transactions with upstreams may take then; with the clients' time it is under 30 s."""

_BACKLOG = 512
"""Connections the kernel keeps for us while the loop is busy; asyncio's 100 is a burst."""

_RESTART_S = 1.0
"""Before a part that broke is started again."""

_log = structlog.get_logger()


@asynccontextmanager
async def run_relay(
    settings: Settings, stores: Stores, keys: KeyRing
) -> AsyncIterator[tuple[int, ...]]:
    """Take mail on `relay.listen` and carry it out while the block runs; give the ports.

    Raises OSError where an address can not be listened on, KeyFileError where a key that signs
    can not be used.
    """
    # aiosmtpd logs addresses at info; what an operator counts is logged here.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    async with (
        _spooling(stores) as spool,
        _forwarding(stores, spool),
        _dispatching(settings, spool, keys),
        _listening(settings, _terms(settings, spool, keys)) as ports,
    ):
        yield ports


@asynccontextmanager
async def _spooling(stores: Stores) -> AsyncIterator[Spool]:
    spool = Spool(stores.spool)
    try:
        yield spool
    finally:
        await spool.close()


@asynccontextmanager
async def _forwarding(stores: Stores, spool: Spool) -> AsyncIterator[None]:
    forward = partial(forward_facts, stores.spool, stores.ledger, spool.owed)
    task = asyncio.create_task(_keep_running("forward", forward), name="relay.forward")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _dispatching(settings: Settings, spool: Spool, keys: KeyRing) -> AsyncIterator[None]:
    hops, told = await _hops(settings), await asyncio.to_thread(_dispatch_settings, settings)
    dispatch = Dispatch(spool, hops, keys, told)
    task = asyncio.create_task(_keep_running("dispatch", dispatch.run), name="relay.dispatch")
    try:
        yield
    finally:
        await dispatch.stop(_UPSTREAMS_S)
        await task


@asynccontextmanager
async def _listening(settings: Settings, terms: Terms) -> AsyncIterator[tuple[int, ...]]:
    loop, door = asyncio.get_running_loop(), Door()
    servers: list[asyncio.Server] = []
    try:
        for endpoint in settings.relay.listen:
            new_session = partial(Session, terms, door, loop)
            server = await loop.create_server(
                new_session, endpoint.host, endpoint.port, backlog=_BACKLOG
            )
            servers.append(server)
        yield tuple(server.sockets[0].getsockname()[1] for server in servers)
    finally:
        for server in servers:
            server.close()
        await door.empty(_CLIENTS_S)
        for server in servers:
            await server.wait_closed()


async def _keep_running(part: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a part until it ends by itself; what breaks it is logged, and it goes on."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001 - mail must not lie still because of one fault
            _log.exception("part.broken", part=part)
            await asyncio.sleep(_RESTART_S)
        else:
            return


def _terms(settings: Settings, spool: Spool, keys: KeyRing) -> Terms:
    intake = Intake(policy_of(settings), spool, keys.current.key_id)
    return Terms(
        hostname=settings.server.hostname,
        trusted_networks=settings.relay.trusted_networks,
        max_message_bytes=settings.relay.max_message_bytes,
        max_recipients=settings.relay.max_recipients,
        refuse_lone_lf=settings.relay.bare_lf == "refuse",
        has_room=partial(has_room, sqlite_file(settings.database.spool_url).parent),
        take_in=intake.take_in,
    )


async def _hops(settings: Settings) -> tuple[NextHop, ...]:
    upstreams = upstreams_of(settings)
    contexts = await asyncio.to_thread(system_contexts)
    hostname = settings.server.hostname
    return tuple(NextHop(upstream, hostname, contexts) for upstream in upstreams)


def _dispatch_settings(settings: Settings) -> DispatchSettings:
    retry = settings.retry
    times = RetryTimes(
        first_after_s=retry.first_after_s,
        max_after_s=retry.max_after_s,
        give_up_after_s=retry.give_up_after_s,
        delay_notice_after_s=retry.delay_notice_after_s,
    )
    terms = conclude.Terms(settings.server.hostname, times)
    return DispatchSettings(terms, retry.lease_s, load_signers(settings.dkim))
