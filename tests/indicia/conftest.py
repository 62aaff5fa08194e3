"""The real command as a process, over real files."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from config.settings import Settings
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.fact import CopyFact, RecipientFact, RecipientTold, SendAccepted
from ledger.migrate import open_stores
from ledger.mode import TrackingMode
from ledger.sends import record_facts
from tests.ports import free_port

COMMAND = Path(sys.executable).with_name("indicia")

Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def indicia(tmp_path: Path) -> Callable[..., Done]:
    """Run `indicia …` in an empty folder to its end."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("INDICIA_")
    }

    def run(*words: str | Path, given: bytes = b"", env: dict[str, str] | None = None) -> Done:
        return subprocess.run(
            [COMMAND, *words],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def sandbox(tmp_path: Path) -> Settings:
    """Settings of a sandbox whose state is in the test's folder."""
    return Settings(server={"state_dir": tmp_path / "var"})


AT = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture
def offer() -> SendAccepted:
    """A send to To, Cc and Bcc, of which two share a copy."""
    explained = [
        {
            "recipient": f"{name}@example.org",
            "recipient_type": kind,
            "mode": mode,
            "opens": True,
            "clicks": "html",
            "copy": copy,
            "reasons": [
                {"of": "mode", "is": mode, "because": "rule", "name": "board"},
                {"of": "opens", "is": True, "because": "ceiling", "name": "tracking.opens"},
            ],
            "parts": [{"part": "1", "media_type": "text/html", "tracked": True, "reason": None}],
            "links": [
                {
                    "link_id": "1",
                    "part": "1",
                    "url": "https://example.com/offer",
                    "text": "the offer",
                    "tracked": True,
                    "reason": None,
                }
            ],
            "ignored": [],
        }
        for name, kind, mode, copy in (
            ("tom", "to", "individual", 1),
            ("carla", "cc", "shared", 2),
            ("bea", "bcc", "shared", 2),
        )
    ]
    return SendAccepted(
        send_id="01HSEND0000000000000000000",
        accepted_at=AT,
        message_id="offer@sender.example",
        sender="ann@sender.example",
        account=None,
        client="127.0.0.1",
        subject="=Our offer\x1b[2J",
        size_bytes=1234,
        base_url="http://127.0.0.1:8025",
        verdict=tuple(explained),
        tags=("spring",),
        metadata={"deal": "7"},
        copies=(
            CopyFact(11, TrackingMode.INDIVIDUAL, (RecipientFact("e1", "tom@example.org", "to"),)),
            CopyFact(
                12,
                TrackingMode.SHARED,
                (
                    RecipientFact("e2", "carla@example.org", "cc"),
                    RecipientFact("e3", "bea@example.org", "bcc"),
                ),
            ),
        ),
        links=(),
    )


@pytest.fixture
def recorded(sandbox: Settings, offer: SendAccepted) -> Settings:
    """A sandbox whose ledger knows the offer, a delivery, an open, a shared click."""
    told = RecipientTold(
        event_id="e4",
        type=EventType.RELAYED,
        at=AT + timedelta(seconds=1),
        send_id=offer.send_id,
        copy_id=11,
        recipient="tom@example.org",
        recipient_type="to",
        reply="250 2.0.0 OK",
        upstream="default",
    )
    about = {
        "send_id": offer.send_id,
        "message_id": offer.message_id,
        "sender": offer.sender,
        "subject": offer.subject,
        "classification": Agent.HUMAN_LIKELY,
        "confidence": 0.82,
        "rules_version": "1",
    }
    opened = Event(
        event_id="e5",
        type=EventType.OPENED,
        timestamp=AT + timedelta(minutes=1),
        recipient="tom@example.org",
        recipient_type="to",
        attribution=Attribution.RECIPIENT,
        tracking_mode=TrackingMode.INDIVIDUAL,
        reasons=("a browser",),
        first=True,
        repeats=2,
        **about,
    )
    clicked = Event(
        event_id="e6",
        type=EventType.CLICKED,
        timestamp=AT + timedelta(minutes=2),
        attribution=Attribution.SHARED,
        candidates=("carla@example.org", "bea@example.org"),
        tracking_mode=TrackingMode.SHARED,
        url="https://example.com/offer",
        link_id="1",
        link_text="the offer",
        **about,
    )

    async def record() -> None:
        stores = await open_stores(sandbox.database.url, sandbox.database.spool_url)
        async with stores.ledger.write() as connection:
            await record_facts(connection, [offer, told])
            await insert_events(
                connection, [RecordedEvent(opened, 11, "h1"), RecordedEvent(clicked, 12, "h2")]
            )
        await stores.close()

    asyncio.run(record())
    return sandbox


@dataclass
class Serving:
    """A running sandbox of this test."""

    folder: Path
    process: subprocess.Popen[str]
    ports: dict[str, int]
    printed: list[str]
    """What it has told at its start, a line each."""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start `indicia serve`, or one of its programs, and wait until it has told where it is."""
    started: list[Serving] = []

    def start(program: str = "serve", lines: int = 6, config: str = "") -> Serving:
        ports = {name: free_port() for name in ("relay", "collector", "console")}
        listens = "".join(
            f'[{name}]\nlisten = ["127.0.0.1:{port}"]\n' for name, port in ports.items()
        )
        (tmp_path / "indicia.toml").write_text(f"{listens}{config}")
        process = subprocess.Popen(
            [COMMAND, *program.split()],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        printed = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
        running = Serving(tmp_path, process, ports, printed)
        started.append(running)
        return running

    yield start
    for running in started:
        running.process.terminate()
        running.process.communicate(timeout=40)


class Answering:
    """An SMTP server that gives one answer to every mail."""

    def __init__(self, reply: str) -> None:
        self.reply = reply

    async def handle_DATA(self, *_session: object) -> str:  # noqa: N802 - aiosmtpd's name
        return self.reply


@pytest.fixture
def answering() -> Iterator[Callable[[str], int]]:
    """Start an SMTP server with this answer to DATA; give its port."""
    servers: list[Controller] = []

    def start(reply: str) -> int:
        server = Controller(Answering(reply), hostname="127.0.0.1", port=free_port())
        server.start()
        servers.append(server)
        return int(server.port)

    yield start
    for server in servers:
        server.stop()
