"""TELL: webhooks are told what they are owed, one send's events in order.

Law: a delivery is kept until its receiver has taken it, or it is dead.
Law: what somebody has denied since, or is forgotten, is not told.
One webhook waits for no other, and one send for no other: only so many posts are under way at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from collector.outward import Outward
from collector.posted import STEADY, Pace, end_of, make_body, make_headers
from config.settings import Settings
from config.webhook import Webhook
from ledger.address import parse_address
from ledger.consent import Consent, Consents
from ledger.consents import read_consents
from ledger.deliveries import Attempt, Dead, Delivery, Dropped, Taken, select_due, settle
from ledger.engine import Store
from ledger.event import Event, EventType
from ledger.keys import load_audit_key
from ledger.webhooks import KnownWebhook, renew_webhooks, webhook_key

WIDTH = 16
"""Posts under way to one webhook: some 1,000 a second to one that answers in 10 ms."""

MISSES = 16
"""After so many failures one after the other a webhook is tried with one post at a time."""

LOOK_S = 0.25
"""How often it is looked for what is due: events are recorded by other processes too."""

GATHER_S = 0.005
"""What is answered within it shares a commit."""

SOON_S = 1.0
"""How long a start waits until the ledger knows the webhooks: mostly some milliseconds."""

PAUSE_S = 1.0
"""After a failure of the ledger, or of ours."""

END_S = 5.0
"""How long a stop waits for answers; what has none by then is posted again after the start."""

_TRACKED = frozenset({EventType.OPENED, EventType.CLICKED, EventType.RECLASSIFIED})

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is told."""

    digest_key: bytes
    """Finds the denials of who is forgotten."""
    pace: Pace = STEADY


def known_webhooks(settings: Settings) -> tuple[KnownWebhook, ...]:
    """Return the webhooks of the configuration, as the ledger knows them."""
    return tuple(
        KnownWebhook(webhook_key(one.url), one.shown, tuple(kind.value for kind in one.events))
        for one in settings.webhook
    )


async def _renew(settings: Settings, ledger: Store) -> None:
    """Let the ledger know the webhooks of the configuration, as soon as it can be written."""
    renew = partial(renew_webhooks, configured=known_webhooks(settings))
    while True:
        try:
            await ledger.transact(renew)
        except Exception as error:  # noqa: BLE001 - house style 29: this loop logs and goes on
            _log.error("webhooks.unknown", why=repr(error)[:200])
            await asyncio.sleep(PAUSE_S)
        else:
            return


@asynccontextmanager
async def telling(settings: Settings, ledger: Store, pace: Pace = STEADY) -> AsyncIterator[None]:
    """Tell the webhooks of the configuration while the block runs.

    Of the processes on one ledger one at a time should.
    Law: nobody's start waits longer than SOON_S for the ledger.
    """
    terms = Terms(load_audit_key(settings.keys_dir), pace)
    renewing = asyncio.create_task(_renew(settings, ledger), name="collector.webhooks")
    # What is recorded before that is done is owed to those that were configured before.
    await asyncio.wait([renewing], timeout=SOON_S)
    async with AsyncExitStack() as ways:
        tellers: list[Teller] = []
        for webhook in settings.webhook:
            way = Outward(private=webhook.allow_private)
            ways.push_async_callback(way.close)
            tellers.append(Teller(ledger, webhook, way, terms))
        tasks = [asyncio.create_task(one.follow(), name="collector.telling") for one in tellers]
        try:
            yield
        finally:
            renewing.cancel()
            for teller in tellers:
                teller.stop()
            await asyncio.gather(*tasks)
            await asyncio.wait([renewing])


