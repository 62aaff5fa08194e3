"""The way of a hit: read the token, record, answer; then classify.

Nothing is answered before it is recorded, and nothing is stored of what is not ours.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.answer import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    PIXEL,
    Answer,
    answer_click,
    answer_page,
)
from collector.attribute import Anonymity, attribute_hits
from collector.classify import classify
from collector.hit import Hit, IpAddress, Scene, trace_of
from collector.journal import Journal
from collector.kept import Judged, Kept, Seen, features_of
from collector.networks import IpNetwork, lists_with, network_mark, shown_address
from collector.target import Asked, read_target, spellings
from ledger.ident import RANDOM_BITS, new_ident
from ledger.story import RecordedHit
from ledger.token import HitKind, Token, TokenKey, claimed_slot, read_token

LOOK_AGAIN_S = 0.25
"""How often hits whose send was not known yet are looked for."""

_COUNTED = "GET"
_METHODS = ("GET", "HEAD", "OPTIONS")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Practice:
    """What the configuration says of hits."""

    keys: Mapping[int, TokenKey]
    network_secret: bytes
    """32 to 64 bytes; of a day's networks only who has it can find the addresses."""
    anonymous_min: int
    keep_network: Literal["none", "truncated", "full"] = "truncated"
    own_networks: tuple[IpNetwork, ...] = ()
    honour_gpc: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What of an HTTP request matters here."""

    method: str
    target: str
    """As on the request line, undecoded."""
    client: IpAddress | None
    headers: Mapping[str, str]
    """By lower-case name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A genuine token, and where it leads."""

    token: Token
    url: str | None = None
    altered: bool = False


class Collect:
    """Answers requests and turns recorded hits into events."""

    def __init__(self, practice: Practice, journal: Journal) -> None:
        """Take what is decided and who writes."""
        self._practice = practice
        self._journal = journal
        self._attribute = partial(
            attribute_hits, anonymity=Anonymity(practice.anonymous_min, _fresh_ids())
        )

    async def take_request(self, request: Request) -> Answer:
        """Return the answer to a request, once a hit in it is on disk."""
        if request.method not in _METHODS:
            return METHOD_NOT_ALLOWED
        asked = read_target(request.target)
        if not isinstance(asked, Asked):
            return answer_page(asked)
        found = await self._read(asked)
        if found is None:
            return PIXEL if asked.kind is HitKind.OPEN else NOT_FOUND
        answer = PIXEL if found.url is None else answer_click(found.url)
        if request.method == _COUNTED and answer is not NOT_FOUND:
            hit = Hit(datetime.now(UTC), asked.kind, request.client, request.headers)
            await self._journal.record(self._recorded(hit, found))
        return answer

    async def classify_recorded(self) -> None:
        """Judge hits as they are recorded and as their sends become known, until stopped."""
        while not self._journal.stopped:
            try:
                done = await self._journal.load_spill() + await self._journal.settle(
                    self._attribute
                )
            except (SQLAlchemyError, OSError) as error:
                _log.warning("hits.unjudged", why=type(error).__name__)
                done = 0
            except Exception:  # noqa: BLE001 - house style 29: this loop logs and goes on
                _log.exception("hits.unjudged")
                done = 0
            if not done:
                await self._journal.wait_recorded(LOOK_AGAIN_S)

    async def _read(self, asked: Asked) -> _Found | None:
        for destination in spellings(asked.destination):
            token = read_token(self._practice.keys, asked.kind, asked.token, destination)
            if token is None:
                continue
            if asked.kind is HitKind.OPEN:
                return _Found(token)
            return _Found(token, f"{_scheme(token)}://{destination.decode('latin-1')}")
        return await self._read_altered(asked) if asked.kind is HitKind.CLICK else None

    async def _read_altered(self, asked: Asked) -> _Found | None:
        """Try the stored link: the tag must hold for it (contract, altered destination)."""
        claim = claimed_slot(asked.token)
        stored = None if claim is None else await self._journal.link_of(*claim)
        if stored is None:
            return None
        destination = stored.url.partition("#")[0].partition("://")[2]
        # A mail's link without a slash after the host is signed without it, and stored with it.
        for signed in (destination, destination.replace("/", "", 1)):
            token = read_token(self._practice.keys, asked.kind, asked.token, signed.encode())
            if token is not None:
                return _Found(token, stored.url, altered=True)
        return None

    def _recorded(self, hit: Hit, found: _Found) -> RecordedHit:
        return RecordedHit(
            hit_id=new_ident(int(hit.at.timestamp() * 1000), secrets.randbits(RANDOM_BITS)),
            at=hit.at,
            kind=hit.kind,
            copy_id=found.token.copy_id,
            slot=found.token.slot,
            html=found.token.html,
            url=found.url,
            features=features_of(self._keep(hit, found)),
        )

    def _keep(self, hit: Hit, found: _Found) -> Kept:
        practice = self._practice
        network = network_mark(hit.client, hit.at.date(), practice.network_secret)
        lists = lists_with(hit.client, practice.own_networks)
        trace = trace_of(hit, found.token.slot, network, lists)
        withheld = practice.honour_gpc and hit.kind is HitKind.CLICK and hit.withheld
        if found.token.anonymous or withheld:
            return Judged(classify(Scene(trace)), withheld, found.altered)
        return Seen(trace, shown_address(hit.client, practice.keep_network), found.altered)


def _scheme(token: Token) -> str:
    return "https" if token.https else "http"


def _fresh_ids() -> Iterator[str]:
    while True:
        yield secrets.token_hex(13)
