"""POOL: the connections to one upstream: how many, which are kept, and when to leave it alone.

An upstream that was not reached rests: no further connection is asked for, and when the rest is
over a single one is tried, so a dead upstream costs one attempt and not one for each mail.

Law: never more than `max_connections` are lent and kept together, and nobody is lent a connection
that was signed in for another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.deliver.connect import Access, ConnectError, SignInRefused, open_connection
from relay.deliver.rest import Rest
from relay.deliver.wire import Connection
from relay.mail import Credential


class Pool:
    """The connections to one upstream."""

    def __init__(self, access: Access) -> None:
        """Open nothing yet."""
        self._access = access
        self._timeouts = access.timeouts
        self._most = access.upstream.max_connections
        self._turns = asyncio.Semaphore(self._most)
        self._kept: list[Connection] = []
        self._lent = 0
        self._opening = 0
        self._allowed = 0
        """Where it refused one beside others: how many stood, until `_full_until`."""
        self._full_until = 0.0
        self._rest = Rest(access.timeouts)
        self._people: dict[Credential, Rest] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one of the `max_connections` is free to `lend`."""
        async with self._turns:
            yield

    @asynccontextmanager
    async def lend(self, credential: Credential | None = None) -> AsyncIterator[Connection]:
        """Give a kept connection, else a new one; take it back if it is clean, else close it.

        It is signed in with the credential; without one, as the configuration says.
        To be called within a turn.  Raises ConnectError.
        """
        connection = await self._next(credential)
        try:
            yield connection
        finally:
            self._lent -= 1
            self._keep(connection)
            self._changed.set()

    @property
    def resting(self) -> bool:
        """Whether a connection would be refused to anybody without being tried."""
        return self._why_not(None) is not None

    def rest(self, error: ConnectError) -> None:
        """Leave the upstream alone for a while, for it was not reached; `error` says why."""
        self._rest.begin(error, _now_s())

    def reached(self) -> None:
        """Note that mail is taken again."""
        self._rest.end()

    def close(self) -> None:
        """Close what is kept."""
        for connection in self._kept:
            connection.wire.quit(self._timeouts.quit_s)
        self._kept.clear()

    async def _next(self, credential: Credential | None) -> Connection:
        """Return a connection, which counts as lent."""
        refused: ConnectError | None = None
        while True:
            connection = self._take_kept(credential)
            if connection is None and refused is not None and not self._standing():
                self.rest(refused)
                raise refused
            if connection is None and not self._is_full():
                if (why := self._why_not(credential)) is not None:
                    raise why
                try:
                    connection = await self._open(credential)
                except ConnectError as error:
                    if credential is not None and isinstance(error, SignInRefused):
                        self._rest_of(credential).begin(error, _now_s())
                        raise
                    # Where others stand, it is their number that is refused: wait for one of them.
                    refused = error
                    self._allowed = self._lent + len(self._kept)
                    self._full_until = _now_s() + self._timeouts.full_s
                    continue
            if connection is not None:
                self._lent += 1
                return connection
            self._changed.clear()
            await self._changed.wait()

    def _take_kept(self, credential: Credential | None) -> Connection | None:
        for connection in reversed(self._kept):
            if connection.credential != credential:
                continue
            self._kept.remove(connection)
            if connection.wire.usable:
                return connection
            connection.wire.abort()
        return None

    def _standing(self) -> int:
        return self._lent + self._opening + len(self._kept)

    def _limit(self) -> int:
        """Return how many the upstream allows now, as far as it is known."""
        return max(self._allowed, 1) if _now_s() < self._full_until else self._most

    def _is_full(self) -> bool:
        return self._lent + self._opening >= self._limit()

    async def _open(self, credential: Credential | None) -> Connection:
        self._opening += 1
        try:
            # What is kept for others gives way; it has ended before the upstream counts this one.
            while self._kept and self._standing() > self._limit():
                await self._kept.pop(0).wire.leave(self._timeouts.quit_s)
            connection = await open_connection(self._access, credential)
        finally:
            self._opening -= 1
            self._changed.set()
        if credential is not None:
            self._people.pop(credential, None)
        return connection

    def _why_not(self, credential: Credential | None) -> ConnectError | None:
        trying, now_s = self._opening > 0, _now_s()
        person = None if credential is None else self._people.get(credential)
        return self._rest.why_not(now_s, trying=trying) or (
            None if person is None else person.why_not(now_s, trying=trying)
        )

    def _rest_of(self, credential: Credential) -> Rest:
        now_s = _now_s()
        for one in [one for one, rest in self._people.items() if rest.is_stale(now_s)]:
            del self._people[one]
        return self._people.setdefault(credential, Rest(self._timeouts))

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


def _now_s() -> float:
    return asyncio.get_running_loop().time()
