"""One HTTP connection: plain requests for what is here, all others for aiohttp.

Law: requests on a connection are answered one after the other, in their order.
A request that is not plain (`head`) is the last of its connection: aiohttp has it from there on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import time
from typing import cast

import structlog
from aiohttp import web

from collector.answer import FAULT, Answer
from collector.door import HEAD_S, IDLE_S, LEFT_S, Door
from collector.head import MAX_BYTES, Head, read_head
from collector.networks import IpNetwork, client_address
from collector.request import Request
from collector.wire import write_answer

_END = b"\r\n\r\n"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a process share."""

    take: Callable[[Request], Awaitable[Answer]]
    elsewhere: web.Server
    """Serves one unusual request and closes."""
    trusted: tuple[IpNetwork, ...]
    door: Door
    loop: asyncio.AbstractEventLoop
    under_way: set[asyncio.Task[None]] = field(default_factory=set)


class Connection(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_answering",
        "_elsewhere",
        "_ended",
        "_idle",
        "_peer",
        "_service",
        "_task",
        "_transport",
        "_unread",
    )

    _transport: asyncio.Transport
    _task: asyncio.Task[None]

    def __init__(self, service: Service) -> None:
        """Wait for connection_made."""
        self._service = service
        self._unread = b""
        self._answering = False
        self._idle = False
        self._ended = False
        self._elsewhere: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        peer = transport.get_extra_info("peername")
        self._peer: str | None = peer[0] if isinstance(peer, tuple) else None
        self._service.door.enter(self)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        if self._elsewhere is not None:
            self._elsewhere.data_received(data)
            return
        if self._idle:
            self._idle = False
            self._service.door.await_from(self, HEAD_S)
        self._unread += data
        if not self._answering:
            self._read()
        elif len(self._unread) > MAX_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep the way back open: some send their request and nothing more, and want the answer."""
        if self._elsewhere is not None:
            return bool(self._elsewhere.eof_received())
        self._ended = True
        return self._answering

    def pause_writing(self) -> None:
        """Tell aiohttp; answers of our own are smaller than what the kernel holds."""
        if self._elsewhere is not None:
            self._elsewhere.pause_writing()

    def resume_writing(self) -> None:
        """Tell aiohttp."""
        if self._elsewhere is not None:
            self._elsewhere.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it; what is being recorded is recorded."""
        self._service.door.leave(self)
        if self._elsewhere is not None:
            self._elsewhere.connection_lost(error)

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def _read(self) -> None:
        end = self._unread.find(_END)
        if end < 0 and len(self._unread) <= MAX_BYTES and b"\n\n" not in self._unread:
            return
        raw = self._unread[: end + len(_END)]
        head = None if end < 0 else read_head(raw)
        if head is None:
            self._hand_over()
            return
        self._unread = self._unread[len(raw) :]
        self._answering = True
        service = self._service
        service.door.answer(self)
        self._task = service.loop.create_task(self._answer(head))
        service.under_way.add(self._task)

    async def _answer(self, head: Head) -> None:
        forwarded = head.headers.get("x-forwarded-for")
        asked = Request(
            method="GET",
            target=head.target,
            client=client_address(
                self._peer, () if forwarded is None else (forwarded,), self._service.trusted
            ),
            headers=head.headers,
        )
        stays = head.stays
        try:
            answer = await self._service.take(asked)
        except Exception:  # noqa: BLE001 - house style 29: one request; logged, the others go on
            _log.exception("request.failed")
            answer, stays = FAULT, False
        transport = self._transport
        self._service.under_way.discard(self._task)
        if transport.is_closing():
            return
        transport.write(write_answer(answer, time(), stays=stays))
        if not stays or self._ended:
            if transport.get_write_buffer_size():
                self._service.door.await_from(self, HEAD_S)  # until it has taken the answer
            transport.close()
            return
        self._answering = False
        self._idle = not self._unread
        self._service.door.await_from(self, IDLE_S if self._idle else HEAD_S)
        transport.resume_reading()
        if self._unread:
            self._read()

    def _hand_over(self) -> None:
        self._service.door.await_from(self, LEFT_S)
        self._elsewhere = self._service.elsewhere()
        self._elsewhere.connection_made(self._transport)
        raw, self._unread = self._unread, b""
        self._elsewhere.data_received(raw)
