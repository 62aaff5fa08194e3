"""The relay's wiring: the only place that builds its parts and joins them.

They end in the order of the way: no new mail comes in, what was read whole is stored, transactions
with upstreams end, and what is left lies in the spool.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

import structlog

from config.settings import Settings
from ledger.keys import KeyRing, load_audit_key
from ledger.lapsed import free_leases
from ledger.migrate import StoreError, Stores
from relay import conclude
from relay.batch import fresh_ident
from relay.clock import utc_now
from relay.configured import policy_of, upstreams_of
from relay.deliver.connect import system_contexts
from relay.deliver.hop import NextHop
from relay.dispatch import Dispatch, DispatchSettings
from relay.forward import Forwarder
from relay.intake import Intake
from relay.lessee import bury_dead, hold_name
from relay.listening import listen
from relay.post import Post
from relay.retry import RetryTimes
from relay.shrink import shrink_when_short
from relay.signers import load_signers
from relay.spool import Spool
from relay.standing import Standing
from relay.tend import Waits, tend_queue

_UPSTREAMS_S = 15.0
"""How long transactions with upstreams may take at the end; after those of clients, under 30 s."""

_RESTART_S = 1.0
"""Before a part that broke is started again."""

_log = structlog.get_logger()


@asynccontextmanager
async def run_relay(
    settings: Settings, stores: Stores, keys: KeyRing, sockets: Sequence[socket.socket] = ()
) -> AsyncIterator[tuple[int, ...]]:
    """Take mail and carry it out while the block runs; give the ports.

    It listens on `sockets` where there are any, else on `relay.listen`.
    Raises OSError where an address can not be listened on, KeyFileError where a key that signs, or
    the certificate and its key, can not be used.
    """
    # aiosmtpd logs addresses at info; what an operator counts is logged here.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    async with (
        _named(settings, stores) as lessee,
        _spooling(stores, lessee) as spool,
        _tending(settings, stores),
        _shrinking(stores),
        _forwarding(stores, spool),
        _posting(settings, stores, spool, keys),
        _standing(settings, stores) as standing,
        _dispatching(settings, spool, keys, standing),
        listen(settings, stores.ledger, _intake(spool, keys, standing).take_in, sockets) as ports,
    ):
        yield ports


@asynccontextmanager
async def _named(settings: Settings, stores: Stores) -> AsyncIterator[str]:
    """Give this process's name as a holder of leases, once those of the dead are free."""
    folder, now = settings.server.state_dir / "relays", utc_now()
    with ExitStack() as held:
        try:
            with bury_dead(folder) as dead:
                await _free_leases(stores, dead, now)
            lessee = held.enter_context(hold_name(folder, fresh_ident(now)))
        except OSError as error:
            msg = f"{folder} can not be used ({error.strerror}); let the relay write in state_dir"
            raise StoreError(msg) from error
        yield lessee


async def _free_leases(stores: Stores, dead: Sequence[str], now: datetime) -> None:
    if dead:
        copies = await stores.spool.transact(partial(free_leases, lessees=dead, now=now))
        _log.info("leases.freed", processes=len(dead), copies=copies)


@asynccontextmanager
async def _tending(settings: Settings, stores: Stores) -> AsyncIterator[None]:
    waits = Waits(settings.retry.max_after_s, settings.retry.lease_s)
    task = asyncio.create_task(tend_queue(stores.spool, waits), name="relay.tend")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _shrinking(stores: Stores) -> AsyncIterator[None]:
    shrink = partial(shrink_when_short, (stores.spool, stores.ledger))
    task = asyncio.create_task(_keep_running("shrink", shrink), name="relay.shrink")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _spooling(stores: Stores, lessee: str) -> AsyncIterator[Spool]:
    spool = Spool(stores.spool, lessee)
    try:
        yield spool
    finally:
        await spool.close()


@asynccontextmanager
async def _forwarding(stores: Stores, spool: Spool) -> AsyncIterator[None]:
    forward = partial(Forwarder(stores.spool, stores.ledger, spool.remembered).run, spool.owed)
    task = asyncio.create_task(_keep_running("forward", forward), name="relay.forward")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _posting(
    settings: Settings, stores: Stores, spool: Spool, keys: KeyRing
) -> AsyncIterator[None]:
    post = Post(stores.spool, spool, settings.server.hostname, keys.current.key_id)
    task = asyncio.create_task(_keep_running("post", post.run), name="relay.post")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _standing(settings: Settings, stores: Stores) -> AsyncIterator[Standing]:
    digest_key = load_audit_key(settings.keys_dir)
    standing = Standing(policy_of(settings), stores.spool, stores.ledger, digest_key)
    await standing.recall()
    task = asyncio.create_task(_keep_running("policy", standing.follow), name="relay.policy")
    try:
        yield standing
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _dispatching(
    settings: Settings, spool: Spool, keys: KeyRing, standing: Standing
) -> AsyncIterator[None]:
    hops = await _hops(settings)
    told = await asyncio.to_thread(_dispatch_settings, settings, standing)
    dispatch = Dispatch(spool, hops, keys, told)
    task = asyncio.create_task(_keep_running("dispatch", dispatch.run), name="relay.dispatch")
    try:
        yield
    finally:
        await dispatch.stop(_UPSTREAMS_S)
        await task


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


def _intake(spool: Spool, keys: KeyRing, standing: Standing) -> Intake:
    return Intake(lambda: standing.policy, spool, keys.current.key_id, keys.current)


async def _hops(settings: Settings) -> tuple[NextHop, ...]:
    upstreams = upstreams_of(settings)
    contexts = await asyncio.to_thread(system_contexts)
    hostname = settings.server.hostname
    return tuple(NextHop(upstream, hostname, contexts) for upstream in upstreams)


def _dispatch_settings(settings: Settings, standing: Standing) -> DispatchSettings:
    retry = settings.retry
    times = RetryTimes(
        first_after_s=retry.first_after_s,
        max_after_s=retry.max_after_s,
        give_up_after_s=retry.give_up_after_s,
        delay_notice_after_s=retry.delay_notice_after_s,
    )
    alone = all(upstream.signs_in for upstream in upstreams_of(settings))
    terms = conclude.Terms(settings.server.hostname, times, reports_as_sender=not alone)
    return DispatchSettings(
        terms, lambda: standing.policy, retry.lease_s, load_signers(settings.dkim)
    )
