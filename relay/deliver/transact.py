"""One mail transaction: MAIL, RCPT, DATA and the content, as few turns as the server allows.

Law: every recipient has an outcome, and the bytes between the 354 and the full stop are the
content as it was given.
"""

from dataclasses import dataclass, field

from relay.deliver.wire import Connection, WireError
from relay.mail import Envelope
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.upstream import Timeouts

_NO_SMTPUTF8 = Failed(
    # RFC 6531 3.5: what needs it is not sent to a server that does not offer it.
    Reply(553, "5.6.7", "the next hop does not take internationalised addresses (SMTPUTF8)")
)
_OUR_FAULTS = frozenset({530, 534, 535, 538})
"""RFC 4954 6: it wants a sign-in or TLS.  The configuration is at fault, not the mail: it waits."""
_FULL = frozenset({452, 552})
"""RFC 5321 4.5.3.1.10: too many recipients is 452; 552 to RCPT is an old spelling of it."""
_CLOSING = 421  # RFC 5321 3.8
_GO_ON = 354  # RFC 5321 4.1.1.4


@dataclass(frozen=True, slots=True)
class Transacted:
    """What became of one transaction."""

    outcomes: tuple[Outcome, ...]
    """In the order of the envelope's recipients."""
    begun: bool
    """MAIL was answered; False: the connection was of no use, and another one may be."""
    overfull: tuple[int, ...] = ()
    """Positions of recipients that were too many for one transaction, where others were taken."""


async def send_message(
    connection: Connection, envelope: Envelope, content: bytes, timeouts: Timeouts
) -> Transacted:
    """Return what became of each recipient; errors are outcomes.

    `content` is dot-stuffed and ends CRLF.  Afterwards `connection.clean` tells whether it may be
    used again.
    """
    assert content.endswith(b"\r\n"), "content ends CRLF"
    connection.clean = False
    talk = _Talk(connection, envelope, timeouts)
    talk.refuse_what_needs_smtputf8(content)
    try:
        await talk.run(content)
    except WireError as error:
        reply = Reply(451, "4.4.2", f"{connection.host}: {talk.when}{error}")
        talk.settle_rest(Deferred(reply, ambiguous=bool(talk.when)))
    except _ClosingError as error:
        talk.settle_rest(Deferred(error.reply))
    connection.transactions += 1
    return talk.transacted()


