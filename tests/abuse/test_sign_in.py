"""Guessing passwords, telling people by the time it takes, and words before TLS.

The long form: `GUESSES=10000 SAMPLES=400 pytest -s tests/abuse/test_sign_in.py`.
"""

import asyncio
import base64
import math
import os
import random
import ssl
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from ledger.audit import Author
from ledger.engine import Store
from ledger.migrate import open_stores
from ledger.password import hash_password
from ledger.people import Account, add_account
from ledger.role import Role
from relay.accept.checks import Users
from relay.accept.connection import Tls
from relay.accept.sign_in import SignIn
from relay.mail import Credential
from relay.reply import Reply

GUESSES = int(os.environ.get("GUESSES", "300"))
SAMPLES = int(os.environ.get("SAMPLES", "8"))
CONNECTIONS = 20
PASSWORD = "correct horse"
OWNER = "owner@sender.test"
GONE = "gone@sender.test"
HOME, ATTACKER = "127.0.0.2", "127.0.0.3"
MAIL = b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<victim@victim.test>\r\nDATA\r\n"


@dataclass(frozen=True, slots=True)
class Tools:
    """A certificate, and who trusts it."""

    client: ssl.SSLContext
    tls: Tls


@pytest.fixture(scope="session")
def tools() -> Tools:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    return Tools(client, Tls(lambda: server))


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture(scope="session")
def hashed() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
async def ledger(tmp_path: Path, hashed: str) -> AsyncIterator[Store]:
    folder = f"sqlite+aiosqlite:///{tmp_path}"
    stores = await open_stores(f"{folder}/ledger.db", f"{folder}/spool.db")
    author = Author("operator", datetime.now(UTC), b"k" * 32)
    for name in (OWNER, GONE):
        account = Account(name, Role.AUDITOR, password_hash=hashed, disabled=name == GONE)
        assert await add_account(stores.ledger, account, author)
    yield stores.ledger
    await stores.close()


@pytest.fixture
def desk(
    open_desk: Any, tools: Tools, ledger: Store, pool: ThreadPoolExecutor
) -> Callable[[], Any]:
    """Serve strangers who may sign in."""

    def opened() -> Any:
        return open_desk(
            trusted_networks=(ip_network("127.0.0.1/32"),),
            tls=tools.tls,
            sign_in=SignIn(Users(ledger, pool)),
        )

    return opened


def plain(username: str, password: str) -> bytes:
    words = base64.b64encode(f"\0{username}\0{password}".encode())
    return b"AUTH PLAIN " + words + b"\r\n"


async def secured(speaker: Any, port: int, address: str, context: ssl.SSLContext) -> Any:
    """Return a client under TLS that has said EHLO."""
    client = await speaker.open(port, address)
    try:
        assert b"AUTH" not in await client.greet()
        assert (await client.ask(b"STARTTLS\r\n")).startswith(b"220 ")
        await client.writer.start_tls(context, server_hostname="localhost")
        assert b"AUTH PLAIN LOGIN" in await client.ask(b"EHLO x\r\n")
    except BaseException:
        client.writer.close()
        raise
    return client


@pytest.mark.parametrize(
    "injected",
    [
        MAIL,
        b"EHLO evil\r\n" + MAIL + b"x\r\n.\r\n",
        plain(OWNER, PASSWORD),
        b"NOOP\r\n" * 1000,
        b"\0\r\n",
        b"MAIL FROM:<evil@evil.test>",
    ],
    ids=["mail", "whole mail", "sign-in", "many", "nul", "half a line"],
)
async def test_what_came_with_starttls_is_no_command_under_tls(
    desk: Any, speaker: Any, tools: Tools, injected: bytes
) -> None:
    async with desk() as server:
        client = await speaker.open(server.port, "127.0.0.1")
        await client.greet()
        said = await client.ask(b"STARTTLS\r\n" + injected)
        if said.startswith(b"220 "):
            try:
                await client.writer.start_tls(tools.client, server_hostname="localhost")
            except (ConnectionError, ssl.SSLError):
                assert server.taken == []
                return
            assert await client.ask(b"MAIL FROM:<a@b.test>\r\n") == b"503 5.5.1 Send EHLO first\r\n"
            assert (await client.ask(b"EHLO x\r\n")).endswith(b"250 ENHANCEDSTATUSCODES\r\n")
            assert await client.ask(b"RCPT TO:<a@b.test>\r\n") == b"503 5.5.1 Send MAIL first\r\n"
            assert await client.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
        else:
            assert said.startswith(b"554 ")
        await client.close()
        assert server.taken == []


async def test_what_comes_in_clear_before_the_handshake_ends_the_connection(
    desk: Any, speaker: Any
) -> None:
    async with desk() as server:
        client = await speaker.open(server.port, "127.0.0.1")
        await client.greet()
        assert (await client.ask(b"STARTTLS\r\n")).startswith(b"220 ")
        client.say(MAIL)
        try:
            heard = await client.rest()
        except ConnectionResetError:
            heard = b""
        assert b"250" not in heard
        assert server.taken == []
        await client.close()


async def test_a_password_in_the_clear_is_not_looked_at(desk: Any, speaker: Any) -> None:
    async with desk() as server:
        client = await speaker.open(server.port, HOME)
        await client.greet()
        for password in (PASSWORD, "wrong"):
            said = await client.ask(plain(OWNER, password))
            assert said == b"538 5.7.11 Sign-in needs TLS\r\n"
        await client.close()


