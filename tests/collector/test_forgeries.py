"""Forged links and pixels in great number: none leads elsewhere, none is stored.

FORGERIES says how many; SEED draws others.
"""

import asyncio
import base64
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import schema
from ledger.token import HitKind, Token, TokenKey, write_token

pytestmark = pytest.mark.slow

FORGERIES = int(os.environ.get("FORGERIES", "20000"))
SEED = int(os.environ.get("SEED", "1"))
CLIENTS = 24
HEAD = "Host: t.example.com\r\nUser-Agent: Forger\r\n\r\n"
STORED = {1: "https://example.net/a?b=c", 2: "http://example.org/"}
KNOWN, UNKNOWN = 7, 8
ELSEWHERE = (
    "evil.example/",
    "/evil.example/",
    "//evil.example/",
    "\\\\evil.example/",
    "/\\evil.example/",
    "https://evil.example/",
    "https:evil.example/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//",
    "java%0ascript:alert(1)",
    "data:text/html,x",
    "example.net@evil.example/",
    "example.net:80@evil.example/",
    "example.net%40evil.example/",
    "example.net#@evil.example/",
    "example.net%0d%0aLocation:%20https://evil.example/",
    "example.net/\tevil",
    "example.net\x01.evil.example/",
    "example.net\x7f/",
    "example.net%00.evil.example/",
    "example.net/%2e%2e/%2e%2e/evil",
    "?url=https://evil.example/",
    "?https://evil.example/",
    "[::1]/",
    "0x7f.1/",
    "evil.example。/",
    "%68ttps://evil.example/",
    "",
)


@dataclass(frozen=True, slots=True)
class Genuine:
    """A link or pixel of ours."""

    kind: HitKind
    copy_id: int
    slot: int
    destination: str
    token: str


