"""One transaction of the spool: the steps that are in it, and their rows.

Law: a settlement whose lease is lost changes nothing.
"""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection

from ledger import settled as settled_rows
from ledger import spooled
from ledger.address import parse_address
from ledger.event import EventType
from ledger.fact import Fact, RecipientTold
from ledger.fate import Fate
from ledger.ident import RANDOM_BITS, new_ident
from ledger.mode import TrackingMode
from ledger.outbox import OwedFact, owe_facts
from relay.mail import Copy, Recipient, RecipientType
from relay.promise import Claim, Settlement, Stored
from relay.reply import Deferred, Delivered, Failed, Outcome
from relay.retry import Tries
from relay.straight import Placed
from relay.template import Template


@dataclass(frozen=True, slots=True)
class Claiming:
    """Claim what is due at `now`, at most `limit`."""

    limit: int
    now: datetime
    lease: spooled.Lease
    lane: str | None = None
    """None: of all."""


@dataclass(frozen=True, slots=True)
class Renewing:
    """Let leases (by copy_id) end at `until`."""

    leases: dict[int, str]
    until: datetime


@dataclass(frozen=True, slots=True)
class Adopting:
    """Let copies that wait in none of these lanes wait in the first."""

    lanes: tuple[str, ...]


Step = Stored | Settlement | Claiming | Renewing | Adopting


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One caller's step, and where he waits."""

    step: Step
    sends: tuple[tuple[Stored, bytes], ...]
    """New mail of this step, with its packed template."""
    done: asyncio.Future[Any]
    size_bytes: int
    placed: dict[int, Placed] = field(default_factory=dict)
    """By copy_id: where copies go that do not simply wait."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has written."""

    answers: list[Any]
    """In the order of the jobs."""
    owed: tuple[OwedFact, ...]


def write_batch(connection: Connection, jobs: list[Job], lessee: str) -> Written:
    """Write all steps and return their answers, in the order of the jobs.

    None for Stored and Renewing, whether the lease was held for a Settlement, the due copies and
    who is pending of each for Claiming.

    Raises IntegrityError where a copy_id or send_id is taken.
    """
    settled = _standing(connection, [job.step for job in jobs if isinstance(job.step, Settlement)])
    counted = [job for job in jobs if _counts(job, settled)]
    sends = [send for job in counted for send in job.sends]
    _insert(connection, counted, lessee)
    facts: list[Fact] = [stored.fact for stored, _ in sends]
    facts += _write_outcomes(connection, settled)
    owed = owe_facts(connection, facts)
    answers: list[Any] = []
    for job in jobs:
        match job.step:
            case Stored():
                answers.append(None)
            case Settlement():
                answers.append(_counts(job, settled))
            case Claiming(limit, now, lease, lane):
                due = spooled.claim_due(connection, limit, now, lease, lane)
                pending = spooled.pending_recipients(connection, [one.copy_id for one in due])
                answers.append((due, pending))
            case Renewing(leases, until):
                spooled.renew_leases(connection, leases, until)
                answers.append(None)
            case Adopting(lanes):
                spooled.adopt_lanes(connection, lanes)
                answers.append(None)
            case _:
                assert_never(job.step)
    return Written(answers, owed)


_Settled = dict[int, tuple[Settlement, spooled.LeasedCopy]]
"""By copy_id: the settlements whose lease is held, the first for each copy."""


def _counts(job: Job, settled: _Settled) -> bool:
    step = job.step
    return not isinstance(step, Settlement) or (
        step.copy_id in settled and settled[step.copy_id][0] is step
    )


def _standing(connection: Connection, settlements: list[Settlement]) -> _Settled:
    settled: _Settled = {}
    if settlements:
        held = spooled.leased_copies(connection, [one.copy_id for one in settlements])
        for one in settlements:
            copy = held.get(one.copy_id)
            if copy is not None and copy.lease == one.lease:
                settled.setdefault(one.copy_id, (one, copy))
    return settled


