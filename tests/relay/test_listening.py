"""The relay's front as it is configured, on the event loop it runs on."""

import asyncio
import smtplib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from config.settings import Settings
from ledger.audit import Author
from ledger.keys import KeyFileError
from ledger.migrate import Stores, open_stores
from ledger.password import hash_password
from ledger.people import Account, Role, add_account
from relay.listening import listen
from relay.mail import Credential, Submission
from relay.reply import Reply

PATIENCE_S = 20
PASSWORD = "correct horse battery"
V2_CLIENT = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
    + socket.inet_aton("203.0.113.9")
    + socket.inet_aton("127.0.0.1")
    + struct.pack(">HH", 4000, 465)
)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on each loop: asyncio's is the tests', uvloop's is the product's."""

    async def bounded(going: Coroutine[Any, Any, None]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await going

    def run(going: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded(going))

    return run


@dataclass
class Front:
    """A relay's front whose hub is the test's."""

    folder: Path
    client: ssl.SSLContext
    port: int = 0
    submissions: list[Submission] = field(default_factory=list)

    async def take_in(self, submission: Submission) -> Reply:
        self.submissions.append(submission)
        return Reply(250, "2.0.0", "OK")

    @asynccontextmanager
    async def listening(self, **relay: Any) -> AsyncIterator[Stores]:
        upstream = relay.pop("upstream", ())
        tls = {
            "certificate": self.folder / "fullchain.pem",
            "private_key": self.folder / "privkey.pem",
        }
        settings = Settings(
            server={"state_dir": self.folder, "hostname": "relay.test"},
            relay={"listen": ["127.0.0.1:0"]} | relay | {"tls": tls | relay.pop("tls", {})},
            upstream=upstream,
        )
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        try:
            async with listen(settings, stores.ledger, self.take_in) as (self.port,):
                yield stores
        finally:
            await stores.close()

    def send(self, username: str, sender: str, *, implicit: bool = False) -> None:
        """Send as a mail program does: greet, secure, sign in, send."""
        where = {"host": "127.0.0.1", "port": self.port, "timeout": PATIENCE_S}
        program = smtplib.SMTP_SSL(**where, context=_lenient(self.client)) if implicit else None
        with program or smtplib.SMTP(**where) as client:
            if not implicit:
                client.starttls(context=_lenient(self.client))
            client.login(username, PASSWORD)
            client.sendmail(sender, ["bob@example.org"], "Subject: x\r\n\r\nhello\r\n")


def _lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    # smtplib asks for the name it connected to, which is a number here.
    context.check_hostname = False
    return context


@pytest.fixture
def front(tmp_path: Path) -> Front:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    leaf.private_key_pem.write_to_path(tmp_path / "privkey.pem")
    for pem in leaf.cert_chain_pems:
        pem.write_to_path(tmp_path / "fullchain.pem", append=True)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Front(tmp_path, client)


async def add(stores: Stores, address: str, **options: Any) -> None:
    account = Account(address, Role.USER, password_hash=hash_password(PASSWORD), **options)
    author = Author("test", datetime.now(UTC), b"k" * 32)
    assert await add_account(stores.ledger, account, author)


@pytest.mark.slow  # Argon2
def test_a_user_signs_in_and_sends_under_tls(front: Front, run: Callable[..., None]) -> None:
    async def going() -> None:
        async with front.listening(auth={"mode": "users"}, trusted_networks=[]) as stores:
            await add(stores, "Alice@example.com", send_as=("*@sales.example.com",))
            await asyncio.to_thread(front.send, "alice@example.com", "alice@example.com")
            await asyncio.to_thread(front.send, "alice@example.com", "x@sales.example.com")
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                await asyncio.to_thread(front.send, "alice@example.com", "bob@example.com")
            assert (refused.value.smtp_code, refused.value.smtp_error) == (
                553,
                b"5.7.1 You may not send as this address",
            )
            with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
                await asyncio.to_thread(front.send, "nobody@example.com", "a@example.com")
            assert wrong.value.smtp_code == 535

    run(going())
    assert [one.account for one in front.submissions] == ["Alice@example.com"] * 2
    assert all(one.client.tls and one.credential is None for one in front.submissions)


def test_implicit_tls_behind_a_proxy_loses_no_byte(front: Front, run: Callable[..., None]) -> None:
    relay = {
        "auth": {"mode": "users"},
        "trusted_networks": [],
        "trusted_proxies": ["127.0.0.1/32"],
        "tls": {"mode": "implicit"},
    }

    def send_behind_proxy() -> None:
        """Send header and ClientHello at once, then speak as a mail program."""
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE_S) as sock:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = front.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
            first = V2_CLIENT
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(first + outgoing.read())
                    first = b""
                    incoming.write(sock.recv(65536))
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
            greeting = b""
            while not greeting:
                try:
                    greeting = tls.read(100)
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(65536))
            assert greeting == b"220 relay.test ESMTP\r\n"

    async def going() -> None:
        async with front.listening(**relay):
            await asyncio.to_thread(send_behind_proxy)

    run(going())


def test_implicit_tls_loses_no_byte_of_who_speaks_at_once(
    front: Front, run: Callable[..., None]
) -> None:
    # uvloop begins to read before a protocol can pause it.
    def connect() -> None:
        for _ in range(60):
            with (
                socket.create_connection(("127.0.0.1", front.port), PATIENCE_S) as sock,
                front.client.wrap_socket(sock, server_hostname="localhost") as tls,
            ):
                assert tls.recv(100) == b"220 relay.test ESMTP\r\n"

    async def going() -> None:
        async with front.listening(tls={"mode": "implicit"}):
            await asyncio.gather(*(asyncio.to_thread(connect) for _ in range(3)))

    run(going())


def test_the_address_that_the_proxy_names_is_the_clients(
    front: Front, run: Callable[..., None]
) -> None:
    async def ask(header: bytes, *said: bytes) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(header)
        replies = [await reader.readline()]
        for line in said:
            writer.write(line)
            replies.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return replies

    async def going() -> None:
        relay = {"trusted_proxies": ["127.0.0.0/8"], "trusted_networks": ["192.0.2.0/24"]}
        mail = b"MAIL FROM:<a@example.com>\r\n"
        async with front.listening(**relay):
            ours = b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 25\r\n"
            assert (await ask(ours, b"HELO x\r\n", mail))[-1] == b"250 2.1.0 OK\r\n"
            assert (await ask(V2_CLIENT, b"HELO x\r\n", mail))[-1].startswith(b"550 5.7.1 ")
            assert await ask(b"EHLO x\r\n") == [b""]
        async with front.listening(trusted_proxies=["192.0.2.9/32"]):
            greeting, said = await ask(b"", ours)
            assert greeting.startswith(b"220 ")
            assert said == b"500 5.5.2 Command not recognized\r\n"

    run(going())


def test_a_renewed_certificate_is_shown_without_a_restart(
    front: Front, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.accept.certificate._LOOK_S", 0.0)
    serials: list[bytes] = []

    def look() -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", front.port, timeout=PATIENCE_S) as client:
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            serials.append(client.sock.getpeercert(binary_form=True) or b"")

    async def going() -> None:
        async with front.listening():
            await asyncio.to_thread(look)
            leaf = trustme.CA().issue_cert("localhost")
            # As certbot does: first one file, then the other.
            (front.folder / "fullchain.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
            await asyncio.to_thread(look)
            (front.folder / "privkey.pem").write_bytes(leaf.private_key_pem.bytes())
            await asyncio.to_thread(look)

    run(going())
    assert serials[0] == serials[1] != serials[2]


async def test_files_that_can_not_be_used_are_told_at_the_start(front: Front) -> None:
    (front.folder / "privkey.pem").write_text("none")
    with pytest.raises(KeyFileError, match=r"privkey\.pem is no private key"):
        async with front.listening():
            pass


@pytest.mark.slow  # wrong passwords wait
def test_people_of_the_upstream_keep_their_credentials(
    front: Front, run: Callable[..., None]
) -> None:
    asked: list[tuple[str, Credential]] = []

    async def check(upstream: Any, _host: str, _tls: Any, credential: Credential, _t: Any) -> bool:
        asked.append((upstream.name, credential))
        if upstream.name == "down":
            raise ConnectError(Reply(451, "4.4.1", "no"))
        return credential.password == PASSWORD

    from relay.deliver.connect import ConnectError  # noqa: PLC0415 - what the real one raises

    upstream = [
        {"name": "down", "host": "127.0.0.1", "senders": ["*@example.com"]},
        {"name": "up", "host": "127.0.0.1", "senders": ["*@example.com"]},
        {"name": "other", "host": "127.0.0.1", "senders": ["*@other.example"]},
    ]

    async def going() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("relay.listening.check_credential", check)
            relay = {"auth": {"mode": "upstream"}, "trusted_networks": []}
            async with front.listening(upstream=upstream, **relay):
                for _ in range(2):
                    await asyncio.to_thread(front.send, "a@example.com", "any@whatever.example")
                with pytest.raises(smtplib.SMTPAuthenticationError) as nobody:
                    await asyncio.to_thread(front.send, "a@nowhere.example", "a@nowhere.example")
                assert nobody.value.smtp_code == 535

    run(going())
    credential = Credential("a@example.com", PASSWORD)
    assert asked == [("down", credential), ("up", credential)]
    assert [one.credential for one in front.submissions] == [credential] * 2
    assert [one.account for one in front.submissions] == ["a@example.com"] * 2
