"""Builders that the tests of the relay share."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from ledger.address import Address, parse_address
from relay.deliver.connect import TlsContexts
from relay.deliver.hop import NextHop
from relay.mail import Envelope
from relay.upstream import Timeouts, TlsMode, Upstream

QUICK = Timeouts(
    connect_s=10,
    open_s=10,
    command_s=10,
    data_s=10,
    block_s=10,
    end_s=10,
    idle_s=10,
    quit_s=1,
    full_s=60,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that a fake upstream answered 250."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """As it was on the wire, without the full stop."""
    person: str = ""
    """Who was signed in."""


DROP = b"\0drop"
"""An answer that is none: the connection is cut."""
SILENCE = b"\0silence"
"""An answer that never comes."""

Say = bytes | Iterable[bytes] | Callable[[str], bytes]


@dataclass
class FakeUpstream:
    """A server that answers as it is told.

    `says` maps what it has read (`CONNECT`, a verb, `CONTENT` before the content, `.` after it) to
    an answer; to a list of answers that are used up one by one and then give way to the usual one;
    or to a function of the line.
    """

    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 50000000", "SMTPUTF8")
    says: dict[str, Say] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    password: tuple[str, str] | None = None
    people: dict[str, str] = field(default_factory=dict)
    """More who may sign in: names and passwords, or tokens."""
    after_starttls: bytes = b""
    """Sent in clear in the packet of the 220 to STARTTLS."""
    port: int = 0
    lines: list[str] = field(default_factory=list)
    """All commands of all connections, in order."""
    groups: list[int] = field(default_factory=list)
    """How many lines each read had in it."""
    taken: list[Taken] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    """Contents that came in whole, whatever was answered."""
    clear: bytes = b""
    """What came before TLS."""
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    signed_in: list[tuple[str, str]] = field(default_factory=list)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self.says = {at: list(x) if isinstance(x, list) else x for at, x in self.says.items()}
        self._server = await asyncio.start_server(
            self._serve,
            "127.0.0.1",
            self.port,
            limit=2**24,
            ssl=self.tls if self.implicit else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            while self.at_once:  # noqa: ASYNC110 - cut sessions end within a few turns of the loop
                await asyncio.sleep(0)
            for _ in range(5):  # so that the other side hears of it before the loop ends
                await asyncio.sleep(0)

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    @property
    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in self.lines]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            self.at_once -= 1


@dataclass
class _Session:
    server: FakeUpstream
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    begun: bool = False
    """MAIL was taken."""
    recipients: list[str] = field(default_factory=list)
    secured: bool = False
    person: str = ""

    async def run(self) -> None:
        await self.answer("CONNECT", "", b"220 fake ESMTP\r\n")
        while True:
            line = (await self.reader.readuntil(b"\r\n"))[:-2].decode()
            self.server.lines.append(line)
            if not self.secured:
                self.server.clear += line.encode() + b"\r\n"
            verb = line.split(" ")[0].upper()
            if not await self.command(verb, line):
                return

    async def command(self, verb: str, line: str) -> bool:
        match verb:
            case "EHLO":
                await self.answer(verb, line, self.ehlo())
            case "STARTTLS":
                await self.start_tls()
            case "AUTH":
                await self.auth(line)
            case "MAIL":
                said = await self.answer(verb, line, b"250 2.1.0 sender ok\r\n")
                self.begun = said.startswith(b"2")
                self.sender, self.recipients = _path(line), []
            case "RCPT":
                usual = b"250 2.1.5 recipient ok\r\n" if self.begun else b"503 5.5.1 MAIL first\r\n"
                said = await self.answer(verb, line, usual)
                if said.startswith(b"2"):
                    self.recipients.append(_path(line))
            case "DATA":
                usual = b"354 go on\r\n" if self.recipients else b"503 5.5.1 no recipients\r\n"
                said = await self.answer(verb, line, usual)
                if said.startswith(b"354"):
                    await self.content()
            case "QUIT":
                await self.answer(verb, line, b"221 2.0.0 bye\r\n")
                return False
            case _:
                await self.answer(verb, line, b"250 2.0.0 ok\r\n")
        return True

    def ehlo(self) -> bytes:
        words = list(self.server.extensions)
        if self.server.tls is not None and not self.secured and not self.server.implicit:
            words.append("STARTTLS")
        lines = ["fake greets you", *words]
        return "".join(
            f"250{'-' if number < len(lines) else ' '}{line}\r\n"
            for number, line in enumerate(lines, 1)
        ).encode()

    async def start_tls(self) -> None:
        said = await self.answer("STARTTLS", "", b"220 go on\r\n" + self.server.after_starttls)
        if said.startswith(b"220"):
            assert self.server.tls is not None
            await self.writer.start_tls(self.server.tls)
            self.secured = True

    async def auth(self, line: str) -> None:
        words = line.split(" ")
        match words[1]:
            case "PLAIN":
                _, *who = base64.b64decode(words[2]).decode().split("\0")
            case "XOAUTH2":
                user, bearer, _, _ = base64.b64decode(words[2]).decode().split("\1")
                who = [user.removeprefix("user="), bearer.removeprefix("auth=Bearer ")]
            case mechanism:
                assert mechanism == "EXTERNAL"
                who = [base64.b64decode(words[2].strip("=") and words[2]).decode(), ""]
        username, password = who
        good = (username, password) == self.server.password or (
            self.server.people.get(username) == password
        )
        usual = b"235 2.7.0 welcome\r\n" if good else b"535 5.7.8 no\r\n"
        if words[1] == "XOAUTH2" and not good:
            self.writer.write(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
            assert await self.reader.readuntil(b"\r\n") == b"\r\n"
        if (await self.answer("AUTH", line, usual)).startswith(b"235"):
            self.server.signed_in.append((username, password))
            self.person = username

    async def content(self) -> None:
        await self.answer("CONTENT", "", b"")
        raw = bytearray(b"\r\n")
        while not raw.endswith(b"\r\n.\r\n"):
            raw += await self.reader.readuntil(b"\r\n")
        self.server.received.append(bytes(raw[2:-3]))
        said = await self.answer(".", "", b"250 2.0.0 taken\r\n")
        if said.startswith(b"250 "):
            taken = Taken(self.sender, tuple(self.recipients), bytes(raw[2:-3]), self.person)
            self.server.taken.append(taken)

    async def answer(self, verb: str, line: str, usual: bytes) -> bytes:
        said = self.server.says.get(verb, usual)
        if isinstance(said, list):
            said = said.pop(0) if said else usual
        if callable(said):
            said = said(line)
        assert isinstance(said, bytes)
        if said == DROP:
            raise ConnectionResetError
        if said == SILENCE:
            await self.reader.read()
            raise ConnectionResetError
        if said:
            self.writer.write(said)
            await self.writer.drain()
        return said


def _path(line: str) -> str:
    return line[line.index("<") + 1 : line.rindex(">")]


@pytest.fixture
async def fake_upstream() -> AsyncIterator[Callable[..., object]]:
    """Start fake upstreams: `await fake_upstream(says={"DATA": b"451 later\\r\\n"})`."""
    started: list[FakeUpstream] = []

    async def start(**options: object) -> FakeUpstream:
        server = FakeUpstream(**options)  # type: ignore[arg-type] # the test names the fields
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates for one test run, and what trusts them."""

    contexts: TlsContexts
    good: ssl.SSLContext
    wrong_name: ssl.SSLContext
    expired: ssl.SSLContext
    unknown: ssl.SSLContext
    """Of another authority."""
    demanding: ssl.SSLContext
    """Of a server that wants a certificate of ours."""
    ours: trustme.LeafCert
    """That certificate, for relay.example."""


