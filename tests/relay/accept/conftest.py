"""A listener whose hub is the test's, and who speaks to it."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from relay.accept.connection import Tls
from relay.accept.door import Door
from relay.accept.entrance import Entrance
from relay.accept.session import Session, Terms
from relay.mail import Submission
from relay.reply import Reply

GREETING = b"220 relay.test ESMTP\r\n"
OPENING = b"EHLO x\r\n"
ENVELOPE = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
PATIENCE_S = 5


@dataclass
class Speaker:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, said: bytes) -> None:
        self.writer.write(said)

    async def ask(self, said: bytes) -> bytes:
        """Say it and return the next line."""
        self.say(said)
        return await self.reader.readline()

    async def greet(self) -> list[str]:
        """Return what EHLO offers."""
        assert await self.reader.readline() == GREETING
        return await self.ehlo()

    async def ehlo(self) -> list[str]:
        """Say EHLO once more, and return what it offers."""
        self.say(OPENING)
        lines = (await self.reader.readuntil(b"250 ENHANCEDSTATUSCODES\r\n")).decode().splitlines()
        assert lines[0] == "250-relay.test"
        return [line[4:] for line in lines[1:]]

    async def address(self) -> None:
        """Go on until the content may be sent."""
        await self.greet()
        self.say(ENVELOPE + b"DATA\r\n")
        await self.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")

    async def secure(self, context: ssl.SSLContext) -> None:
        """Say STARTTLS and go on under TLS."""
        assert await self.ask(b"STARTTLS\r\n") == b"220 2.0.0 Ready to start TLS\r\n"
        await self.writer.start_tls(context, server_hostname="localhost")

    async def sign_in(self, username: str, password: str) -> str:
        """Say AUTH PLAIN and return the answer."""
        words = base64.b64encode(f"\0{username}\0{password}".encode())
        return (await self.ask(b"AUTH PLAIN " + words + b"\r\n")).decode().rstrip()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@dataclass
class Server:
    port: int
    door: Door
    sessions: list[Session] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)

    async def open(self, context: ssl.SSLContext | None = None) -> Speaker:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=context,
            server_hostname=None if context is None else "localhost",
        )
        return Speaker(reader, writer)

    async def take_in(self, submission: Submission) -> Reply:
        self.submissions.append(submission)
        return Reply(250, "2.0.0", f"OK {len(submission.raw)}")


@pytest.fixture
async def serve() -> Callable[..., Any]:
    @asynccontextmanager
    async def serving(
        take_in: Any = None,
        proxies: tuple[str, ...] = (),
        patience_s: float = PATIENCE_S,
        **options: Any,
    ) -> AsyncIterator[Server]:
        loop, door = asyncio.get_running_loop(), Door()
        server = Server(0, door)
        terms = Terms(
            **{
                "hostname": "relay.test",
                "trusted_networks": (ip_network("127.0.0.0/8"),),
                "max_message_bytes": 1_000_000,
                "max_recipients": 1000,
                "refuse_lone_lf": False,
                "has_room": lambda _: True,
                "take_in": take_in or server.take_in,
            }
            | options
        )

        def new_session() -> Session:
            server.sessions.append(Session(terms, door, loop))
            return server.sessions[-1]

        def new_entrance() -> Entrance:
            return Entrance(tuple(map(ip_network, proxies)), new_session, loop)

        listener = await loop.create_server(
            new_entrance if proxies else new_session, "127.0.0.1", 0
        )
        server.port = listener.sockets[0].getsockname()[1]
        try:
            async with asyncio.timeout(patience_s):
                yield server
        finally:
            listener.close()
            await door.empty(grace_s=1)
            await listener.wait_closed()

    return serving


@dataclass(frozen=True, slots=True)
class Files:
    certificate: Path
    private_key: Path
    client: ssl.SSLContext
    """Trusts it, for localhost."""
    tls: Tls


@pytest.fixture(scope="session")
def issue(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Files]:
    """Make files of a certificate for localhost, of one authority."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    def make() -> Files:
        folder = tmp_path_factory.mktemp("tls")
        leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        certificate, private_key = folder / "fullchain.pem", folder / "privkey.pem"
        certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        private_key.write_bytes(leaf.private_key_pem.bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return Files(certificate, private_key, client, Tls(lambda: context))

    return make


@pytest.fixture(scope="session")
def files(issue: Callable[[], Files]) -> Files:
    return issue()
