"""A collector on a real socket with real stores, and sends for it to know."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from collector.app import run_collector
from config.settings import Settings
from ledger import schema
from ledger.event import Event, EventType
from ledger.events import EventFilter, select_events
from ledger.fact import RecipientTold
from ledger.keys import KeyRing, load_keys
from ledger.migrate import Stores, open_stores
from ledger.sends import record_facts
from ledger.token import HitKind, Token, write_token

CHROME = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "*/*",
    "Accept-Language": "sv",
}
DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def lasting(self) -> tuple[int, Mapping[str, str], bytes]:
        """All of it but the time it was made."""
        return self.status, {k: v for k, v in self.headers.items() if k != "date"}, self.body


@dataclass(slots=True)
class House:
    """Stores, keys and, while it runs, a collector."""

    stores: Stores
    keys: KeyRing
    settings: Settings
    port: int = 0
    sent: int = field(default=0)

    def token(self, kind: HitKind, copy_id: int, slot: int = 0, **more: Any) -> str:
        destination = more.pop("destination", b"")
        key = self.keys.current
        return write_token(
            key, Token(kind, key.key_id, copy_id, slot, **more), destination
        ).decode()

    def pixel(self, copy_id: int, **more: Any) -> str:
        return f"/o/{self.token(HitKind.OPEN, copy_id, **more)}.gif"

    def link(self, copy_id: int, slot: int, url: str, **more: Any) -> str:
        scheme, _, destination = url.partition("#")[0].partition("://")
        signed = destination.encode()
        token = self.token(
            HitKind.CLICK, copy_id, slot, https=scheme == "https", destination=signed, **more
        )
        return f"/c/{token}/{destination}"

    async def send(
        self,
        copy_id: int,
        recipients: tuple[str, ...] = ("b@example.org",),
        mode: str = "individual",
        links: Mapping[int, str] | None = None,
        *,
        relayed: bool = False,
    ) -> str:
        """Record a send with one copy, as the relay's facts do; return its id."""
        self.sent += 1
        send_id = f"S{self.sent:025d}"
        rows: list[tuple[Any, list[dict[str, Any]]]] = [
            (
                schema.sends,
                [
                    {
                        "send_id": send_id,
                        "accepted_at": datetime.now(UTC),
                        "message_id": "m@example.com",
                        "sender": "a@example.com",
                        "subject": "Offer",
                        "size_bytes": 1,
                        "base_url": "http://127.0.0.1",
                        "verdict": {},
                        "tags": ["spring"],
                        "metadata": {"deal": "7"},
                    }
                ],
            ),
            (schema.copies, [{"copy_id": copy_id, "send_id": send_id, "mode": mode}]),
            (
                schema.copy_recipients,
                [
                    {
                        "copy_id": copy_id,
                        "number": number,
                        "recipient": recipient,
                        "recipient_key": recipient,
                        "recipient_type": "to",
                    }
                    for number, recipient in enumerate(recipients)
                ],
            ),
            (
                schema.links,
                [
                    {"send_id": send_id, "slot": slot, "part": "1", "url": url, "text": "our offer"}
                    for slot, url in (links or {}).items()
                ],
            ),
        ]
        async with self.stores.ledger.write() as connection:
            for table, values in rows:
                if values:
                    await connection.execute(insert(table), values)
            if relayed:
                await record_facts(connection, [told(send_id, copy_id, one) for one in recipients])
        return send_id

    async def ask(
        self, target: str, headers: Mapping[str, str] = CHROME, method: str = "GET"
    ) -> Reply:
        """Send one request with this very target, on a connection of its own."""
        return await ask(self.port, target, headers, method)

    async def events(self) -> tuple[Event, ...]:
        async with self.stores.ledger.read() as connection:
            found = await select_events(connection, EventFilter(), after=0, limit=10_000)
        return tuple(event for _, event in found)

    async def events_when(self, count: int) -> tuple[Event, ...]:
        """Return the events as soon as there are so many."""
        found: tuple[Event, ...] = await until(self.events, lambda some: len(some) >= count)
        return found

    async def repeats_when(self, count: int) -> tuple[Event, ...]:
        """Return the events as soon as so many requests were taken for repeats."""
        found: tuple[Event, ...] = await until(
            self.events, lambda some: sum(event.repeats for event in some) >= count
        )
        return found

    async def rows_when(self, table: Any, count: int) -> list[Any]:
        """Return the rows as soon as there are so many."""
        found: list[Any] = await until(partial(self.rows, table), lambda some: len(some) >= count)
        return found

    async def rows(self, table: Any) -> list[Any]:
        async with self.stores.ledger.read() as connection:
            return list((await connection.execute(select(table))).all())


def told(send_id: str, copy_id: int, recipient: str, at: datetime | None = None) -> RecipientTold:
    return RecipientTold(
        event_id=f"R{copy_id}-{recipient}"[:40],
        type=EventType.RELAYED,
        at=at or datetime.now(UTC),
        send_id=send_id,
        copy_id=copy_id,
        recipient=recipient,
        recipient_type="to",
        reply="250 OK",
        upstream="default",
    )


@pytest.fixture(name="until")
def until_of() -> Callable[..., Awaitable[Any]]:
    """Wait for what a look gives: `await until(look, enough)`."""
    return until


async def until(look: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool]) -> Any:
    """Return what a look gives as soon as it is enough; give up after the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not enough(found := await look()):  # noqa: ASYNC110 - another process may be looked at
            await asyncio.sleep(0.01)
    return found


async def ask(
    port: int, target: str, headers: Mapping[str, str] = CHROME, method: str = "GET"
) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {"Host": "t.example.com", "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape"))
    raw = await asyncio.wait_for(reader.read(), DEADLINE_S)
    writer.close()
    await writer.wait_closed()
    top, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = top.decode("latin-1").split("\r\n")
    pairs = (one.partition(": ") for one in rest)
    return Reply(int(line.split()[1]), {name.lower(): value for name, _, value in pairs}, body)


def make_settings(folder: Path, **sections: Mapping[str, Any]) -> Settings:
    given: dict[str, Any] = {
        "server": {"state_dir": folder},
        "collector": {"listen": ["127.0.0.1:0"]},
        "tracking": {"base_url": "http://127.0.0.1:8025"},
    }
    for name, values in sections.items():
        given[name] = {**given.get(name, {}), **values}
    return Settings(**given)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Stores and keys, with no collector yet."""
    settings = make_settings(tmp_path)
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    yield House(stores, load_keys(tmp_path / "keys"), settings)
    await stores.close()


@pytest.fixture
async def served(house: House) -> AsyncIterator[House]:
    """The same with a running collector."""
    async with run_collector(house.settings, house.stores, house.keys) as ports:
        house.port = ports[0]
        yield house


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    """Run a collector for a house, with sections of settings of one's own."""

    @asynccontextmanager
    async def run(house: House, **sections: Mapping[str, Any]) -> AsyncIterator[None]:
        house.settings = make_settings(tmp_path, **sections)
        async with run_collector(house.settings, house.stores, house.keys) as ports:
            house.port = ports[0]
            yield

    return run
