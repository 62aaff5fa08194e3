"""NOTIFY: people are told by mail of opens and clicks, when the hold is over.

Law: each notice is told by one mail, or dropped, whenever it is killed in between.
Law: what somebody has denied since is not told.
First it is settled which mail tells what, then the spool owes it by that name, then that is known
here; the relay sends it as it sends other mail of ours, untracked and from the null sender.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

import structlog
from sqlalchemy import Connection

from collector.bulletin import write_subject, write_text
from collector.notable import NoticePolicy, plan_notices
from config.settings import Settings
from ledger.address import parse_address
from ledger.consent import Consent, Consents
from ledger.consents import read_consents
from ledger.engine import Store
from ledger.event import Event
from ledger.ident import RANDOM_BITS, new_ident
from ledger.keys import load_audit_key
from ledger.migrate import Stores
from ledger.notice_wishes import wish_of
from ledger.notices import (
    DueNotice,
    NoticeLetter,
    OpenLetter,
    close_letter,
    drop_notices,
    latest_letters,
    next_due,
    open_letters,
    postpone_notices,
    select_due_notices,
    settle_letter,
)
from ledger.owed_mails import OwedMail, forget_name, forget_names, owe_mail_once

LOOK_S = 1.0
"""A look reads one small index; a hold is five seconds at the least by default."""

PAUSE_S = 5.0
"""After a failure of a store, or of ours."""

AT_ONCE = 200
"""Notices settled in one transaction: some 20 ms, for which hits wait."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NoticeTerms:
    """How people are told."""

    policy: NoticePolicy
    public_url: str
    """Of the console."""
    digest_key: bytes
    """Finds the denials of who is forgotten."""


def policy_of(settings: Settings) -> NoticePolicy | None:
    """Return what is configured for all; None where nobody is told."""
    told = settings.notices
    if not told.mail:
        return None
    return NoticePolicy(
        early=timedelta(seconds=told.early_s),
        hold=timedelta(seconds=told.hold_s),
        late_hold=timedelta(seconds=told.late_hold_s),
        first_open_only=told.first_open_only,
        min_confidence=told.min_confidence,
        throttle=told.throttle,
        digest=told.digest,
    )


@asynccontextmanager
async def notifying(settings: Settings, stores: Stores) -> AsyncIterator[None]:
    """Tell people while the block runs, if it is configured.

    Of the processes on one ledger one at a time should.
    """
    policy = policy_of(settings)
    if policy is None:
        yield
        return
    public_url = settings.console.public_url.rstrip("/")
    terms = NoticeTerms(policy, public_url, load_audit_key(settings.keys_dir))
    notifier = Notifier(stores.ledger, stores.spool, terms)
    task = asyncio.create_task(notifier.follow(), name="collector.notifying")
    try:
        yield
    finally:
        notifier.stop()
        await task


class Notifier:
    """Who tells people."""

    def __init__(self, ledger: Store, spool: Store, terms: NoticeTerms) -> None:
        """Take where notices are owed, where mail is, and how people are told."""
        self._ledger = ledger
        self._spool = spool
        self._terms = terms
        self._stopped = asyncio.Event()

    async def follow(self) -> None:
        """Tell what is due, until stopped."""
        recalled = False
        while not self._stopped.is_set():
            pause_s = LOOK_S
            try:
                if not recalled:
                    await self.recall()
                    recalled = True
                await self.tell_due(datetime.now(UTC))
            except Exception as error:  # noqa: BLE001 - house style 29: the notifying loop
                _log.error("notice.held_up", why=repr(error)[:200])
                pause_s, recalled = PAUSE_S, False
            await self._rest(pause_s)

    def stop(self) -> None:
        """Let `follow` end, after what it is at."""
        self._stopped.set()

    async def recall(self) -> None:
        """End what a process that was killed, or failed, had begun."""
        async with self._ledger.read() as connection:
            begun = await connection.run_sync(open_letters)
        async with self._spool.write() as connection:
            await forget_names(connection, [one.letter.name for one in begun])
        for one in begun:
            await self._write(one)

    async def tell_due(self, now: datetime) -> int:
        """Return how many mails were owed of the notices that are due."""
        async with self._ledger.read() as connection:
            due_at = await connection.run_sync(next_due)
        if due_at is None or due_at > now:
            return 0  # nobody's turn to write is taken for nothing
        letters = await self._ledger.transact(partial(self._settle, now=now))
        for one in letters:
            await self._write(one)
        return len(letters)

    async def _rest(self, for_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), for_s)
        except TimeoutError:
            return

    def _settle(self, connection: Connection, now: datetime) -> Sequence[OpenLetter]:
        """Settle which mails tell what is due."""
        due = select_due_notices(connection, now, AT_ONCE)
        named = {one for notice in due for one in _named(notice.event)}
        addresses = map(parse_address, sorted(named))
        consents = read_consents(connection, addresses, self._terms.digest_key)
        denied = [one.number for one in due if _is_denied(one.event, consents)]
        drop_notices(connection, denied)
        left = sorted(
            (one for one in due if one.number not in denied), key=lambda one: one.person_key
        )
        for person_key, some in groupby(left, key=lambda one: one.person_key):
            self._settle_person(connection, person_key, list(some), now)
        return open_letters(connection)

    def _settle_person(
        self, connection: Connection, person_key: str, due: Sequence[DueNotice], now: datetime
    ) -> None:
        had = latest_letters(connection, person_key, now)
        plan = plan_notices(due, self._terms.policy, had, now)
        drop_notices(connection, plan.dropped)
        if plan.until is not None:
            postpone_notices(connection, plan.postponed, plan.until)
        for numbers in plan.letters:
            name = new_ident(int(now.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
            settle_letter(connection, NoticeLetter(name, person_key, now), numbers)

    async def _write(self, one: OpenLetter) -> None:
        """Let the spool owe a mail, and keep that it does."""
        letter = one.letter
        told = [event for event in one.events if _attends(event)]
        sent = bool(told) and one.address is not None
        if sent and one.address is not None:
            async with self._ledger.read() as connection:
                zone = (await wish_of(connection, letter.person_key)).zone
            subject, text = write_subject(told), write_text(told, self._terms.public_url, zone)
            mail = OwedMail(letter.name, letter.at, one.address, subject, text)
            async with self._spool.write() as connection:
                await owe_mail_once(connection, mail)
        # Killed here, the spool knows the name, and owes it no second time.
        close = partial(close_letter, name=letter.name, now=letter.at, sent=sent)
        await self._ledger.transact(close)
        if sent:
            async with self._spool.write() as connection:
                await forget_name(connection, letter.name)
            _log.info("notice.owed", send_id=letter.name, events=len(told))


def _attends(event: Event) -> bool:
    return event.classification is not None and event.classification.attentive


def _is_denied(event: Event, consents: Consents) -> bool:
    return any(consents.of(parse_address(one)) is Consent.DENIED for one in _named(event))


def _named(event: Event) -> Iterable[str]:
    """Return of whom an event says what he did."""
    yield from event.candidates
    if event.recipient is not None:
        yield event.recipient
