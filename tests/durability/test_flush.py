"""A flush fails: that mail is put off with 451, health is red, and nothing is lost."""

import asyncio
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from tests.durability.mailing import mail, submit
from tests.durability.relays import Parent, Relay, running_parent, write_configuration
from tests.durability.served import SIZE_BYTES, faults, until_quiet
from tests.durability.sink import Sink, running_sink
from tests.durability.tamper import FAIL_NEXT
from tests.ports import free_port

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(shutil.which("fiu-run") is None, reason="needs fiu-utils (libfiu)"),
]

_STEP = 70
"""Between the numbers of mails none of whose recipients the sink refuses or puts off."""


@pytest.fixture
def fiu_parent() -> Iterator[Parent]:
    with running_parent(("fiu-run", "-x")) as parent:
        yield parent


@dataclass
class Lives:
    """One relay after the other on the same state, each with one flush that fails."""

    relay: Relay
    sink: Sink
    promised: dict[int, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    failed: int = 0
    """Flushes."""
    ended: int = 0
    """Starts that could not be."""
    following: int = 3

    async def live(self, nth: int) -> bool:
        """Let the nth flush of a life fail; tell whether there was one."""
        self.relay.output.write_bytes(b"")
        await self.relay.start(listens=False, tamper="fail nth flush", nth=nth)
        if await self.relay.listens():
            await self.send()
            await until_quiet(self.relay.folder, self.sink, self.promised, 30)
            assert await self.relay.stop(30) == 0
        else:
            self.ended += 1
            told = self.relay.tail()
            assert re.search(r"(?m)^indicia: .*(I/O|Input/output) error", told), told
            assert "Traceback" not in told
            self.relay.kill()
        failed = b"flush failed" in self.relay.output.read_bytes()
        self.failed += failed
        return failed

    async def live_long(self, flushes: int) -> None:
        """Let a flush fail whenever a mail is sent and nothing else is under way."""
        await self.relay.start(tamper="fail next flush")
        for _ in range(flushes):
            await until_quiet(self.relay.folder, self.sink, self.promised, 30)
            self.relay.output.with_name(FAIL_NEXT).touch()
            await self.send()
        await until_quiet(self.relay.folder, self.sink, self.promised, 30)
        assert await self.relay.stop(30) == 0
        self.failed += self.relay.output.read_bytes().count(b"flush failed")

    async def send(self) -> None:
        number, self.following = self.following, self.following + _STEP
        reply, send_id = await submit(self.relay.smtp, number, mail(number, SIZE_BYTES))
        if send_id:
            self.promised[number] = send_id
        else:
            assert reply.startswith(b"451 4.3.0"), reply
            self.refused.add(number)


async def test_each_flush_that_fails_is_answered_451_and_costs_no_mail(
    fiu_parent: Parent, tmp_path: Path
) -> None:
    smtp = free_port()
    async with running_sink() as sink:
        write_configuration(tmp_path, smtp, sink.port)
        relay = Relay(fiu_parent, tmp_path, smtp)
        lives = Lives(relay, sink)
        try:
            # First while the state is made, then on state that is there.
            for _ in range(2):
                for nth in count(1):
                    if not await lives.live(nth):
                        break
            await lives.live_long(10)
        finally:
            relay.kill()
    assert not faults(sink, lives.promised, lives.refused)
    assert lives.refused
    assert lives.ended
    print(  # noqa: T201 - the figure, by pytest -s
        f"{lives.failed} flushes failed, one at a time: {len(lives.refused)} mails put off by"
        f" 451, {lives.ended} starts ended, {len(lives.promised)} mails promised: 0 lost,"
        " 0 false 250, 0 twice"
    )


async def test_while_mail_can_not_be_stored_the_console_is_not_ready(
    fiu_parent: Parent, tmp_path: Path
) -> None:
    smtp, collector, console = free_port(), free_port(), free_port()
    more = f"""
[collector]
listen = ["127.0.0.1:{collector}"]
[console]
listen = ["127.0.0.1:{console}"]
public_url = "http://127.0.0.1:{console}"
"""

    def ready() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{console}/readyz", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async with running_sink() as sink:
        write_configuration(tmp_path, smtp, sink.port, more)
        relay = Relay(fiu_parent, tmp_path, smtp)
        try:
            await relay.start(tamper="fail next flush", program="serve")
            assert await asyncio.to_thread(ready) == 200
            promised: dict[int, str] = {}
            for number in range(23, 400, 10):  # the next flush may be another's, of the ledger too
                await until_quiet(tmp_path, sink, promised, 30)
                (tmp_path / FAIL_NEXT).touch()
                reply, send_id = await submit(smtp, number, mail(number, SIZE_BYTES))
                if reply.startswith(b"451"):
                    break
                promised[number] = send_id
            assert reply.startswith(b"451 4.3.0")
            assert await asyncio.to_thread(ready) == 503
            reply, _ = await submit(smtp, 13, mail(13, SIZE_BYTES))
            assert reply.startswith(b"250")
            assert await asyncio.to_thread(ready) == 200
        finally:
            relay.kill()
