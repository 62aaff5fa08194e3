"""The relay is killed at random moments: what was answered 250 arrives, whole, for everybody."""

import asyncio
import base64
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TEST_KILLS", "50"))
CLIENTS = 8
SEED = 20261124
COMMAND = Path(sys.executable).with_name("indicia")


@dataclass
class Sink:
    """An upstream that keeps what it has answered 250 for."""

    port: int = 0
    got: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 sink ESMTP\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
                elif verb == b"RCPT":
                    recipients.append(line.decode().partition("<")[2].partition(">")[0])
                    writer.write(b"250 2.1.5 ok\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    await writer.drain()
                    data = await reader.readuntil(b"\r\n.\r\n")
                    # Kept before the answer: what we answered for is here for certain.
                    for recipient in recipients:
                        self.got[recipient].append(re.sub(rb"(?m)^\.", b"", data[:-3]))
                    recipients = []
                    writer.write(b"250 2.0.0 kept\r\n")
                else:
                    recipients = [] if verb in {b"MAIL", b"RSET"} else recipients
                    writer.write(b"250 ok\r\n")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 22)
    sink.port = server.sockets[0].getsockname()[1]
    yield sink
    server.close()


def configuration(folder: Path, smtp: int, upstream: int) -> Path:
    path = folder / "indicia.toml"
    path.write_text(
        f"""
[server]
hostname = "relay.sender.test"
state_dir = "{folder}"
[database]
url = "sqlite+aiosqlite:///{folder}/ledger.db"
spool_url = "sqlite+aiosqlite:///{folder}/spool.db"
[relay]
listen = ["127.0.0.1:{smtp}"]
[[upstream]]
name = "sink"
host = "127.0.0.1"
port = {upstream}
tls = "none"
auth = "none"
[retry]
first_after_s = 1
max_after_s = 2
lease_s = 3
[tracking]
base_url = "http://127.0.0.1:8025"
unknown_consent = "individual"
"""
    )
    return path


def mail(number: int, recipients: tuple[str, ...]) -> bytes:
    filler = random.Random(number).randbytes(random.Random(number).randrange(200, 20_000)).hex()
    lines = [filler[start : start + 70] for start in range(0, len(filler), 70)]
    return "\r\n".join(
        [
            "From: Ann <ann@sender.test>",
            f"To: {recipients[0]}",
            f"Cc: {recipients[1]}",
            f"Subject: number {number}",
            f"Message-ID: <{number}@sender.test>",
            "Date: Tue, 24 Nov 2026 08:00:00 +0000",
            "MIME-Version: 1.0",
            "Content-Type: text/html; charset=us-ascii",
            "",
            f"<html><body><p>begin-{number}",
            *lines,
            f'<a href="https://example.com/{number}">the offer</a> end-{number}</p>',
            "</body></html>",
            "",
        ]
    ).encode()


class Relay:
    """The process that is killed, again and again."""

    def __init__(self, config: Path, smtp: int) -> None:
        self.config, self.smtp = config, smtp
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with (self.config.parent / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [COMMAND, "--config", self.config, "relay"], stdout=output, stderr=output
            )
        for _ in range(600):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.smtp)
            except OSError:
                assert self.process.poll() is None, "the relay ended by itself"
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
        pytest.fail("the relay does not accept connections")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


async def submit(port: int, recipients: tuple[str, ...], raw: bytes) -> bool:
    """Tell whether the mail was answered 250 for all its recipients."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await expect(reader, b"220")
        for line in (b"EHLO client.test", b"MAIL FROM:<ann@sender.test>"):
            writer.write(line + b"\r\n")
            await expect(reader, b"250")
        for recipient in recipients:
            writer.write(b"RCPT TO:<%s>\r\n" % recipient.encode())
            await expect(reader, b"250")
        writer.write(b"DATA\r\n")
        await expect(reader, b"354")
        writer.write(raw + b".\r\n")
        await expect(reader, b"250")
    except (OSError, EOFError, AssertionError):
        return False
    else:
        return True
    finally:
        writer.close()


async def expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await asyncio.wait_for(reader.readline(), 60)
        if not line:
            raise EOFError
        assert line.startswith(code), line
        if line[3:4] != b"-":
            return


async def test_every_mail_answered_250_arrives_whole_for_every_recipient(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        smtp = probe.getsockname()[1]
    dice = random.Random(SEED)
    answered: dict[int, tuple[str, ...]] = {}
    numbers = iter(range(10**9))
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            number = next(numbers)
            kinds = ("to", "cc", "bcc")
            recipients = tuple(f"{kind}-{number}@example.test" for kind in kinds)
            try:
                taken = await submit(smtp, recipients, mail(number, recipients))
            except OSError:
                await asyncio.sleep(0.05)
                continue
            if taken:
                answered[number] = recipients

    async with running_sink() as sink:
        relay = Relay(configuration(tmp_path, smtp, sink.port), smtp)
        try:
            await relay.start()
            clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0, 1))
                relay.kill()
                await relay.start()
            stop.set()
            await asyncio.gather(*clients)
            await drained(sink, answered)
        finally:
            relay.kill()

    assert len(answered) > KILLS, "the clients hardly got through"
    duplicates = 0
    for number, recipients in answered.items():
        for recipient in recipients:
            copies = sink.got[recipient]
            assert copies, f"{recipient} was promised with 250 and got nothing"
            duplicates += len(copies) - 1
            assert len(set(copies)) == 1, f"{recipient} got differing copies"
            assert_whole(copies[0], number)
        owners = {copy_id(sink.got[recipient][0]) for recipient in recipients}
        assert len(owners) == len(recipients), "two recipients share a token"
    wanted = sum(map(len, answered.values()))
    figure = f"{KILLS} kills, {len(answered)} mails, {wanted} copies, {duplicates} sent again"
    print(figure)  # noqa: T201 - for docs/promises.md, by pytest -s


async def drained(sink: Sink, answered: dict[int, tuple[str, ...]]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if all(recipient in sink.got for rest in answered.values() for recipient in rest):
            return
        await asyncio.sleep(0.2)


TOKEN = re.compile(rb"/([oc])/([\w-]{36})")


def assert_whole(raw: bytes, number: int) -> None:
    """Our own marks undone, nothing is left but the original and one Received."""
    plain = re.sub(rb'<img src="[^"]*/o/[\w-]{36}\.gif" width="1" height="1" alt="">', b"", raw)
    plain = re.sub(rb"http://127.0.0.1:8025/c/[\w-]{36}/", b"https://", plain)
    received, _, rest = plain.partition(b"\r\nFrom: ")
    assert received.startswith(b"Received: from ")
    recipients = tuple(f"{kind}-{number}@example.test" for kind in ("to", "cc"))
    assert b"From: " + rest == mail(number, recipients)


def copy_id(raw: bytes) -> bytes:
    tokens = {base64.urlsafe_b64decode(token)[:9] for _, token in TOKEN.findall(raw)}
    assert len(tokens) == 1, "one copy, one owner"
    return tokens.pop()
