"""How Indicia does, as figures for Prometheus.

Law: no figure names an address, a subject, a host or a rule.
Depths and ages are read at the scrape.  What grows is counted here since this process first was
asked: at each scrape the news is read from where the last one ended, for a twentieth of a second at
most, and what is left is told and read by the next.
"""

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from collector.console.desk import DESK
from collector.console.exposition import CONTENT_TYPE, Family, Kind, Sample, write_figures
from ledger.api_tokens import find_api_token
from ledger.engine import Store
from ledger.event import Agent, EventType
from ledger.events import last_number
from ledger.metered import Depths, Queue, count_spilled, read_depths, read_news, read_queue
from ledger.queue import Waiting
from ledger.sessions import hash_secret

_READ_TIMEOUT_S = 2.0
"""As of a probe (health): Prometheus itself waits for 10 seconds."""
_NEWS_AT_ONCE = 500
"""Events read in one step: some 5 ms with the verdicts of their sends."""
_NEWS_BUDGET_S = 0.05

_FORWARDING = ("Forwarded", "X-Forwarded-For", "Via")
"""RFC 7239, RFC 9110 7.6.3: what a proxy that stands before us adds."""

_ACTS = (EventType.OPENED.value, EventType.CLICKED.value)

_KNOWN = tuple(
    (kind.value, label)
    for kind in EventType
    for label in ([agent.value for agent in Agent] if kind.value in _ACTS else [""])
)
"""Told from the beginning, so that a first event is seen as a growth."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one scrape has read; None: it could not be."""

    depths: Depths | None
    queue: Queue | None
    spilled: int | None


class Meter:
    """Counts what is recorded, from its first scrape on."""

    def __init__(self, ledger: Store, spool: Store, spill_file: Path) -> None:
        """Begin without having counted."""
        self._ledger = ledger
        self._spool = spool
        self._spill_file = spill_file
        self._turn = asyncio.Lock()
        self._read_to: int | None = None
        self._events: Counter[tuple[str, str]] = Counter()
        self._recipients: Counter[tuple[str, str]] = Counter()

    async def measure(self, now: datetime) -> tuple[Family, ...]:
        """Return all figures of now; those of a store that is away are left out."""
        async with self._turn:
            figures = Figures(
                await self._read_ledger(),
                await self._read_spool(now),
                await asyncio.to_thread(count_spilled, self._spill_file),
            )
            return (
                *_of_process(figures),
                *_of_queue(figures, now),
                *_of_ledger(figures.depths),
                *self._counted(figures.depths),
            )

    async def _read_ledger(self) -> Depths | None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                await self._count_news()
                async with self._ledger.read() as connection:
                    return await read_depths(connection)
        except (SQLAlchemyError, TimeoutError):
            return None

    async def _read_spool(self, now: datetime) -> Queue | None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S), self._spool.read() as connection:
                return await read_queue(connection, now)
        except (SQLAlchemyError, TimeoutError):
            return None

    async def _count_news(self) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _NEWS_BUDGET_S
        async with self._ledger.read() as connection:
            if self._read_to is None:
                self._read_to = await last_number(connection)
            while loop.time() < ends_at:
                news = await read_news(connection, self._read_to, _NEWS_AT_ONCE)
                if news.last == self._read_to:
                    return
                self._events.update(news.events)
                self._recipients.update(news.recipients)
                self._read_to = news.last

    def _counted(self, depths: Depths | None) -> tuple[Family, ...]:
        if depths is None or self._read_to is None:
            return ()
        return (
            _counter(
                "events_total",
                "Events recorded since this process was first asked.",
                *(
                    Sample(self._events[kind, label], {"type": kind, "classification": label})
                    for kind, label in sorted({*_KNOWN, *self._events})
                ),
            ),
            _counter(
                "recipients_total",
                "Recipients of accepted mail since this process was first asked, "
                "by how far they are tracked and what decided it.",
                *(
                    Sample(count, {"mode": mode, "decided_by": why})
                    for (mode, why), count in sorted(self._recipients.items())
                ),
            ),
            _gauge(
                "events_uncounted",
                "Events that the next scrape counts.",
                Sample(max(0, depths.last_event - self._read_to)),
            ),
        )