class Teller:
    """What is told to one webhook."""

    def __init__(self, ledger: Store, webhook: Webhook, way: Outward, terms: Terms) -> None:
        """Take where deliveries are kept, whom to tell, and by which way."""
        self._ledger = ledger
        self._webhook = webhook
        self._key = webhook_key(webhook.url)
        self._way = way
        self._terms = terms
        self._dice = random.Random()  # noqa: S311 - of pauses
        self._under_way: dict[asyncio.Task[Attempt], Delivery] = {}
        self._over: list[Attempt] = []
        self._misses = 0
        self._stopped = asyncio.Event()

    async def follow(self) -> None:
        """Tell what is due, until stopped."""
        while not self._stopped.is_set():
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - house style 29: the notifying loop
                _log.error("webhook.held_up", webhook=self._webhook.shown, why=repr(error)[:200])
                await self._rest(PAUSE_S)
        await self._end()

    def stop(self) -> None:
        """Let `follow` end, with what is under way."""
        self._stopped.set()

    async def _step(self) -> None:
        """Start what there is room for, and keep what has come of what was started."""
        width = WIDTH if self._misses < MISSES else 1
        if room := max(0, width - len(self._under_way)):
            for delivery in await self._due(room):
                task = asyncio.create_task(self._tell(delivery))
                self._under_way[task] = delivery
        if not (self._under_way or self._over):
            await self._rest(LOOK_S)
            return
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER_S)
        await self._keep()

    async def _rest(self, for_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), for_s)
        except TimeoutError:
            return

    async def _due(self, room: int) -> list[Delivery]:
        """Return what may be told now; what may not be told any more is dropped."""
        over = [one.delivery for one in self._over]
        held = {one.number for one in (*self._under_way.values(), *over)}
        ask = partial(
            self._read, now=datetime.now(UTC), limit=room + len(held), left_out=frozenset(held)
        )
        async with self._ledger.read() as connection:
            found, consents = await connection.run_sync(ask)
        told = []
        for one in found[:room]:
            if one.event is None or _is_denied(one.event, consents):
                self._over.append(Attempt(one, datetime.now(UTC), Dropped()))
            else:
                told.append(one)
        return told

    def _read(
        self, connection: Connection, *, now: datetime, limit: int, left_out: frozenset[int]
    ) -> tuple[list[Delivery], Consents]:
        due = select_due(connection, self._key, now, limit)
        found = [one for one in due if one.number not in left_out]
        named = {name for one in found if one.event is not None for name in _named(one.event)}
        addresses = map(parse_address, sorted(named))
        return found, read_consents(connection, addresses, self._terms.digest_key)

    async def _tell(self, delivery: Delivery) -> Attempt:
        assert delivery.event is not None, "it is dropped"
        body = make_body(delivery.event)
        keys, now = self._webhook.keys, datetime.now(UTC)
        headers = make_headers(keys, delivery.delivery_id, now, body)
        answer = await self._way.post(self._webhook.url, headers, body)
        at = datetime.now(UTC)
        end = end_of(delivery, answer, at, self._terms.pace, self._dice.random())
        return Attempt(delivery, at, end)

    async def _keep(self) -> None:
        """Keep what has come of deliveries; what can not be kept now is kept later."""
        for task in [one for one in self._under_way if one.done()]:
            delivery = self._under_way.pop(task)
            if not task.cancelled():
                self._over.append(self._attempt_of(task, delivery))
        if not self._over:
            return
        await self._ledger.transact(partial(settle, attempts=self._over))
        self._heed(self._over)
        self._over = []

    def _attempt_of(self, task: asyncio.Task[Attempt], delivery: Delivery) -> Attempt:
        """Return what came of a delivery; one at which our code fails holds up no other."""
        fault = task.exception()
        if fault is None:
            return task.result()
        _log.error("webhook.broken", delivery_id=delivery.delivery_id, exc_info=fault)
        now, told = datetime.now(UTC), f"our fault ({type(fault).__name__})"
        end = end_of(delivery, told, now, self._terms.pace, self._dice.random())
        return Attempt(delivery, now, end)

    def _heed(self, attempts: Sequence[Attempt]) -> None:
        shown = self._webhook.shown
        for one in attempts:
            end = one.end
            if isinstance(end, Dropped):
                continue
            if isinstance(end, Taken):
                if self._misses >= MISSES:
                    _log.info("webhook.recovered", webhook=shown)
                self._misses = 0
                continue
            self._misses += 1
            if self._misses == MISSES:
                _log.warning("webhook.failing", webhook=shown, why=end.reply)
            if isinstance(end, Dead):
                name = one.delivery.delivery_id
                _log.warning("webhook.dead", webhook=shown, delivery_id=name, why=end.reply)

    async def _end(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=END_S)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        try:
            await self._keep()
        except Exception as error:  # noqa: BLE001 - house style 29: what is not kept is told again
            _log.error("webhook.held_up", webhook=self._webhook.shown, why=repr(error)[:200])


def _is_denied(event: Event, consents: Consents) -> bool:
    return any(consents.of(parse_address(one)) is Consent.DENIED for one in _named(event))


def _named(event: Event) -> Iterable[str]:
    """Return of whom an event says what he did."""
    if event.type in _TRACKED:
        yield from event.candidates
        if event.recipient is not None:
            yield event.recipient
