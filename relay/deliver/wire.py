"""WIRE: commands out, replies in, on one SMTP connection.

The client side of RFC 5321 4.2 under a transport: what is written is written as it is, and every
reply is waited for with a limit.  A stranger speaks at the other end, so lines and replies are
bounded, and a reply that was not asked for breaks the connection.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from relay.mail import Credential
from relay.reply import Reply

MAX_LINE_BYTES = 4096
"""RFC 5321 4.5.3.1.5 says 512; real servers are longer, a stream without an end is not a reply."""
MAX_REPLY_LINES = 100
MAX_TEXT = 1000
"""Characters kept of a reply: what a person reads of it."""

_BLOCK_BYTES = 65_536
"""Content is written in blocks of this size, each with its own limit of time."""

_LINE = re.compile(rb"([2-5]\d\d)([ -]|$)(.*)", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?: |$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_FULL_STOP = b".\r\n"


class WireError(Exception):
    """The connection is of no more use; the text says why, in words for a reply."""


class Wire(asyncio.Protocol):
    """One connection, spoken to by one transaction at a time."""

    def __init__(self) -> None:
        """Wait for `connection_made`, also where the transport was another protocol's before."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._owed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._fault: str | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = asyncio.Event()
        self._closing = False

    @property
    def usable(self) -> bool:
        """Whether a transaction may begin: connected, and no word is owed or left over."""
        return (
            self._fault is None and not self._closing and not self._owed and not self._heard_early()
        )

    def _heard_early(self) -> bool:
        return bool(self._replies or self._buffer or self._lines)

    def write(self, *commands: bytes) -> None:
        """Write commands, each without its CRLF, as one group.

        Raises WireError where the connection is lost.
        """
        self._owed += len(commands)
        self._write(b"".join(command + b"\r\n" for command in commands))

    async def write_content(self, content: bytes, block_timeout_s: float) -> bool:
        """Write the content of DATA and the full stop; return False where it was cut short.

        That is so where a reply came before its end: nothing more is written then, and without the
        full stop the message is not taken.  Content is dot-stuffed and ends CRLF.

        Raises WireError.
        """
        if self._heard_early():
            return False
        self._owed += 1
        if len(content) <= _BLOCK_BYTES:
            self._write(content + _FULL_STOP)
            return True
        for block in _blocks(content):
            if self._heard_early():
                return False
            self._write(block)
            try:
                async with asyncio.timeout(block_timeout_s):
                    await self._writable.wait()
            except TimeoutError:
                why = "the content was not taken in time"
                raise self._break(why) from None
        if self._heard_early():
            return False
        self._write(_FULL_STOP)
        return True

    async def reply(self, timeout_s: float) -> Reply:
        """Return the next reply; lines of one reply are joined with a space.

        Raises WireError where none comes in time, the connection ends or what comes is no reply.
        """
        if not self._replies:
            await self._wait(timeout_s)
        return self._replies.popleft()

    def quit(self, timeout_s: float) -> None:
        """Say QUIT, and close when it is answered or after `timeout_s`."""
        if self._transport is None or self._closing:
            return
        self._closing = True
        self._transport.write(b"QUIT\r\n")
        asyncio.get_running_loop().call_later(timeout_s, self.abort)

    async def leave(self, timeout_s: float) -> None:
        """Say QUIT, and return when the connection has ended; it is cut after `timeout_s`."""
        self.quit(timeout_s)
        if self._transport is not None:
            await self._ended.wait()

    def abort(self) -> None:
        """Close at once; what is not written yet is lost."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak over a transport."""
        # uvloop's transports have the methods, not the base class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = None
        self._ended.set()
        self._fail(f"the connection was lost ({exc})" if exc else "the connection was closed")
        self._writable.set()

    def pause_writing(self) -> None:
        """Hold the content back."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on with the content."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Read the replies in what has come."""
        if self._closing:
            self.abort()
        if self._closing or self._fault is not None:
            return
        self._buffer += data
        start = 0
        while self._fault is None and (end := self._buffer.find(b"\n", start)) >= 0:
            self._take_line(bytes(self._buffer[start:end]).rstrip(b"\r"))
            start = end + 1
        del self._buffer[:start]
        if len(self._buffer) > MAX_LINE_BYTES:
            self._break("a line of its reply is too long")
        if self._replies:
            self._wake()

    def _take_line(self, line: bytes) -> None:
        match = _LINE.fullmatch(line)
        if match is None or len(line) > MAX_LINE_BYTES:
            self._break("what it said is no SMTP reply")
            return
        self._lines.append(line)
        if self._lines[0][:3] != match[1] or len(self._lines) > MAX_REPLY_LINES:
            self._break("its reply does not end, or changes its code")
        elif match[2] != b"-":
            reply = _joined(self._lines)
            self._lines = []
            self._replies.append(reply)
            if not self._owed:
                self._fail(f"it spoke unasked: {reply}")
            self._owed = max(self._owed - 1, 0)

    async def _wait(self, timeout_s: float) -> None:
        if self._fault is not None:
            raise WireError(self._fault)
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        # Four times a mail: a timer alone costs half of what asyncio.timeout does.
        timer = loop.call_later(timeout_s, self._end_waiting, timeout_s)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not self._replies:
            raise WireError(self._fault or "the connection was closed")

    def _end_waiting(self, timeout_s: float) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._break(f"no reply within {timeout_s:g} s")

    def _write(self, data: bytes | memoryview) -> None:
        # Writing to a lost transport is silent, so it is looked at first.
        if self._fault is not None or self._transport is None or self._transport.is_closing():
            raise WireError(self._fault or "the connection was closed")
        self._transport.write(data)

    def _break(self, why: str) -> WireError:
        self._fail(why)
        self.abort()
        return WireError(why)

    def _fail(self, why: str) -> None:
        if self._fault is None:
            self._fault = why
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(slots=True)
class Connection:
    """A connection on which mail may be sent."""

    wire: Wire
    host: str
    offers: frozenset[str]
    """Lower-case EHLO keywords."""
    credential: Credential | None = None
    """As whom it was signed in; None: as ourselves, or as nobody."""
    transactions: int = 0
    """How many have been on it."""
    clean: bool = True
    """The next transaction may begin."""


def cleaned_text(text: str) -> str:
    """Return a peer's words without control characters, cut to MAX_TEXT."""
    return _CONTROL.sub(" ", text[:MAX_TEXT]).strip()


def _blocks(content: bytes) -> Iterable[memoryview]:
    view = memoryview(content)
    return (view[at : at + _BLOCK_BYTES] for at in range(0, len(view), _BLOCK_BYTES))


def _joined(lines: list[bytes]) -> Reply:
    """Return the reply that its lines make, with the enhanced code of the first (RFC 2034 4)."""
    code = int(lines[0][:3])
    texts = [cleaned_text(line[4:].decode("utf-8", "replace")) for line in lines]
    match = _ENHANCED.match(texts[0])
    if match is None or int(match[1]) != code // 100:
        return Reply(code, "", " ".join(texts)[:MAX_TEXT])
    enhanced = match[0].rstrip()
    return Reply(code, enhanced, " ".join(_without(text, enhanced) for text in texts)[:MAX_TEXT])


def _without(text: str, enhanced: str) -> str:
    # Every line of such a reply begins with the code (RFC 2034 4).
    return text.removeprefix(enhanced).lstrip()
