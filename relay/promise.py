"""The words of the spool: what is stored, claimed and settled."""

from dataclasses import dataclass
from datetime import datetime

from ledger.address import Address
from ledger.fact import SendAccepted
from ledger.fate import Fate
from relay.mail import Copy, Recipient, Submission
from relay.reply import Deferred, Outcome
from relay.retry import Tries
from relay.template import Template


class SpoolError(Exception):
    """Nothing of what was asked is on disk; the text says why."""


class CopyIdTaken(SpoolError):  # noqa: N818 - what happened, not who is to blame
    """A copy_id is in use: draw again."""


class Unstorable(SpoolError):  # noqa: N818 - what happened, not who is to blame
    """The store is well, but this can not be written into it: a fault of ours."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One send as it enters the spool, with the fact that it was accepted."""

    submission: Submission
    template: Template
    copies: tuple[Copy, ...]
    fact: SendAccepted
    sealed: bytes | None = None
    """The sender's own credential (`relay.seal`), where it goes as his."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One copy that is due, with all that stamping and delivering need."""

    copy: Copy
    """Its recipients are those still pending."""
    lease: str
    sender: Address | None
    template: Template
    tries: Tries
    """Before this one."""
    received_at: datetime
    message_id: str | None
    subject: str | None
    account: str | None
    smtputf8: bool
    body_8bit: bool
    delay_noticed: bool
    fate: Fate | None = None
    """What is to become of it, where it is not to be delivered."""
    withdrawn: str | None = None
    """Why it goes out as the original, where it was accepted as more."""
    sealed: bytes | None = None
    """The credential it must go with; None: as ourselves."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one attempt; a recipient without an outcome stays pending."""

    copy_id: int
    lease: str
    attempt_at: datetime
    outcomes: tuple[tuple[Recipient, Outcome], ...]
    upstream: str
    due_at: datetime | None = None
    """The next attempt; must be said where somebody is deferred."""
    withdrawn: str | None = None
    """As the claim's: told of each who was delivered."""
    captured: bytes | None = None
    """Unstuffed bytes for the captured mailbox, where there is no upstream."""
    delay_noticed: bool = False
    tries: Tries | None = None
    """With this attempt; None: it is only put back, for there was no room to try."""
    fate: Fate | None = None
    """DEAD: when nobody is pending it is kept all the same."""
    lane: str | None = None
    """Where it waits from now on; None: where it did."""
    notices: tuple[Stored, ...] = ()
    """Bounces and delay notices, stored as new mail in the same transaction."""

    def __post_init__(self) -> None:
        """Refuse to lose the deferred."""
        deferred = any(isinstance(outcome, Deferred) for _, outcome in self.outcomes)
        if deferred and self.due_at is None:
            msg = f"copy {self.copy_id}: somebody is deferred and no due_at is given"
            raise ValueError(msg)
