"""How fast mail leaves the spool: dispatch to a trivial sink on loopback, beside a bare client.

    .venv/bin/python bench/way_out.py [MESSAGES] [BYTES]

The sink is a process of its own; CPU is that of the sending process.  The bare client writes the
same bytes over as many connections and keeps nothing.
"""

import asyncio
import logging
import multiprocessing
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import structlog
import uvloop

from ledger import schema
from ledger.address import parse_address
from ledger.fact import SendAccepted
from ledger.ident import RANDOM_BITS, new_ident
from ledger.keys import KeyRing
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.conclude import Terms
from relay.deliver.connect import system_contexts
from relay.deliver.hop import NextHop
from relay.dispatch import Dispatch, DispatchSettings
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.retry import RetryTimes
from relay.spool import Spool
from relay.template import Layout, Slot, SlotKind, Span, Template
from relay.upstream import TlsMode, Upstream
from relay.verdict import Clicks

CONNECTIONS = 10
KEY = TokenKey(0, secrets.token_bytes(32))


class Sink(asyncio.Protocol):
    """Answers every group of commands and every message at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.content = False
        transport.write(b"220 sink\r\n")  # type: ignore[attr-defined] # asyncio types it too wide

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answer = b""
        while True:
            if self.content:
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                self.buffer, self.content = self.buffer[end + 5 :], False
                answer += b"250 2.0.0 taken\r\n"
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                break
            self.buffer = rest
            self.content = line == b"DATA"
            answer += {b"EHLO": b"250-sink\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n"}.get(
                line[:4], b"250 2.0.0 ok\r\n"
            )
        if answer:
            self.transport.write(answer)  # type: ignore[attr-defined] # asyncio types it too wide


def serve_sink(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def stored(size: int, number: int) -> Stored:
    now = datetime.now(UTC)
    send_id = new_ident(int(now.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
    to = Recipient(parse_address("b@example.org"), RecipientType.TO)
    line = b"x" * 70 + b"\r\n"
    raw = b"Subject: hello\r\n\r\n<img src=x>\r\n" + line * (size // len(line))
    layout = Layout(
        opens=True,
        clicks=Clicks.NONE,
        segments=(Span(0, 27), Slot(SlotKind.PIXEL, 0), Span(28, len(raw))),
    )
    sender = parse_address("a@example.com")
    return Stored(
        Submission(send_id, Envelope(sender, (to.address,)), raw, now, Client("127.0.0.1", "x")),
        Template(raw, (layout,), "https://t.example"),
        (Copy(number, send_id, TrackingMode.INDIVIDUAL, 0, 0, (to,)),),
        SendAccepted(send_id, now, "m@x", str(sender), None, "127.0.0.1", "hello", len(raw),
                     "https://t.example", (), (), {}, (), ()),
    )  # fmt: skip


async def bare(port: int, messages: int, size: int) -> None:
    content = stored(size, 1).template.original + b".\r\n"
    head = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readuntil(b"\r\n")
        for _ in range(messages // CONNECTIONS):
            writer.write(head)
            await reader.readuntil(b"354 go on\r\n")
            writer.write(content)
            await reader.readuntil(b"\r\n")
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


async def dispatched(port: int, messages: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(f"sqlite+aiosqlite:///{Path(folder)}/spool.db", schema.spool)
        spool = Spool(store)
        mails = [stored(size, number) for number in range(1, messages + 1)]
        await asyncio.gather(*map(spool.store, mails))
        upstream = Upstream("sink", "127.0.0.1", port, TlsMode.NONE, max_connections=CONNECTIONS)
        hop = NextHop(upstream, "bench.example", system_contexts())
        terms = DispatchSettings(
            Terms("bench.example", RetryTimes()),
            lambda: Policy("bench.example", "https://t.bench.example"),
        )
        dispatch = Dispatch(spool, (hop,), KeyRing({0: KEY}, KEY), terms)

        async def carry() -> None:
            running = asyncio.create_task(dispatch.run())
            now = datetime.now(UTC)
            while await spool.next_due_at(now) is not None:  # noqa: ASYNC110 - a database
                await asyncio.sleep(0.02)
            await dispatch.stop(10)
            await running

        await measured("dispatch, durable", messages, carry)
        await spool.close()
        await store.close()


async def delivered(port: int, messages: int, size: int) -> None:
    upstream = Upstream("sink", "127.0.0.1", port, TlsMode.NONE, max_connections=CONNECTIONS)
    hop = NextHop(upstream, "bench.example", system_contexts())
    mail = stored(size, 1)
    content = mail.template.original

    async def client() -> None:
        for _ in range(messages // CONNECTIONS):
            await hop.deliver_copy(mail.submission.envelope, lambda: content)

    async def carry() -> None:
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))

    await measured("deliver alone", messages, carry)
    hop.close()


async def measured(name: str, messages: int, run: Callable[[], Awaitable[None]]) -> None:
    wall, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
    await run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    loop_cpu = time.thread_time() - loop_cpu
    each = 1000 / messages
    print(
        f"{name:20} {messages / wall:8.0f} /s {cpu * each:8.3f} s CPU per 1,000"
        f" ({loop_cpu * each:.3f} s of it the loop's)"
    )


async def main(messages: int, size: int) -> None:
    here, there = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve_sink, args=(there,), daemon=True)
    sink.start()
    port = here.recv()
    try:
        await measured("bare client", messages, lambda: bare(port, messages, size))
        await delivered(port, messages, size)
        await dispatched(port, messages, size)
    finally:
        sink.terminate()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    given = [int(text) for text in sys.argv[1:]]
    uvloop.run(main(*(given + [2000, 5000][len(given) :])))
