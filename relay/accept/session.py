"""SMTP in: from a connection to submissions, and from replies to lines.

Nothing is announced that is not implemented, and each reply but the greeting and EHLO's has an
enhanced code (RFC 2034).  A submission that has been read whole is taken in to the end, whether
its client is still there or not.
"""

import asyncio
import re
import secrets
from asyncio import StreamReaderProtocol
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from time import time_ns
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP

from ledger.address import Address
from ledger.ident import RANDOM_BITS, new_ident
from relay.accept.command import MailFrom, parse_mail_from, parse_rcpt_to
from relay.accept.content import READ_LIMIT_BYTES, TOO_BIG, canonical_message, read_data
from relay.accept.door import Door
from relay.accept.login import Network, is_trusted, peer_address
from relay.mail import Client, Envelope, Submission
from relay.reply import Reply

_MAX_COMMAND_BYTES = 2_048
"""Postfix's line_length_limit. RFC 5321 4.5.3.1.4 asks for 512, RFC 6531 3.4 for more."""

_MAX_ERRORS = 20
"""Commands in a session that are unknown or malformed: Postfix's smtpd_hard_error_limit."""

_MAX_JUNK = 100
"""Commands in a row that bring no mail forward: Postfix's smtpd_junk_command_limit."""

_IDLE_S = 300.0
"""RFC 5321 4.5.3.2.7: at least 5 minutes for the next command."""

# RFC 5321 4.1.3 says domain or literal; mail programs say whatever their machine is called.
_HELO_NAME = re.compile(r"[!-~]{1,255}")

_OK = Reply(250, "2.0.0", "OK")
_NOT_UTF8 = Reply(501, "5.5.2", "The command is not UTF-8")
_BYE = Reply(221, "2.0.0", "Bye")
_CLOSING = Reply(421, "4.3.2", "This server is being stopped, come back")
_TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections")
_TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
_TOO_MUCH_JUNK = Reply(421, "4.7.0", "Too many commands without mail")
_TIMED_OUT = Reply(421, "4.4.2", "Timed out")
_OUT_OF_STEP = Reply(554, "5.5.0", "Commands were sent before this one was answered")
_LINE_TOO_LONG = Reply(500, "5.5.6", "Command line too long")  # RFC 4954 5.5.6
_UNKNOWN = Reply(500, "5.5.2", "Command not recognized")
_NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
_NO_ARGUMENT = Reply(501, "5.5.4", "No argument is allowed")
_HELO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
_MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
_RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
_NESTED_MAIL = Reply(503, "5.5.1", "MAIL was sent already")
_HELO_SYNTAX = Reply(501, "5.5.4", "Write EHLO and the name of your machine")
_RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
_TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
_NO_ROOM = Reply(452, "4.3.1", "No room for more mail, try later")
_SENDER_OK = Reply(250, "2.1.0", "OK")
_RECIPIENT_OK = Reply(250, "2.1.5", "OK")

_EXTENSIONS = ("8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES")
_ERROR_CODES = frozenset({500, 501, 502, 503, 504, 555})
_GOODBYE = Reply(502, "5.5.1", "Command not implemented, goodbye")
# What follows BDAT is content and must not become commands; the others are HTTP speaking to us
# (Postfix's smtpd_forbidden_commands).
_REFUSED_VERBS = {
    **dict.fromkeys(("VRFY", "EXPN", "HELP", "TURN", "ETRN", "AUTH", "STARTTLS"), _NOT_IMPLEMENTED),
    **dict.fromkeys(("BDAT", "BURL", "CONNECT", "GET", "POST"), _GOODBYE),
}
_LAST_WORDS = frozenset(
    {_BYE, _CLOSING, _TOO_MANY_ERRORS, _TOO_MUCH_JUNK, _TIMED_OUT, _OUT_OF_STEP, _GOODBYE}
)
"""Replies after which the connection is closed."""

_MAX_REPLY_BYTES = 512  # RFC 5321 4.5.3.1.5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Answer = Reply | bytes
"""A reply, or the ready lines of a greeting, which has no enhanced code."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener asks of its clients."""

    hostname: str
    trusted_networks: tuple[Network, ...]
    max_message_bytes: int
    max_recipients: int
    refuse_lone_lf: bool
    has_room: Callable[[int], bool]
    """Whether a message of so many bytes may be taken, so that what is queued keeps its room."""
    take_in: Callable[[Submission], Coroutine[Any, Any, Reply]]


