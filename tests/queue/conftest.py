"""A relay as a process, and an upstream that answers as it is told."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("indicia")


@dataclass
class Sink:
    """An upstream in a thread: `rcpt` says what is answered, `stall` keeps the final answer."""

    rcpt: Callable[[str], bytes] = lambda _: b"250 2.1.5 ok\r\n"
    stall: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    taken: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def start(self) -> None:
        ready = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await server.serve_forever()

        def run() -> None:
            self._task = self._loop.create_task(serve())
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

        self._thread = threading.Thread(target=run)
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 sink ESMTP\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"RCPT":
                    recipient = line.decode().partition("<")[2].partition(">")[0]
                    said = self.rcpt(recipient)
                    recipients += [recipient] if said.startswith(b"250") else []
                    writer.write(said)
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n" if recipients else b"503 5.5.1 nobody\r\n")
                    if recipients:
                        await self._take(reader, writer, tuple(recipients))
                        recipients = []
                else:
                    recipients = [] if verb in {b"MAIL", b"RSET"} else recipients
                    writer.write(b"250 2.0.0 ok\r\n")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: tuple[str, ...]
    ) -> None:
        await writer.drain()
        data = await reader.readuntil(b"\r\n.\r\n")
        if self.stall.is_set():
            self.stalled.set()
            await reader.read()  # until the other side is gone
            raise ConnectionResetError
        self.taken.append((to, re.sub(rb"(?m)^\.", b"", data[:-3])))
        writer.write(b"250 2.0.0 taken\r\n")


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    sink.start()
    yield sink
    sink.stop()


@dataclass
class Relay:
    """`indicia relay` as a process, with its log and the commands beside it."""

    folder: Path
    smtp: int
    upstream: int
    retry: str
    process: subprocess.Popen[bytes] | None = None

    def start(self, before: tuple[str, ...] = (), env: dict[str, str] | None = None) -> None:
        """Start it; return when it takes mail."""
        (self.folder / "indicia.toml").write_text(
            f"""
[server]
hostname = "relay.sender.test"
state_dir = "{self.folder}/state"
[database]
url = "sqlite+aiosqlite:///{self.folder}/state/ledger.db"
spool_url = "sqlite+aiosqlite:///{self.folder}/state/spool.db"
[relay]
listen = ["127.0.0.1:{self.smtp}"]
[[upstream]]
name = "sink"
host = "127.0.0.1"
port = {self.upstream}
tls = "none"
auth = "none"
[tracking]
base_url = "http://127.0.0.1:8025"
[retry]
{self.retry}
"""
        )
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, COMMAND, "--config", self.folder / "indicia.toml", "relay"],
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
            )
        self.wait(lambda: self._accepts() or self._ended(), "it takes mail", 90)
        assert not self._ended(), self.log()

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.smtp), 1):
            return True
        return False

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(40)
            self.process = None

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [COMMAND, "--config", self.folder / "indicia.toml", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def story(self, name: str) -> list[dict[str, str]]:
        """The log's lines in which a name stands, as their fields, in order."""
        lines = (line for line in self.log().splitlines() if name in line)
        return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in lines]

    def events(self, name: str) -> list[str]:
        return [line["event"] for line in self.story(name)]

    def wait(self, reached: Callable[[], Any], what: str, seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if answer := reached():
                return answer
            time.sleep(0.02)
        pytest.fail(f"not within {seconds} s: {what}\n{self.log()}")

    def submit(self, *recipients: str) -> str:
        """Send a mail; return its send_id."""
        with socket.create_connection(("127.0.0.1", self.smtp), 10) as client:
            answers = client.makefile("rb")

            def say(line: str) -> bytes:
                if line:
                    client.sendall(f"{line}\r\n".encode())
                while (answer := answers.readline())[3:4] == b"-":
                    pass
                assert answer[:1] in b"23", answer
                return answer

            say("")
            say("EHLO client.test")
            say("MAIL FROM:<ann@sender.test>")
            for recipient in recipients:
                say(f"RCPT TO:<{recipient}>")
            say("DATA")
            header = "From: ann@sender.test\r\nSubject: the offer\r\nMessage-ID: <1@sender.test>"
            return say(f"{header}\r\n\r\nHello.\r\n.").split()[-1].decode()


@pytest.fixture
def relay(tmp_path: Path, sink: Sink, ports: Callable[[], int]) -> Iterator[Relay]:
    relay = Relay(
        tmp_path,
        ports(),
        sink.port,
        "first_after_s = 1\nmax_after_s = 1\ngive_up_after_s = 3600\ndelay_notice_after_s = 2",
    )
    yield relay
    relay.end()
