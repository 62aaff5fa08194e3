"""What webhooks are owed, as it is sent: due, done, dead.

Law: of a lane nothing is due before what was owed before it is done or dead.
Each function is one step inside the caller's transaction, in the store's thread (Store.transact).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)

from ledger.event import Event, format_instant
from ledger.events import read_event
from ledger.schema import events, webhook_deliveries, webhooks
from ledger.webhooks import AT_ONCE

_LANES_AT_ONCE = 500

_TABLE = webhook_deliveries.c
_OWN = (
    _TABLE.number.label("owed"),
    _TABLE.delivery_id,
    _TABLE.webhook,
    _TABLE.lane,
    _TABLE.attempts,
    _TABLE.first_tried_at,
    _TABLE.tried_at,
    _TABLE.reply.label("answer"),
    _TABLE.dead_at,
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that a webhook is to be told."""

    number: int
    delivery_id: str
    """The webhook-id."""
    webhook: str
    """Its key."""
    lane: str
    event: Event | None
    """As it stands now; None: it is forgotten, or purged, and may not be told any more."""
    attempts: int = 0
    first_tried_at: datetime | None = None
    tried_at: datetime | None = None
    reply: str | None = None
    """What came of the last attempt."""
    dead_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """It was delivered."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """It may not be told any more."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is to be tried again."""

    due_at: datetime
    reply: str


@dataclass(frozen=True, slots=True)
class Dead:
    """It is given up, and kept as a dead letter."""

    reply: str


End = Taken | Dropped | Again | Dead


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one delivery."""

    delivery: Delivery
    at: datetime
    end: End


@dataclass(frozen=True, slots=True)
class WebhookState:
    """How a webhook stands."""

    webhook: str
    """Its key."""
    shown: str | None
    """Scheme and host; None: it is not configured any more."""
    types: tuple[str, ...]
    delivered_at: datetime | None
    failed_at: datetime | None
    fault: str | None
    waiting: int
    dead: int


def select_due(
    connection: Connection, webhook: str, now: datetime, limit: int
) -> tuple[Delivery, ...]:
    """Return what a webhook is to be told now, what has been due longest first."""
    return _read(
        connection,
        _joined()
        .where(_TABLE.webhook == webhook, _TABLE.due_at <= now)
        .order_by(_TABLE.due_at, _TABLE.number)
        .limit(limit),
    )


def settle(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Keep what came of deliveries; where one is out of the way, the next of its lane is due."""
    gone: list[int] = []
    left: list[Attempt] = []
    for one in attempts:
        if isinstance(one.end, Taken | Dropped):
            gone.append(one.delivery.number)
        else:
            left.append(one)
    if gone:
        connection.execute(delete(webhook_deliveries).where(_TABLE.number.in_(gone)))
    if left:
        connection.execute(_KEEP, [_kept(one) for one in left])
    over = (one.delivery for one in attempts if not isinstance(one.end, Again))
    _move_up(connection, {(one.lane, one.webhook) for one in over})
    _note(connection, attempts)


def list_dead(
    connection: Connection, limit: int, after: int = 0, webhook: str | None = None
) -> tuple[Delivery, ...]:
    """Return dead letters in the order of owing; `after` is the number a page ended with."""
    told = _TABLE.event_number.is_not(None)
    statement = _joined().where(_TABLE.dead_at.is_not(None), told, _TABLE.number > after)
    if webhook is not None:
        statement = statement.where(_TABLE.webhook == webhook)
    return _read(connection, statement.order_by(_TABLE.number).limit(limit))


def resend(
    connection: Connection, delivery_ids: Collection[str] | None, webhook: str | None = None
) -> tuple[str, ...]:
    """Let dead letters be tried again, from anew; return which, by delivery_id.

    None: all there are; with a webhook only its own.
    """
    wanted: list[ColumnElement[bool]] = [
        _TABLE.dead_at.is_not(None),
        _TABLE.event_number.is_not(None),
    ]
    if delivery_ids is not None:
        wanted.append(_TABLE.delivery_id.in_(sorted(delivery_ids)))
    if webhook is not None:
        wanted.append(_TABLE.webhook == webhook)
    fresh = {"dead_at": None, "due_at": None, "attempts": 0, "first_tried_at": None}
    rows = connection.execute(
        update(webhook_deliveries)
        .where(*wanted)
        .values(**fresh)
        .returning(_TABLE.delivery_id, _TABLE.lane, _TABLE.webhook)
    ).all()
    _move_up(connection, {(row.lane, row.webhook) for row in rows})
    return tuple(sorted(row.delivery_id for row in rows))


