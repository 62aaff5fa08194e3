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
        self._full_until = 0.0
        self._returned = asyncio.Event()

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
            self._returned.set()

    def close(self) -> None:
        """Close what is kept."""
        for connection in self._kept:
            connection.wire.quit(self._timeouts.quit_s)
        self._kept.clear()

    async def _next(self) -> Connection:
        """Return a connection that counts as lent."""
        while True:
            while self._kept:
                connection = self._kept.pop()
                if connection.wire.usable:
                    self._lent += 1
                    return connection
                connection.wire.abort()
            if not self._lent or asyncio.get_running_loop().time() >= self._full_until:
                try:
                    return await self._open()
                except ConnectError:
                    # Where others stand, it is their number that is refused: wait for one of them.
                    if not self._lent and not self._kept:
                        raise
                    self._full_until = asyncio.get_running_loop().time() + self._timeouts.full_s
                    continue
            self._returned.clear()
            await self._returned.wait()

    async def _open(self) -> Connection:
        connection = await open_connection(
            self._upstream, self._hostname, self._contexts, self._timeouts
        )
        self._lent += 1
        return connection

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
