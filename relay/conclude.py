"""CONCLUDE: what an attempt means: settled, due again, or told to the sender."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.address import Address
from ledger.fate import Fate
from relay.dsn import Reporter, Undelivered, Unserved, write_bounce, write_delay_notice
from relay.mail import Recipient
from relay.notice import Names, notice_mail
from relay.promise import Claim, Settlement, Stored
from relay.reply import Deferred, Failed, Outcome
from relay.retry import (
    RetryTimes,
    Tries,
    count_attempt,
    next_attempt,
    owes_delay_notice,
    retry_until,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of trying a claim once."""

    at: datetime
    outcomes: tuple[Outcome, ...]
    """For each recipient of the claim, in order."""
    upstream: str
    """Its name, which events show; empty where none was tried."""
    host: str
    """Who spoke, as a report says it."""
    captured: bytes | None = None
    """The copy itself, unstuffed, where it was captured instead of sent."""
    steady_s: float = math.inf
    """For how long the clock had not been set."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What chance gives to one conclusion."""

    jitter: float
    """0 to 1."""
    bounce: Names
    delay_notice: Names


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says about it."""

    hostname: str
    retry: RetryTimes
    reports_as_sender: bool = False
    """Reports go with the credential of whom they are for: we have none of our own."""


def conclude_attempt(claim: Claim, attempt: Attempt, terms: Terms, drawn: Drawn) -> Settlement:
    """Return how the claim is settled.

    Law: every recipient is delivered, failed or due again, and each who fails is named in a report
    to the sender if there is one, unless an admin has given the copy up in silence.
    Law: what has no sender makes no report; who fails of it makes it a dead letter.
    """
    tries = count_attempt(terms.retry, claim.tries, attempt.at, attempt.steady_s)
    due_at = next_attempt(terms.retry, tries, attempt.at, drawn.jitter)
    told = tuple(
        (recipient, _final(outcome, due_at))
        for recipient, outcome in zip(claim.copy.recipients, attempt.outcomes, strict=True)
    )
    deferred = [(one, outcome) for one, outcome in told if isinstance(outcome, Deferred)]
    failed = [(one, outcome) for one, outcome in told if isinstance(outcome, Failed)]
    report = _Report(claim, attempt, terms, tries)
    late = not claim.delay_noticed and owes_delay_notice(
        terms.retry, tries, attempt.at, claim.received_at
    )
    delay_notices = report.delay_notice(deferred, drawn.delay_notice) if late else ()
    return Settlement(
        copy_id=claim.copy.copy_id,
        lease=claim.lease,
        attempt_at=attempt.at,
        outcomes=told,
        upstream=attempt.upstream,
        due_at=due_at if deferred else None,
        withdrawn=claim.withdrawn,
        captured=attempt.captured,
        delay_noticed=claim.delay_noticed or bool(delay_notices),
        tries=tries,
        fate=_fate(claim, has_failed=bool(failed)),
        notices=report.bounce(failed, drawn.bounce) + delay_notices,
    )


def _fate(claim: Claim, *, has_failed: bool) -> Fate | None:
    if claim.fate is Fate.DEAD or (has_failed and claim.sender is None and claim.fate is None):
        return Fate.DEAD
    return None


def _final(outcome: Outcome, due_at: datetime | None) -> Outcome:
    if isinstance(outcome, Deferred) and due_at is None:
        return Failed(outcome.reply)
    return outcome


_Told = Sequence[tuple[Recipient, Outcome]]


@dataclass(frozen=True, slots=True)
class _Report:
    claim: Claim
    attempt: Attempt
    terms: Terms
    tries: Tries

    def bounce(self, failed: _Told, names: Names) -> tuple[Stored, ...]:
        sender = self.claim.sender
        if sender is None or not failed or self.claim.fate is Fate.SILENT:
            return ()
        raw = write_bounce(self._undelivered(sender), self._unserved(failed), self._reporter(names))
        return (self._mail(raw, sender, names),)

    def delay_notice(self, deferred: _Told, names: Names) -> tuple[Stored, ...]:
        sender = self.claim.sender
        if sender is None or not deferred:
            return ()
        raw = write_delay_notice(
            self._undelivered(sender),
            self._unserved(deferred),
            self._reporter(names),
            retry_until(self.terms.retry, self.tries, self.attempt.at),
        )
        return (self._mail(raw, sender, names),)

    def _mail(self, raw: bytes, sender: Address, names: Names) -> Stored:
        stored = notice_mail(raw, sender, names, self.attempt.at)
        return replace(stored, sealed=self.claim.sealed if self.terms.reports_as_sender else None)

    def _undelivered(self, sender: Address) -> Undelivered:
        claim = self.claim
        return Undelivered(sender, claim.received_at, claim.template.original, claim.message_id)

    def _unserved(self, some: _Told) -> tuple[Unserved, ...]:
        host = self.attempt.host or self.terms.hostname
        return tuple(Unserved(one.address, outcome.reply, host) for one, outcome in some)

    def _reporter(self, names: Names) -> Reporter:
        return Reporter(self.terms.hostname, names.send_id, self.attempt.at)
