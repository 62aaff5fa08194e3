"""The collector's wiring: stores, keys and sockets around the way of a hit."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from collector.answer import Answer
from collector.attribute import Settlement, attribute_hits
from collector.collect import Collect, Practice, Receive
from collector.gateways import open_gateways
from collector.journal import LEDGER_WAIT_MS, Journal
from collector.leaflet import Leaflet, Operator
from collector.listening import Place, listen
from collector.mine import OwnPage, is_marked
from collector.notable import owed_of
from collector.notify import notifying, policy_of
from collector.permits import Bounds
from collector.ranges import Ranges
from collector.read import Reader
from collector.recipient import RecipientPage
from collector.request import Request
from collector.settling import Attribute, Settling
from collector.target import Confirm, Leaf, Mine, Page
from collector.telling import telling
from collector.wishes import Places, Terms, Wishes
from config.settings import Settings
from ledger import schema
from ledger.disclosed import disclose_copy
from ledger.engine import Store
from ledger.keys import KeyRing, load_audit_key
from ledger.migrate import Stores, open_store
from ledger.story import RecordedHit, Story


@dataclass(frozen=True, slots=True)
class Part:
    """What one process has of a collector that may be several."""

    sockets: Sequence[socket.socket] = ()
    """Where it listens; none: on `collector.listen`."""
    judges: bool = True
    """Of the processes on one ledger, one makes events of recorded hits."""


@asynccontextmanager
async def run_collector(
    settings: Settings, stores: Stores, keys: KeyRing, part: Part = Part()
) -> AsyncIterator[tuple[int, ...]]:
    """Serve hits while the block runs; give the ports."""
    # Its own writer: a hit must not queue behind the others of this process.
    hasty = Store(settings.database.url, LEDGER_WAIT_MS)
    spill_file = settings.server.state_dir / "spill.db"
    spill = await open_store(f"sqlite+aiosqlite:///{spill_file}", schema.spill)
    wishes = Wishes(Places(spill, hasty, stores.spool), keys, _terms(settings))
    await wishes.recall()
    journal = Journal(stores.ledger, hasty, spill, keys, _bounds(settings, wishes))
    reader = Reader(keys.keys, journal.link_of)
    leaflet = Leaflet(Operator(settings.privacy.notice, settings.privacy.contact))
    disclose = partial(disclose_copy, stores.ledger, load_audit_key(settings.keys_dir))
    page = RecipientPage(leaflet, reader, disclose, keys, wishes)
    asks = part.judges and settings.collector.mx_lookups
    gateways = open_gateways() if asks else None
    know = None if gateways is None else gateways.know
    attribute = _attribute(settings)
    settling = Settling(stores.ledger, hasty, attribute, know) if part.judges else None
    ranges = Ranges(settings.collector.ranges_dir)
    receive = _receive(page, OwnPage(keys, secure=settings.tracking.base_url.startswith("https:")))
    collect = Collect(_practice(settings, keys, ranges), journal, settling, reader, receive)
    tasks = [
        asyncio.create_task(wishes.follow(), name="collector.wishes"),
        asyncio.create_task(journal.write_batches(), name="collector.journal"),
        asyncio.create_task(ranges.follow(), name="collector.ranges"),
        asyncio.create_task(collect.classify_recorded(), name="collector.classify"),
    ]
    if gateways is not None:
        tasks.append(asyncio.create_task(gateways.follow(), name="collector.gateways"))
    place = Place(settings.collector.listen, settings.collector.trusted_proxies, part.sockets)
    try:
        async with AsyncExitStack() as beside:
            if part.judges:
                await beside.enter_async_context(telling(settings, stores.ledger))
                await beside.enter_async_context(notifying(settings, stores))
            yield await beside.enter_async_context(listen(place, collect.take_request))
    finally:
        wishes.stop()
        ranges.stop()
        journal.stop()
        if gateways is not None:
            gateways.stop()
        await asyncio.gather(*tasks)
        await spill.close()
        await hasty.close()


def _attribute(settings: Settings) -> Attribute:
    """Return how hits become events, and what people are told of them."""
    policy = policy_of(settings)
    if policy is None:
        return attribute_hits

    def attribute(waiting: Sequence[RecordedHit], stories: Mapping[int, Story]) -> Settlement:
        settlement = attribute_hits(waiting, stories)
        settlement.notices.extend(owed_of(settlement, stories, policy))
        return settlement

    return attribute


def _receive(page: RecipientPage, own: OwnPage) -> Receive:
    async def receive(request: Request, asked: Leaf | Confirm | Mine | Page) -> Answer:
        if isinstance(asked, Mine):
            return own.answer(request, asked.code, datetime.now(UTC))
        return await page.receive(request, asked)

    return receive


def _practice(settings: Settings, keys: KeyRing, ranges: Ranges) -> Practice:
    # From the oldest key, which is the same after a rotation.
    oldest = keys.keys[min(keys.keys)].secret
    secret = hashlib.blake2b(key=oldest[:64], person=b"indicia network").digest()
    return Practice(
        network_secret=secret,
        keep_network=settings.privacy.keep_network,
        own_networks=settings.privacy.own_networks,
        honour_gpc=settings.privacy.honour_gpc,
        marks=ranges.marks,
        own_browser=partial(is_marked, keys.keys),
    )


def _bounds(settings: Settings, wishes: Wishes) -> Bounds:
    least, key = settings.tracking.anonymous_min, load_audit_key(settings.keys_dir)
    return Bounds(least, key, lambda: wishes.withdrawn, wishes.recall)


def _terms(settings: Settings) -> Terms:
    base_url = settings.tracking.base_url
    return Terms(f"{base_url}/w/", base_url, load_audit_key(settings.keys_dir))
