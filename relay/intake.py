"""HUB, the way in: parse, judge, compile, split, store.

Nothing is answered 250 before it is durable, and nothing is half accepted.  A fault of ours in
what tracking needs costs the tracking, never the mail.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import structlog

from ledger.fact import UNOBSERVED
from ledger.ident import RANDOM_BITS, new_ident
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.explain import explain_send
from relay.facts import accepted_fact
from relay.fault import pass_for_fault
from relay.judge import IN_A_LOOP, LOOP_RECEIVED, judge
from relay.mail import Entity, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.promise import CopyIdTaken, SpoolError, Stored, Unstorable
from relay.reply import Reply
from relay.seal import SALT_BYTES, seal_credential
from relay.send import Send
from relay.split import split_copies
from relay.spool import Spool
from relay.untouched import count_received, leave_untouched, untouched_copy
from relay.verdict import Accept, PassReason, PassThrough, Refuse

_LONG_BYTES = 256 * 1024
"""Compiling more takes over 5 ms, and the loop has others to serve: it is done in a thread."""

_COPY_ID_BITS = 63
"""So that the number fits a signed column."""

_DRAWS = 3
"""Of ids: that one is taken happens once in 2^63 / copies; three times it is a fault of ours."""

_NOT_STORED = Reply(451, "4.3.0", "The message could not be stored, try later")

_Prepare = Callable[[Submission, Policy, int], Stored | Reply]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """The way in, with what it stands on."""

    policy: Callable[[], Policy]
    """Tells what is in force."""
    spool: Spool
    key_id: int
    """Of the key that signs."""
    sealer: TokenKey | None = None
    """The key that seals credentials; None: nobody is asked for one that is kept."""

    async def take_in(self, submission: Submission) -> Reply:
        """Return 250 when the submission is durable, else why it is refused or put off."""
        prepare: _Prepare = prepare_send
        for _ in range(_DRAWS):
            stored = await self._prepare(prepare, submission)
            if isinstance(stored, Reply):
                return stored
            try:
                await self.spool.store(self._sealed(stored))
            except CopyIdTaken:
                submission = replace(submission, send_id=_draw_ident(submission))
            except Unstorable as error:
                prepare = partial(_prepare_untouched, why=pass_for_fault(error))
            except SpoolError:
                return _NOT_STORED
            else:
                return _accepted(stored)
        return _NOT_STORED

    def _sealed(self, stored: Stored) -> Stored:
        credential = stored.submission.credential
        if credential is None:
            return stored
        if self.sealer is None:
            msg = "a credential came in, and there is no key to seal it with"
            raise RuntimeError(msg)
        sealed = seal_credential(self.sealer, credential, secrets.token_bytes(SALT_BYTES))
        submission = replace(stored.submission, credential=None)
        return replace(stored, submission=submission, sealed=sealed)

    async def _prepare(self, prepare: _Prepare, submission: Submission) -> Stored | Reply:
        if len(submission.raw) < _LONG_BYTES:
            return prepare(submission, self.policy(), self.key_id)
        return await asyncio.to_thread(prepare, submission, self.policy(), self.key_id)


def prepare_send(submission: Submission, policy: Policy, key_id: int) -> Stored | Reply:
    """Return what is to be stored of a submission, or the reply that refuses it.

    Law: whatever a stage raises, short of memory, the message goes out as it came.
    """
    try:
        return _prepare_tracked(submission, policy, key_id)
    except MemoryError:
        raise  # it is put off: with less at once it may come in
    except Exception as error:  # noqa: BLE001 - house rule 29 apart: a fault here holds up no mail
        return _prepare_untouched(submission, policy, key_id, pass_for_fault(error))


def _prepare_tracked(submission: Submission, policy: Policy, key_id: int) -> Stored | Reply:
    entity = parse_entity(submission.raw)
    verdict = judge(submission, entity, policy)
    if isinstance(verdict, Refuse):
        return verdict.reply
    template = compile_template(submission, entity, verdict, policy)
    copies = split_copies(submission.send_id, verdict, template, key_id, _draw_copy_ids())
    explained = explain_send(verdict, template, copies)
    if template.passed is not None and template.passed.reason is PassReason.OBSERVE:
        unobserved = _explain_unobserved(submission, entity, verdict, policy)
        explained = tuple(
            {**one, UNOBSERVED: other} for one, other in zip(explained, unobserved, strict=True)
        )
    send = Send(submission, verdict, template, copies)
    fact = accepted_fact(send, explained, _draw_event_ids(submission))
    return Stored(submission, template, copies, fact)


def _explain_unobserved(
    submission: Submission, entity: Entity, accept: Accept, policy: Policy
) -> Sequence[Mapping[str, object]]:
    """Return what would be done without `observe`."""
    template = compile_template(submission, entity, accept, replace(policy, observe=False))
    return explain_send(accept, template, split_copies("", accept, template, 0, count()))


def _prepare_untouched(
    submission: Submission, policy: Policy, key_id: int, why: PassThrough
) -> Stored | Reply:
    if count_received(submission.raw) >= LOOP_RECEIVED:
        return IN_A_LOOP
    copy = untouched_copy(submission, key_id, next(_draw_copy_ids()))
    return leave_untouched(submission, policy, copy, _draw_event_ids(submission), why)


def _accepted(stored: Stored) -> Reply:
    submission, passed = stored.submission, stored.template.passed
    if passed is not None and passed.reason is PassReason.OUR_FAULT:
        _log.error("tracking.failed", send_id=submission.send_id, fault=passed.detail)
    _log.info(
        "submission.accepted",
        send_id=submission.send_id,
        message_id=stored.fact.message_id,
        sender=stored.fact.sender,
        client=submission.client.ip,
        recipients=len(submission.envelope.recipients),
        copies=len(stored.copies),
        bytes=len(submission.raw),
    )
    return Reply(250, "2.0.0", f"OK {submission.send_id}")


def _draw_copy_ids() -> Iterator[int]:
    while True:
        yield secrets.randbits(_COPY_ID_BITS)


def _draw_event_ids(submission: Submission) -> Iterator[str]:
    while True:
        yield _draw_ident(submission)


def _draw_ident(submission: Submission) -> str:
    now_ms = int(submission.received_at.timestamp() * 1000)
    return new_ident(now_ms, secrets.randbits(RANDOM_BITS))
