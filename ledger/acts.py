"""What people do to copies in the queue: retry, hold, release, drop.

Each copy is looked at again in the transaction that changes it.
Law: a copy that a relay is trying is not taken from under it: the attempt counts.
Law: who is dropped has failed, once, and the record says so.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import Author, SubjectKind, record_audit
from ledger.engine import Store
from ledger.event import EventType
from ledger.fact import RecipientTold
from ledger.fate import REMOVED, Fate
from ledger.ident import RANDOM_BITS, new_ident
from ledger.lapsed import delete_copies
from ledger.outbox import owe_facts
from ledger.queue import QueuedCopy, QueueFilter, list_by_id
from ledger.schema import queue_acts, spooled_copies, spooled_recipients
from ledger.spooled import PENDING

_PAGE = 500
_CHUNK = 100
"""Copies changed in one transaction: they hold the spool's writer for some milliseconds."""

_COPY = spooled_copies.c
_UNTRIED = {"attempts": 0, "tried_at": None, "waited_s": 0.0}


class Action(StrEnum):
    """What can be done to a copy; the value is the word for having done it."""

    RETRY = "retried"
    HOLD = "held"
    RELEASE = "released"
    DROP = "dropped"
    """The sender is not told."""
    BOUNCE = "bounced"
    """Dropped, and the sender is told."""


class Result(StrEnum):
    """What became of an action on one copy."""

    DONE = "done"
    WHEN_ENDED = "when_ended"
    """A relay is trying it: it is done when this attempt ends and has not delivered."""
    BY_RELAY = "by_relay"
    """The relay does it, at once where it runs: it writes the report to the sender."""
    UNDER_WAY = "under_way"
    """Nothing to do: a relay is trying it."""
    AS_IT_WAS = "as_it_was"
    """Nothing to do: it was so before, or it was given up."""
    HELD = "held"
    """Not done: it is held, and must be released first."""
    GONE = "gone"
    """It was settled in between."""

    @property
    def is_done(self) -> bool:
        """Whether the queue was changed."""
        return self in (Result.DONE, Result.WHEN_ENDED, Result.BY_RELAY)


@dataclass(frozen=True, slots=True)
class QueueAct:
    """Something that was done to a copy, as the relay's log tells it."""

    number: int
    at: datetime
    actor: str
    action: str
    copy_id: int
    send_id: str


@dataclass(frozen=True, slots=True)
class _State:
    """A copy as it is when it is acted on."""

    copy_id: int
    send_id: str
    held: bool
    fate: str | None
    leased_until: datetime | None
    has_sender: bool

    def is_under_way(self, now: datetime) -> bool:
        return self.leased_until is not None and self.leased_until > now

    @property
    def given_up(self) -> bool:
        return self.fate in (Fate.SILENT, Fate.BOUNCE)


async def act_on_queue(
    spool: Store, action: Action, wanted: QueueFilter, author: Author
) -> AsyncIterator[tuple[QueuedCopy, Result]]:
    """Do something to the copies that are meant, in short steps; give each with what came of it."""
    after = -1
    while True:
        async with spool.read() as connection:
            page = await list_by_id(connection, _PAGE, wanted, after)
        meant = [copy for copy in page if wanted.matches(copy, author.at)]
        for start in range(0, len(meant), _CHUNK):
            chunk = meant[start : start + _CHUNK]
            results = await spool.transact(
                partial(_act, action=action, copies=chunk, author=author)
            )
            for copy in chunk:
                yield copy, results[copy.copy_id]
        if len(page) < _PAGE:
            return
        after = page[-1].copy_id


async def audit_action(
    ledger: Store, author: Author, action: Action, send_ids: Sequence[str], copies: int
) -> None:
    """Write into the audit log that somebody has acted on the queue."""
    one = send_ids[0] if len(send_ids) == 1 else None
    kind = None if one is None else SubjectKind.SEND
    detail = {"copies": copies, "messages": len(send_ids)}
    async with ledger.write() as connection:
        await record_audit(connection, author.entry(f"queue.{action}", kind, one, detail))


async def read_acts(connection: AsyncConnection, limit: int) -> tuple[QueueAct, ...]:
    """Return the oldest acts that no log has told."""
    rows = await connection.execute(select(queue_acts).order_by(queue_acts.c.number).limit(limit))
    return tuple(QueueAct(*row) for row in rows)


