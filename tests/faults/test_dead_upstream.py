"""Dead, refusing and slow upstreams beside a good one, whose mail must not wait for them.

The long form: `BACKLOG=5000 SECONDS=30 pytest -s tests/faults/test_dead_upstream.py`.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.slow

BACKLOG = int(os.environ.get("BACKLOG", "1000"))
SECONDS = float(os.environ.get("SECONDS", "8"))
RAW = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"


@asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1000)
        yield listening.getsockname()[1]


@asynccontextmanager
async def slow_upstream() -> AsyncIterator[int]:
    """A server that takes three seconds for every answer."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            writer.write(b"220 slow\r\n")
            in_content = False
            while line := await reader.readline():
                if in_content and line != b".\r\n":
                    continue
                in_content = line[:4] == b"DATA"
                await asyncio.sleep(3)
                writer.write(b"354 go on\r\n" if in_content else b"250 ok\r\n")
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(3.1)  # so that its sessions end before the loop does


@asynccontextmanager
async def quiet() -> AsyncIterator[None]:
    """Keep the lines about every copy off the terminal."""
    with capture_logs():
        yield


def upstream(name: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "senders": [f"{name}.test"],
    }


async def submit_many(connect: Any, port: int, sender: str, count: int) -> None:
    async with connect(port) as client:
        for number in range(0, count, 100):
            names = [f"r{number + each}@example.test" for each in range(min(100, count - number))]
            assert (await client.submit(sender, names, RAW)).startswith(b"250 ")


async def test_mail_of_the_good_upstream_arrives_within_two_seconds(
    relay: Any, open_sink: Any, connect: Any, count_queued: Any
) -> None:
    took: list[float] = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens: refused
        async with (
            quiet(),
            open_sink() as good,
            open_sink({"connect4": 1.0}) as refusing,
            black_hole() as silent,
            slow_upstream() as slow,
            relay(
                upstream=[
                    upstream("dead", silent),
                    upstream("refused", closed.getsockname()[1]),
                    upstream("refusing", refusing.port),
                    upstream("slow", slow),
                    upstream("good", good.port),
                ],
                # Ten times as often as by default; oftener it is retries that are measured.
                retry={"first_after_s": 6, "max_after_s": 360},
                tracking={"unknown_consent": "individual", "max_copies": 1000},
            ) as (port, stores),
        ):
            for name, count in (
                ("dead", BACKLOG),
                ("refused", BACKLOG // 4),
                ("refusing", BACKLOG // 4),
                ("slow", BACKLOG // 4),
            ):
                await submit_many(connect, port, f"ann@{name}.test", count)
            assert await count_queued(stores) > BACKLOG
            until = time.monotonic() + SECONDS
            while (started := time.monotonic()) < until:
                name = f"good{len(took)}@example.test"
                async with connect(port) as client:
                    said = await client.submit("ann@good.test", [name], RAW)
                    assert said.startswith(b"250 ")
                while not good.answered.get(name):
                    await asyncio.sleep(0.005)
                    assert time.monotonic() - started < 20, "it is stuck"
                took.append(time.monotonic() - started)
                await asyncio.sleep(0.05)
            left = await count_queued(stores)
    took.sort()
    p99 = took[len(took) * 99 // 100]
    print(  # noqa: T201 - for docs/promises.md
        f"{left} copies wait for dead, refused, refusing and slow; {len(took)} good mails, "
        f"p50 {took[len(took) // 2]:.3f} s, p99 {p99:.3f} s, longest {took[-1]:.3f} s"
    )
    assert left > BACKLOG
    assert p99 < 2
    assert all(len(some) == 1 for some in good.answered.values())
