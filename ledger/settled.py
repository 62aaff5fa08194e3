"""What a settlement writes into the spool: the last replies, and what becomes of a copy.

Each function is one step inside the caller's transaction.  A copy goes when no recipient of it is
pending, a send (and with it the content) when no copy of it is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, String, bindparam, case, delete, exists, func, update

from ledger.fate import Fate
from ledger.rows import ByKeys
from ledger.schema import Instant, spooled_copies, spooled_recipients, spooled_sends
from ledger.spooled import LeasedCopy

_COPIES = spooled_copies.c.copy_id.in_(bindparam("copies", expanding=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """The last reply for one recipient: `state` is pending, delivered or failed."""

    copy_id: int
    number: int
    state: str
    reply: str


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt that has not finished a copy, and when it is due again."""

    copy_id: int
    due_at: datetime
    delay_noticed: bool
    tried_at: datetime
    waited_s: float
    upstream: str
    fate: str | None = None


def write_answers(connection: Connection, answers: Sequence[Answer]) -> None:
    """Keep the last reply and the state of recipients whose copy is not finished."""
    rows = [
        {
            "of_copy": one.copy_id,
            "of_number": one.number,
            "now_state": one.state,
            "now_reply": one.reply,
        }
        for one in answers
    ]
    if rows:
        connection.execute(_ANSWER, rows)


_ANSWER = (
    update(spooled_recipients)
    .where(
        spooled_recipients.c.copy_id == bindparam("of_copy"),
        spooled_recipients.c.number == bindparam("of_number"),
    )
    .values(state=bindparam("now_state"), reply=bindparam("now_reply"))
)


_UNLEASED = {"lease": None, "lessee": None, "leased_until": None}
_GIVEN_UP = spooled_copies.c.fate.in_((Fate.SILENT.value, Fate.BOUNCE.value))
# What was given up while it was tried need not wait for the next attempt.
_NEXT_DUE_AT = case(
    (_GIVEN_UP, bindparam("at", type_=Instant)),
    else_=bindparam("next_due_at", type_=Instant),
)
_ATTEMPTED = (
    update(spooled_copies)
    .where(spooled_copies.c.copy_id == bindparam("of_copy"))
    .values(
        **_UNLEASED,
        attempts=spooled_copies.c.attempts + 1,
        due_at=_NEXT_DUE_AT,
        delay_noticed=bindparam("noticed"),
        tried_at=bindparam("at", type_=Instant),
        waited_s=bindparam("waited"),
        upstream=bindparam("by_upstream"),
        fate=func.coalesce(spooled_copies.c.fate, bindparam("now_fate", type_=String)),
    )
)


def schedule_retries(connection: Connection, retries: Sequence[Retry]) -> None:
    """End the lease of copies that are not finished, count attempts, set when they are due."""
    rows = [
        {
            "of_copy": one.copy_id,
            "next_due_at": one.due_at,
            "noticed": one.delay_noticed,
            "at": one.tried_at,
            "waited": one.waited_s,
            "by_upstream": one.upstream,
            "now_fate": one.fate,
        }
        for one in retries
    ]
    if rows:
        connection.execute(_ATTEMPTED, rows)


_PUT_BACK = (
    update(spooled_copies)
    .where(spooled_copies.c.copy_id == bindparam("of_copy"))
    .values(**_UNLEASED, due_at=_NEXT_DUE_AT)
)


def put_back(connection: Connection, due: Mapping[int, tuple[datetime, datetime]]) -> None:
    """End the lease of copies (copy_id to the instants it is and they are due) not tried."""
    rows = [
        {"of_copy": copy_id, "at": at, "next_due_at": due_at}
        for copy_id, (at, due_at) in due.items()
    ]
    if rows:
        connection.execute(_PUT_BACK, rows)


def keep_dead(connection: Connection, copies: Sequence[Retry]) -> None:
    """Keep copies nobody of whom is pending, as dead letters: they are held."""
    schedule_retries(connection, copies)
    if copies:
        statement = update(spooled_copies).where(_COPIES).values(held=True, fate=Fate.DEAD)
        connection.execute(statement, {"copies": [one.copy_id for one in copies]})


_DELETE_COPIES = ByKeys(
    lambda copy_ids: delete(spooled_copies).where(spooled_copies.c.copy_id.in_(copy_ids))
)
_DELETE_SENDS = ByKeys(
    lambda send_ids: delete(spooled_sends).where(
        spooled_sends.c.send_id.in_(send_ids),
        ~exists().where(spooled_copies.c.send_id == spooled_sends.c.send_id),
    )
)


def delete_finished(connection: Connection, finished: Sequence[LeasedCopy]) -> None:
    """Delete copies nobody of whom is pending, and each send whose last copy that was."""
    if finished:
        send_ids = sorted({copy.send_id for copy in finished})
        _DELETE_COPIES.run(connection, [copy.copy_id for copy in finished])
        _DELETE_SENDS.run(connection, send_ids)