def take_acts(connection: Connection, limit: int) -> tuple[QueueAct, ...]:
    """Return the oldest acts that no log has told, and forget them."""
    rows = connection.execute(select(queue_acts).order_by(queue_acts.c.number).limit(limit))
    acts = tuple(QueueAct(*row) for row in rows)
    if acts:
        connection.execute(delete(queue_acts).where(queue_acts.c.number <= acts[-1].number))
    return acts


def _act(
    connection: Connection, action: Action, copies: Sequence[QueuedCopy], author: Author
) -> Mapping[int, Result]:
    senders = {copy.copy_id: copy.sender is not None for copy in copies}
    states = _states(connection, senders)
    do = _DOING[action]
    results = dict.fromkeys(senders, Result.GONE)
    results |= {one.copy_id: do(connection, one, author.at) for one in states}
    done = [one for one in states if results[one.copy_id].is_done]
    if done:
        shared = {"at": author.at, "actor": author.actor, "action": action.value}
        connection.execute(
            insert(queue_acts),
            [{**shared, "copy_id": one.copy_id, "send_id": one.send_id} for one in done],
        )
    return results


def _states(connection: Connection, senders: Mapping[int, bool]) -> list[_State]:
    statement = (
        select(_COPY.copy_id, _COPY.send_id, _COPY.held, _COPY.fate, _COPY.leased_until)
        .where(_COPY.copy_id.in_(list(senders)))
        .with_for_update()
    )
    return [_State(*row, senders[row.copy_id]) for row in connection.execute(statement)]


def _retry(connection: Connection, one: _State, now: datetime) -> Result:
    if one.held:
        return Result.HELD
    if one.is_under_way(now):
        return Result.UNDER_WAY
    _set(connection, one, due_at=now)
    return Result.DONE


def _hold(connection: Connection, one: _State, now: datetime) -> Result:
    if one.held or one.given_up:
        return Result.AS_IT_WAS
    _set(connection, one, held=True)
    return Result.WHEN_ENDED if one.is_under_way(now) else Result.DONE


def _release(connection: Connection, one: _State, now: datetime) -> Result:
    if not one.held:
        return Result.AS_IT_WAS
    if one.fate == Fate.DEAD:
        table = spooled_recipients.c
        again = update(spooled_recipients).where(
            table.copy_id == one.copy_id, table.state == "failed"
        )
        connection.execute(again.values(state=PENDING))
        _set(connection, one, held=False, fate=None, due_at=now, **_UNTRIED)
        return Result.DONE
    if one.is_under_way(now):
        _set(connection, one, held=False)
    else:
        _set(connection, one, held=False, due_at=now)
    return Result.DONE


def _drop(connection: Connection, one: _State, now: datetime) -> Result:
    if one.is_under_way(now):
        _set(connection, one, held=False, fate=Fate.SILENT)
        return Result.WHEN_ENDED
    owe_facts(connection, _failures(connection, one, now))
    delete_copies(connection, {one.copy_id: one.send_id})
    return Result.DONE


def _bounce(connection: Connection, one: _State, now: datetime) -> Result:
    if not one.has_sender:
        return _drop(connection, one, now)
    if one.is_under_way(now):
        _set(connection, one, held=False, fate=Fate.BOUNCE)
        return Result.WHEN_ENDED
    _set(connection, one, held=False, fate=Fate.BOUNCE, due_at=now)
    return Result.BY_RELAY


_Do = Callable[[Connection, _State, datetime], Result]
_DOING: Mapping[Action, _Do] = {
    Action.RETRY: _retry,
    Action.HOLD: _hold,
    Action.RELEASE: _release,
    Action.DROP: _drop,
    Action.BOUNCE: _bounce,
}


def _set(connection: Connection, one: _State, **values: object) -> None:
    connection.execute(update(spooled_copies).where(_COPY.copy_id == one.copy_id).values(**values))


def _failures(connection: Connection, one: _State, now: datetime) -> list[RecipientTold]:
    table = spooled_recipients.c
    pending = connection.execute(
        select(table.recipient, table.recipient_type)
        .where(table.copy_id == one.copy_id, table.state == PENDING)
        .order_by(table.number)
    )
    return [
        RecipientTold(
            event_id=new_ident(int(now.timestamp() * 1000), secrets.randbits(RANDOM_BITS)),
            type=EventType.FAILED,
            at=now,
            send_id=one.send_id,
            copy_id=one.copy_id,
            recipient=row.recipient,
            recipient_type=row.recipient_type,
            reply=" ".join(map(str, REMOVED)),
            upstream="",
        )
        for row in pending
    ]
