"""What is known of copies when their hits are judged.

Each function is one step inside the caller's transaction, in the store's thread (Store.transact).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, func, or_, select

from ledger.event import Agent, EventType
from ledger.hits import read_hit
from ledger.mode import TrackingMode
from ledger.rows import ByKeys
from ledger.schema import copies, copy_recipients, events, hits, links, sends
from ledger.story import PastEvent, RecordedHit, StoredLink, Story
from ledger.token import HitKind

HISTORY_BEFORE = timedelta(seconds=120)
HISTORY_AFTER = timedelta(seconds=10)
_MAX_HISTORY = 300
"""Of a copy: more hits within two minutes are a flood, and its latest say enough.

Each copy has its own, so that a flood of one takes nothing of another's."""

_MAX_NEARBY = 2_000
"""Of the sends of a batch, for the same reason."""

_MAX_BESIDE = 50
"""Other copies looked at with a batch: as many as are single by default (`tracking.max_copies`)."""


_COPY_IDS: BindParameter[int] = bindparam("copies", expanding=True)
_SEND_IDS: BindParameter[str] = bindparam("sends", expanding=True)
_SINCE, _UNTIL = bindparam("since", type_=hits.c.at.type), bindparam("until", type_=hits.c.at.type)
_HEADS: Select[Any] = (
    select(
        copies.c.copy_id,
        copies.c.mode,
        copies.c.relayed_at,
        sends.c.send_id,
        sends.c.message_id,
        sends.c.sender,
        sends.c.subject,
        sends.c.tags,
        sends.c.metadata,
    )
    .join(sends, sends.c.send_id == copies.c.send_id)
    .where(copies.c.copy_id.in_(_COPY_IDS))
)
_RECIPIENTS = ByKeys(
    lambda copy_ids: (
        select(*copy_recipients.c["copy_id", "recipient", "recipient_type"])
        .where(copy_recipients.c.copy_id.in_(copy_ids))
        .order_by(copy_recipients.c.copy_id, copy_recipients.c.number)
    )
)
_LINKS = select(links).where(
    links.c.send_id.in_(_SEND_IDS), links.c.slot.in_(bindparam("slots", expanding=True))
)
_RANKED = (
    select(
        hits,
        func.row_number()
        .over(partition_by=hits.c.copy_id, order_by=(hits.c.at.desc(), hits.c.hit_id.desc()))
        .label("rank"),
    )
    .where(hits.c.copy_id.in_(_COPY_IDS), hits.c.at >= _SINCE, hits.c.at <= _UNTIL)
    .subquery()
)
_HISTORY: Select[Any] = (
    select(_RANKED).where(_RANKED.c.rank <= _MAX_HISTORY).order_by(_RANKED.c.at, _RANKED.c.hit_id)
)
_NEARBY = (
    select(
        copies.c.send_id,
        hits.c.copy_id,
        hits.c.at,
        hits.c.features["network"].as_string().label("network"),
    )
    .join(hits, hits.c.copy_id == copies.c.copy_id)
    .where(copies.c.send_id.in_(_SEND_IDS), hits.c.at >= _SINCE, hits.c.at <= _UNTIL)
    .order_by(hits.c.at.desc())
    .limit(_MAX_NEARBY)
)
_PAST: Select[Any] = (
    select(
        events.c.copy_id,
        events.c.event_id,
        events.c.type,
        events.c.at,
        events.c.hit_id,
        events.c.first,
        events.c.classification,
        events.c.confidence,
        events.c.reasons,
        events.c.rules_version,
        events.c.inferred_from,
        events.c.user_agent,
        events.c.ip_address,
    )
    .where(
        events.c.copy_id.in_(_COPY_IDS),
        events.c.type.in_((EventType.OPENED.value, EventType.CLICKED.value)),
        or_(events.c.at >= _SINCE, events.c.first),
    )
    .order_by(events.c.number)
)


def select_stories(connection: Connection, waiting: Sequence[RecordedHit]) -> Mapping[int, Story]:
    """Return what is known of the copies of some hits, by copy.

    With them those copies of the same sends that were asked for from the same networks within
    seconds: the hits show their events in another light.
    """
    copy_ids = sorted({hit.copy_id for hit in waiting})
    since = min(hit.at for hit in waiting) - HISTORY_BEFORE
    until = max(hit.at for hit in waiting) + HISTORY_AFTER
    heads = list(_heads(connection, copy_ids))
    nearby = _nearby(connection, sorted({head.send_id for head in heads}), since, until)
    if beside := sorted(_beside(waiting, nearby) - set(copy_ids))[:_MAX_BESIDE]:
        copy_ids = [*copy_ids, *beside]
        heads.extend(_heads(connection, beside))
    slots = sorted({hit.slot for hit in waiting if hit.kind is HitKind.CLICK})
    recipients = _recipients(connection, copy_ids)
    stored = _links(connection, sorted({head.send_id for head in heads}), slots)
    history = _history(connection, copy_ids, since, until)
    past = _past_events(connection, copy_ids, since)
    clicked = {hit.copy_id for hit in waiting if hit.kind is HitKind.CLICK}
    asked = sorted({head.send_id for head in heads if head.copy_id in clicked})
    inferring = _inferring(connection, asked)
    return {
        head.copy_id: Story(
            copy_id=head.copy_id,
            mode=TrackingMode(head.mode),
            send_id=head.send_id,
            message_id=head.message_id,
            sender=head.sender,
            subject=head.subject,
            tags=tuple(head.tags),
            metadata=head.metadata,
            recipients=tuple(recipients.get(head.copy_id, ())),
            links=stored.get(head.send_id, {}),
            history=tuple(history.get(head.copy_id, ())),
            relayed_at=head.relayed_at,
            infers_opens=any(
                (head.send_id, recipient) in inferring
                for recipient, _ in recipients.get(head.copy_id, ())
            ),
            nearby=tuple(_near(head, history.get(head.copy_id, ()), nearby)),
            events=tuple(past.get(head.copy_id, ())),
        )
        for head in heads
    }


