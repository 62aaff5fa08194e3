"""An upstream that keeps what it has answered for."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_RECIPIENT = re.compile(rb"RCPT TO:<([^>]*)>", re.IGNORECASE)
_FINAL = re.compile(rb"(?m)^Final-Recipient: rfc822; (\S+)\r$")
_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


@dataclass
class Sink:
    """Refuses `refused-…` for ever and `later-…` for the first `put_off` times; keeps the rest."""

    port: int = 0
    put_off: int = 1
    answer_s: float = 0
    """How long it thinks before it answers the end of the data."""
    got: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    reported: Counter[str] = field(default_factory=Counter)
    """By recipient: in how many reports to the sender it was named as failed."""
    asked: Counter[str] = field(default_factory=Counter)
    answered_at: dict[str, float] = field(default_factory=dict)
    """Wall clock, by recipient, just before the answer: for the mail, or for the report of him."""
    open: int = 0
    """Connections that have not ended; 0 after a kill: everything the relay wrote has been read."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        recipients: list[str] = []
        writer.write(b"220 sink ESMTP\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(_EHLO)
                elif verb == b"RCPT":
                    writer.write(self._rcpt(line, recipients))
                elif verb == b"DATA":
                    if not recipients:
                        writer.write(b"554 5.5.1 nobody\r\n")
                        continue
                    writer.write(b"354 go\r\n")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    named = self._keep(recipients, re.sub(rb"(?m)^\.", b"", data[:-3]))
                    if self.answer_s:
                        await asyncio.sleep(self.answer_s)
                    for one in (*recipients, *named):
                        self.answered_at.setdefault(one, time.time())
                    # Kept before the answer: what we answered for is here for certain.
                    writer.write(f"250 2.0.0 kept <{' '.join(recipients)}>\r\n".encode())
                    recipients = []
                else:
                    recipients = [] if verb in {b"MAIL", b"RSET"} else recipients
                    writer.write(b"250 ok\r\n")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the relay has gone, or the test is over
        finally:
            self.open -= 1
            writer.close()

    def _rcpt(self, line: bytes, recipients: list[str]) -> bytes:
        match = _RECIPIENT.match(line)
        assert match is not None, line
        recipient = match[1].decode()
        self.asked[recipient] += 1
        if recipient.startswith("refused-"):
            return b"550 5.1.1 nobody of this name\r\n"
        if recipient.startswith("later-") and self.asked[recipient] <= self.put_off:
            return b"451 4.2.1 later\r\n"
        recipients.append(recipient)
        return b"250 2.1.5 ok\r\n"

    def _keep(self, recipients: list[str], raw: bytes) -> list[str]:
        for recipient in recipients:
            self.got[recipient].append(raw)
        named = [name.decode() for name in _FINAL.findall(raw)]
        self.reported.update(named)
        return named

    def finished(self, recipient: str) -> bool:
        """Whether a recipient has the mail, or the sender knows that he can not have it."""
        if recipient.startswith("refused-"):
            return self.reported[recipient] > 0
        return recipient in self.got

    async def hung_up(self) -> None:
        """Wait until all that was sent to it has been read to the end."""
        async with asyncio.timeout(20):
            while self.open:  # noqa: ASYNC110 - the tasks that read end when they end
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 22)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
