"""Mail that can be told whole from cut short and mixed up, and clients that send it."""

import asyncio
import base64
import random
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

SENDER = "ann@sender.test"
_TOKEN = re.compile(rb"/([oc])/([\w-]{36})")
_PIXEL = re.compile(rb'<img src="[^"]*/o/[\w-]{36}\.gif" width="1" height="1" alt="">')
_LINK = re.compile(rb"http://127.0.0.1:8025/c/[\w-]{36}/")
_SEND_ID = re.compile(rb"250 2\.0\.0 OK ([0-9A-Z]{26})")
_BIG_EVERY, _REFUSED_EVERY, _LATER_EVERY = 25, 10, 7
_REPLY_S = 60


def recipients_of(number: int) -> tuple[str, ...]:
    """Return the envelope of a mail: To, Cc and Bcc, and now and then one who is not taken."""
    kinds = ["to", "cc", "bcc"]
    kinds += ["refused"] * (number % _REFUSED_EVERY == 1)
    kinds += ["later"] * (number % _LATER_EVERY == 1)
    return tuple(f"{kind}-{number}@example.test" for kind in kinds)


def mail(number: int, most_bytes: int = 20_000) -> bytes:
    """Return mail `number`, always the same; one in 25 is so big that threads work on it."""
    dice = random.Random(number)
    size = 300_000 if most_bytes > 5000 and number % _BIG_EVERY == 2 else dice.randrange(most_bytes)
    filler = dice.randbytes(size // 2).hex()
    lines = [filler[start : start + 70] for start in range(0, len(filler), 70)]
    return "\r\n".join(
        [
            f"From: Ann <{SENDER}>",
            f"To: to-{number}@example.test",
            f"Cc: cc-{number}@example.test",
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


def fault_of(raw: bytes, number: int, most_bytes: int = 20_000) -> str:
    """Return what is wrong with a copy of mail `number`; empty: our marks undone, it is that mail.

    One Received is ours, and all tokens of a copy have one owner.
    """
    plain = _LINK.sub(b"https://", _PIXEL.sub(b"", raw))
    received, _, rest = plain.partition(b"\r\nFrom: ")
    if not received.startswith(b"Received: from "):
        return "it has no Received"
    if b"From: " + rest != mail(number, most_bytes):
        return "it is not the mail that was sent"
    return "" if len(owners(raw)) == 1 else "its tokens have several owners"


def owners(raw: bytes) -> set[bytes]:
    """Return key and copy of the tokens in a copy."""
    return {base64.urlsafe_b64decode(token)[:9] for _, token in _TOKEN.findall(raw)}


async def submit(port: int, number: int, raw: bytes) -> tuple[bytes, str]:
    """Return the last reply that was heard, and the send_id where the mail was taken.

    The reply is empty where the connection broke before it came.
    """
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b"", ""
    try:
        said = [b"", b"EHLO client.test\r\n", f"MAIL FROM:<{SENDER}>\r\n".encode()]
        said += [f"RCPT TO:<{one}>\r\n".encode() for one in recipients_of(number)]
        reply = b""
        for words in (*said, b"DATA\r\n", raw + b".\r\n"):
            writer.write(words)
            reply = await _reply(reader)
            if reply[:1] not in b"23":
                return reply, ""
        match = _SEND_ID.match(reply)
        assert match is not None, reply
        return reply, match[1].decode()
    except (OSError, EOFError):
        return b"", ""
    finally:
        writer.close()


async def _reply(reader: asyncio.StreamReader) -> bytes:
    while True:
        line = await asyncio.wait_for(reader.readline(), _REPLY_S)
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            return line.rstrip()


@dataclass
class Clients:
    """Clients that send as fast as they are answered, and what they were promised."""

    port: int
    first: int = 0
    most_bytes: int = 20_000
    promised: dict[int, str] = field(default_factory=dict)
    """send_id by number of the mail."""
    offered: set[int] = field(default_factory=set)
    """Mails that were begun, promised or not."""
    refused: list[bytes] = field(default_factory=list)
    """Replies other than 250."""
    last: int = 10**12
    """The number before which they stop by themselves."""
    stopping: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, clients: int) -> None:
        self._numbers: Iterator[int] = count(self.first)
        self._tasks = [asyncio.create_task(self._send()) for _ in range(clients)]

    async def stop(self) -> None:
        self.stopping = True
        await self.ended()

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _send(self) -> None:
        while not self.stopping:
            number = next(self._numbers)
            if number >= self.last:
                return
            self.offered.add(number)
            reply, send_id = await submit(self.port, number, mail(number, self.most_bytes))
            if send_id:
                self.promised[number] = send_id
            elif reply:
                self.refused.append(reply)
            if not send_id:
                await asyncio.sleep(0.02)


def told_in_ledger(ledger: str) -> dict[tuple[str, str], int]:
    """Return how many events of each type each recipient has on record."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT type, recipient, count(*) FROM events GROUP BY 1, 2")
        return {(kind, recipient): number for kind, recipient, number in rows}
