"""A whole relay, clients that submit to it, and an upstream that fails as the dice have it."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from config.settings import Settings
from ledger.keys import load_keys
from ledger.migrate import Stores, open_stores
from ledger.schema import spooled_copies
from relay.app import run_relay

PATIENCE_S = 60


class CutError(Exception):
    """The upstream cuts the connection."""


@dataclass
class FaultySink:
    """An upstream that keeps all it was given, and fails with the probabilities it is told.

    `faults` maps a kind to a probability for each occasion: `connect4`, `mail4`, `rcpt4`, `rcpt5`,
    `data4`, `data5`, `dot4`, `dot5`, `drop-at-rcpt`, `drop-in-data`, `drop-after-dot`, `close421`,
    `slow` (for 0.2 s).  What is refused for ever stays refused: by recipient for `rcpt5`.
    """

    faults: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    lax: bool = False
    """Recipients are taken though MAIL was refused: a broken server, and there are some."""
    port: int = 0
    answered: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By recipient: contents for which 250 was said."""
    unanswered: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By recipient: contents that came in whole, and the connection was cut."""
    refused: set[str] = field(default_factory=set)
    """To whom 5xx was said, at any point."""
    reports: list[bytes] = field(default_factory=list)
    """Contents from the null sender that were answered 250."""
    happened: Counter[str] = field(default_factory=Counter)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random)

    def happens(self, kind: str) -> bool:
        hit = self.dice.random() < self.faults.get(kind, 0)
        self.happened[kind] += hit
        return hit

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            await FaultyTalk(self, reader, writer).run()
        except (CutError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    @property
    def upstream(self) -> dict[str, Any]:
        return {"name": "sink", "host": "127.0.0.1", "port": self.port, "tls": "none"}


@dataclass
class FaultyTalk:
    """One connection to it."""

    sink: FaultySink
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str | None = None
    """Empty for the null sender; None: there is no transaction."""
    asked: list[str] = field(default_factory=list)

    async def say(self, line: bytes) -> None:
        self.writer.write(line + b"\r\n")
        await self.writer.drain()

    async def run(self) -> None:
        if self.sink.happens("connect4"):
            await self.say(b"421 4.3.2 not now")
            return
        await self.say(b"220 sink")
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode()
            if self.sink.happens("close421"):
                await self.say(b"421 4.3.2 going down")
                return
            if self.sink.happens("slow"):
                await asyncio.sleep(0.2)
            match line[:4].upper():
                case "EHLO":
                    await self.say(b"250-sink\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8")
                case "MAIL":
                    await self.mail(line)
                case "RCPT":
                    await self.recipient(line.partition("<")[2].rpartition(">")[0])
                case "DATA":
                    await self.data()
                case "QUIT":
                    await self.say(b"221 bye")
                    return
                case _:
                    self.sender, self.asked = None, []
                    await self.say(b"250 ok")

    async def mail(self, line: str) -> None:
        refused = self.sink.happens("mail4")
        named = line.partition("<")[2].partition(">")[0]
        self.sender, self.asked = (None if refused and not self.sink.lax else named), []
        await self.say(b"450 4.3.0 mail" if refused else b"250 2.1.0 ok")

    async def recipient(self, name: str) -> None:
        sink = self.sink
        if sink.happens("drop-at-rcpt"):
            raise CutError
        if self.sender is None:
            await self.say(b"503 5.5.1 no MAIL")
        elif self.sender and (name in sink.refused or sink.happens("rcpt5")):
            sink.refused.add(name)
            await self.say(b"550 5.1.1 no such user")
        elif sink.happens("rcpt4"):
            await self.say(b"450 4.2.1 mailbox busy")
        else:
            self.asked.append(name)
            await self.say(b"250 2.1.5 ok")

    async def data(self) -> None:
        sink = self.sink
        if not self.asked:
            return await self.say(b"503 5.5.1 no recipients")
        if sink.happens("data4"):
            return await self.say(b"451 4.3.0 data")
        if self.sender and sink.happens("data5"):
            sink.refused.update(self.asked)
            return await self.say(b"554 5.6.0 data")
        await self.say(b"354 go on")
        if sink.happens("drop-in-data"):
            await self.reader.read(100)
            raise CutError
        return await self.content()

    async def content(self) -> None:
        sink, lines = self.sink, [b""]
        while lines[-1] != b".\r\n":
            lines.append(await self.reader.readuntil(b"\r\n"))
        content = b"".join(lines)
        if sink.happens("drop-after-dot"):
            for name in self.asked:
                sink.unanswered[name].append(content)
            raise CutError
        if sink.happens("dot4"):
            return await self.say(b"451 4.3.0 dot")
        if self.sender and sink.happens("dot5"):
            sink.refused.update(self.asked)
            return await self.say(b"554 5.7.1 dot")
        for name in self.asked:
            sink.answered[name].append(content)
        if self.sender == "":
            sink.reports.append(content)
        return await self.say(b"250 2.0.0 kept")


OpenSink = Callable[..., AbstractAsyncContextManager[FaultySink]]


@pytest.fixture(scope="session")
def open_sink() -> OpenSink:
    """Serve an upstream: `async with open_sink({"rcpt4": 0.1}, seed=7) as sink`."""

    @asynccontextmanager
    async def serving(
        faults: dict[str, float] | None = None, seed: int = 1, *, lax: bool = False
    ) -> AsyncIterator[FaultySink]:
        sink = FaultySink(faults or {}, seed, lax, dice=random.Random(seed))
        server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 20)
        sink.port = server.sockets[0].getsockname()[1]
        try:
            yield sink
        finally:
            server.close()
            for writer in sink.writers:
                writer.transport.abort()
            await asyncio.sleep(0.01)  # so that its sessions end before the loop does
            await server.wait_closed()

    return serving


RunRelay = Callable[..., AbstractAsyncContextManager[tuple[int, Stores]]]


@pytest.fixture
def relay(tmp_path: Path) -> RunRelay:
    """Run a whole relay in this process: `async with relay(upstream=[…]) as (port, stores)`."""

    @asynccontextmanager
    async def running(**options: Any) -> AsyncIterator[tuple[int, Stores]]:
        server: Any = {"state_dir": tmp_path, "hostname": "relay.test"}
        usual: dict[str, Any] = {
            "relay": {"listen": ["127.0.0.1:0"]},
            "retry": {"first_after_s": 1, "max_after_s": 2},
            "tracking": {"unknown_consent": "individual"},
        }
        settings = Settings(server=server, **usual | options)
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        keys = load_keys(settings.keys_dir)
        try:
            async with run_relay(settings, stores, keys) as (port,):
                yield port, stores
        finally:
            await stores.close()

    return running


@dataclass
class Client:
    """A mail program on one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            while (line := await self.reader.readline())[3:4] == b"-":
                pass
        return line

    async def ask(self, said: bytes) -> bytes:
        self.writer.write(said)
        return await self.reply()

    async def submit(self, sender: str, recipients: list[str], raw: bytes) -> bytes:
        """Send one mail and return the last reply."""
        said = [await self.ask(f"MAIL FROM:<{sender}>\r\n".encode())]
        self.writer.write("".join(f"RCPT TO:<{one}>\r\n" for one in recipients).encode())
        said += [await self.reply() for _ in recipients]
        assert all(line.startswith(b"250 ") for line in said), said
        assert (await self.ask(b"DATA\r\n")).startswith(b"354 ")
        return await self.ask(raw + b".\r\n")


