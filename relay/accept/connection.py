"""One connection: lines in, replies out, TLS, deadlines, its end.

aiosmtpd gives the protocol.  Its own command loop answers without enhanced codes, reads DATA line
by line and parses addresses by the grammar of header fields.
"""

import asyncio
import re
import secrets
import ssl
from abc import abstractmethod
from asyncio import StreamReaderProtocol
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import time_ns
from typing import Protocol, runtime_checkable

import structlog
from aiosmtpd.smtp import SMTP

from ledger.ident import RANDOM_BITS, new_ident
from relay.accept import phrases
from relay.accept.content import READ_LIMIT_BYTES
from relay.accept.door import Door
from relay.accept.login import IPAddress, peer_address
from relay.accept.sasl import MAX_LINE_BYTES
from relay.reply import Reply

_MAX_COMMAND_BYTES = 2_048
"""Postfix's line_length_limit. RFC 5321 4.5.3.1.4 asks for 512, RFC 6531 3.4 for more."""

_MAX_ERRORS = 20
"""Commands in a session that are unknown or malformed: Postfix's smtpd_hard_error_limit."""

_MAX_JUNK = 100
"""Commands in a row that bring no mail forward: Postfix's smtpd_junk_command_limit."""

IDLE_S = 300.0
"""RFC 5321 4.5.3.2.7: at least 5 minutes for the next command."""

_ERROR_CODES = frozenset({500, 501, 502, 503, 504, 555})

_MAX_REPLY_BYTES = 512  # RFC 5321 4.5.3.1.5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Answer = Reply | bytes
"""A reply, or the ready lines of a greeting, which has no enhanced code."""

