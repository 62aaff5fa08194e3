"""What is held of one address, found by its key.

Each function reads within the caller's view of a store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.address import Address, parse_address
from ledger.event import Attribution, Event
from ledger.events import read_event
from ledger.fact import unpack_verdict
from ledger.hits import read_hit
from ledger.mode import TrackingMode
from ledger.schema import (
    copies,
    copy_recipients,
    events,
    hits,
    links,
    policy_changes,
    sends,
)
from ledger.story import RecordedHit, StoredLink

Key = TypeVar("Key", int, str)

AT_ONCE = 500
"""Keys in one statement."""


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """A copy that somebody got."""

    copy_id: int
    send_id: str
    mode: TrackingMode
    relayed_at: datetime | None
    recipient: str
    """As it stood in the envelope."""
    recipient_type: str
    people: int
    """How many got it, he among them."""

    @property
    def is_his(self) -> bool:
        """Whether nobody else got it, so that its hits are told as his."""
        return self.people == 1 and self.mode is not TrackingMode.ANONYMOUS


@dataclass(frozen=True, slots=True)
class HeldSend:
    """A send that he sent or got."""

    send_id: str
    accepted_at: datetime
    message_id: str | None
    sender: str | None
    account: str | None
    client: str | None
    subject: str | None
    size_bytes: int
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    verdict: tuple[Mapping[str, Any], ...]
    """The objects of `explain --json`."""


async def copies_of(connection: AsyncConnection, key: str) -> tuple[HeldCopy, ...]:
    """Return the copies that an address got, in the order of their sends."""
    his = copy_recipients.alias("his")
    people = (
        select(func.count())
        .where(copy_recipients.c.copy_id == copies.c.copy_id)
        .correlate(copies)
        .scalar_subquery()
    )
    statement = (
        select(*copies.c["copy_id", "send_id", "mode", "relayed_at"])
        .add_columns(his.c.recipient, his.c.recipient_type, people)
        .join(his, his.c.copy_id == copies.c.copy_id)
        .where(his.c.recipient_key == key)
        .order_by(copies.c.send_id, copies.c.copy_id)
    )
    rows = await connection.execute(statement)
    return tuple(HeldCopy(row[0], row[1], TrackingMode(row[2]), *row[3:]) for row in rows)


async def details_of(connection: AsyncConnection, address: Address) -> tuple[str, ...]:
    """Return the addresses on record that differ from one by their `+detail` alone.

    The same person may use them, or another: nobody but the receiving host knows.
    """
    bare = address.key_without_detail
    local, _, domain = bare.rpartition("@")
    key = copy_recipients.c.recipient_key
    # Of the keys that begin so; "," comes after "+".
    found = await connection.scalars(
        select(key).where(key >= f"{local}+", key < f"{local},").distinct()
    )
    details = {one for one in found if one.endswith(f"@{domain}") and _bare(one) == bare}
    if await connection.scalar(select(key).where(key == bare).limit(1)):
        details.add(bare)
    return tuple(sorted(details - {address.key}))


async def sends_of(connection: AsyncConnection, send_ids: Sequence[str]) -> tuple[HeldSend, ...]:
    """Return sends by their names, in their order."""
    found: list[HeldSend] = []
    for some in _parts(sorted(set(send_ids))):
        statement = select(sends).where(sends.c.send_id.in_(some)).order_by(sends.c.send_id)
        for row in await connection.execute(statement):
            values = {name: getattr(row, name) for name in HeldSend.__slots__}
            values |= {"tags": tuple(row.tags), "verdict": unpack_verdict(row.verdict)}
            found.append(HeldSend(**values))
    return tuple(found)


async def sent_by(
    connection: AsyncConnection, key: str, accounts: Sequence[str]
) -> tuple[str, ...]:
    """Return the sends of a sender, and of who signed in under one of these names."""
    sent = select(events.c.send_id).where(events.c.sender_key == key, events.c.send_id.is_not(None))
    found = set(await connection.scalars(sent.distinct()))
    submitted = select(sends.c.send_id).where(sends.c.account.in_(accounts))
    return tuple(sorted(found | set(await connection.scalars(submitted))))


async def copies_of_sends(connection: AsyncConnection, send_ids: Sequence[str]) -> tuple[int, ...]:
    """Return all copies of sends."""
    found: list[int] = []
    for some in _parts(send_ids):
        statement = select(copies.c.copy_id).where(copies.c.send_id.in_(some))
        found += await connection.scalars(statement)
    return tuple(found)


async def links_of(
    connection: AsyncConnection, send_ids: Sequence[str]
) -> Mapping[str, Mapping[int, StoredLink]]:
    """Return the tracked links of sends, by send and slot."""
    found: dict[str, dict[int, StoredLink]] = {}
    for some in _parts(send_ids):
        for row in await connection.execute(select(links).where(links.c.send_id.in_(some))):
            found.setdefault(row.send_id, {})[row.slot] = StoredLink(row.url, row.text)
    return found


async def events_about(
    connection: AsyncConnection, key: str, held: Sequence[HeldCopy]
) -> tuple[Event, ...]:
    """Return the events of a recipient, and those of his shared copies, in order of recording."""
    found: dict[int, Event] = {}
    own = select(events).where(events.c.recipient_key == key)
    await _read_events(connection, own, found)
    shared = [copy.copy_id for copy in held if copy.people > 1]
    for some in _parts(shared):
        told = events.c.attribution == Attribution.SHARED.value
        await _read_events(
            connection, select(events).where(events.c.copy_id.in_(some), told), found
        )
    return tuple(found[number] for number in sorted(found))


async def hits_of(connection: AsyncConnection, copy_ids: Sequence[int]) -> tuple[RecordedHit, ...]:
    """Return the hits of copies, in order of time."""
    found: list[RecordedHit] = []
    for some in _parts(copy_ids):
        rows = await connection.execute(select(hits).where(hits.c.copy_id.in_(some)))
        found += map(read_hit, rows)
    return tuple(sorted(found, key=lambda hit: hit.hit_id))


async def rules_naming(connection: AsyncConnection, address: Address) -> tuple[str, ...]:
    """Return the rules that admins keep or kept, and that name an address."""
    wanted = {str(address).lower(), address.key}
    changes = await connection.execute(
        select(policy_changes.c.rule, policy_changes.c.reason, policy_changes.c.value)
    )
    named = {
        row.rule or "the switch for everybody"
        for row in changes
        if any(one in f"{row.rule} {row.reason} {row.value}".lower() for one in wanted)
    }
    return tuple(sorted(named))


async def _read_events(
    connection: AsyncConnection, statement: Select[Any], found: dict[int, Event]
) -> None:
    for row in await connection.execute(statement):
        found[row.number] = read_event(row)


def _bare(key: str) -> str:
    return parse_address(key).key_without_detail


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))
