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

import structlog

from ledger.address import Address
from relay.accept import phrases
from relay.accept.allowance import Allowance
from relay.accept.command import MailFrom, parse_mail_from, parse_rcpt_to
from relay.accept.connection import IDLE_S, Answer, Command, Connection, Tls, new_random_ident
from relay.accept.content import TOO_BIG, canonical_message, read_data
from relay.accept.door import Door
from relay.accept.login import Network, SignedIn, account_key, is_trusted, may_send_as
from relay.accept.memory import Memory, Share
from relay.accept.sasl import MECHANISMS, read_credential
from relay.accept.sign_in import SignIn
from relay.accept.unheard import Unheard
from relay.mail import Client, Envelope, Submission
from relay.reply import Reply

# RFC 5321 4.1.3 says domain or literal; mail programs say whatever their machine is called.
_HELO_NAME = re.compile(r"[!-~]{1,255}")

_MAX_EXCESS = 1000
"""So many recipients may be too many before they count as junk: a program that has them all in one
group gets those through that were taken.  Postfix's smtpd_recipient_overshoot_limit."""

_EXTENSIONS = ("8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES")

_MAX_TRIES = 3
"""Wrong sign-ins of a connection; RFC 4954 4 asks for a limit of at least 3."""

_VOUCHED_S = 60.0
"""So long a session that stays open goes on with what its account might when it signed in."""

