"""Mail about mail, and mail that comes back: both end."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.slow

MAILS = int(os.environ.get("MAILS", "300"))
RAW = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"


async def test_a_report_that_is_refused_is_reported_to_nobody(
    relay: Any, connect: Any, drained: Any
) -> None:
    """Every recipient is refused, and every sender too: each report is tried once and no more."""
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(b"550 5.1.1 nobody is here\r\n" if line[:4] == b"RCPT" else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sink = {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "tls": "none"}
    with capture_logs() as logs:
        async with relay(upstream=[sink]) as (port, stores):
            async with connect(port) as client:
                for number in range(MAILS):
                    sender = "" if number % 3 == 0 else f"ann{number}@sender.test"
                    answer = await client.submit(sender, [f"r{number}@example.test"], RAW)
                    assert answer.startswith(b"250 ")
            await drained(stores)
        server.close()
        await asyncio.sleep(0.05)
    asked = [line for line in said if line.startswith(b"RCPT")]
    with_sender = [number for number in range(MAILS) if number % 3]
    assert len(asked) == MAILS + len(with_sender)
    for number in with_sender:
        assert sum(b"<ann%d@sender.test>" % number in line for line in asked) == 1
    not_sent = [line for line in logs if line["event"] == "dead_letter.kept"]
    assert len(not_sent) == MAILS, "one for each mail without a sender, reports and others"
    print(f"{MAILS} mails, {len(with_sender)} reports, 0 reports of reports")  # noqa: T201 - for docs/promises.md


@asynccontextmanager
async def mirror(relay_port: list[int], seen: list[bytes]) -> AsyncIterator[int]:
    """An upstream that hands all it is given back to where it came from."""

    async def hand_back(sender: bytes, recipient: bytes, content: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay_port[0])
        try:
            answer = await reader.readline()
            lines = (b"HELO mirror", b"MAIL FROM:" + sender, b"RCPT TO:" + recipient, b"DATA")
            for line in lines:
                writer.write(line + b"\r\n")
                answer = await reader.readline()
            writer.write(content)
            answer = await reader.readline()
        finally:
            writer.close()
        return answer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = recipient = b""
        writer.write(b"220 mirror\r\n")
        while line := await reader.readline():
            match line[:4]:
                case b"MAIL":
                    sender = line[line.index(b"<") : line.index(b">") + 1]
                case b"RCPT":
                    recipient = line[line.index(b"<") : line.index(b">") + 1]
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    seen.append(content)
                    writer.write(await hand_back(sender, recipient, content))
                    continue
                case _:
                    pass
            writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


async def test_mail_that_comes_back_for_ever_stops_at_the_limit(
    relay: Any, connect: Any, drained: Any
) -> None:
    port_of_relay: list[int] = [0]
    seen: list[bytes] = []
    with capture_logs() as logs:
        async with (
            mirror(port_of_relay, seen) as back,
            relay(upstream=[{"host": "127.0.0.1", "port": back, "tls": "none"}]) as (port, stores),
        ):
            port_of_relay[0] = port
            async with connect(port) as client:
                said = await client.submit("ann@sender.test", ["bob@example.test"], RAW)
                assert said.startswith(b"250 ")
            await asyncio.sleep(1)
            await drained(stores)
    headers = [content.partition(b"\r\n\r\n")[0] for content in seen]
    hops = [len(re.findall(rb"(?m)^Received:", header)) for header in headers]
    about = [b"report-type=delivery-status" in header for header in headers]
    mails = [count for count, report in zip(hops, about, strict=True) if not report]
    reports = [count for count, report in zip(hops, about, strict=True) if report]
    # The mail goes round until it has fifty; then its sender's report goes round, and ends.
    assert mails == list(range(1, 51))
    assert reports == list(range(51))
    assert [line["event"] for line in logs].count("dead_letter.kept") == 1
    failed = [line for line in logs if line["event"] == "copy.failed"]
    assert all("5.4.6" in line["reply"] for line in failed)