def _insert(connection: Connection, jobs: list[Job], lessee: str) -> None:
    sends = [send for job in jobs for send in job.sends]
    if not sends:
        return
    copies = [(stored, copy) for stored, _ in sends for copy in stored.copies]
    placed = {copy_id: one for job in jobs for copy_id, one in job.placed.items()}
    spooled.insert_sends(
        connection,
        [_send_row(stored, packed) for stored, packed in sends],
        [
            _copy_row(stored, copy, placed.get(copy.copy_id, Placed()), lessee)
            for stored, copy in copies
        ],
        [row for _, copy in copies for row in _recipient_rows(copy)],
    )


def _write_outcomes(connection: Connection, settled: _Settled) -> list[RecipientTold]:
    """Write them and return what the ledger is to be told."""
    if not settled:
        return []
    pending = spooled.pending_recipients(connection, list(settled))
    answers: list[settled_rows.Answer] = []
    put_back: dict[int, tuple[datetime, datetime]] = {}
    retries: list[settled_rows.Retry] = []
    dead: list[settled_rows.Retry] = []
    finished: list[spooled.LeasedCopy] = []
    facts: list[RecipientTold] = []
    for settlement, copy in settled.values():
        told = _told(settlement, pending.get(copy.copy_id, ()))
        for row, outcome in told.answered:
            facts.extend(_facts(settlement, copy, row, outcome))
        if not told.waiting and settlement.fate is None:
            finished.append(copy)
            continue
        answers.extend(_answer(row, outcome) for row, outcome in told.answered)
        if settlement.tries is None:
            at = settlement.attempt_at
            put_back[copy.copy_id] = (at, settlement.due_at or at)
        else:
            (retries if told.waiting else dead).append(_retry(settlement, settlement.tries))
    settled_rows.write_answers(connection, answers)
    settled_rows.put_back(connection, put_back)
    spooled.change_lanes(
        connection, {one.copy_id: one.lane for one, _ in settled.values() if one.lane is not None}
    )
    settled_rows.schedule_retries(connection, retries)
    settled_rows.keep_dead(connection, dead)
    spooled.capture_copies(
        connection, [_captured(*one) for one in settled.values() if one[0].captured is not None]
    )
    settled_rows.delete_finished(connection, finished)
    return facts


@dataclass(frozen=True, slots=True)
class _Told:
    """Rows with their outcome, and whether anybody is left to be tried again."""

    answered: tuple[tuple[spooled.SpooledRecipient, Outcome], ...]
    waiting: bool


def _told(settlement: Settlement, pending: Sequence[spooled.SpooledRecipient]) -> _Told:
    outcomes = {str(recipient.address): outcome for recipient, outcome in settlement.outcomes}
    answered = tuple((row, outcomes[row.recipient]) for row in pending if row.recipient in outcomes)
    ended = sum(not isinstance(outcome, Deferred) for _, outcome in answered)
    return _Told(answered, waiting=ended < len(pending))


def _retry(settlement: Settlement, tries: Tries) -> settled_rows.Retry:
    return settled_rows.Retry(
        settlement.copy_id,
        settlement.due_at or settlement.attempt_at,
        settlement.delay_noticed,
        settlement.attempt_at,
        tries.waited_s,
        settlement.upstream,
        settlement.fate,
    )


def _answer(row: spooled.SpooledRecipient, outcome: Outcome) -> settled_rows.Answer:
    return settled_rows.Answer(row.copy_id, row.number, _STATE[type(outcome)], str(outcome.reply))


