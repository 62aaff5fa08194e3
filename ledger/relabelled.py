"""Events that are judged anew: they stand as judged last, and what was said before is kept.

Law: relabelling the same again changes nothing and tells nothing twice.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, update

from ledger.event import EventType
from ledger.events import event_row, insert_rows
from ledger.notices import take_back
from ledger.schema import events
from ledger.story import Relabelling

_UPDATE = (
    update(events)
    .where(events.c.event_id == bindparam("of_event"))
    .values(
        classification=bindparam("agent"),
        confidence=bindparam("sure"),
        reasons=bindparam("why"),
        rules_version=bindparam("version"),
        first=bindparam("is_first"),
    )
)
_CHUNK = 500
"""Names in one statement."""


def relabel_events(connection: Connection, found: Iterable[Relabelling]) -> None:
    """Let events stand as they are judged now, and add what tells of it, in the order given."""
    anew = list(found)
    told = [one for one in anew if one.told]
    for start in range(0, len(told), _CHUNK):
        _tell(connection, told[start : start + _CHUNK])
    if anew:
        connection.execute(_UPDATE, [_values(one) for one in anew])
        take_back(connection, [one.event_id for one in anew if not one.agent.attentive])


def _values(one: Relabelling) -> dict[str, object]:
    return {
        "of_event": one.event_id,
        "agent": one.agent.value,
        "sure": one.confidence,
        "why": list(one.reasons),
        "version": one.rules_version,
        "is_first": one.first,
    }


def _tell(connection: Connection, told: list[Relabelling]) -> None:
    statement = select(events).where(events.c.event_id.in_([one.event_id for one in told]))
    rows = {row.event_id: row for row in connection.execute(statement)}
    insert_rows(
        connection,
        (
            event_row(
                **{
                    **{key: value for key, value in row._mapping.items() if key != "number"},  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
                    "event_id": _name(one, row.classification),
                    "type": EventType.RECLASSIFIED.value,
                    "at": one.at,
                    "relabels": one.event_id,
                    "label_before": row.classification,
                    "classification": one.agent.value,
                    "confidence": one.confidence,
                    "reasons": list(one.reasons),
                    "rules_version": one.rules_version,
                    "first": one.first,
                    "notice": "none",
                }
            )
            for one in told
            if (row := rows.get(one.event_id)) is not None
            and (row.classification, row.first) != (one.agent.value, one.first)
        ),
    )


def _name(one: Relabelling, before: str | None) -> str:
    """Return a name that is the same for the same re-labelling."""
    said = f"{one.event_id} {before} {one.agent} {one.first} {one.at.isoformat()}"
    return hashlib.blake2b(said.encode(), digest_size=13, person=b"relabelled").hexdigest()
