"""What webhooks are owed: written with the event itself.

Law: an event on record is owed to each webhook that wanted its type then, once, however often it is
recorded.
Of one send one event after the other is told, in the order of recording: they share a lane.  An
event without send has a lane of its own.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ledger.rows import ByKeys, RowInsert, Values
from ledger.schema import events, webhook_deliveries, webhooks

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""When what has not been tried is due: whoever records an event asks no clock."""

_LANES_AT_ONCE = 500

_WEBHOOKS = select(webhooks.c.webhook, webhooks.c.types)
_LAST = select(func.max(events.c.number))
_NEW = (
    select(events.c.number, events.c.event_id, events.c.type, events.c.send_id)
    .where(events.c.number > bindparam("after"))
    .order_by(events.c.number)
)
_WAITING = ByKeys(
    lambda lanes: (
        select(webhook_deliveries.c.webhook, webhook_deliveries.c.lane)
        .where(webhook_deliveries.c.lane.in_(lanes), webhook_deliveries.c.dead_at.is_(None))
        .distinct()
    )
)
_OWE = RowInsert(
    webhook_deliveries,
    ("delivery_id", "webhook", "event_number", "lane", "due_at", "attempts"),
    once=True,
)


@dataclass(frozen=True, slots=True)
class Wanting:
    """A webhook and what it wants."""

    webhook: str
    """Its key."""
    types: frozenset[str]
    """Empty: all."""


@dataclass(frozen=True, slots=True)
class KnownWebhook:
    """A webhook as the configuration has it."""

    webhook: str
    shown: str
    """Scheme and host."""
    types: tuple[str, ...]


def webhook_key(url: str) -> str:
    """Return the name under which a URL is kept: its path may be a secret."""
    return hashlib.blake2b(url.encode(), digest_size=8, person=b"webhook").hexdigest()


def renew_webhooks(connection: Connection, configured: Sequence[KnownWebhook]) -> None:
    """Let these be the webhooks that are owed what is recorded from now on.

    What is owed to others stays, and is sent if they are configured again.
    """
    keys = [one.webhook for one in configured]
    connection.execute(delete(webhooks).where(webhooks.c.webhook.not_in(keys)))
    known = set(connection.scalars(select(webhooks.c.webhook)))
    for one in configured:
        said = {"shown": one.shown, "types": list(one.types)}
        if one.webhook in known:
            here = webhooks.c.webhook == one.webhook
            connection.execute(update(webhooks).where(here).values(**said))
        else:
            connection.execute(webhooks.insert().values(webhook=one.webhook, **said))


def all_wanting(connection: Connection) -> tuple[Wanting, ...]:
    """Return the webhooks there are."""
    return tuple(Wanting(row[0], frozenset(row[1])) for row in connection.execute(_WEBHOOKS))


def last_event(connection: Connection) -> int:
    """Return the number of the last event, 0 where there is none."""
    return connection.scalar(_LAST) or 0


def owe_deliveries(connection: Connection, wanting: Iterable[Wanting], after: int) -> None:
    """Owe what this transaction has recorded, the events above a number, to who wants it."""
    new = connection.execute(_NEW, {"after": after}).all()
    lanes = sorted({_lane(send_id, event_id) for _, event_id, _, send_id in new})
    taken = _taken(connection, lanes)
    rows: list[Values] = []
    for one in wanting:
        for number, event_id, kind, send_id in new:
            if one.types and kind not in one.types:
                continue
            lane = _lane(send_id, event_id)
            due_at = None if (one.webhook, lane) in taken else AT_ONCE
            taken.add((one.webhook, lane))
            rows.append((_name(one.webhook, event_id), one.webhook, number, lane, due_at, 0))
    _OWE.run(connection, rows)


def _taken(connection: Connection, lanes: Sequence[str]) -> set[tuple[str, str]]:
    """Return in which lanes something waits already, by webhook."""
    return {
        (webhook, lane)
        for some in _parts(lanes)
        for webhook, lane in _WAITING.run(connection, some)
    }


def _lane(send_id: str | None, event_id: str) -> str:
    return send_id or event_id


def _name(webhook: str, event_id: str) -> str:
    """Return the webhook-id: the same whenever the same is told."""
    said = f"{webhook} {event_id}".encode()
    return f"msg_{hashlib.blake2b(said, digest_size=13, person=b'delivery').hexdigest()}"


def _parts(lanes: Sequence[str]) -> Iterator[Sequence[str]]:
    return (lanes[at : at + _LANES_AT_ONCE] for at in range(0, len(lanes), _LANES_AT_ONCE))
