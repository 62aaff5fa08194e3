"""The collector's wiring: stores, keys and sockets around the way of a hit."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from aiohttp import web

from collector.answer import Answer
from collector.collect import Collect, Practice
from collector.journal import LEDGER_WAIT_MS, Journal
from collector.leaflet import Leaflet, Operator
from collector.networks import IpNetwork, client_address
from collector.permits import Bounds
from collector.read import Reader
from collector.recipient import MAX_FORM_BYTES, RecipientPage
from collector.request import Request
from collector.wishes import Places, Terms, Wishes
from config.settings import Settings
from ledger import schema
from ledger.engine import Store
from ledger.keys import KeyRing, load_audit_key
from ledger.migrate import Stores, open_store

IDLE_S = 30.0
"""How long a kept connection may be silent: mail programs fetch a mail's images at once."""

FORM_S = 10.0
"""How long a form may take to come in: it is a few hundred bytes."""

STOP_S = 5.0
"""How long requests under way may take at the end."""

_log = structlog.get_logger()


@asynccontextmanager
async def run_collector(
    settings: Settings, stores: Stores, keys: KeyRing
) -> AsyncIterator[tuple[int, ...]]:
    """Serve hits on `collector.listen` while the block runs; give the ports it listens on."""
    # Its own writer: a hit must not queue behind the others of this process.
    hasty = Store(settings.database.url, LEDGER_WAIT_MS)
    spill_file = settings.server.state_dir / "spill.db"
    spill = await open_store(f"sqlite+aiosqlite:///{spill_file}", schema.spill)
    wishes = Wishes(Places(spill, hasty, stores.spool), keys, _terms(settings))
    await wishes.recall()
    journal = Journal(stores.ledger, hasty, spill, keys, _bounds(settings, wishes))
    reader = Reader(keys.keys, journal.link_of)
    leaflet = Leaflet(Operator(settings.privacy.notice, settings.privacy.contact))
    page = RecipientPage(leaflet, reader, stores.ledger, keys, wishes)
    collect = Collect(_practice(settings, keys), journal, reader, page.receive)
    tasks = (
        asyncio.create_task(wishes.follow(), name="collector.wishes"),
        asyncio.create_task(journal.write_batches(), name="collector.journal"),
        asyncio.create_task(collect.classify_recorded(), name="collector.classify"),
    )
    runner = _runner(collect, settings.collector.trusted_proxies)
    await runner.setup()
    try:
        for endpoint in settings.collector.listen:
            await web.TCPSite(runner, endpoint.host, endpoint.port).start()
        yield tuple(address[1] for address in runner.addresses)
    finally:
        await runner.cleanup()
        wishes.stop()
        journal.stop()
        await asyncio.gather(*tasks)
        await spill.close()
        await hasty.close()


def _runner(collect: Collect, trusted: tuple[IpNetwork, ...]) -> web.ServerRunner:
    server = web.Server(
        _handler(collect, trusted),
        access_log=None,  # it would hold addresses
        logger=_quiet(),
        keepalive_timeout=IDLE_S,
    )
    return web.ServerRunner(server, shutdown_timeout=STOP_S)


def _practice(settings: Settings, keys: KeyRing) -> Practice:
    # From the oldest key, which is the same after a rotation.
    oldest = keys.keys[min(keys.keys)].secret
    secret = hashlib.blake2b(key=oldest[:64], person=b"indicia network").digest()
    return Practice(
        network_secret=secret,
        keep_network=settings.privacy.keep_network,
        own_networks=settings.privacy.own_networks,
        honour_gpc=settings.privacy.honour_gpc,
    )


def _bounds(settings: Settings, wishes: Wishes) -> Bounds:
    least, key = settings.tracking.anonymous_min, load_audit_key(settings.keys_dir)
    return Bounds(least, key, lambda: wishes.withdrawn)


def _terms(settings: Settings) -> Terms:
    base_url = settings.tracking.base_url
    return Terms(f"{base_url}/w/", base_url, load_audit_key(settings.keys_dir))


def _handler(
    collect: Collect, trusted: tuple[IpNetwork, ...]
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        asked = Request(
            method=request.method,
            target=request.raw_path,
            client=client_address(request.remote, forwarded, trusted),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await _form(request) if request.method == "POST" else b"",
        )
        try:
            return _response(await collect.take_request(asked))
        except Exception:
            _log.exception("request.failed")  # aiohttp answers 500, and its logger is quiet
            raise

    return handle


async def _form(request: web.BaseRequest) -> bytes:
    """Return the body of a request, as much of it as a form can have and as comes in time."""
    body = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(FORM_S):
            while len(body) <= MAX_FORM_BYTES and (
                more := await request.content.read(MAX_FORM_BYTES)
            ):
                body += more
    return body


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={**answer.headers, "Server": "indicia"},
    )


def _quiet() -> logging.Logger:
    """Return a logger that keeps aiohttp's complaints, which name the peer, out of the log."""
    logger = logging.getLogger("collector.http")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