class _ClosingError(Exception):
    """The server closes the connection (RFC 5321 3.8): whatever was not answered waits."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(slots=True)
class _Talk:
    connection: Connection
    envelope: Envelope
    timeouts: Timeouts
    begun: bool = False
    when: str = ""
    """In a text about the connection: since when the answer is missing."""
    _outcomes: dict[int, Outcome] = field(default_factory=dict)
    _asked: list[int] = field(default_factory=list)
    """Positions of the recipients that RCPT names."""
    _full: list[int] = field(default_factory=list)
    _delivered: bool = False
    _taken: bool = False
    """A recipient was answered 250, whatever came of MAIL."""

    def refuse_what_needs_smtputf8(self, content: bytes) -> None:
        """Settle those whom a server without SMTPUTF8 may not be given."""
        recipients = self.envelope.recipients
        self._asked = list(range(len(recipients)))
        if "smtputf8" in self.connection.offers:
            return
        sender = self.envelope.sender
        header = content[: content.find(b"\r\n\r\n") + 1] if self.envelope.smtputf8 else b""
        if (sender is not None and not sender.is_ascii) or not header.isascii():
            self._asked = []
        self._asked = [position for position in self._asked if recipients[position].is_ascii]
        self.settle_rest(_NO_SMTPUTF8, self._asked)

    async def run(self, content: bytes) -> None:
        """Speak. Raises WireError and _ClosingError."""
        if not self._asked:
            self.begun = self.connection.clean = True
            return
        if "pipelining" in self.connection.offers:
            answer: Reply | None = await self._offer_at_once(content)
        else:
            answer = await self._offer_in_turn(content)
        if answer is None:
            await self._reset()
        elif answer.code != _GO_ON:
            odd = answer.code < _GO_ON
            self._settle(Reply(451, "4.5.0", f"it answered DATA with {answer}") if odd else answer)
            await self._reset()
        elif self._waiting():
            await self._give(content)
        elif not self._taken:
            await self._give_nothing()
        # Else MAIL was refused and somebody taken all the same: the full stop would send him an
        # empty mail, so the connection is cut.

    async def _offer_at_once(self, content: bytes) -> Reply:
        # RFC 2920 3.1: MAIL, RCPT and DATA may go as one group; every reply is read for itself.
        wire = self.connection.wire
        wire.write(self._mail(content), *map(self._rcpt, self._asked), b"DATA")
        self._heard_mail(await self._reply())
        for position in self._asked:
            self._heard_recipient(position, await self._reply())
        return await self._reply(self.timeouts.data_s)

    async def _offer_in_turn(self, content: bytes) -> Reply | None:
        wire = self.connection.wire
        wire.write(self._mail(content))
        self._heard_mail(await self._reply())
        for position in self._asked if self._waiting() else ():
            wire.write(self._rcpt(position))
            self._heard_recipient(position, await self._reply())
        if not self._waiting():
            return None
        wire.write(b"DATA")
        return await self._reply(self.timeouts.data_s)

    async def _give(self, content: bytes) -> None:
        wire = self.connection.wire
        whole = await wire.write_content(content, self.timeouts.block_s)
        if whole:
            self.when = "after the end of the data, so it may have been taken: "
        answer = await self._reply(self.timeouts.end_s)
        if not whole and answer.code < 400:  # noqa: PLR2004 - RFC 5321 4.2.1
            answer = Reply(451, "4.5.0", f"it answered before the end of the data: {answer}")
        self._settle(answer)
        self._delivered = answer.code < 300  # noqa: PLR2004 - RFC 5321 4.2.1
        self.connection.clean = whole and answer.code // 100 != 3  # noqa: PLR2004 - RFC 5321 4.2.1

    async def _give_nothing(self) -> None:
        # RFC 2920 3.1: a 354 though nobody was taken is answered with an empty message.
        self.connection.wire.write(b".")
        await self._reply(self.timeouts.end_s)
        await self._reset()

    async def _reset(self) -> None:
        self.connection.wire.write(b"RSET")
        self.connection.clean = (await self._reply()).code == 250  # noqa: PLR2004 - RFC 5321 4.1.1.5

    async def _reply(self, timeout_s: float | None = None) -> Reply:
        reply = await self.connection.wire.reply(timeout_s or self.timeouts.command_s)
        if reply.code == _CLOSING:
            raise _ClosingError(reply)
        return reply

    def _mail(self, content: bytes) -> bytes:
        offers, sender = self.connection.offers, self.envelope.sender
        words = [f"MAIL FROM:<{sender or ''}>"]
        if "size" in offers:
            # RFC 1870 5: an estimate; dot-stuffing makes it a few bytes too many.
            words.append(f"SIZE={len(content)}")
        if "8bitmime" in offers and not content.isascii():
            words.append("BODY=8BITMIME")
        if "smtputf8" in offers and (self.envelope.smtputf8 or not self._is_ascii()):
            words.append("SMTPUTF8")
        return " ".join(words).encode()

    def _is_ascii(self) -> bool:
        sender = self.envelope.sender
        return (sender is None or sender.is_ascii) and all(
            recipient.is_ascii for recipient in self.envelope.recipients
        )

    def _rcpt(self, position: int) -> bytes:
        return f"RCPT TO:<{self.envelope.recipients[position]}>".encode()

    def _heard_mail(self, reply: Reply) -> None:
        self.begun = True
        if reply.code >= 300:  # noqa: PLR2004 - RFC 5321 4.2.1
            self._settle(reply)

    def _heard_recipient(self, position: int, reply: Reply) -> None:
        self._taken |= reply.code < 300  # noqa: PLR2004 - RFC 5321 4.2.1
        if reply.code < 300 or position in self._outcomes:  # noqa: PLR2004 - RFC 5321 4.2.1
            return
        if reply.code in _FULL:
            self._full.append(position)
            self._outcomes[position] = Deferred(reply)
        else:
            self._outcomes[position] = _outcome_of(reply)

    def _waiting(self) -> bool:
        return len(self._outcomes) < len(self.envelope.recipients)

    def _settle(self, reply: Reply) -> None:
        self.settle_rest(_outcome_of(reply))

    def settle_rest(self, outcome: Outcome, but: list[int] | None = None) -> None:
        """Give an outcome to everybody who has none yet."""
        for position in range(len(self.envelope.recipients)):
            if not but or position not in but:
                self._outcomes.setdefault(position, outcome)

    def transacted(self) -> Transacted:
        """Return what became of it."""
        outcomes = tuple(outcome for _, outcome in sorted(self._outcomes.items()))
        return Transacted(outcomes, self.begun, tuple(self._full) if self._delivered else ())


def _outcome_of(reply: Reply) -> Outcome:
    match reply.code // 100:
        case 2:
            return Delivered(reply)
        case 5 if reply.code not in _OUR_FAULTS:
            return Failed(reply)
        case _:
            return Deferred(reply)
