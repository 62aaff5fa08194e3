"""POOL: the connections to one upstream: how many, which are kept, and when to leave it alone.

An upstream that was not reached rests: no further connection is asked for, and when the rest is
over a single one is tried, so a dead upstream costs one attempt and not one for each mail.

Law: never more than `max_connections` are lent and kept together.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.deliver.connect import ConnectError, TlsContexts, open_connection
from relay.deliver.wire import Connection
from relay.upstream import Timeouts, Upstream


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
        self._rest_until = 0.0
        self._rests = 0
        self._refused: ConnectError | None = None
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

    @property
    def resting(self) -> bool:
        """Whether a connection would be refused without being tried."""
        return self._refused is not None and (
            self._opening > 0 or asyncio.get_running_loop().time() < self._rest_until
        )

    def rest(self, error: ConnectError) -> None:
        """Leave the upstream alone for a while, for it was not reached; `error` says why."""
        now_s = asyncio.get_running_loop().time()
        if self._refused is None or now_s >= self._rest_until:
            rest_s = self._timeouts.first_rest_s * 2.0 ** min(self._rests, 30)
            self._rest_until = now_s + min(rest_s, self._timeouts.last_rest_s)
            self._rests += 1
        self._refused = error

    def reached(self) -> None:
        """Note that mail is taken again."""
        self._refused, self._rests = None, 0

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
            if connection is None and refused is not None and not self._others():
                self.rest(refused)
                raise refused
            if connection is None and not self._is_full():
                if self.resting and self._refused is not None:
                    raise self._refused
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

    def _others(self) -> int:
        return self._lent + self._opening

    def _is_full(self) -> bool:
        return self._others() > 0 and asyncio.get_running_loop().time() < self._full_until

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