_STRANGER_IDLE_S = 60.0
"""For the next command of a stranger who has not signed in (RFC 6409 5.3: shorter is right)."""

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
    tls: Tls | None = None
    sign_in: SignIn | None = None
    """None: nobody can sign in.  Never without `tls`."""
    recipients: Allowance | None = None
    """How many each account may write to; None: without limit."""
    memory: Memory = field(default_factory=Memory)
    unheard: Unheard = field(default_factory=Unheard)


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
        super().__init__(terms.hostname, door, terms.tls, loop)
        self._terms = terms
        self._transaction: _Transaction | None = None
        self._helo = ""
        self._extended = False
        self._tries = 0
        self._signed_in: SignedIn | None = None
        self._vouched_at = 0.0
        self._verbs: Mapping[str, Command] = {
            "EHLO": self._ehlo,
            "HELO": self._helo_name,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have less patience with a stranger."""
        super().connection_made(transport)
        if not self.trusted:
            self._timeout_duration = min(self._timeout_duration, _STRANGER_IDLE_S)
            self._reset_timeout()

    def _set_rset_state(self) -> None:
        super()._set_rset_state()  # type: ignore[no-untyped-call] # aiosmtpd's
        self._transaction = None

    async def _ehlo(self, argument: str) -> Answer:
        reply = self._greet(argument)
        if reply is not None:
            return reply
        self._extended = True
        words = (self.hostname, f"SIZE {self._terms.max_message_bytes}", *self._secrets())
        lines = [f"250-{word}\r\n" for word in words[:-1]] + [f"250 {words[-1]}\r\n"]
        return "".join(lines).encode()

    def _secrets(self) -> tuple[str, ...]:
        terms = self._terms
        starttls = ("STARTTLS",) if terms.tls is not None and not self.secured else ()
        # RFC 4954 4: what sends passwords in the clear is not offered without TLS, on no network.
        auth = (f"AUTH {' '.join(MECHANISMS)}",) if terms.sign_in and self.secured else ()
        return (*starttls, *auth, *_EXTENSIONS)

    async def _helo_name(self, argument: str) -> Answer:
        return self._greet(argument) or f"250 {self.hostname}\r\n".encode()

    def _greet(self, name: str) -> Reply | None:
        if self._is_out_of_step():
            return phrases.OUT_OF_STEP
        if _HELO_NAME.fullmatch(name) is None:
            return phrases.HELO_SYNTAX
        self._helo = name
        self._extended = False
        self._transaction = None  # RFC 5321 4.1.4: as RSET
        return None

    async def _starttls(self, argument: str) -> Reply:
        if self._terms.tls is None:
            return phrases.NOT_IMPLEMENTED
        if argument:
            return phrases.NO_ARGUMENT
        if self.secured:
            return phrases.TLS_IN_USE
        # RFC 3207 4.2: what was said before is forgotten.
        self._helo, self._extended, self._transaction = "", False, None
        return phrases.READY_FOR_TLS

    async def _auth(self, argument: str) -> Reply:
        sign_in = self._terms.sign_in
        if sign_in is None:
            return phrases.NOT_IMPLEMENTED
        refusal = self._refuse_auth()
        if refusal is not None:
            return refusal
        credential = await read_credential(argument, self._ask)
        if isinstance(credential, Reply):
            self._tries += credential is phrases.WRONG_CREDENTIAL
            return credential
        answer = await sign_in.sign_in(credential, self.peer)
        if isinstance(answer, Reply):
            self._tries += answer is phrases.WRONG_CREDENTIAL
            return answer
        self._signed_in, self._vouched_at = answer, self.loop.time()
        self._timeout_duration = IDLE_S
        self._door.vouch(self)
        _log.info("client.signed_in", client=str(self.peer), account=answer.account)
        return phrases.SIGNED_IN

    def _refuse_auth(self) -> Reply | None:
        if not self.secured:
            return phrases.ENCRYPTION_REQUIRED
        if self._signed_in is not None:
            return phrases.SIGNED_IN_ALREADY
        if self._transaction is not None:
            return phrases.NO_SIGN_IN_NOW
        if not self._extended:
            return phrases.HELO_FIRST
        return phrases.TOO_MANY_TRIES if self._tries >= _MAX_TRIES else None

    async def _mail(self, argument: str) -> Reply:
        if not self._helo:
            return phrases.HELO_FIRST
        if self._transaction is not None:
            return phrases.NESTED_MAIL
        refusal = await self._refuse_client()
        if refusal is not None:
            return refusal
        mail = parse_mail_from(argument, auth=self._terms.sign_in is not None)
        if isinstance(mail, Reply):
            return mail
        refusal = self._refuse_sender(mail.sender) or self._refuse_size(mail.size_bytes)
        if refusal is None:
            self._transaction = _Transaction(mail)
        return refusal or phrases.SENDER_OK

    async def _refuse_client(self) -> Reply | None:
        """Return why a client may send nothing at all."""
        terms, signed_in = self._terms, self._signed_in
        if signed_in is not None and self.loop.time() - self._vouched_at >= _VOUCHED_S:
            assert terms.sign_in is not None  # since he has signed in
            self._signed_in = signed_in = await terms.sign_in.renew(signed_in)
            self._vouched_at = self.loop.time()
            if signed_in is None:
                return phrases.SIGN_IN_ANEW
        if self.trusted or signed_in is not None:
            return None
        if terms.sign_in is None:
            return phrases.RELAYING_DENIED
        return phrases.SIGN_IN_FIRST if self.secured else phrases.TLS_FIRST

    def _refuse_sender(self, sender: Address | None) -> Reply | None:
        if self.trusted or self._signed_in is None or may_send_as(self._signed_in, sender):
            return None
        return phrases.NOT_YOUR_ADDRESS

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
        if key not in recipients and not self._may_have_another():
            return phrases.TOO_MUCH_MAIL
        recipients.setdefault(key, recipient)
        self._junk = 0
        return phrases.RECIPIENT_OK

    def _may_have_another(self) -> bool:
        allowance, signed_in = self._terms.recipients, self._signed_in
        if allowance is None or signed_in is None:
            return True
        return allowance.take(account_key(signed_in.account))

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
        async with self._terms.memory.share(transaction.mail.size_bytes) as share:
            if share is None:
                return phrases.NO_MEMORY
            return await self._take_content(transaction, share)

    async def _take_content(self, transaction: _Transaction, share: Share) -> Reply:
        raw = await self._read_content(share)
        if isinstance(raw, Reply):
            return raw
        self._junk = 0
        submission = self._submission(transaction, raw)
        told = self._terms.unheard.take(submission)
        if told is not None:
            _log.info("submission.repeated", client=str(self.peer), reply=str(told))
            return told
        return await self._door.take_in(self._taken_in(submission))

    async def _taken_in(self, submission: Submission) -> Reply:
        reply = await self._terms.take_in(submission)
        if self.gone:
            self._terms.unheard.keep(submission, reply)
        return reply

    async def _read_content(self, share: Share) -> bytes | Reply:
        await self._say(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        max_bytes = self._terms.max_message_bytes
        try:
            data = await read_data(self._reader, max_bytes, share.grow)
        except TimeoutError:
            return phrases.TIMED_OUT
        if data is None:
            return phrases.NO_MEMORY if share.refused else TOO_BIG
        return canonical_message(data, max_bytes, refuse_lone_lf=self._terms.refuse_lone_lf)

    def _submission(self, transaction: _Transaction, raw: bytes) -> Submission:
        mail, signed_in = transaction.mail, self._signed_in
        return Submission(
            send_id=new_random_ident(),
            envelope=Envelope(
                mail.sender, tuple(transaction.recipients.values()), mail.smtputf8, mail.body_8bit
            ),
            raw=raw,
            received_at=datetime.now(UTC),
            client=Client(str(self.peer), self._helo, tls=self.secured),
            account=signed_in.account if signed_in else None,
            credential=signed_in.credential if signed_in else None,
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