def _heads(connection: Connection, copy_ids: Sequence[int]) -> Sequence[Row[Any]]:
    return connection.execute(_HEADS, {"copies": copy_ids}).all()


def _recipients(
    connection: Connection, copy_ids: Sequence[int]
) -> Mapping[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    for copy_id, recipient, recipient_type in _RECIPIENTS.run(connection, copy_ids):
        found.setdefault(copy_id, []).append((recipient, recipient_type))
    return found


def _links(
    connection: Connection, send_ids: Sequence[str], slots: Sequence[int]
) -> Mapping[str, dict[int, StoredLink]]:
    if not slots:
        return {}
    found: dict[str, dict[int, StoredLink]] = {}
    for row in connection.execute(_LINKS, {"sends": send_ids, "slots": slots}):
        found.setdefault(row.send_id, {})[row.slot] = StoredLink(row.url, row.text)
    return found


def _history(
    connection: Connection, copy_ids: Sequence[int], since: datetime, until: datetime
) -> Mapping[int, list[RecordedHit]]:
    asked = {"copies": copy_ids, "since": since, "until": until}
    found: dict[int, list[RecordedHit]] = {}
    for row in connection.execute(_HISTORY, asked):
        found.setdefault(row.copy_id, []).append(read_hit(row))
    return found


_Nearby = Mapping[tuple[str, str], Sequence[tuple[int, datetime, str]]]
"""Hits of the copies of sends, each with copy, moment and network, by send and network."""


def _beside(waiting: Sequence[RecordedHit], nearby: _Nearby) -> set[int]:
    came: dict[str, list[datetime]] = {}
    for hit in waiting:
        came.setdefault(hit.features.get("network", ""), []).append(hit.at)
    return {
        copy_id
        for (_, network), found in nearby.items()
        for copy_id, at, _ in found
        if any(abs(at - when) <= HISTORY_AFTER for when in came.get(network, ()))
    }


def _near(
    head: Row[Any], history: Sequence[RecordedHit], nearby: _Nearby
) -> Iterator[tuple[int, datetime, str]]:
    """Give what came for other copies from where this one was asked for: no rule asks for more."""
    for network in sorted({hit.features.get("network", "") for hit in history}):
        for one in nearby.get((head.send_id, network), ()):
            if one[0] != head.copy_id:
                yield one


def _nearby(
    connection: Connection, send_ids: Sequence[str], since: datetime, until: datetime
) -> _Nearby:
    """Return what came for the copies of sends; ix_copies_send and ix_hits_copy serve."""
    asked = {"sends": send_ids, "since": since, "until": until}
    found: dict[tuple[str, str], list[tuple[int, datetime, str]]] = {}
    for send_id, copy_id, at, where in connection.execute(_NEARBY, asked):
        if where:
            found.setdefault((send_id, where), []).append((copy_id, at, where))
    return found


def _inferring(connection: Connection, send_ids: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Return of whom a click may tell an open, by send.

    Opens of his copy are tracked, or nothing but the content is against it: plain text has no
    pixel, but nobody has wished that opens are not told.
    """
    if not send_ids:
        return frozenset()
    statement = select(sends.c.send_id, sends.c.verdict).where(sends.c.send_id.in_(send_ids))
    return frozenset(
        (row.send_id, own["recipient"])
        for row in connection.execute(statement)
        for own, _ in row.verdict.get("recipients", ())
        if own.get("opens") or _for_content_only(own)
    )


def _for_content_only(own: Mapping[str, Any]) -> bool:
    against = {reason["because"] for reason in own.get("reasons", ()) if reason["of"] == "opens"}
    return against == {"content"}


def _past_events(
    connection: Connection, copy_ids: Sequence[int], since: datetime
) -> Mapping[int, list[PastEvent]]:
    found: dict[int, list[PastEvent]] = {}
    for row in connection.execute(_PAST, {"copies": copy_ids, "since": since}):
        found.setdefault(row.copy_id, []).append(read_past(row))
    return found


def read_past(row: Row[Any]) -> PastEvent:
    """Return the event of a row with all columns that judging looks at."""
    return PastEvent(
        row.event_id,
        EventType(row.type),
        row.at,
        row.hit_id,
        row.first,
        None if row.classification is None else Agent(row.classification),
        row.confidence,
        tuple(row.reasons),
        row.rules_version,
        row.inferred_from,
        row.user_agent,
        row.ip_address,
    )
