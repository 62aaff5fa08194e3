"""Events under load, a receiver that fails at random, and a sender that is killed.

python -m tests.durability.webhooks EVENTS KILLS [--seconds 300]
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from collector.telling import known_webhooks
from ledger.deliveries import list_webhooks
from ledger.engine import Store
from ledger.event import Event, EventType
from ledger.events import RecordedEvent, record_events
from ledger.migrate import open_stores
from ledger.webhooks import renew_webhooks
from tests.durability.relays import ROOT
from tests.durability.teller import SECRET, settings_of

BATCH = 50
"""Events recorded in one transaction, as the relay's forwarder does it."""
OF_ONE_SEND = 5
"""Events of a send, each recorded in another transaction than the one before."""
FAILS, DROPS, LATE = 0.15, 0.05, 0.05
"""How often a post is refused, is not answered at all, is taken and the answer lost."""


@dataclass
class Receiver:
    """What it has taken, and what came out of turn."""

    dice: random.Random
    taken: Counter[str] = field(default_factory=Counter)
    """Events, by name, with how often."""
    posts: int = 0
    out_of_turn: list[str] = field(default_factory=list)
    unverified: int = 0
    port: int = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.posts += 1
        try:
            said = Webhook(SECRET).verify(body, dict(request.headers))
        except Exception:  # noqa: BLE001 - counted, and a fault
            self.unverified += 1
            return web.Response(status=400)
        name = said["data"]["event_id"]
        send, _, number = name.partition("-")
        if any(not self.taken[f"{send}-{one}"] for one in range(int(number))):
            self.out_of_turn.append(name)
        lot = self.dice.random()
        if lot < FAILS:
            return web.Response(status=self.dice.choice((429, 500, 502, 503)))
        if lot >= FAILS + DROPS:
            self.taken[name] += 1
        if lot < FAILS + DROPS + LATE and request.transport is not None:
            request.transport.abort()
        return web.Response(status=200)


@dataclass(frozen=True)
class Outcome:
    """What has become of the events."""

    events: int
    kills: int
    receiver: Receiver
    seconds: float

    @property
    def lost(self) -> int:
        return self.events - len(self.receiver.taken)

    def __str__(self) -> str:
        taken = self.receiver.taken
        twice = sum(1 for count in taken.values() if count > 1)
        return (
            f"{self.events} events, {self.receiver.posts} posts, {self.kills} kills: "
            f"{self.lost} lost, {len(self.receiver.out_of_turn)} out of turn, "
            f"{self.receiver.unverified} not verified, {twice} told more than once, "
            f"{self.seconds:.0f} s"
        )


async def _record(ledger: Store, events: int, began: asyncio.Event) -> None:
    """Record so many events, one of each send at a time."""
    at = datetime.now(UTC)
    sends = events // OF_ONE_SEND
    for start in range(0, sends, BATCH):
        for number in range(OF_ONE_SEND):
            rows = [
                RecordedEvent(Event(f"{send}-{number}", EventType.RELAYED, at, send_id=f"S{send}"))
                for send in range(start, min(start + BATCH, sends))
            ]
            await ledger.transact(partial(record_events, rows=rows))
        began.set()
        await asyncio.sleep(0)


async def _start(folder: Path, port: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.durability.teller", str(folder), str(port)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def kill_senders(folder: Path, events: int, kills: int, seconds: float) -> Outcome:
    """Tell so many events by senders that are killed so often; wait until all is told."""
    began_at, dice = monotonic(), random.Random(events + kills)
    receiver = Receiver(dice)
    application = web.Application()
    application.router.add_post("/", receiver.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    settings = settings_of(folder, receiver.port)
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    renew = partial(renew_webhooks, configured=known_webhooks(settings))
    await stores.ledger.transact(renew)
    began, done = asyncio.Event(), 0
    recording = asyncio.create_task(_record(stores.ledger, events, began))
    await began.wait()
    sender = await _start(folder, receiver.port)
    try:
        async with asyncio.timeout(seconds):
            while True:
                await asyncio.sleep(dice.uniform(0.05, 0.4))
                if done < kills:
                    sender.kill()
                    await sender.wait()
                    done += 1
                    sender = await _start(folder, receiver.port)
                    continue
                async with stores.ledger.read() as connection:
                    (state,) = await connection.run_sync(list_webhooks)
                if recording.done() and not state.waiting:
                    break
        await recording
        assert state.dead == 0
    finally:
        sender.kill()
        await sender.wait()
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await stores.close()
        await runner.cleanup()
    return Outcome(events // OF_ONE_SEND * OF_ONE_SEND, done, receiver, monotonic() - began_at)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("events", type=int)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seconds", type=float, default=3_600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        killing = kill_senders(Path(name), given.events, given.kills, given.seconds)
        outcome = asyncio.run(killing)
    print(outcome)  # noqa: T201 - the figure
    faults = outcome.lost or outcome.receiver.out_of_turn or outcome.receiver.unverified
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
