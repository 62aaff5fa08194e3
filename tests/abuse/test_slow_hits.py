"""Two thousand slow sockets beside one good reader of a running collector."""

import asyncio
import os
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.durability.relays import Relay, running_parent, write_configuration
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SLOW = int(os.environ.get("SLOW_SOCKETS", "2000"))
SECONDS = float(os.environ.get("SLOW_SECONDS", "14"))
"""More than a head may take."""
PAUSE_S = 1.0
MOST_S = 0.2
"""Of the good reader, at the 99th percentile (promise C7)."""

KINDS = ("silent", "a head", "a form", "several requests")
HEAD = b"Host: t.example.com\r\nUser-Agent: Thing\r\nAccept: image/*\r\nX-Long: " + b"x" * 9_000


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process and those that it starts have a file for each socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SLOW + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files, and the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def slow_client(port: int, number: int, seen: Counter[str]) -> None:
    """Be silent, or send a head or a body byte by byte, for as long as one may."""
    begin = {
        0: b"",
        1: b"GET /o/x.gif HTTP/1.1\r\n",
        2: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
        3: b"HEAD /o/x.gif HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /",
    }[number % 4]
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
    try:
        writer.write(begin)
        for at in range(len(HEAD)):
            if number % 4:
                writer.write(HEAD[at : at + 1])
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    while await reader.read(4_096):
                        pass
                    break
    except ConnectionError:
        pass
    finally:
        writer.close()
    kind = KINDS[number % 4]
    seen[kind] = max(seen[kind], round(time.monotonic() - began))


async def good_reader(port: int, end: float) -> list[float]:
    took = []
    while time.monotonic() < end:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /o/x.gif HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    return took


@pytest.mark.usefixtures("many_files")
async def test_slow_sockets_are_closed_and_keep_no_reader_waiting(tmp_path: Path) -> None:
    port, seen = free_port(), Counter[str]()
    more = f'[collector]\nlisten = ["127.0.0.1:{port}"]\n'
    write_configuration(tmp_path, free_port(), free_port(), more)
    with running_parent() as parent:
        collector = Relay(parent, tmp_path, port)
        await collector.start(program="collector")
        slow = []
        for number in range(SLOW):
            slow.append(asyncio.create_task(slow_client(port, number, seen)))
            if number % 50 == 0:
                await asyncio.sleep(0.01)
        took = await good_reader(port, time.monotonic() + SECONDS)
        collector.kill()
        await asyncio.gather(*slow)
    p99 = statistics.quantiles(took, n=100)[98]
    print(  # noqa: T201 - the figure, by pytest -s
        f"\n{SLOW} slow sockets, for at most {dict(seen)} s; {len(took)} good requests, "
        f"p50 {statistics.median(took) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )
    assert p99 < MOST_S
    assert max(seen.values()) < SECONDS, "one was waited for longer than it may take"
