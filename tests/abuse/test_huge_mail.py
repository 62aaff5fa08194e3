"""Mail that is made to be hard to read: others are served meanwhile, and memory is bounded.

The long form, as big as mail may be: `SCALE=1 pytest -s tests/abuse/test_huge_mail.py`.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCALE = float(os.environ.get("SCALE", "0.4"))
MB = 1024 * 1024
MAX_S = 60.0
"""For one of them to be answered, on a machine that does other things as well."""
MAX_MEMORY_MB = 600
"""Of the whole program, pages included; a mail of 25 MB is held some times over."""


def repeated(line: bytes, size_bytes: int) -> bytes:
    return line * (size_bytes // len(line))


def nested(depth: int) -> bytes:
    lines = [b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n"]
    lines += [
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (number, number + 1)
        for number in range(depth)
    ]
    return b"".join([*lines, b"--b%d\r\n\r\nx\r\n" % depth])


def parts(count: int) -> bytes:
    part = b"--b\r\nContent-Type: text/html\r\n\r\n<p><a href='https://e.test/'>x</a></p>\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


HTML = b"Content-Type: text/html\r\n\r\n"
BODY = b"\r\n<p>x</p>\r\n"
FOLDED = b" " + b"z" * 70 + b"\r\n"
LINK = b"<a href='http://e.test/'>x</a>\r\n"
MAILS: dict[str, tuple[bytes, Callable[[], bytes]]] = {
    # What is answered, and what is sent.
    "a header of 24 MB": (b"552 5.3.4 ", lambda: repeated(b"X: of no use\r\n", 24 * MB) + BODY),
    "a million empty fields": (b"552 5.3.4 ", lambda: b"X:\r\n" * 1_000_000 + BODY),
    "one field of 24 MB": (b"552 5.3.4 ", lambda: b"X: y\r\n" + repeated(FOLDED, 24 * MB) + BODY),
    "a line of 24 MB": (b"552 5.3.4 ", lambda: b"X: " + b"z" * 24 * MB + b"\r\n" + BODY),
    "10,000 parts": (b"250 ", lambda: parts(10_000)),
    "very many parts": (b"250 ", lambda: parts(int(200_000 * SCALE))),
    "multiparts very deep": (b"250 ", lambda: nested(int(20_000 * SCALE))),
    "very many links": (b"250 ", lambda: HTML + LINK * int(700_000 * SCALE)),
    "elements very deep": (b"250 ", lambda: HTML + b"<div><b>\r\n" * int(500_000 * SCALE)),
    "text in one line": (b"250 ", lambda: HTML + b"x" * int(24 * MB * SCALE) + b"\r\n"),
    "empty lines": (b"250 ", lambda: HTML + b"\r\n" * int(12_000_000 * SCALE)),
    "dots": (b"250 ", lambda: HTML + b"..\r\n" * int(1_000_000 * SCALE)),
}  # fmt: skip


@pytest.fixture(scope="module")
def slowest() -> Iterator[dict[str, tuple[float, float, float]]]:
    """By mail: seconds until it was answered, the longest wait of another client, megabytes."""
    found: dict[str, tuple[float, float, float]] = {}
    yield found
    for name, (took_s, other_s, memory_mb) in found.items():
        print(f"{name}: {took_s:.1f} s, others {other_s:.2f} s, {memory_mb:.0f} MB")  # noqa: T201 - for docs/promises.md


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def others(speaker: Any, port: int, stop: asyncio.Event) -> float:
    """Say NOOP again and again; return the longest that an answer took."""
    client = await speaker.open(port)
    await client.greet()
    longest = 0.0
    while not stop.is_set():
        started = time.monotonic()
        assert await client.ask(b"RSET\r\n") == b"250 2.0.0 OK\r\n"
        await client.address(b"a@b.test", b"c@d.test")
        assert (await client.ask(b"x\r\n.\r\n")).startswith(b"250 ")
        longest = max(longest, time.monotonic() - started)
        await asyncio.sleep(0.05)
    await client.close()
    return longest


async def test_what_is_hard_to_read_holds_up_nobody(
    start_indicia: Callable[..., Any],
    speaker: Any,
    slowest: dict[str, tuple[float, float, float]],
) -> None:
    running = start_indicia()
    for name, (answer, make) in MAILS.items():
        raw = make()
        assert len(raw) <= 26_214_400, name
        stop = asyncio.Event()
        watching = asyncio.create_task(others(speaker, running.smtp, stop))
        client = await speaker.open(running.smtp)
        await client.greet()
        await client.address(b"a@b.test", b"c@d.test", b"e@f.test")
        client.say(raw + b".\r\n")
        async with asyncio.timeout(MAX_S):
            await client.writer.drain()
            started = time.monotonic()
            said = await client.reader.readline()
        took_s = time.monotonic() - started
        stop.set()
        slowest[name] = (took_s, await watching, peak_mb(running.process.pid))
        await client.close()
        assert said.startswith(answer), (name, said)
    assert max(memory for _, _, memory in slowest.values()) < MAX_MEMORY_MB
    assert max(waited for _, waited, _ in slowest.values()) < 1, slowest