def _facts(
    settlement: Settlement,
    copy: spooled.LeasedCopy,
    row: spooled.SpooledRecipient,
    outcome: Outcome,
) -> Iterator[RecipientTold]:
    fact = RecipientTold(
        event_id=fresh_ident(settlement.attempt_at),
        type=_EVENT[type(outcome)],
        at=settlement.attempt_at,
        send_id=copy.send_id,
        copy_id=copy.copy_id,
        recipient=row.recipient,
        recipient_type=row.recipient_type,
        reply=str(outcome.reply),
        upstream=settlement.upstream,
    )
    yield fact
    if settlement.withdrawn is not None and isinstance(outcome, Delivered):
        yield replace(
            fact,
            event_id=fresh_ident(settlement.attempt_at),
            type=EventType.WITHDRAWN,
            reasons=(settlement.withdrawn,),
        )


_STATE = {Delivered: "delivered", Deferred: spooled.PENDING, Failed: "failed"}
_EVENT = {
    Delivered: EventType.RELAYED,
    Deferred: EventType.DEFERRED,
    Failed: EventType.FAILED,
}


def _captured(settlement: Settlement, copy: spooled.LeasedCopy) -> spooled.CapturedCopy:
    delivered = (one for one, outcome in settlement.outcomes if isinstance(outcome, Delivered))
    return spooled.CapturedCopy(
        copy_id=copy.copy_id,
        send_id=copy.send_id,
        captured_at=settlement.attempt_at,
        sender=copy.sender,
        recipients=tuple((one.recipient_type.value, str(one.address)) for one in delivered),
        mode=copy.mode if settlement.withdrawn is None else TrackingMode.OFF,
        subject=copy.subject,
        raw=settlement.captured or b"",
    )


def _send_row(stored: Stored, packed: bytes) -> spooled.SpooledSend:
    submission, envelope = stored.submission, stored.submission.envelope
    return spooled.SpooledSend(
        send_id=submission.send_id,
        received_at=submission.received_at,
        sender=None if envelope.sender is None else str(envelope.sender),
        account=submission.account,
        smtputf8=envelope.smtputf8,
        body_8bit=envelope.body_8bit,
        message_id=stored.fact.message_id,
        subject=stored.fact.subject,
        template=packed,
        credential=stored.sealed,
    )


def _copy_row(stored: Stored, copy: Copy, placed: Placed, lessee: str) -> spooled.SpooledCopy:
    row = spooled.SpooledCopy(
        copy_id=copy.copy_id,
        send_id=copy.send_id,
        mode=copy.mode.value,
        layout=copy.layout,
        key_id=copy.key_id,
        due_at=stored.submission.received_at,
        lane=placed.lane,
    )
    if placed.claim is None or placed.until is None:
        return row
    until = placed.until
    return replace(row, due_at=until, lease=placed.claim.lease, lessee=lessee, leased_until=until)


def _recipient_rows(copy: Copy) -> list[spooled.SpooledRecipient]:
    return [
        spooled.SpooledRecipient(copy.copy_id, number, str(one.address), one.recipient_type.value)
        for number, one in enumerate(copy.recipients)
    ]


def claim_of(
    due: spooled.DueCopy,
    pending: Sequence[spooled.SpooledRecipient],
    lease: str,
    template: Template,
) -> Claim:
    """Return the claim that the rows of a copy, its recipients and its template make."""
    recipients = tuple(
        Recipient(parse_address(row.recipient), RecipientType(row.recipient_type))
        for row in pending
    )
    mode = TrackingMode(due.mode)
    return Claim(
        copy=Copy(due.copy_id, due.send_id, mode, due.layout, due.key_id, recipients),
        lease=lease,
        sender=None if due.sender is None else parse_address(due.sender),
        template=template,
        tries=Tries(due.attempts, due.tried_at, due.waited_s),
        received_at=due.received_at,
        message_id=due.message_id,
        subject=due.subject,
        account=due.account,
        smtputf8=due.smtputf8,
        body_8bit=due.body_8bit,
        delay_noticed=due.delay_noticed,
        fate=None if due.fate is None else Fate(due.fate),
        sealed=due.credential,
    )


def fresh_ident(at: datetime) -> str:
    """Return a new name for an event or a lease."""
    return new_ident(int(at.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