def list_webhooks(connection: Connection) -> tuple[WebhookState, ...]:
    """Return how each webhook stands, those with something owed that are configured no more too."""
    counts = (
        select(_TABLE.webhook, func.count(), func.count(_TABLE.dead_at))
        .where(_TABLE.event_number.is_not(None))
        .group_by(_TABLE.webhook)
    )
    owed = {webhook: (count - dead, dead) for webhook, count, dead in connection.execute(counts)}
    known = [
        WebhookState(
            row.webhook,
            row.shown,
            tuple(row.types),
            row.delivered_at,
            row.failed_at,
            row.fault,
            *owed.pop(row.webhook, (0, 0)),
        )
        for row in connection.execute(select(webhooks).order_by(webhooks.c.shown))
    ]
    left = sorted(owed.items())
    return (*known, *(WebhookState(key, None, (), None, None, None, *n) for key, n in left))


_KEEP = (
    update(webhook_deliveries)
    .where(_TABLE.number == bindparam("of_number"))
    .values(
        attempts=_TABLE.attempts + 1,
        first_tried_at=func.coalesce(
            _TABLE.first_tried_at, bindparam("at", type_=_TABLE.tried_at.type)
        ),
        tried_at=bindparam("at", type_=_TABLE.tried_at.type),
        due_at=bindparam("next_due_at", type_=_TABLE.due_at.type),
        dead_at=bindparam("now_dead_at", type_=_TABLE.dead_at.type),
        reply=bindparam("now_reply"),
    )
)


def _kept(one: Attempt) -> dict[str, object]:
    kept: dict[str, object] = {"of_number": one.delivery.number, "at": one.at}
    match one.end:
        case Again(due_at, reply):
            return kept | {"next_due_at": due_at, "now_dead_at": None, "now_reply": reply}
        case Dead(reply):
            return kept | {"next_due_at": None, "now_dead_at": one.at, "now_reply": reply}
        case Taken() | Dropped():
            msg = "it is not kept"
            raise AssertionError(msg)
        case _:
            assert_never(one.end)


def _move_up(connection: Connection, lanes: Collection[tuple[str, str]]) -> None:
    """Let the first of each lane be due in which nothing is."""
    asked = sorted(lanes)
    for start in range(0, len(asked), _LANES_AT_ONCE):
        some = asked[start : start + _LANES_AT_ONCE]
        first = (
            select(func.min(_TABLE.number))
            .where(tuple_(_TABLE.lane, _TABLE.webhook).in_(some), _TABLE.dead_at.is_(None))
            .group_by(_TABLE.lane, _TABLE.webhook)
            .having(func.count(_TABLE.due_at) == 0)
        )
        connection.execute(
            update(webhook_deliveries).where(_TABLE.number.in_(first)).values(due_at=AT_ONCE)
        )


def _note(connection: Connection, attempts: Iterable[Attempt]) -> None:
    """Keep of each webhook when it took one last, and what it did when it did not."""
    said: dict[str, dict[str, object]] = {}
    for one in attempts:
        if isinstance(one.end, Dropped):
            continue
        if isinstance(one.end, Taken):
            told: dict[str, object] = {"delivered_at": one.at, "fault": None}
        else:
            told = {"failed_at": one.at, "fault": one.end.reply}
        said.setdefault(one.delivery.webhook, {}).update(told)
    for webhook, told in said.items():
        connection.execute(update(webhooks).where(webhooks.c.webhook == webhook).values(**told))


def _joined() -> Select[Any]:
    return select(*_OWN, events).outerjoin(events, events.c.number == _TABLE.event_number)


def _read(connection: Connection, statement: Select[Any]) -> tuple[Delivery, ...]:
    return tuple(map(_delivery, connection.execute(statement)))


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        row.owed,
        row.delivery_id,
        row.webhook,
        row.lane,
        None if row.event_id is None else read_event(row),
        row.attempts,
        row.first_tried_at,
        row.tried_at,
        row.answer,
        row.dead_at,
    )


def webhook_object(state: WebhookState) -> dict[str, object]:
    """Return how a webhook stands as a JSON object, without its URL: a path may be a secret."""
    return {
        "webhook": state.webhook,
        "events": list(state.types),
        "waiting": state.waiting,
        "dead": state.dead,
        "delivered_at": _instant(state.delivered_at),
        "failed_at": _instant(state.failed_at),
        "fault": state.fault,
    }


def dead_object(delivery: Delivery) -> dict[str, object]:
    """Return a dead letter as a JSON object, without its URL."""
    event = delivery.event
    assert event is not None, "without its event it is no dead letter"
    return {
        "delivery_id": delivery.delivery_id,
        "webhook": delivery.webhook,
        "type": event.type.value,
        "event_id": event.relabels or event.event_id,
        "send_id": event.send_id,
        "attempts": delivery.attempts,
        "first_tried_at": _instant(delivery.first_tried_at),
        "dead_at": _instant(delivery.dead_at),
        "reply": delivery.reply,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
