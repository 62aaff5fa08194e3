"""A long queue for an upstream that answers nothing, and how long other mail takes beside it.

`python bench/relay/lanes.py [--queued 100000] [--mails 300]`
The queue is stored first; then mails for the other upstream come, fifty a second.  Told is the
time from the call of store to the arrival at the other sink, and the memory of the process.
"""

import argparse
import asyncio
import logging
import multiprocessing
import resource
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from way_out import KEY, Sink, serve_sink, stored

from ledger import schema
from ledger.address import parse_address
from ledger.keys import KeyRing
from ledger.migrate import open_store
from relay.conclude import Terms
from relay.deliver.connect import system_contexts
from relay.deliver.hop import NextHop
from relay.dispatch import Dispatch, DispatchSettings
from relay.policy import Policy
from relay.promise import Stored
from relay.retry import RetryTimes
from relay.spool import Spool
from relay.upstream import TlsMode, Upstream

SIZE = 5_000
CHUNK = 500
EVERY_S = 0.02


def mail(number: int, sender: str) -> Stored:
    one = stored(SIZE, number)
    envelope = replace(one.submission.envelope, sender=parse_address(sender))
    return replace(one, submission=replace(one.submission, envelope=envelope))


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Stuck(Sink):
    """Greets, and then says nothing any more."""

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"EHLO"):
            super().data_received(data)


async def measure(spool: Spool, mails: int) -> list[float]:
    """Return how long each mail took to be delivered and settled, in seconds."""
    loop, took = asyncio.get_running_loop(), []
    settle, waiting = spool.settle, {}

    async def settling(settlement: object) -> bool:
        held = await settle(settlement)  # type: ignore[arg-type] # passed on
        if (begun := waiting.pop(settlement.copy_id, None)) is not None:  # type: ignore[attr-defined] # a Settlement
            took.append(loop.time() - begun)
        return held

    spool.settle = settling  # type: ignore[method-assign] # watched from outside
    for number in range(mails):
        copy_id = 1_000_000_000 + number
        waiting[copy_id] = loop.time()
        await spool.store(mail(copy_id, "a@example.com"))
        await asyncio.sleep(EVERY_S)
    async with asyncio.timeout(60):
        while waiting:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(EVERY_S)
    return took


async def run(queued: int, mails: int, port: int, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    stuck = await loop.create_server(Stuck, "127.0.0.1", 0)
    stuck_port = stuck.sockets[0].getsockname()[1]
    store = await open_store(f"sqlite+aiosqlite:///{folder}/spool.db", schema.spool)
    spool = Spool(store)
    upstreams = (
        Upstream("slow", "127.0.0.1", stuck_port, TlsMode.NONE, senders=("*@slow.test",)),
        Upstream("other", "127.0.0.1", port, TlsMode.NONE),
    )
    hops = [NextHop(one, "bench.example", system_contexts()) for one in upstreams]
    policy = Policy("bench.example", "https://t.example")
    settings = DispatchSettings(Terms("bench.example", RetryTimes()), lambda: policy)
    began = loop.time()
    for start in range(0, queued, CHUNK):
        some = range(start + 1, min(start + CHUNK, queued) + 1)
        await asyncio.gather(*(spool.store(mail(number, "s@slow.test")) for number in some))
        if start == 0:
            print(f"{megabytes():.0f} MB with {CHUNK} queued")
    print(f"{megabytes():.0f} MB with {queued} queued, stored in {loop.time() - began:.0f} s")
    dispatch = Dispatch(spool, hops, KeyRing({0: KEY}, KEY), settings)
    running = asyncio.create_task(dispatch.run())
    await asyncio.sleep(1)
    took = sorted(await measure(spool, mails))
    print(
        f"{mails} mails for the other upstream: median {statistics.median(took) * 1000:.1f} ms,"
        f" p99 {took[int(len(took) * 0.99)] * 1000:.1f} ms, longest {took[-1] * 1000:.1f} ms;"
        f" {megabytes():.0f} MB at most"
    )
    await dispatch.stop(0.1)
    await running
    stuck.close()
    await spool.close()
    await store.close()


async def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--queued", type=int, default=100_000)
    asked.add_argument("--mails", type=int, default=300)
    given = asked.parse_args()
    here, there = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve_sink, args=(there,), daemon=True)
    sink.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            await run(given.queued, given.mails, here.recv(), Path(folder))
    finally:
        sink.terminate()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(main())