@pytest.fixture(scope="session")
def connect() -> Callable[[int], AbstractAsyncContextManager[Client]]:
    """Greet a relay: `async with connect(port) as client`."""

    @asynccontextmanager
    async def connected(port: int) -> AsyncIterator[Client]:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        try:
            assert (await client.reply()).startswith(b"220 ")
            assert (await client.ask(b"EHLO client.test\r\n")).startswith(b"250 ")
            yield client
        finally:
            client.writer.close()

    return connected


@pytest.fixture(scope="session")
def drained() -> Callable[..., Any]:
    """Wait until nothing is in the spool: `await drained(stores, seconds=60)`."""

    async def wait(stores: Stores, seconds: float = PATIENCE_S) -> None:
        async with asyncio.timeout(seconds):
            while await queued(stores):  # noqa: ASYNC110 - it looks into a database
                await asyncio.sleep(0.1)

    return wait


async def queued(stores: Stores) -> int:
    """How many copies are still on their way; what is dead is kept for people to see."""
    on_their_way = select(func.count()).where(spooled_copies.c.fate.is_(None))
    async with stores.spool.read() as connection:
        return int(await connection.scalar(on_their_way) or 0)


@pytest.fixture(scope="session")
def count_queued() -> Callable[[Stores], Any]:
    """Return how many copies are not settled."""
    return queued
