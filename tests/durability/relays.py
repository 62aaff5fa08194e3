"""Relays of a test: started by a pre-imported parent, watched, killed by their process id."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STARTS_S = 30.0


def write_configuration(folder: Path, smtp: int, upstream: int, more: str = "") -> Path:
    """Write the configuration of a relay whose state is in `folder`, and return its path."""
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
{more}
"""
    )
    return path


class Parent:
    """The process that forks, as a test speaks to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        assert process.stdin is not None
        self._orders, self._answers = process.stdin, process.stdout
        ready = self._answers.readline()
        assert ready == "ready\n", f"the parent could not import the relay: {ready!r}"

    def ask(self, **order: Any) -> int:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        answer = self._answers.readline()
        assert answer, "the parent has ended"
        return int(answer)

    def end(self) -> None:
        self._orders.close()
        self._answers.close()
        self._process.wait(30)


@contextmanager
def running_parent(through: Sequence[str] = ()) -> Iterator[Parent]:
    """Give a parent, run by the words of `through` (strace …, fiu-run …) where there are any."""
    process = subprocess.Popen(
        [*through, sys.executable, "-m", "tests.durability.parent"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    parent = Parent(process)
    try:
        yield parent
    finally:
        parent.end()


@dataclass
class Relay:
    """One process after the other on the same state."""

    parent: Parent
    folder: Path
    smtp: int
    pid: int = 0

    async def start(self, *, listens: bool = True, **order: Any) -> None:
        """Start a process and wait until it accepts connections, or, not `listens`, for nothing."""
        config = str(self.folder / "indicia.toml")
        self.pid = self.parent.ask(config=config, output=str(self.output), **order)
        if listens and not await self.listens():
            self.kill()
            msg = f"the relay does not accept connections: {self.tail()}"
            raise AssertionError(msg)

    async def listens(self) -> bool:
        """Wait until it accepts connections; False: it has ended."""
        async with asyncio.timeout(_STARTS_S):
            while not self.has_ended():
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.smtp)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return True
        return False

    def has_ended(self) -> bool:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text()
        except FileNotFoundError:
            return True
        return state.rpartition(")")[2].split()[0] == "Z"

    async def ended(self, within_s: float) -> bool:
        """Tell whether it has ended by itself in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.has_ended():  # noqa: ASYNC110 - a process of another parent
                    await asyncio.sleep(0.005)
        return self.has_ended()

    def kill(self) -> None:
        """Kill it if need be, and wait for its end."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.parent.ask(wait=self.pid)
            self.pid = 0

    async def stop(self, within_s: float) -> int:
        """Ask it to stop, and return its wait status."""
        os.kill(self.pid, signal.SIGTERM)
        assert await self.ended(within_s), f"it has not ended within {within_s} s: {self.tail()}"
        status = self.parent.ask(wait=self.pid)
        self.pid = 0
        return status

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def tail(self) -> str:
        return self.output.read_text(errors="replace")[-3000:]
