"""What has been kept long enough, and goes.

Each step is one short transaction, so that mail and hits go on (ledger.pace).
Law: nothing that is younger than its time goes, and of a class nothing older stays.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, func, or_, select

from ledger.engine import Store
from ledger.ident import new_ident
from ledger.pace import go_through
from ledger.schema import (
    captured_copies,
    events,
    forgotten_copies,
    hits,
    refused_facts,
    sends,
    sessions,
    sign_in_links,
    spilled_hits,
    spilled_wishes,
    webhook_deliveries,
    webhooks,
)


@dataclass(frozen=True, slots=True)
class Places:
    """The stores a purge goes through."""

    ledger: Store
    spool: Store
    spill: Store


@dataclass(frozen=True, slots=True)
class Terms:
    """What is old enough."""

    now: datetime
    events_before: datetime
    """Of events, hits, sends and all that is about them."""
    content_before: datetime
    """Of captured mail."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What has gone of one class, or would go."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class _Class:
    """Rows that go for the same reason."""

    name: str
    table: Table
    key: ColumnElement[Any]
    old: ColumnElement[bool]
    order: ColumnElement[Any]
    """Of an index, so that no step looks at rows that stay."""


async def purge(places: Places, terms: Terms) -> AsyncIterator[Purged]:
    """Delete what is old enough, class by class; give each when it is done."""
    for store, one in _classes(places, terms):
        yield Purged(one.name, await go_through(partial(_delete_some, store, one)))
    for store in (places.ledger, places.spool, places.spill):
        await store.shrink()


async def count_old(places: Places, terms: Terms) -> AsyncIterator[Purged]:
    """Give how much purge would delete of each class."""
    for store, one in _classes(places, terms):
        async with store.read() as connection:
            counted = select(func.count()).select_from(one.table).where(one.old)
            yield Purged(one.name, await connection.scalar(counted) or 0)


async def _delete_some(store: Store, one: _Class, limit: int) -> int:
    some = select(one.key).where(one.old).order_by(one.order).limit(limit)
    return await store.transact(partial(_delete, one=one, some=some))


def _classes(places: Places, terms: Terms) -> Iterator[tuple[Store, _Class]]:
    for one in (*_of_record(terms.events_before), *_of_access(terms.now)):
        yield places.ledger, one
    for one in _of_mail(terms):
        yield places.spool, one
    for one in _of_spill(terms.events_before):
        yield places.spill, one


def _of_record(before: datetime) -> Iterator[_Class]:
    at, accepted_at, forgotten = events.c.at, sends.c.accepted_at, forgotten_copies.c
    yield _Class(
        "webhook_deliveries", webhook_deliveries, _OWED.number, _left(before), _OWED.number
    )
    yield _Class("events", events, events.c.number, at < before, at)
    # Names of hits sort as their moments do.
    first = new_ident(int(before.timestamp() * 1000), 0)
    yield _Class("hits", hits, hits.c.hit_id, hits.c.hit_id < first, hits.c.hit_id)
    # With their copies, recipients and links, by the foreign keys.
    yield _Class("sends", sends, sends.c.send_id, accepted_at < before, accepted_at)
    old = forgotten.at < before
    yield _Class("forgotten_copies", forgotten_copies, forgotten.number, old, forgotten.at)


_OWED = webhook_deliveries.c


def _left(before: datetime) -> ColumnElement[bool]:
    """Return the condition that a delivery has lost its event, and nobody sends it any more.

    What is owed still is dropped when its turn comes.
    """
    old = select(events.c.number).where(events.c.at < before)
    untold = _OWED.webhook.not_in(select(webhooks.c.webhook))
    lost = or_(_OWED.event_number.is_(None), _OWED.event_number.in_(old))
    return and_(lost, or_(_OWED.dead_at.is_not(None), untold))


def _of_access(now: datetime) -> Iterator[_Class]:
    for table in (sign_in_links, sessions):
        key = table.c.secret_hash
        yield _Class(table.name, table, key, table.c.expires_at <= now, key)


def _of_mail(terms: Terms) -> Iterator[_Class]:
    captured, refused = captured_copies.c, refused_facts.c
    old = captured.captured_at < terms.content_before
    yield _Class("captured_copies", captured_copies, captured.copy_id, old, captured.captured_at)
    old = refused.refused_at < terms.events_before
    yield _Class("refused_facts", refused_facts, refused.number, old, refused.number)


def _of_spill(before: datetime) -> Iterator[_Class]:
    for table, key in ((spilled_hits, "hit_id"), (spilled_wishes, "wish_id")):
        yield _Class(table.name, table, table.c[key], table.c.at < before, table.c[key])


def _delete(connection: Connection, one: _Class, some: Select[Any]) -> int:
    return connection.execute(delete(one.table).where(one.key.in_(some))).rowcount
