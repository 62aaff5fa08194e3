"""Erasure of one address from the record.

Every step is one short transaction (ledger.pace), and what leads to the rest goes last: broken off
anywhere, the same call again does what is left.
Law: of who is forgotten no address stays, and nothing that came from his mail program.
Law: what others have in common with him stays, and tells of nobody that he did what may have been
the act of who is forgotten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    bindparam,
    delete,
    or_,
    select,
    update,
)

from ledger.address import Address, address_key
from ledger.consent import Consent, forgotten_subject, subject_of
from ledger.engine import Store
from ledger.event import Attribution
from ledger.fact import pack_verdict, unpack_verdict
from ledger.holdings import HeldCopy, Key, copies_of, copies_of_sends, sent_by
from ledger.mode import TrackingMode
from ledger.notice_wishes import forget_wish
from ledger.notices import forget_letters
from ledger.pace import go_through
from ledger.redact import Redaction
from ledger.rows import RowInsert
from ledger.schema import (
    consent_changes,
    consents,
    copies,
    copy_recipients,
    day_events,
    events,
    forgotten_copies,
    hits,
    links,
    people,
    sends,
    sessions,
    sign_in_links,
)
from ledger.views import forget_views

FORGOTTEN = "candidate_forgotten"
"""The reason of a shared event one of whose candidates is forgotten."""

Work = Callable[[Connection, Sequence[Key]], None]
"""Does something about some copies or sends."""

_NARROWED = ("candidates", "attribution", "reasons", "user_agent", "ip_address")
_VALUES_AT_ONCE = 500

_TOMBS = RowInsert(forgotten_copies, ("copy_id", "at"), once=True)


@dataclass(slots=True)
class Traces:
    """Where in the record an address is found, and what has been erased of it."""

    address: Address
    own: tuple[int, ...]
    """Copies that nobody else got, and all copies of what he sent."""
    common: tuple[HeldCopy, ...]
    """Copies that others got too."""
    received: tuple[str, ...]
    """Sends that he got, others too perhaps."""
    sent: tuple[str, ...]
    """Sends that he sent, or signed in to send."""
    erased: dict[str, int] = field(default_factory=dict)
    """Rows by table."""

    @property
    def copy_ids(self) -> tuple[int, ...]:
        """All copies concerned."""
        return (*self.own, *(copy.copy_id for copy in self.common))


async def find_traces(ledger: Store, address: Address, accounts: Sequence[str]) -> Traces:
    """Return where an address is found, as recipient and as sender; nothing is changed."""
    async with ledger.read() as connection:
        got = await copies_of(connection, address.key)
        sent = await sent_by(connection, address.key, accounts)
        of_his = await copies_of_sends(connection, sent)
    whole = set(sent)
    alone = tuple(copy.copy_id for copy in got if copy.people == 1 and copy.send_id not in whole)
    return Traces(
        address,
        own=(*alone, *of_his),
        common=tuple(copy for copy in got if copy.people > 1 and copy.send_id not in whole),
        received=tuple(sorted({copy.send_id for copy in got} - whole)),
        sent=sent,
    )


async def forget_address(ledger: Store, traces: Traces, now: datetime, digest_key: bytes) -> None:
    """Erase an address from the ledger; a denial of his goes on holding under its digest."""
    steps = _Steps(ledger, traces, now)
    await ledger.transact(partial(_keep_denial, traces=traces, now=now, key=digest_key))
    # First of all nothing new comes in.
    await steps.bury()
    await steps.erase_hits()
    await steps.erase_events()
    await steps.narrow_common()
    await steps.leave_sends()
    await steps.erase_sent()
    await ledger.transact(partial(_erase_person, traces=traces))


def _keep_denial(connection: Connection, traces: Traces, now: datetime, key: bytes) -> None:
    subject = subject_of(traces.address)
    mine = consents.c.subject == subject.key
    state = connection.scalar(select(consents.c.state).where(mine))
    if state == Consent.DENIED:
        digest = forgotten_subject(key, subject)
        change = {"subject": digest.key, "state": state, "at": now, "method": "other"}
        told = {"source": "forget", "text": "", "actor": "operator"}
        number = connection.execute(
            consent_changes.insert().values(**change, **told).returning(consent_changes.c.number)
        ).scalar_one()
        connection.execute(delete(consents).where(consents.c.subject == digest.key))
        row = {"subject": digest.key, "denial_key": digest.denial_key, "shown": digest.shown}
        connection.execute(consents.insert().values(**row, state=state, number=number))
    changes = connection.execute(
        delete(consent_changes).where(consent_changes.c.subject == subject.key)
    )
    connection.execute(delete(consents).where(mine))
    traces.erased["consents"] = changes.rowcount


def _erase_person(connection: Connection, traces: Traces) -> None:
    key = traces.address.key
    erased = 0
    for table in (sessions, sign_in_links):
        connection.execute(delete(table).where(table.c.person_key == key))
    forget_views(connection, traces.address)
    forget_wish(connection, key)
    forget_letters(connection, key)
    days = or_(day_events.c.sender_key == key, day_events.c.recipient_key == key)
    for table, mine in ((people, people.c.key == key), (day_events, days)):
        erased = connection.execute(delete(table).where(mine)).rowcount
        traces.erased[table.name] = erased


class _Steps:
    """The steps of one erasure."""

    def __init__(self, ledger: Store, traces: Traces, now: datetime) -> None:
        self._ledger = ledger
        self._traces = traces
        self._day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._key = traces.address.key
        self._redaction = Redaction(traces.address)

    async def bury(self) -> None:
        """Note the copies: no hit of theirs is recorded by name, and no late fact."""
        await self._by_part(self._traces.copy_ids, self._bury)

    async def erase_hits(self) -> None:
        # Of a shared copy nobody knows whose they were.
        told = [
            copy.copy_id for copy in self._traces.common if copy.mode is not TrackingMode.ANONYMOUS
        ]
        await self._erase(hits, hits.c.hit_id, hits.c.copy_id, (*self._traces.own, *told))

    async def erase_events(self) -> None:
        events_of = (events, events.c.number)
        await self._erase(*events_of, events.c.copy_id, self._traces.own)
        await self._erase(*events_of, events.c.recipient_key, (self._key,))
        await self._erase(*events_of, events.c.sender_key, (self._key,))

    async def narrow_common(self) -> None:
        """Let shared events tell of the others only, and of nothing that may be his."""
        await self._by_part([copy.copy_id for copy in self._traces.common], self._narrow)

    async def leave_sends(self) -> None:
        """Take him out of the sends of others, and his own away."""
        await self._by_part(self._traces.received, self._leave)

    async def erase_sent(self) -> None:
        """Take away what he sent, with its copies, recipients and links."""
        await self._erase(sends, sends.c.send_id, sends.c.send_id, self._traces.sent)

    def _bury(self, connection: Connection, copy_ids: Sequence[int]) -> None:
        _TOMBS.run(connection, ((copy_id, self._day) for copy_id in copy_ids))

    def _narrow(self, connection: Connection, copy_ids: Sequence[int]) -> None:
        statement = select(events.c.number, events.c.candidates, events.c.reasons).where(
            events.c.copy_id.in_(copy_ids), events.c.attribution == Attribution.SHARED.value
        )
        changed = [self._narrowed(*row) for row in connection.execute(statement)]
        if changed:
            one = update(events).where(events.c.number == bindparam("of_number"))
            connection.execute(one.values(**{name: bindparam(name) for name in _NARROWED}), changed)

    def _narrowed(
        self, number: int, candidates: Sequence[str], reasons: Sequence[str]
    ) -> dict[str, object]:
        others = [one for one in candidates if address_key(one) != self._key]
        # One candidate alone would be named as who it was.
        shared = len(others) > 1
        told = Attribution.SHARED if shared else Attribution.ANONYMOUS
        return {
            "of_number": number,
            "candidates": others if shared else [],
            "attribution": told.value,
            "reasons": [*(one for one in reasons if one != FORGOTTEN), FORGOTTEN],
            "user_agent": None,
            "ip_address": None,
        }

    def _leave(self, connection: Connection, send_ids: Sequence[str]) -> None:
        his = copy_recipients.c.recipient_key == self._key
        of_sends = select(copies.c.copy_id).where(copies.c.send_id.in_(send_ids))
        connection.execute(
            delete(copy_recipients).where(his, copy_recipients.c.copy_id.in_(of_sends))
        )
        people_left = select(copy_recipients.c.copy_id).where(
            copy_recipients.c.copy_id == copies.c.copy_id
        )
        connection.execute(
            delete(copies).where(copies.c.send_id.in_(send_ids), ~people_left.exists())
        )
        copies_left = select(copies.c.copy_id).where(copies.c.send_id == sends.c.send_id)
        connection.execute(
            delete(sends).where(sends.c.send_id.in_(send_ids), ~copies_left.exists())
        )
        for row in connection.execute(select(sends).where(sends.c.send_id.in_(send_ids))).all():
            self._redact(connection, row)

    def _redact(self, connection: Connection, row: Row[Any]) -> None:
        redact = self._redaction
        left = [one for one in unpack_verdict(row.verdict) if not self._is_his(one)]
        common = {
            "subject": redact.text(row.subject),
            "tags": redact.value(row.tags),
            "metadata": redact.value(row.metadata),
        }
        verdict = redact.value(pack_verdict(left))
        connection.execute(
            update(sends)
            .where(sends.c.send_id == row.send_id)
            .values(**common, message_id=redact.text(row.message_id), verdict=verdict)
        )
        for link in connection.execute(select(links).where(links.c.send_id == row.send_id)).all():
            if redact.names(f"{link.url} {link.text}"):
                here = (links.c.send_id == link.send_id) & (links.c.slot == link.slot)
                connection.execute(delete(links).where(here))
        if common != {name: getattr(row, name) for name in common}:
            mine = events.c.send_id == row.send_id
            connection.execute(update(events).where(mine).values(**common))

    def _is_his(self, one: dict[str, Any]) -> bool:
        return address_key(str(one.get("recipient", ""))) == self._key

    async def _by_part(self, keys: Sequence[Key], work: Work[Key]) -> None:
        at = 0

        async def step(limit: int) -> int:
            nonlocal at
            some = keys[at : at + limit]
            if some:
                await self._ledger.transact(lambda connection: work(connection, some))
            at += len(some)
            return len(some)

        await go_through(step)

    async def _erase(
        self,
        table: Table,
        key: ColumnElement[Any],
        of: ColumnElement[Any],
        values: Sequence[object],
    ) -> None:
        """Delete the rows whose column `of` has one of some values."""
        for start in range(0, len(values), _VALUES_AT_ONCE):
            old = of.in_(values[start : start + _VALUES_AT_ONCE])

            async def step(limit: int, old: ColumnElement[bool] = old) -> int:
                some = select(key).where(old).limit(limit)
                statement = delete(table).where(key.in_(some))
                return await self._ledger.transact(
                    lambda connection: connection.execute(statement).rowcount
                )

            rows = await go_through(step)
            self._traces.erased[table.name] = self._traces.erased.get(table.name, 0) + rows
