"""POOL: the connections to one upstream, how many, and which are kept.

Law: never more than `max_connections` are lent and kept together.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.connect import ConnectError, TlsContexts, open_connection
from relay.upstream import Timeouts, Upstream
from relay.wire import Connection


class Pool:
    """The connections to one upstream."""

    def __init__(
        self, upstream: Upstream, hostname: str, contexts: TlsContexts, timeouts: Timeouts
    ) -> None:
        """Open nothing yet."""
        self._upstream = upstream
        self._hostname = hostname
        self._contexts = contexts
        self._timeouts = timeouts
        self._turns = asyncio.Semaphore(upstream.max_connections)
        self._kept: list[Connection] = []
        self._lent = 0
        self._opening = 0
        self._full_until = 0.0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one of the `max_connections` is free to `lend`."""
        async with self._turns:
            yield

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Give a kept connection, else a new one; take it back if it is clean, else close it.

        To be called within a turn.  Raises ConnectError.
        """
        connection = await self._next()
        try:
            yield connection
        finally:
            self._lent -= 1
            self._keep(connection)
            self._changed.set()

    def close(self) -> None:
        """Close what is kept."""
        for connection in self._kept:
            connection.wire.quit(self._timeouts.quit_s)
        self._kept.clear()

    async def _next(self) -> Connection:
        """Return a connection, which counts as lent."""
        refused: ConnectError | None = None
        while True:
            connection = self._take_kept()
            if connection is None and not self._is_full():
                if refused is not None:
                    raise refused
                try:
                    connection = await self._open()
                except ConnectError as error:
                    # Where others stand, it is their number that is refused: wait for one of them.
                    refused = error
                    self._full_until = asyncio.get_running_loop().time() + self._timeouts.full_s
                    continue
            if connection is not None:
                self._lent += 1
                return connection
            self._changed.clear()
            await self._changed.wait()

    def _take_kept(self) -> Connection | None:
        while self._kept:
            connection = self._kept.pop()
            if connection.wire.usable:
                return connection
            connection.wire.abort()
        return None

    def _is_full(self) -> bool:
        others = self._lent + self._opening
        return others > 0 and asyncio.get_running_loop().time() < self._full_until

    async def _open(self) -> Connection:
        self._opening += 1
        try:
            return await open_connection(
                self._upstream, self._hostname, self._contexts, self._timeouts
            )
        finally:
            self._opening -= 1
            self._changed.set()

    def _keep(self, connection: Connection) -> None:
        if not connection.clean:
            connection.wire.abort()
        elif connection.wire.usable:
            self._kept.append(connection)
            asyncio.get_running_loop().call_later(
                self._timeouts.idle_s, self._expire, connection, connection.transactions
            )

    def _expire(self, connection: Connection, transactions: int) -> None:
        if connection in self._kept and connection.transactions == transactions:
            self._kept.remove(connection)
            connection.wire.quit(self._timeouts.quit_s)