Command = Callable[[str], Awaitable[Answer]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tls:
    """How connections are secured."""

    context: Callable[[], ssl.SSLContext]
    """With the certificate of today."""
    implicit: bool = False
    """From the first byte (RFC 8314 3.3); else after STARTTLS."""


@runtime_checkable
class _Buffered(Protocol):
    """As asyncio.BufferedProtocol, of which uvloop's are none."""

    def get_buffer(self, sizehint: int, /) -> memoryview: ...

    def buffer_updated(self, nbytes: int, /) -> None: ...


class Connection(SMTP):
    """One connection, whose commands another class has."""

    line_length_limit = READ_LIMIT_BYTES

    def __init__(
        self, hostname: str, door: Door, tls: Tls | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Prepare a connection that begins when it is made."""
        super().__init__(None, hostname=hostname, enable_SMTPUTF8=True, timeout=IDLE_S, loop=loop)
        self._door = door
        self._tls = tls
        self._junk = 0
        self._errors = 0
        self._waiting = False
        self._stopping = False
        self.peer: IPAddress | None = None
        self._spoken_for = False
        self.secured = False
        self.ended = asyncio.Event()

    @property
    @abstractmethod
    def trusted(self) -> bool:
        """Whether the peer is of the trusted networks."""

    @property
    @abstractmethod
    def _commands(self) -> Mapping[str, Command]:
        """What answers a verb."""

    @property
    @abstractmethod
    def _in_transaction(self) -> bool:
        """Whether a client that is sent away loses something."""

    @property
    def gone(self) -> bool:
        """Whether the client is not there to hear an answer, as far as that can be known."""
        return self._writer.transport.is_closing() or self._reader.at_eof()

    def speak_for(self, peer: IPAddress | None) -> None:
        """Take the word of a proxy for who the client is, before the connection is made."""
        self.peer, self._spoken_for = peer, True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, before the greeting."""
        if not self._spoken_for:
            self.peer = peer_address(transport.get_extra_info("peername"))
        super().connection_made(transport)
        if self._secures_first:
            self._pause()  # what comes is TLS's

    def eof_received(self) -> bool | None:
        """Answer what came before the end; aiosmtpd would cancel the session."""
        StreamReaderProtocol.eof_received(self)
        return not self.secured  # TLS has no half-closed connection to keep

    def send_away(self) -> None:
        """End the session: now where it waits between transactions, else after its transaction."""
        self._stopping = True
        if self._waiting and not self._in_transaction:
            self._writer.write(_line(phrases.CLOSING))
            self._writer.close()

    def abort(self) -> None:
        """End the session whatever it does; what was read whole is taken in all the same."""
        self._writer.transport.abort()

    async def _start_tls(self, context: ssl.SSLContext) -> asyncio.Transport | None:
        """Return what the connection goes on with; None where it was lost meanwhile.

        Raises OSError where the handshake failed.
        """
        clear, buffer = self._writer.transport, self._reader._buffer  # type: ignore[attr-defined] # noqa: SLF001 - no other way
        start = self.loop.start_tls(clear, self, context, server_side=True)
        if not self._secures_first:
            # What came before TLS was said by anybody (RFC 3207 6): what is here is dropped, and
            # what is still on its way is no handshake.
            self._pause()
            buffer.clear()
            return await start
        # uvloop reads before it can be paused, so the handshake may have begun: it is handed on
        # after start_tls has made its protocol, and before that one reads.
        starting = self.loop.create_task(start)
        try:
            await asyncio.sleep(0)
            self.loop.call_soon(_hand_on, clear, buffer)
            return await starting
        finally:
            starting.cancel()

    def _timeout_cb(self) -> None:
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # it does not read, and close() would wait for it
        else:
            self._writer.write(_line(phrases.TIMED_OUT))
            self._writer.close()

    async def _handle_client(self) -> None:
        try:
            if not self._door.enter(self):
                if not self._secures_first:
                    await self._say(phrases.TOO_MANY_CONNECTIONS)
            elif not self._secures_first or await self._secure():
                await self._converse()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone; an error of its TLS is an OSError too
        finally:
            self._door.leave(self)
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self._writer.close()
            self.ended.set()

    def _pause(self) -> None:
        self.transport.pause_reading()  # type: ignore[union-attr] # it is a socket's

    @property
    def _secures_first(self) -> bool:
        return self._tls is not None and self._tls.implicit

    async def _secure(self) -> bool:
        """Go on under TLS; False where that failed."""
        assert self._tls is not None  # what is not configured is not offered
        try:
            secured = await self._start_tls(self._tls.context())
        except OSError as error:
            _log.info("tls.failed", client=str(self.peer), reason=str(error))
            return False
        if secured is None:
            return False  # it was lost meanwhile
        # As StreamWriter.start_tls does, which leaves out the reader: it pauses what is too fast.
        self.transport = self._writer._transport = self._reader._transport = secured  # type: ignore[attr-defined] # noqa: SLF001 - no other way
        self.secured = True
        return True

    async def _converse(self) -> None:
        await self._say(f"220 {self.hostname} ESMTP\r\n".encode())
        while True:
            line = await self._read_line(MAX_LINE_BYTES)
            fits = line is not None and (len(line) <= _MAX_COMMAND_BYTES or _is_auth(line))
            answer = await self._answer(line) if line and fits else phrases.LINE_TOO_LONG
            if isinstance(answer, Reply):
                answer = self._count(answer)
            self._reset_timeout()
            await self._say(answer)
            if answer in phrases.LAST_WORDS:
                return
            if answer is phrases.READY_FOR_TLS and not await self._secure():
                return
            if self._stopping and not self._in_transaction:
                await self._say(phrases.CLOSING)
                return

    async def _ask(self, challenge: str) -> bytes | None:
        """Return the line that answers a challenge of AUTH, None where it is too long."""
        self._reset_timeout()
        await self._say(f"334 {challenge}\r\n".encode())
        line = await self._read_line(MAX_LINE_BYTES)
        return None if line is None else line.rstrip(b"\r\n")

    async def _read_line(self, max_bytes: int) -> bytes | None:
        """Return a line, None where it is too long."""
        fits = True
        self._waiting = True
        try:
            while True:
                try:
                    line: bytes = await self._reader.readuntil(b"\n")
                except asyncio.LimitOverrunError as error:
                    await self._reader.readexactly(error.consumed)
                    fits = False
                else:
                    return line if fits and len(line) <= max_bytes else None
        finally:
            self._waiting = False

    async def _answer(self, line: bytes) -> Answer:
        try:
            text = line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            return phrases.NOT_UTF8
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        if command is None:
            return phrases.REFUSED_VERBS.get(verb, phrases.UNKNOWN)
        try:
            return await command(argument.strip(" "))
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            raise
        except Exception:  # noqa: BLE001 - the accept loop: it logs and goes on
            error_id = new_random_ident()
            _log.exception("session.failed", error_id=error_id, client=str(self.peer), command=verb)
            return Reply(451, "4.3.0", f"Could not be done, error {error_id}")

    def _count(self, reply: Reply) -> Reply:
        """Return the reply, or the last one where the session has brought nothing for too long."""
        if reply.code >= 400:  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz and 5yz refuse
            _log.info("command.refused", client=str(self.peer), reply=str(reply))
        self._junk += 1
        self._errors += reply.code in _ERROR_CODES
        if self._errors >= _MAX_ERRORS:
            return phrases.TOO_MANY_ERRORS
        return phrases.TOO_MUCH_JUNK if self._junk >= _MAX_JUNK else reply

    async def _say(self, answer: Answer) -> None:
        self._writer.write(answer if isinstance(answer, bytes) else _line(answer))
        await self._writer.drain()

    def _is_out_of_step(self) -> bool:
        # RFC 2920 3.1: EHLO, HELO and DATA end a group; a client that does not wait for the answer
        # speaks for somebody else (smuggling), as Postfix's forbid_unauth_pipelining has it.
        return bool(self._reader._buffer)  # type: ignore[attr-defined] # noqa: SLF001 - no other way to see unread bytes


def _hand_on(transport: asyncio.BaseTransport, early: bytearray) -> None:
    """Give what was read too early to the protocol that reads now."""
    protocol = transport.get_protocol()
    assert isinstance(protocol, _Buffered) or not early
    while early and isinstance(protocol, _Buffered):
        room = protocol.get_buffer(len(early))
        count = min(len(room), len(early))
        room[:count] = early[:count]
        del early[:count]
        protocol.buffer_updated(count)


def _is_auth(line: bytes) -> bool:
    return line[:5].upper() == b"AUTH "


def new_random_ident() -> str:
    """Return an identifier of this moment."""
    return new_ident(time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))


def _line(reply: Reply) -> bytes:
    """Return the reply as one line: ASCII, no control characters, 512 bytes with CRLF."""
    text = _CONTROL.sub(" ", str(reply)).encode("ascii", "replace")
    return text[: _MAX_REPLY_BYTES - 2] + b"\r\n"