@pytest.fixture(scope="session")
def authority() -> Authority:
    known, other = trustme.CA(key_type=trustme.KeyType.ECDSA), trustme.CA()
    verified = ssl.create_default_context()
    known.configure_trust(verified)
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE

    def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def new_verified() -> ssl.SSLContext:
        context = ssl.create_default_context()
        known.configure_trust(context)
        return context

    demanding = server_context(known.issue_cert("localhost", "127.0.0.1"))
    demanding.verify_mode = ssl.CERT_REQUIRED
    known.configure_trust(demanding)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    return Authority(
        TlsContexts(verified, unverified, new_verified),
        good=server_context(known.issue_cert("localhost", "127.0.0.1")),
        wrong_name=server_context(known.issue_cert("other.example")),
        expired=server_context(known.issue_cert("localhost", "127.0.0.1", not_after=past)),
        unknown=server_context(other.issue_cert("localhost", "127.0.0.1")),
        demanding=demanding,
        ours=known.issue_cert("relay.example"),
    )


@pytest.fixture
async def next_hop(
    authority: Authority,
    fake_upstream: Callable[..., object],  # noqa: ARG001 - ends after this
) -> AsyncIterator[Callable[..., NextHop]]:
    """Build the way to a fake upstream: `next_hop(server, tls="starttls", max_connections=2)`."""
    built: list[NextHop] = []

    def build(
        server: FakeUpstream, *, tls: str = "none", timeouts: Timeouts = QUICK, **options: object
    ) -> NextHop:
        upstream = Upstream(
            "fake",
            host="127.0.0.1",
            port=server.port,
            tls=TlsMode(tls),
            **options,  # type: ignore[arg-type] # the test names the fields
        )
        hop = NextHop(upstream, "relay.example", authority.contexts, timeouts)
        built.append(hop)
        return hop

    yield build
    for hop in built:
        hop.close()


@pytest.fixture
def envelope() -> Callable[..., Envelope]:
    """Build an envelope: `envelope("b@example.org", "c@example.org", sender=None)`."""

    def build(
        *recipients: str, sender: str | None = "a@example.com", smtputf8: bool = False
    ) -> Envelope:
        some: tuple[Address, ...] = tuple(map(parse_address, recipients or ("b@example.org",)))
        return Envelope(None if sender is None else parse_address(sender), some, smtputf8)

    return build


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse\nsecond line\n", encoding="utf-8")
    return path
