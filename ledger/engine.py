"""One store: how it is opened, written and read.

A write is `BEGIN IMMEDIATE` (a deferred one that reads first fails at once with BUSY_SNAPSHOT when
another process has written) and, within a process, one at a time.
Committed means flushed: WAL with `synchronous=FULL`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from enum import Enum, auto
from functools import partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY, connect
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

BUSY_TIMEOUT_MS = 10_000
"""How long a write waits for another process; chunks of purge hold it under 100 ms."""

_READERS = 4

_CUT_S = 0.1
"""How long cutting the log waits for readers: writers wait for it."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "temp_store=MEMORY",
)

_Result = TypeVar("_Result")


class Where(Enum):
    """Where the rows of a transaction are written; it is always flushed in the store's thread."""

    THREAD = auto()
    LOOP = auto()
    """By the loop itself, where another process does not write just then: for a few dozen rows.
    In a thread each row has to wait for the interpreter twice, which costs more than the row."""


class Store:
    """One database, spool or ledger; open with migrations.open_store."""

    def __init__(self, url: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        """Prepare connections; nothing is opened until the first read or write."""
        self._writer = _sqlite_engine(url, 1, "BEGIN IMMEDIATE", busy_timeout_ms)
        self._readers = _sqlite_engine(url, _READERS, "BEGIN", busy_timeout_ms)
        self._batches = _batch_engine(url, busy_timeout_ms)
        self._hasty = _batch_engine(url, 0)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._turn = asyncio.Lock()
        self.fault: str | None = None
        """What the last transaction of mail failed of; None since one has been flushed."""
        self.file = sqlite_file(url)
        self._inode: int | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection of one transaction, durable when the block has ended well."""
        async with self._turn, self._writer.begin() as connection:
            yield connection

    async def transact(
        self, work: Callable[[Connection], _Result], where: Where = Where.THREAD
    ) -> _Result:
        """Return what `work` returns of one transaction, which is durable then.

        All of it runs in one thread: aiosqlite goes to its thread and back several times a
        statement, which for a batch costs three times the CPU and five times the wait.
        """
        async with self._turn:
            if where is Where.LOOP and (connection := self._begin_at_once()) is not None:
                return await self._write_here(connection, work)
            return await self._apart(self._in_transaction, work)

    def _in_transaction(self, work: Callable[[Connection], _Result]) -> _Result:
        with self._batches.begin() as connection:
            return work(connection)

    async def _write_here(
        self, connection: Connection, work: Callable[[Connection], _Result]
    ) -> _Result:
        try:
            result = work(connection)
            await self._apart(connection.commit)
        finally:
            connection.close()
        return result

    def _begin_at_once(self) -> Connection | None:
        """Begin a transaction; None where another process writes."""
        connection: Connection | None = None
        try:
            connection = self._hasty.connect()
            connection.begin()
        except OperationalError as error:
            if connection is not None:
                connection.close()
            if getattr(error.orig, "sqlite_errorcode", None) != SQLITE_BUSY:
                raise
            return None
        return connection

    async def _apart(self, call: Callable[..., _Result], *arguments: Any) -> _Result:  # noqa: ANN401 - the call's own
        """Run a call in the store's thread, to its end whoever is cancelled."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._thread, partial(call, *arguments))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with one unchanging view of the store."""
        async with self._readers.connect() as connection:
            yield connection

    def is_in_place(self) -> bool:
        """Tell whether the file of this name is still the one it was when this was first asked.

        What is written to a file that was taken away goes with it at the next start.
        """
        try:
            inode = self.file.stat().st_ino
        except FileNotFoundError:
            return False
        if self._inode is None:
            self._inode = inode
        return inode == self._inode

    async def reopen(self) -> None:
        """Drop the writing connections after a fault of the disk; the next write opens another."""
        async with self._turn:
            await self._writer.dispose()
            self._batches.dispose()
            self._hasty.dispose()
        await self.shrink()

    async def shrink(self, wait_s: float = _CUT_S) -> bool:
        """Bring the log into the file and cut it; False where readers do not let it so soon.

        SQLite leaves a log as long as it once was, 4 MB and more, which a full disk is short of;
        and in it what was erased since.
        """
        async with self._turn:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._cut_log, wait_s)

    def has_log(self) -> bool:
        """Tell whether anything stands in the log, be it in the file long since."""
        try:
            return self.file.with_name(f"{self.file.name}-wal").stat().st_size > 0
        except FileNotFoundError:
            return False

    def _cut_log(self, wait_s: float) -> bool:
        with suppress(SqliteError), closing(connect(self.file, timeout=wait_s)) as connection:
            busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return not busy
        return False

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        await self._readers.dispose()
        self._batches.dispose()
        self._hasty.dispose()
        self._thread.shutdown()


def sqlite_file(url: str) -> Path:
    """Return the file of a `sqlite+aiosqlite:///` URL."""
    return Path(make_url(url).database or ":memory:")


def _sqlite_engine(url: str, connections: int, begin: str, busy_timeout_ms: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": busy_timeout_ms / 1000},
    )

    _prepare(engine.sync_engine, begin)
    return engine


def _batch_engine(url: str, busy_timeout_ms: int) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="sqlite"),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": busy_timeout_ms / 1000, "check_same_thread": False},
    )
    _prepare(engine, "BEGIN IMMEDIATE")
    return engine


def _prepare(engine: Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: SqliteConnection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not sqlite3's late one
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