class Forger:
    """Makes requests that we did not sign."""

    def __init__(self, house: Any, seed: int) -> None:
        self.dice = random.Random(seed)
        self.key: TokenKey = house.keys.current
        self.strange = TokenKey(self.key.key_id, b"another key of the same number..")
        self.genuine = [
            *(self._genuine(HitKind.CLICK, KNOWN, slot, url) for slot, url in STORED.items()),
            *(self._genuine(HitKind.CLICK, UNKNOWN, slot, url) for slot, url in STORED.items()),
            *(self._genuine(HitKind.OPEN, copy, 0, "") for copy in (KNOWN, UNKNOWN)),
        ]
        self.ways: list[Callable[[Genuine], str]] = [
            self.flip,
            self.flip,
            self.cut,
            self.stretch,
            self.junk,
            self.other_kind,
            self.other_key,
            self.other_message,
            self.elsewhere,
            self.elsewhere,
            self.no_kind_of_ours,
        ]

    def _genuine(self, kind: HitKind, copy_id: int, slot: int, url: str) -> Genuine:
        destination = url.partition("://")[2]
        token = Token(kind, self.key.key_id, copy_id, slot, https=url.startswith("https:"))
        signed = write_token(self.key, token, destination.encode()).decode()
        return Genuine(kind, copy_id, slot, destination, signed)

    def path(self, one: Genuine) -> str:
        if one.kind is HitKind.OPEN:
            return f"/o/{one.token}.gif"
        return f"/c/{one.token}/{one.destination}"

    def flip(self, one: Genuine) -> str:
        raw = bytearray(base64.urlsafe_b64decode(one.token))
        for _ in range(self.dice.choice((1, 1, 1, 2, 9))):
            at = self.dice.randrange(len(raw) * 8)
            raw[at // 8] ^= 1 << at % 8
        token = base64.urlsafe_b64encode(raw).decode()
        return "" if token == one.token else self.path(replace(one, token=token))

    def cut(self, one: Genuine) -> str:
        return self.path(replace(one, token=one.token[: self.dice.randrange(36)]))

    def stretch(self, one: Genuine) -> str:
        more = self.dice.choice(("A", "=", "_", "%20", ".")) * self.dice.randint(1, 9)
        return self.path(replace(one, token=one.token + more))

    def junk(self, one: Genuine) -> str:
        at, junk = self.dice.randrange(36), self.dice.choice("+/=%.~ \\@:;é")
        return self.path(replace(one, token=one.token[:at] + junk + one.token[at + 1 :]))

    def other_kind(self, one: Genuine) -> str:
        if one.kind is HitKind.OPEN:
            return f"/c/{one.token}/{self.dice.choice(ELSEWHERE)}"
        return f"/o/{one.token}.gif"

    def other_key(self, one: Genuine) -> str:
        copy_id = self.dice.choice((one.copy_id, self.dice.getrandbits(62)))
        token = Token(one.kind, self.strange.key_id, copy_id, one.slot, https=True)
        signed = write_token(self.strange, token, one.destination.encode())
        return self.path(replace(one, token=signed.decode()))

    def other_message(self, one: Genuine) -> str:
        if one.kind is HitKind.OPEN or one.copy_id == KNOWN:
            return ""  # of a known message the stored link is the answer: `elsewhere` has it
        others = [link for link in STORED.values() if one.destination not in link]
        return f"/c/{one.token}/{self.dice.choice(others).partition('://')[2]}x"

    def elsewhere(self, one: Genuine) -> str:
        if one.kind is HitKind.OPEN:
            return ""
        tail = self.dice.choice(ELSEWHERE)
        return self.path(replace(one, destination=self.dice.choice((tail, one.destination + tail))))

    def no_kind_of_ours(self, one: Genuine) -> str:
        there = self.dice.choice(
            ("/o/../c/", "/O/", "//c/", "/x/", "/c//", "/o/", "http://evil.example/c/")
        )
        return f"{there}{one.token[:35]}{self.dice.choice(ELSEWHERE)}"

    def draw(self) -> Iterator[tuple[Genuine, str]]:
        genuine = {self.path(one) for one in self.genuine}
        while True:
            one = self.dice.choice(self.genuine)
            made = self.dice.choice(self.ways)(one)
            if made and made.partition("?")[0] not in genuine and made not in genuine:
                yield one, made


class Client:
    """A connection that is opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, target: str) -> tuple[int, str | None]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(f"GET {target} HTTP/1.1\r\n{HEAD}".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        await self.reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close" or head.startswith("HTTP/1.0"):
            self.close()
        location = head.partition("\r\nLocation: ")[2].partition("\r\n")[0]
        return int(head.split()[1]), location or None

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


async def test_forgeries_lead_nowhere_else_and_are_not_stored(served: Any) -> None:
    await served.send(KNOWN, links=STORED)
    forger = Forger(served, SEED)
    drawn = forger.draw()
    statuses: Counter[tuple[str, int]] = Counter()
    led = 0

    async def client(count: int) -> None:
        nonlocal led
        asking = Client(served.port)
        for _ in range(count):
            one, target = next(drawn)
            status, location = await asking.ask(target)
            statuses[one.kind, status] += 1
            if location is not None:
                # The contract's altered destination: the tag holds for the stored link.
                assert one.copy_id == KNOWN, target
                assert location == STORED[one.slot], target
                assert status == 302, target
                led += 1
            else:
                assert status in (200, 400, 404), (status, target)
        asking.close()

    began = monotonic()
    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(client(FORGERIES // CLIENTS + (number < FORGERIES % CLIENTS)))
    took_s = monotonic() - began
    print(  # noqa: T201 - the figure, by pytest -s
        f"\n{FORGERIES} forgeries, seed {SEED}, {took_s:.0f} s: {led} to their own stored link; "
        + ", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(statuses.items()))
    )
    assert await count(served, schema.hits) == led
    async with served.stores.ledger.read() as connection:
        seen = select(func.count()).where(schema.hits.c.url.not_in(list(STORED.values())))
        assert await connection.scalar(seen) == 0
    with closing(sqlite3.connect(served.settings.server.state_dir / "spill.db")) as spill:
        assert spill.execute("SELECT count(*) FROM spilled_hits").fetchone() == (0,)


async def count(house: Any, table: Any) -> int:
    async with house.stores.ledger.read() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0