@dataclass(slots=True)
class _Transaction:
    """One mail transaction, from MAIL to the reply to DATA."""

    mail: MailFrom
    recipients: dict[str, Address] = field(default_factory=dict)
    """By `Address.key`: the first spelling counts."""


class Session(SMTP):
    """One connection. aiosmtpd gives the protocol, TLS and AUTH; reading and replies are ours.

    Its own command loop answers without enhanced codes, reads DATA line by line and parses
    addresses by the grammar of header fields.
    """

    line_length_limit = READ_LIMIT_BYTES

    def __init__(self, terms: Terms, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        """Prepare a session that begins when the connection is made."""
        super().__init__(
            None, hostname=terms.hostname, enable_SMTPUTF8=True, timeout=_IDLE_S, loop=loop
        )
        self._terms = terms
        self._door = door
        self._transaction: _Transaction | None = None
        self._helo = ""
        self._junk = 0
        self._errors = 0
        self._waiting = False
        self._stopping = False
        self.peer: IPv4Address | IPv6Address | None = None
        self.trusted = False
        self.ended = asyncio.Event()
        self._commands: Mapping[str, Callable[[str], Awaitable[Answer]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo_name,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, before the greeting."""
        self.peer = peer_address(transport.get_extra_info("peername"))
        self.trusted = is_trusted(self.peer, self._terms.trusted_networks)
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        """Answer what came before the end; aiosmtpd would cancel the session."""
        return StreamReaderProtocol.eof_received(self)

    def send_away(self) -> None:
        """End the session: now where it waits between transactions, else after its transaction."""
        self._stopping = True
        if self._waiting and self._transaction is None:
            self._writer.write(_line(_CLOSING))
            self._writer.close()

    def abort(self) -> None:
        """End the session whatever it does; what was read whole is taken in all the same."""
        self._writer.transport.abort()

    def _set_rset_state(self) -> None:
        super()._set_rset_state()  # type: ignore[no-untyped-call] # aiosmtpd's
        self._transaction = None

    def _timeout_cb(self) -> None:
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # it does not read, and close() would wait for it
        else:
            self._writer.write(_line(_TIMED_OUT))
            self._writer.close()

    async def _handle_client(self) -> None:
        try:
            if self._door.enter(self):
                await self._converse()
            else:
                await self._say(_TOO_MANY_CONNECTIONS)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            self._door.leave(self)
            self._writer.close()
            self.ended.set()

    async def _converse(self) -> None:
        await self._say(f"220 {self.hostname} ESMTP\r\n".encode())
        while True:
            line = await self._read_line()
            answer = _LINE_TOO_LONG if line is None else await self._answer(line)
            if isinstance(answer, Reply):
                answer = self._count(answer)
            self._reset_timeout()
            await self._say(answer)
            if answer in _LAST_WORDS:
                return
            if self._stopping and self._transaction is None:
                await self._say(_CLOSING)
                return

    async def _read_line(self) -> bytes | None:
        """Return a command line, None where it is too long."""
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
                    return line if fits and len(line) <= _MAX_COMMAND_BYTES else None
        finally:
            self._waiting = False

    async def _answer(self, line: bytes) -> Answer:
        try:
            text = line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            return _NOT_UTF8
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        if command is None:
            return _REFUSED_VERBS.get(verb, _UNKNOWN)
        try:
            return await command(argument.strip(" "))
        except (ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception:  # noqa: BLE001 - the accept loop: it logs and goes on
            error_id = _new_ident()
            _log.exception("session.failed", error_id=error_id, client=str(self.peer), command=verb)
            return Reply(451, "4.3.0", f"Could not be done, error {error_id}")

    def _count(self, reply: Reply) -> Reply:
        """Return the reply, or the last one where the session has brought nothing for too long."""
        if reply.code >= 400:  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz and 5yz refuse
            _log.info("command.refused", client=str(self.peer), reply=str(reply))
        self._junk += 1
        self._errors += reply.code in _ERROR_CODES
        if self._errors >= _MAX_ERRORS:
            return _TOO_MANY_ERRORS
        return _TOO_MUCH_JUNK if self._junk >= _MAX_JUNK else reply

    async def _say(self, answer: Answer) -> None:
        self._writer.write(answer if isinstance(answer, bytes) else _line(answer))
        await self._writer.drain()

    def _is_out_of_step(self) -> bool:
        # RFC 2920 3.1: EHLO, HELO and DATA end a group; a client that does not wait for the answer
        # speaks for somebody else (smuggling), as Postfix's forbid_unauth_pipelining has it.
        return bool(self._reader._buffer)  # type: ignore[attr-defined] # noqa: SLF001 - no other way to see unread bytes

    async def _ehlo(self, argument: str) -> Answer:
        reply = self._greet(argument)
        if reply is not None:
            return reply
        words = (self.hostname, f"SIZE {self._terms.max_message_bytes}", *_EXTENSIONS)
        lines = [f"250-{word}\r\n" for word in words[:-1]] + [f"250 {words[-1]}\r\n"]
        return "".join(lines).encode()

    async def _helo_name(self, argument: str) -> Answer:
        return self._greet(argument) or f"250 {self.hostname}\r\n".encode()

    def _greet(self, name: str) -> Reply | None:
        if self._is_out_of_step():
            return _OUT_OF_STEP
        if _HELO_NAME.fullmatch(name) is None:
            return _HELO_SYNTAX
        self._helo = name
        self._transaction = None  # RFC 5321 4.1.4: as RSET
        return None

    async def _mail(self, argument: str) -> Reply:
        if not self._helo:
            return _HELO_FIRST
        if self._transaction is not None:
            return _NESTED_MAIL
        if not self.trusted:
            return _RELAYING_DENIED
        mail = parse_mail_from(argument)
        if isinstance(mail, Reply):
            return mail
        refusal = self._refuse_size(mail.size_bytes)
        if refusal is None:
            self._transaction = _Transaction(mail)
        return refusal or _SENDER_OK

    def _refuse_size(self, size_bytes: int) -> Reply | None:
        if size_bytes > self._terms.max_message_bytes:
            return TOO_BIG
        return None if self._terms.has_room(size_bytes) else _NO_ROOM

    async def _rcpt(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return _MAIL_FIRST
        recipient = parse_rcpt_to(
            argument, smtputf8=transaction.mail.smtputf8, hostname=self._terms.hostname
        )
        if isinstance(recipient, Reply):
            return recipient
        recipients, key = transaction.recipients, recipient.key
        if key not in recipients and len(recipients) >= self._terms.max_recipients:
            return _TOO_MANY_RECIPIENTS
        recipients.setdefault(key, recipient)
        self._junk = 0
        return _RECIPIENT_OK

    async def _data(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return _MAIL_FIRST
        if not transaction.recipients:
            return _RCPT_FIRST
        if argument:
            return _NO_ARGUMENT
        if self._is_out_of_step():
            return _OUT_OF_STEP
        try:
            return await self._take_data(transaction)
        finally:
            self._transaction = None

    async def _take_data(self, transaction: _Transaction) -> Reply:
        assert self._timeout_handle is not None  # since connection_made
        self._timeout_handle.cancel()  # read_data has its own deadline, by size
        await self._say(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        max_bytes = self._terms.max_message_bytes
        try:
            data = await read_data(self._reader, max_bytes)
        except TimeoutError:
            return _TIMED_OUT
        if data is None:
            return TOO_BIG
        raw = canonical_message(data, max_bytes, refuse_lone_lf=self._terms.refuse_lone_lf)
        if isinstance(raw, Reply):
            return raw
        self._junk = 0
        return await self._door.take_in(self._terms.take_in(self._submission(transaction, raw)))

    def _submission(self, transaction: _Transaction, raw: bytes) -> Submission:
        assert self.session is not None  # since connection_made
        mail = transaction.mail
        return Submission(
            send_id=_new_ident(),
            envelope=Envelope(
                mail.sender, tuple(transaction.recipients.values()), mail.smtputf8, mail.body_8bit
            ),
            raw=raw,
            received_at=datetime.now(UTC),
            client=Client(str(self.peer), self._helo, tls=self.session.ssl is not None),
        )

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return _NO_ARGUMENT
        self._transaction = None
        return _OK

    async def _noop(self, _argument: str) -> Reply:
        return _OK

    async def _quit(self, argument: str) -> Reply:
        return _NO_ARGUMENT if argument else _BYE


def _line(reply: Reply) -> bytes:
    """Return the reply as one line: ASCII, no control characters, 512 bytes with CRLF."""
    text = _CONTROL.sub(" ", str(reply)).encode("ascii", "replace")
    return text[: _MAX_REPLY_BYTES - 2] + b"\r\n"


def _new_ident() -> str:
    return new_ident(time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))
