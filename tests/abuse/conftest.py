"""What an attacker brings: sockets that say anything, and a relay of which nothing is mocked."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from ledger.keys import load_keys
from ledger.migrate import Stores, open_stores
from relay.accept.door import Door
from relay.accept.session import Session, Terms
from relay.app import run_relay
from relay.mail import Submission
from relay.reply import Reply

PATIENCE_S = 30


@dataclass
class Speaker:
    """A client that says what it likes, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int, address: str = "127.0.0.1") -> "Speaker":
        """Connect from one of this machine's addresses."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(*await asyncio.open_connection(sock=sock))

    def say(self, said: bytes) -> None:
        self.writer.write(said)

    async def reply(self) -> bytes:
        """Return the next whole reply; empty where the connection was closed."""
        async with asyncio.timeout(PATIENCE_S):
            lines = b""
            while line := await self.reader.readline():
                lines += line
                if line[3:4] != b"-":
                    return lines
        return b""

    async def ask(self, said: bytes) -> bytes:
        self.say(said)
        return await self.reply()

    async def greet(self) -> bytes:
        assert (await self.reply()).startswith(b"220 ")
        return await self.ask(b"EHLO client.test\r\n")

    async def address(self, sender: bytes, *recipients: bytes) -> bytes:
        """Say MAIL, RCPT and DATA in turn; return the last reply, 354 where all was taken."""
        lines = [b"MAIL FROM:<%s>" % sender, *(b"RCPT TO:<%s>" % one for one in recipients)]
        for line in (*lines, b"DATA"):
            said = await self.ask(line + b"\r\n")
            if not said.startswith((b"250 ", b"354 ")):
                return said
        return said

    async def rest(self) -> bytes:
        """Return all that comes until the connection is closed."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


@pytest.fixture(scope="session")
def speaker() -> type[Speaker]:
    return Speaker


@dataclass
class Desk:
    """The way in, with nothing behind it: what the sessions have taken."""

    port: int = 0
    door: Door = field(default_factory=Door)
    taken: list[Submission] = field(default_factory=list)
    new_session: Callable[[], Session] = lambda: None  # type: ignore[assignment,return-value] # set by the fixture

    async def take_in(self, submission: Submission) -> Reply:
        self.taken.append(submission)
        return Reply(250, "2.0.0", "OK")


OpenDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture(scope="session")
def open_desk() -> OpenDesk:
    """Serve sessions on a real socket: `async with open_desk(refuse_lone_lf=True) as desk`."""

    @asynccontextmanager
    async def serving(**options: Any) -> AsyncIterator[Desk]:
        desk, loop = Desk(), asyncio.get_running_loop()
        usual: dict[str, Any] = {
            "hostname": "relay.test",
            "trusted_networks": (ip_network("127.0.0.0/8"),),
            "max_message_bytes": 1_000_000,
            "max_recipients": 1000,
            "refuse_lone_lf": False,
            "has_room": lambda _: True,
            "take_in": desk.take_in,
        }
        terms = Terms(**usual | options)
        desk.new_session = lambda: Session(terms, desk.door, loop)
        server = await loop.create_server(desk.new_session, "127.0.0.1", 0)
        desk.port = server.sockets[0].getsockname()[1]
        try:
            yield desk
        finally:
            server.close()
            await desk.door.empty(grace_s=1)
            await server.wait_closed()

    return serving


@dataclass
class Sink:
    """An upstream that reads by the letter, and says what it is told to say."""

    port: int = 0
    says: dict[bytes, bytes] = field(default_factory=dict)
    """Answers other than the usual, by verb; `CONNECT`, and `.` for the answer to the content."""
    contents: list[bytes] = field(default_factory=list)
    """As they were on the wire, with the full stop."""
    lines: list[bytes] = field(default_factory=list)
    recipients: list[bytes] = field(default_factory=list)
    """Of every message that was taken."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        asked: list[bytes] = []
        writer.write(self.says.get(b"CONNECT", b"220 sink\r\n"))
        try:
            while True:
                line = await reader.readuntil(b"\r\n")
                self.lines.append(line)
                verb = line.split()[0].upper()
                usual = {
                    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n",
                    b"DATA": b"354 go on\r\n",
                }.get(verb, b"250 2.0.0 ok\r\n")
                said = self.says.get(verb, usual)
                writer.write(said)
                await writer.drain()
                if verb in {b"MAIL", b"RSET"}:
                    asked = []
                if verb == b"RCPT" and said.startswith(b"2"):
                    asked.append(line.partition(b"<")[2].rpartition(b">")[0])
                if verb == b"DATA" and said.startswith(b"354"):
                    self.contents.append(await _content(reader))
                    said = self.says.get(b".", b"250 2.0.0 taken\r\n")
                    self.recipients += asked if said.startswith(b"2") else []
                    writer.write(said)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def upstream(self) -> dict[str, object]:
        """The [[upstream]] that leads here."""
        return {"name": "sink", "host": "127.0.0.1", "port": self.port, "tls": "none"}


async def _content(reader: asyncio.StreamReader) -> bytes:
    first = await reader.readuntil(b"\r\n")
    return first if first == b".\r\n" else first + await _up_to_the_dot(reader)


async def _up_to_the_dot(reader: asyncio.StreamReader) -> bytes:
    lines = [b""]
    while lines[-1] != b".\r\n":
        lines.append(await reader.readuntil(b"\r\n"))
    return b"".join(lines)


OpenSink = Callable[..., AbstractAsyncContextManager[Sink]]


@pytest.fixture(scope="session")
def open_sink() -> OpenSink:
    """Serve an upstream: `async with open_sink({b"RCPT": b"550 no\\r\\n"}) as sink`."""

    @asynccontextmanager
    async def serving(says: dict[bytes, bytes] | None = None) -> AsyncIterator[Sink]:
        sink = Sink(says=says or {})
        server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 25)
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


async def _reached(wanted: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    async with asyncio.timeout(seconds):
        while not wanted():  # noqa: ASYNC110 - what is waited for is another program's doing
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def reached() -> Callable[..., Any]:
    """Wait until something holds: `await reached(lambda: sink.contents)`."""
    return _reached


RunRelay = Callable[..., AbstractAsyncContextManager[tuple[int, Stores]]]


@pytest.fixture
def relay(tmp_path: Path) -> RunRelay:
    """Run a whole relay in this process: `async with relay(upstream=[…]) as (port, stores)`."""

    @asynccontextmanager
    async def running(**options: Any) -> AsyncIterator[tuple[int, Stores]]:
        relay = {"listen": ["127.0.0.1:0"]} | options.pop("relay", {})
        server: Any = {"state_dir": tmp_path, "hostname": "relay.test"}
        settings = Settings(server=server, relay=relay, **options)
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        keys = load_keys(settings.keys_dir)
        try:
            async with run_relay(settings, stores, keys) as (port,):
                yield port, stores
        finally:
            await stores.close()

    return running
