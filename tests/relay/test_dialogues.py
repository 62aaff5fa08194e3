"""The conversations of tests/dialogues, played over real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from relay.accept.allowance import Allowance
from relay.accept.connection import Tls
from relay.accept.door import Door
from relay.accept.login import SignedIn
from relay.accept.session import Session, Terms
from relay.accept.sign_in import SignIn
from relay.mail import Credential, Submission
from relay.reply import Reply

FOLDER = Path(__file__).parent.parent / "dialogues"
PATIENCE_S = 5


@dataclass
class Taken:
    submissions: list[Submission] = field(default_factory=list)

    async def take_in(self, submission: Submission) -> Reply:
        self.submissions.append(submission)
        return Reply(250, "2.0.0", "OK taken")


class Check:
    """Knows alice@b.test by the password `right`."""

    async def recall(self, _credential: Credential) -> SignedIn | None:
        return None

    async def verify(self, credential: Credential) -> SignedIn | None:
        right = credential == Credential("alice@b.test", "right")
        return SignedIn("alice@b.test", ("*@sales.test",)) if right else None

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        return signed_in


AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)
SERVER, CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
AUTHORITY.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(SERVER)
AUTHORITY.configure_trust(CLIENT)

TERMS: dict[tuple[str, str], Callable[[Terms], Terms]] = {
    ("trusted", "no"): lambda terms: replace(terms, trusted_networks=()),
    ("room", "no"): lambda terms: replace(terms, has_room=lambda _: False),
    ("bare_lf", "refuse"): lambda terms: replace(terms, refuse_lone_lf=True),
    ("max_recipients", "2"): lambda terms: replace(terms, max_recipients=2),
    ("max_message_bytes", "1000000"): lambda terms: replace(terms, max_message_bytes=1_000_000),
    ("tls", "yes"): lambda terms: replace(terms, tls=Tls(lambda: SERVER)),
    ("tls", "implicit"): lambda terms: replace(terms, tls=Tls(lambda: SERVER, implicit=True)),
    ("sign_in", "users"): lambda terms: replace(
        terms, sign_in=SignIn(Check()), recipients=Allowance(2, 3600)
    ),
    ("max_message_bytes", "12"): lambda terms: replace(terms, max_message_bytes=12),
}


@asynccontextmanager
async def serving(terms: Terms) -> AsyncIterator[int]:
    loop, door = asyncio.get_running_loop(), Door()
    server = await loop.create_server(lambda: Session(terms, door, loop), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await door.empty(grace_s=PATIENCE_S)
    await server.wait_closed()


def escaped(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def terms_of(lines: list[str], taken: Taken) -> Terms:
    terms = Terms(
        hostname="relay.test",
        trusted_networks=(ip_network("127.0.0.0/8"),),
        max_message_bytes=1000,
        max_recipients=100,
        refuse_lone_lf=False,
        has_room=lambda _: True,
        take_in=taken.take_in,
    )
    for line in lines:
        if line.startswith("= "):
            _, key, value = line.split()
            terms = TERMS[key, value](terms)
    return terms


def envelope_of(submission: Submission) -> list[str]:
    envelope = submission.envelope
    return [str(envelope.sender or "<>"), *map(str, envelope.recipients)]


async def play(lines: list[str], port: int, taken: Taken) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    named: Submission | None = None
    for line in lines:
        mark, said = line[:2], line[3:]
        match mark:
            case "C:":
                writer.write(said.encode() + b"\r\n")
            case "c:":
                writer.write(escaped(said))
            case "r:":
                count, _, text = said.partition(" ")
                writer.write(escaped(text) * int(count))
            case "T:":
                await writer.start_tls(CLIENT, server_hostname="localhost")
            case "A:":
                assert named is not None
                assert named.account == said
            case "S:":
                assert (await reader.readline()).decode() == said + "\r\n", line
            case "S.":
                assert await reader.read() == b""
            case "M:":
                named = taken.submissions.pop(0)
                assert named.raw == escaped(said), line
            case "E:":
                assert named is not None
                assert envelope_of(named) == said.split()
            case "M.":
                assert taken.submissions == []
            case _:
                assert not line or line.startswith(("#", "="))
    writer.close()
    await writer.wait_closed()


DIALOGUES = {path.stem: path.read_text().splitlines() for path in sorted(FOLDER.glob("*.txt"))}


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong sign-ins are answered at once."""
    monkeypatch.setattr("relay.accept.guesses._FIRST_DELAY_S", 0.0)


@pytest.mark.parametrize("lines", list(DIALOGUES.values()), ids=DIALOGUES)
async def test_a_dialogue_goes_as_written(lines: list[str]) -> None:
    taken = Taken()
    async with asyncio.timeout(PATIENCE_S), serving(terms_of(lines, taken)) as port:
        await play(lines, port, taken)
