"""What a rule would have changed in mail already sent.

A recorded treatment is what all sources have left, so a rule that is added needs none of them.
Law: what comes of it is what had been decided with the rule among the sources.
Law: no rule widens what was recorded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from config.settings import Rule
from ledger.address import address_key
from ledger.mode import TrackingMode, narrowest
from ledger.patterns import matches_mailbox, matches_signed_in
from ledger.treated import PastSend, Treated

OFF = Treated(TrackingMode.OFF, opens=False, clicks="none")

_LISTED = 100
"""Changed copies that are shown one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One recipient of one send who would have been treated otherwise."""

    send: PastSend
    recipient: str
    before: Treated
    after: Treated


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rule would have changed, over some sends."""

    sends: int
    copies: int
    counts: Mapping[tuple[Treated, Treated], int] = field(default_factory=dict)
    """How many went from one treatment to another, the most first."""
    listed: tuple[Changed, ...] = ()
    """The latest of them."""
    decided: int = 0
    """Copies of which the rule, as it was, had decided something itself."""

    @property
    def changed(self) -> int:
        """How many copies would have been treated otherwise."""
        return sum(self.counts.values())


def rehearse(rule: Rule, sends: Iterable[PastSend], digest_key: bytes | None = None) -> Rehearsal:
    """Return what a rule that is added would have changed, the sends in their order.

    By `digest_key` a rule finds who is forgotten, in mail that was sent after.
    """
    number, copies, decided = 0, 0, 0
    counts = Counter[tuple[Treated, Treated]]()
    listed: list[Changed] = []
    for send in sends:
        number, copies = number + 1, copies + len(send.copies)
        decided += sum(rule.name in copy.rules for copy in send.copies)
        for one in _changes(rule, send, digest_key):
            counts[one.before, one.after] += 1
            if len(listed) < _LISTED:
                listed.append(one)
    return Rehearsal(number, copies, dict(counts.most_common()), tuple(listed), decided)


def narrowed(rule: Rule, recorded: Treated) -> Treated:
    """Return what a rule that matches leaves of what was recorded.

    Opens and clicks both off is mode off, and mode off is neither.
    """
    mode = narrowest(recorded.mode, rule.mode)
    opens = recorded.opens and rule.opens
    clicks = recorded.clicks if rule.clicks else "none"
    if mode is TrackingMode.OFF or (not opens and clicks == "none"):
        return OFF
    return Treated(mode, opens, clicks)


def _changes(rule: Rule, send: PastSend, digest_key: bytes | None) -> Iterator[Changed]:
    if not _concerns(rule, send, digest_key):
        return
    for copy in send.copies:
        after = narrowed(rule, copy.treated)
        if after != copy.treated and _matches(rule.recipient, copy.recipient, digest_key):
            yield Changed(send, copy.recipient, copy.treated, after)


def _concerns(rule: Rule, send: PastSend, digest_key: bytes | None) -> bool:
    return _matches(rule.sender, send.sender, digest_key) and (
        rule.account is None
        or (send.account is not None and matches_signed_in(rule.account, send.account, digest_key))
    )


def _matches(pattern: str | None, address: str | None, digest_key: bytes | None) -> bool:
    if pattern is None:
        return True
    key = None if address is None else address_key(address)
    return key is not None and matches_mailbox(pattern, key, digest_key)
