"""SMTP in: the commands, from EHLO to a submission.

Nothing is announced that is not implemented.  A submission that has been read whole is taken in to
the end, whether its client is still there or not.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger.address import Address
from relay.accept import phrases
from relay.accept.command import MailFrom, parse_mail_from, parse_rcpt_to
from relay.accept.connection import Answer, Command, Connection, new_random_ident
from relay.accept.content import TOO_BIG, canonical_message, read_data
from relay.accept.door import Door
from relay.accept.login import Network, is_trusted
from relay.mail import Client, Envelope, Submission
from relay.reply import Reply

# RFC 5321 4.1.3 says domain or literal; mail programs say whatever their machine is called.
_HELO_NAME = re.compile(r"[!-~]{1,255}")

_MAX_EXCESS = 1000
"""So many recipients may be too many before they count as junk: a program that has them all in one
group gets those through that were taken.  Postfix's smtpd_recipient_overshoot_limit."""

_EXTENSIONS = ("8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES")


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
    excess: int = 0
    """Recipients that were too many."""


class Session(Connection):
    """One connection's commands and the transaction they make."""

    def __init__(self, terms: Terms, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        """Prepare a session that begins when the connection is made."""
        super().__init__(terms.hostname, door, loop)
        self._terms = terms
        self._transaction: _Transaction | None = None
        self._helo = ""
        self._verbs: Mapping[str, Command] = {
            "EHLO": self._ehlo,
            "HELO": self._helo_name,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }

    @property
    def trusted(self) -> bool:
        """Whether the peer is of the trusted networks."""
        return is_trusted(self.peer, self._terms.trusted_networks)

    @property
    def _commands(self) -> Mapping[str, Command]:
        return self._verbs

    @property
    def _in_transaction(self) -> bool:
        return self._transaction is not None

    def _set_rset_state(self) -> None:
        super()._set_rset_state()  # type: ignore[no-untyped-call] # aiosmtpd's
        self._transaction = None

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
            return phrases.OUT_OF_STEP
        if _HELO_NAME.fullmatch(name) is None:
            return phrases.HELO_SYNTAX
        self._helo = name
        self._transaction = None  # RFC 5321 4.1.4: as RSET
        return None

    async def _mail(self, argument: str) -> Reply:
        if not self._helo:
            return phrases.HELO_FIRST
        if self._transaction is not None:
            return phrases.NESTED_MAIL
        if not self.trusted:
            return phrases.RELAYING_DENIED
        mail = parse_mail_from(argument)
        if isinstance(mail, Reply):
            return mail
        refusal = self._refuse_size(mail.size_bytes)
        if refusal is None:
            self._transaction = _Transaction(mail)
        return refusal or phrases.SENDER_OK

    def _refuse_size(self, size_bytes: int) -> Reply | None:
        if size_bytes > self._terms.max_message_bytes:
            return TOO_BIG
        return None if self._terms.has_room(size_bytes) else phrases.NO_ROOM

    async def _rcpt(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return phrases.MAIL_FIRST
        recipient = parse_rcpt_to(
            argument, smtputf8=transaction.mail.smtputf8, hostname=self._terms.hostname
        )
        if isinstance(recipient, Reply):
            return recipient
        recipients, key = transaction.recipients, recipient.key
        if key not in recipients and len(recipients) >= self._terms.max_recipients:
            transaction.excess += 1
            if transaction.excess <= _MAX_EXCESS:
                self._junk = 0
            return phrases.TOO_MANY_RECIPIENTS
        recipients.setdefault(key, recipient)
        self._junk = 0
        return phrases.RECIPIENT_OK

    async def _data(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return phrases.MAIL_FIRST
        if not transaction.recipients:
            return phrases.RCPT_FIRST
        if argument:
            return phrases.NO_ARGUMENT
        if self._is_out_of_step():
            return phrases.OUT_OF_STEP
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
            return phrases.TIMED_OUT
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
            send_id=new_random_ident(),
            envelope=Envelope(
                mail.sender, tuple(transaction.recipients.values()), mail.smtputf8, mail.body_8bit
            ),
            raw=raw,
            received_at=datetime.now(UTC),
            client=Client(str(self.peer), self._helo, tls=self.session.ssl is not None),
        )

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return phrases.NO_ARGUMENT
        self._transaction = None
        return phrases.OK

    async def _noop(self, _argument: str) -> Reply:
        return phrases.OK

    async def _quit(self, argument: str) -> Reply:
        return phrases.NO_ARGUMENT if argument else phrases.BYE