METER = web.AppKey("meter", Meter)


async def tell_metrics(request: web.Request) -> web.Response:
    """Answer with all figures, to this machine and to who has an API token."""
    if not (_is_from_here(request) or await _has_token(request)):
        return web.Response(
            text="Figures are for this machine itself, and for an API token: "
            "indicia token create NAME\n",
            status=HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": 'Bearer realm="indicia"'},
        )
    text = write_figures(await request.app[METER].measure(datetime.now(UTC)))
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _is_from_here(request: web.Request) -> bool:
    """Tell whether a program of this machine asks, and no page and no proxy for somebody else."""
    try:
        peer = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return False
    asked_for = any(name in request.headers for name in _FORWARDING)
    # Fetch Metadata (W3C): every browser says so, whatever name led it here (DNS rebinding).
    by_page = request.headers.get("Sec-Fetch-Site", "none") != "none" or "Origin" in request.headers
    return peer.is_loopback and not asked_for and not by_page


async def _has_token(request: web.Request) -> bool:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return False
    desk = request.app[DESK]
    try:
        return await find_api_token(desk.ledger, hash_secret(secret.strip())) is not None
    except SQLAlchemyError:
        return False


def _of_process(figures: Figures) -> tuple[Family, ...]:
    up = {"ledger": figures.depths is not None, "spool": figures.queue is not None}
    return (
        _gauge(
            "build_info",
            "Always 1; the label says what runs.",
            Sample(1, {"version": version("indicia")}),
        ),
        _gauge(
            "store_up",
            "Whether a store can be read.",
            *(Sample(int(answers), {"store": name}) for name, answers in up.items()),
        ),
    )


def _of_queue(figures: Figures, now: datetime) -> tuple[Family, ...]:
    spilled = () if figures.spilled is None else (Sample(figures.spilled),)
    told = "Hits that wait beside the ledger until it can be asked."
    families = (_gauge("hits_spilled", told, *spilled),)
    queue = figures.queue
    if queue is None:
        return families
    age_s = 0.0 if queue.oldest_at is None else max(0.0, (now - queue.oldest_at).total_seconds())
    return (
        *families,
        _gauge(
            "queue_copies",
            "Copies of mail that are not settled, by why they are not.",
            *(Sample(queue.copies.get(why, 0), {"state": why.value}) for why in Waiting),
        ),
        _gauge(
            "queue_oldest_age_seconds",
            "How long ago the oldest mail was accepted that is not delivered; dead letters aside.",
            Sample(age_s),
        ),
        _gauge(
            "facts_owed",
            "Facts of the relay that the ledger is still to be told.",
            Sample(queue.owed_facts),
        ),
        _gauge("facts_refused", "Facts the ledger does not take.", Sample(queue.refused_facts)),
    )


def _of_ledger(depths: Depths | None) -> tuple[Family, ...]:
    if depths is None:
        return ()
    return (
        _gauge("hits_waiting", "Hits that are not judged yet.", Sample(depths.hits_waiting)),
        _gauge("hits_faulty", "Hits our code failed to judge.", Sample(depths.hits_faulty)),
        _counter("events_recorded_total", "All events ever recorded.", Sample(depths.last_event)),
        _counter("audit_entries_total", "Entries of the audit log.", Sample(depths.audit_entries)),
        _gauge(
            "audit_last_entry_timestamp_seconds",
            "When the last entry was written.",
            *_instant(depths.audited_at),
        ),
        _gauge(
            "purge_last_success_timestamp_seconds",
            "When what was kept long enough was last deleted to the end.",
            *_instant(depths.purged_at),
        ),
    )


def _instant(at: datetime | None) -> tuple[Sample, ...]:
    return () if at is None else (Sample(at.timestamp()),)


def _gauge(name: str, told: str, *samples: Sample) -> Family:
    return Family(f"indicia_{name}", Kind.GAUGE, told, samples)


def _counter(name: str, told: str, *samples: Sample) -> Family:
    return Family(f"indicia_{name}", Kind.COUNTER, told, samples)
