"""How the collector is reached: sockets, connections, and aiohttp for the unusual request."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aiohttp import web

from collector.answer import NO_BODY, Answer
from collector.connection import Connection, Service
from collector.door import MAX_CONNECTIONS, SPARE_FILES, Door
from collector.networks import IpNetwork, client_address
from collector.recipient import MAX_FORM_BYTES
from collector.request import Request
from collector.wire import SERVER
from config.kinds import Endpoint

FORM_S = 10.0
"""How long a form may take to come in: it is a few hundred bytes."""

STOP_S = 5.0
"""How long requests under way may take at the end."""

LOOK_S = 1.0
"""How often it is looked who is waited for too long."""

_LINGER_S = 1.0
"""How long what an answered client still sends is read, lest it miss the answer for it."""

_BACKLOG = 2_048
"""Connections the kernel keeps for us while the loop is busy: half a second of the fastest rate."""

Take = Callable[[Request], Awaitable[Answer]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen."""

    endpoints: Sequence[Endpoint]
    trusted_proxies: tuple[IpNetwork, ...] = ()
    sockets: Sequence[socket.socket] = ()
    """What was opened for us already; then endpoints are not looked at."""


@asynccontextmanager
async def listen(place: Place, take: Take) -> AsyncIterator[tuple[int, ...]]:
    """Speak HTTP while the block runs; give the ports.

    Raises OSError where an address can not be listened on.
    """
    loop = asyncio.get_running_loop()
    door = Door(_most_connections(), loop.time)
    unusual = web.Server(
        _handler(take, place.trusted_proxies),
        access_log=None,  # it would hold addresses
        logger=_quiet(),
        lingering_time=_LINGER_S,
    )
    service = Service(take, unusual, place.trusted_proxies, door, loop)
    servers: list[asyncio.Server] = []
    looking = asyncio.create_task(_look_round(door), name="collector.door")
    try:
        for where in place.sockets or place.endpoints:
            servers.append(await _server(service, where))  # noqa: PERF401 - those before are closed
        yield tuple(server.sockets[0].getsockname()[1] for server in servers)
    finally:
        for server in servers:
            server.close()
        door.empty()
        if service.under_way:
            await asyncio.wait(service.under_way, timeout=STOP_S)
        await unusual.shutdown(STOP_S)
        door.empty()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _server(service: Service, where: socket.socket | Endpoint) -> asyncio.Server:
    def connection() -> Connection:
        return Connection(service)

    if isinstance(where, socket.socket):
        return await service.loop.create_server(connection, sock=where, backlog=_BACKLOG)
    return await service.loop.create_server(connection, where.host, where.port, backlog=_BACKLOG)


async def _look_round(door: Door) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        door.look_round()


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MAX_CONNECTIONS, files - SPARE_FILES))


def _handler(
    take: Take, trusted: tuple[IpNetwork, ...]
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST" and request.body_exists:
            return _response(NO_BODY)  # RFC 9110 9.3.1: a body of a GET has no meaning
        forwarded = request.headers.getall("X-Forwarded-For", ())
        asked = Request(
            method=request.method,
            target=request.raw_path,
            client=client_address(request.remote, forwarded, trusted),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await _form(request) if request.method == "POST" else b"",
        )
        try:
            return _response(await take(asked))
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
    response = web.Response(
        status=answer.status,
        body=answer.body,
        headers={**answer.headers, "Server": SERVER},
    )
    response.force_close()  # what comes after it would be waited for by nobody
    return response


def _quiet() -> logging.Logger:
    """Return a logger that keeps aiohttp's complaints, which name the peer, out of the log."""
    logger = logging.getLogger("collector.http")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