@dataclass
class Heard:
    """What guesses were answered, and when the first and last was."""

    answers: Counter[bytes]
    started_at: float


async def guess(speaker: Any, tools: Tools, port: int, guesses: Iterator[str]) -> Heard:
    """Guess from one address on many connections at once."""
    heard = Heard(Counter(), time.monotonic())

    async def connection() -> None:
        for password in guesses:
            try:
                client = await secured(speaker, port, ATTACKER, tools.client)
                said = await client.ask(plain(OWNER, password))
                heard.answers[said[:3]] += 1
                client.writer.close()
            except (OSError, AssertionError):
                heard.answers[b"cut"] += 1

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return heard


@pytest.mark.slow
async def test_of_many_guesses_from_an_address_under_ten_a_minute_are_answered(
    desk: Any, speaker: Any, tools: Tools
) -> None:
    """The right password is among them, at the end: it is answered like any other."""
    guesses = iter([f"guess {number}" for number in range(GUESSES)] + [PASSWORD] * CONNECTIONS)
    with capture_logs():
        async with desk() as server:
            heard = await guess(speaker, tools, server.port, guesses)
            minutes = (time.monotonic() - heard.started_at) // 60 + 1
            owner = await secured(speaker, server.port, HOME, tools.client)
            assert (await owner.ask(plain(OWNER, PASSWORD))).startswith(b"235 ")
            await owner.close()
    print(f"{GUESSES} guesses in {minutes:g} min: {dict(heard.answers)}")  # noqa: T201 - for docs/promises.md
    assert heard.answers[b"235"] == 0
    assert 0 < heard.answers[b"535"] <= 9 * minutes
    assert heard.answers.total() == GUESSES + CONNECTIONS


@pytest.mark.slow
async def test_a_password_that_was_right_just_now_is_not_guessed_beyond_the_limit(
    ledger: Store, pool: ThreadPoolExecutor
) -> None:
    """Who has signed in is remembered; that must not answer an attacker's guesses for nothing."""
    instant = 0.0
    sign_in = SignIn(Users(ledger, pool), lambda: instant)
    home, attacker = ip_address(HOME), ip_address(ATTACKER)
    assert not isinstance(await sign_in.sign_in(Credential(OWNER, PASSWORD), home), Reply)
    answers: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", at_once(asyncio.sleep))
        for number in range(60):
            password = PASSWORD if number == 59 else f"guess {number}"
            answer = await sign_in.sign_in(Credential(OWNER, password), attacker)
            answers[str(answer.code) if isinstance(answer, Reply) else "235"] += 1
    assert answers["235"] == 0, answers


def at_once(sleep: Any) -> Any:
    async def soon(_seconds: float) -> None:
        await sleep(0)

    return soon


def welch_t(one: list[float], other: list[float]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return abs(statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


@pytest.mark.slow
@pytest.mark.alone
async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    ledger: Store, pool: ThreadPoolExecutor
) -> None:
    """Welch's t of the times, interleaved; beyond 4.5 they are told apart."""
    users = Users(ledger, pool)
    names = (OWNER, "nobody@sender.test", GONE, "not an address")
    times: dict[str, list[float]] = {name: [] for name in names}
    dice = random.Random(1)
    for _ in range(SAMPLES):
        for name in dice.sample(names, len(names)):
            password = PASSWORD if name == GONE else "wrong password"
            started = time.perf_counter()
            assert await users.recall(Credential(name, password)) is None
            assert await users.verify(Credential(name, password)) is None
            times[name].append(time.perf_counter() - started)
    told = {name: welch_t(times[OWNER], times[name]) for name in names[1:]}
    medians = {name: f"{statistics.median(some) * 1000:.1f} ms" for name, some in times.items()}
    print(f"{SAMPLES} samples each, medians {medians}, Welch t {told}")  # noqa: T201 - for docs/promises.md
    assert max(told.values()) < 4.5, (told, medians)


@pytest.mark.slow
async def test_no_word_of_a_sign_in_makes_a_line_of_its_own(
    desk: Any, speaker: Any, tools: Tools
) -> None:
    dice = random.Random(1)
    poison = (b"\r\n", b"\r", b"\n", b"\0", b"\x1b[2J", b"\xff", b"\xe2\x80\xa8", b"*", b"=", b" ")
    with capture_logs() as logs:
        async with desk() as server:
            for number in range(60):
                # A place of its own for each, for they are not about guessing.
                address = f"127.1.{number}.1"
                client = await secured(speaker, server.port, address, tools.client)
                words = b"".join(dice.choices((b"a@b.test", b"\0", *poison), k=6))
                line = dice.choice(
                    (
                        b"AUTH PLAIN " + base64.b64encode(words),
                        b"AUTH LOGIN " + base64.b64encode(words),
                        b"AUTH PLAIN " + words.replace(b"\n", b""),
                        b"AUTH " + words.replace(b"\n", b""),
                        b"AUTH PLAIN " + b"A" * 12_000,
                        b"AUTH LOGIN",
                    )
                )
                said = await client.ask(line + b"\r\n")
                while said.startswith(b"334 "):
                    said = await client.ask(base64.b64encode(words) + b"\r\n")
                assert said.startswith((b"535 5.7.8 ", b"50", b"421 ")), (line, said)
                assert said.endswith(b"\r\n")
                assert said[:-2].isascii()
                assert said[:-2].decode().isprintable()
                if not said.startswith(b"421 "):
                    assert await client.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
                await client.close()
        assert server.taken == []
    assert not [line for line in logs if line["event"] == "session.failed"]
