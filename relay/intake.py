"""HUB, the way in: parse, judge, compile, split, store.

Nothing is answered 250 before it is durable, and nothing is half accepted.
"""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog

from ledger.ident import RANDOM_BITS, new_ident
from relay.compile import compile_template
from relay.explain import explain_send
from relay.facts import accepted_fact
from relay.judge import judge
from relay.mail import Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.promise import CopyIdTaken, SpoolError, Stored
from relay.reply import Reply
from relay.send import Send
from relay.split import split_copies
from relay.spool import Spool
from relay.verdict import Refuse

_LONG_BYTES = 256 * 1024
"""Compiling more takes over 5 ms, and the loop has others to serve: it is done in a thread."""

_COPY_ID_BITS = 63
"""So that the number fits a signed column."""

_DRAWS = 3
"""Of ids: that one is taken happens once in 2^63 / copies; three times it is a fault of ours."""

_NOT_STORED = Reply(451, "4.3.0", "The message could not be stored, try later")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """The way in, with what it stands on."""

    policy: Policy
    spool: Spool
    key_id: int
    """Of the key that signs."""

    async def take_in(self, submission: Submission) -> Reply:
        """Return 250 when the submission is durable, else why it is refused or put off."""
        for _ in range(_DRAWS):
            stored = await self._prepare(submission)
            if isinstance(stored, Reply):
                return stored
            try:
                await self.spool.store(stored)
            except CopyIdTaken:
                submission = replace(submission, send_id=_draw_ident(submission))
            except SpoolError:
                return _NOT_STORED
            else:
                return _accepted(stored)
        return _NOT_STORED

    async def _prepare(self, submission: Submission) -> Stored | Reply:
        if len(submission.raw) < _LONG_BYTES:
            return prepare_send(submission, self.policy, self.key_id)
        return await asyncio.to_thread(prepare_send, submission, self.policy, self.key_id)


def prepare_send(submission: Submission, policy: Policy, key_id: int) -> Stored | Reply:
    """Return what is to be stored of a submission, or the reply that refuses it."""
    entity = parse_entity(submission.raw)
    verdict = judge(submission, entity, policy)
    if isinstance(verdict, Refuse):
        return verdict.reply
    template = compile_template(submission, entity, verdict, policy)
    copies = split_copies(submission.send_id, verdict, template, key_id, _draw_copy_ids())
    explained = explain_send(verdict, template, copies)
    send = Send(submission, verdict, template, copies)
    fact = accepted_fact(send, explained, _draw_event_ids(submission))
    return Stored(submission, template, copies, fact)


def _accepted(stored: Stored) -> Reply:
    submission = stored.submission
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
