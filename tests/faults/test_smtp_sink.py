"""Postfix's smtp-sink as the upstream: a program that nobody here wrote, with its faults."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.daemon

RAW = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
NAMES = [f"r{number}@example.test" for number in range(20)]
PROGRAM = shutil.which("smtp-sink", path=os.environ.get("PATH", "") + ":/usr/sbin")


@asynccontextmanager
async def smtp_sink(port: int, dumps: Path, accepts: Any, *options: str) -> AsyncIterator[None]:
    """Run it with one file for each transaction, and the commands it has seen on its output."""
    assert PROGRAM is not None
    await asyncio.to_thread(dumps.mkdir, exist_ok=True)
    words = [PROGRAM, "-d", f"{dumps}/%Y%m%d%H%M%S.", *options, f"127.0.0.1:{port}", "100"]
    if os.geteuid() == 0:
        words[1:1] = ["-u", "root"]
    process = await asyncio.create_subprocess_exec(
        *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            if accepts(port):
                break
            await asyncio.sleep(0.02)
        yield
    finally:
        process.terminate()
        await process.wait()


def taken(dumps: Path) -> list[tuple[str, bytes]]:
    """The recipient and content of each transaction that came to its end."""
    found: list[tuple[str, bytes]] = []
    for path in dumps.iterdir():
        head, _, content = path.read_bytes().partition(b"\n\n")
        found += [(name.decode(), content) for name in re.findall(rb"X-Rcpt-Args: <([^>]*)>", head)]
    return found


@pytest.mark.parametrize(
    "options",
    [
        ["-r", "RCPT"],
        ["-r", "MAIL"],
        ["-r", "."],
        ["-q", "CONNECT"],
        ["-q", "RCPT"],
        ["-q", "DATA"],
        ["-Q", "RCPT"],
        ["-Q", "DATA"],
    ],
    ids=" ".join,
)
async def test_after_a_fault_that_passes_everybody_has_one_copy(
    relay: Any,
    connect: Any,
    drained: Any,
    ports: Callable[[], int],
    accepts: Any,
    tmp_path: Path,
    options: list[str],
) -> None:
    if PROGRAM is None:
        pytest.skip("needs smtp-sink (Debian package postfix)")
    port_of_sink = ports()
    with capture_logs() as logs:
        async with relay(upstream=[{"host": "127.0.0.1", "port": port_of_sink, "tls": "none"}]) as (
            port,
            stores,
        ):
            async with smtp_sink(port_of_sink, tmp_path / "faulty", accepts, *options):
                async with connect(port) as client:
                    said = await client.submit("ann@sender.test", NAMES, RAW)
                    assert said.startswith(b"250 ")
                async with asyncio.timeout(20):
                    while sum(line["event"] == "copy.deferred" for line in logs) < len(NAMES):  # noqa: ASYNC110 - the log is all there is to see
                        await asyncio.sleep(0.05)
            async with smtp_sink(port_of_sink, tmp_path / "well", accepts):
                await drained(stores)
    names = [name for name, _ in taken(tmp_path / "well")]
    assert sorted(names) == sorted(NAMES)
    assert not [line for line in logs if line["event"] == "copy.failed"]


@pytest.mark.parametrize(
    "options", [["-f", "RCPT"], ["-f", "DATA"], ["-f", "."], ["-A", "1"]], ids=" ".join
)
async def test_what_is_refused_for_ever_is_not_tried_again(
    relay: Any,
    connect: Any,
    drained: Any,
    ports: Callable[[], int],
    accepts: Any,
    tmp_path: Path,
    options: list[str],
) -> None:
    if PROGRAM is None:
        pytest.skip("needs smtp-sink (Debian package postfix)")
    port_of_sink = ports()
    with capture_logs() as logs:
        async with (
            smtp_sink(port_of_sink, tmp_path / "refusing", accepts, *options),
            relay(upstream=[{"host": "127.0.0.1", "port": port_of_sink, "tls": "none"}]) as (
                port,
                stores,
            ),
        ):
            async with connect(port) as client:
                assert (await client.submit("ann@sender.test", NAMES, RAW)).startswith(b"250 ")
            await drained(stores)
    events = [line["event"] for line in logs]
    # The reports are refused as well, and nobody is told of that.
    assert events.count("copy.failed") == 2 * len(NAMES)
    assert events.count("dead_letter.kept") == len(NAMES)
    assert events.count("copy.delivered") == events.count("copy.deferred") == 0


@pytest.mark.parametrize(
    "options",
    [["-W", "DATA:1"], ["-W", ".:2:2"], ["-w", "1"], ["-p"], ["-8"], ["-e"], ["-H", "1"]],
    ids=" ".join,
)
async def test_a_slow_or_plain_server_gets_everything_once(
    relay: Any,
    connect: Any,
    drained: Any,
    ports: Callable[[], int],
    accepts: Any,
    tmp_path: Path,
    options: list[str],
) -> None:
    if PROGRAM is None:
        pytest.skip("needs smtp-sink (Debian package postfix)")
    port_of_sink = ports()
    with capture_logs():
        async with (
            smtp_sink(port_of_sink, tmp_path / "slow", accepts, *options),
            relay(upstream=[{"host": "127.0.0.1", "port": port_of_sink, "tls": "none"}]) as (
                port,
                stores,
            ),
        ):
            async with connect(port) as client:
                assert (await client.submit("ann@sender.test", NAMES, RAW)).startswith(b"250 ")
            await drained(stores)
    assert sorted(name for name, _ in taken(tmp_path / "slow")) == sorted(NAMES)
