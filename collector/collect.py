"""The way of a hit: read the token, record, answer; then classify.

Nothing is answered before it is recorded, and nothing is stored of what is not ours.
Law: neither the answer to a pixel nor its time tells whether it was recorded.
"""

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import urandom
from time import monotonic
from typing import Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.answer import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    PIXEL,
    Answer,
    answer_click,
)
from collector.classify import classify
from collector.hit import Hit, IpAddress, Scene, Trace, trace_of
from collector.journal import Journal
from collector.kept import Judged, Kept, Seen, features_of
from collector.lately import Lately
from collector.networks import IpNetwork, lists_with, network_mark, shown_address
from collector.obscure import obscure
from collector.read import Found, Reader
from collector.request import Request
from collector.settling import Settling
from collector.sweeps import OWN_BROWSER
from collector.target import Asked, Confirm, Leaf, Mine, Page, read_target
from collector.tick import Ticks
from ledger.ident import RANDOM_BITS, new_ident
from ledger.story import RecordedHit
from ledger.token import HitKind

LOOK_AGAIN_S = 0.25
"""How often hits whose send was not known yet are looked for."""

PIXEL_AFTER_S = 0.06
"""When a pixel is answered, reckoned from its request, or later while commits are slow: the time
must not tell whether a token is good, its mail known, its reader withdrawn.  A commit takes 2 to 10
ms after a gathering of 10, now and then 30."""

PIXEL_LATEST_S = 0.5
"""What is held longer makes mail programs slow to show a mail, whatever the disk does."""

COMPLAIN_S = 10.0
"""How often the log says that the ledger is away."""

_COUNTED = "GET"
_METHODS = ("GET", "HEAD", "OPTIONS")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Practice:
    """What the configuration says of hits."""

    network_secret: bytes
    """32 to 64 bytes; of a day's networks only who has it can find the addresses."""
    keep_network: Literal["none", "truncated", "full"] = "truncated"
    own_networks: tuple[IpNetwork, ...] = ()
    honour_gpc: bool = True
    marks: Callable[[IpAddress | None], tuple[str, ...]] = lambda _address: ()
    """Returns the marks of the operator's lists that hold an address."""
    own_browser: Callable[[str, datetime], bool] = lambda _cookies, _now: False
    """Tells whether a Cookie field is of a browser that is marked as one's own."""


Receive = Callable[[Request, Leaf | Confirm | Mine | Page], Awaitable[Answer]]
"""Answers what is no hit."""


class Collect:
    """Answers requests and turns recorded hits into events."""

    def __init__(
        self,
        practice: Practice,
        journal: Journal,
        settling: Settling | None,
        reader: Reader,
        receive: Receive,
    ) -> None:
        """Take what is decided, who writes, judges, reads links, and answers what is no hit.

        Without a judge another process judges what this one has recorded.
        """
        self._practice = practice
        self._journal = journal
        self._settling = settling
        self._ticks = Ticks()
        self._lately = Lately()
        self._complain_at = 0.0
        self._receive = receive
        self._reader = reader

    async def take_request(self, request: Request) -> Answer:
        """Return the answer to a request, once a hit in it is on disk."""
        asked = read_target(request.target)
        if not isinstance(asked, Asked):
            return await self._receive(request, asked)
        if request.method not in _METHODS:
            return METHOD_NOT_ALLOWED
        counted = request.method == _COUNTED
        if asked.kind is HitKind.OPEN:
            return await self._take_open(request, asked, counted=counted)
        found = await self._reader.read(asked)
        answer = NOT_FOUND if found is None or found.url is None else answer_click(found.url)
        if found is None or not counted:
            self._note(request, asked, found)
        elif answer is not NOT_FOUND:
            await self._record(request, asked, found)
        return answer

    async def _take_open(self, request: Request, asked: Asked, *, counted: bool) -> Answer:
        """Return the pixel; when, does not tell whether anything was recorded."""
        if not counted:
            # After the answer, whose time must not tell what the token is worth.
            get_running_loop().call_soon(self._look, request, asked)
            return PIXEL
        slow_s = min(2 * self._journal.slowest_s, PIXEL_LATEST_S)
        held = self._ticks.hold(max(PIXEL_AFTER_S, slow_s))
        found = self._reader.read_signed(asked)
        if found is None:
            self._note(request, asked, None)
            await self._journal.stand_by()
        else:
            await self._record(request, asked, found)
        await held
        return PIXEL

    async def _record(self, request: Request, asked: Asked, found: Found) -> None:
        hit = _hit(request, asked)
        trace = self._trace(hit, found.token.slot)
        signs = self._lately.signs(asked.token, trace, monotonic())
        if self._practice.own_browser(request.headers.get("cookie", ""), hit.at):
            signs += (OWN_BROWSER,)
        if signs:
            trace = replace(trace, signs=signs)
        await self._journal.record(self._recorded(hit, found, trace))

    def _look(self, request: Request, asked: Asked) -> None:
        self._note(request, asked, self._reader.read_signed(asked))

    def _note(self, request: Request, asked: Asked, found: Found | None) -> None:
        """Remember a while what is never stored: a token that is not ours, a look at the head."""
        trace = self._trace(_hit(request, asked), 0)
        if found is None:
            self._lately.note_altered(asked.token, trace, monotonic())
        else:
            self._lately.note_look(asked.token, trace, monotonic())

    async def classify_recorded(self) -> None:
        """Judge hits as they are recorded and as their sends become known, until stopped."""
        journal = self._journal
        chores: list[Callable[[], Awaitable[int | None]]] = [journal.load_spill]
        if self._settling is not None:
            chores += [self._settling.settle, journal.tend_days]
        while not journal.stopped:
            # One that fails keeps none from the others: the spill may be broken, or the ledger.
            if not sum([await self._attempt(chore) for chore in chores]):
                await journal.wait_recorded(LOOK_AGAIN_S)

    async def _attempt(self, chore: Callable[[], Awaitable[int | None]]) -> int:
        try:
            return await chore() or 0
        except (SQLAlchemyError, OSError) as error:
            if monotonic() >= self._complain_at:
                self._complain_at = monotonic() + COMPLAIN_S
                _log.warning("hits.unjudged", why=type(error).__name__)
        except Exception:  # noqa: BLE001 - house style 29: this loop logs and goes on
            _log.exception("hits.unjudged")
        return 0

    def _recorded(self, hit: Hit, found: Found, trace: Trace) -> RecordedHit:
        return RecordedHit(
            hit_id=new_ident(
                int(hit.at.timestamp() * 1000), int.from_bytes(urandom(RANDOM_BITS // 8))
            ),
            at=hit.at,
            kind=hit.kind,
            copy_id=found.token.copy_id,
            slot=found.token.slot,
            html=found.token.html,
            url=found.url,
            features=features_of(self._keep(hit, found, trace)),
        )

    def _trace(self, hit: Hit, slot: int) -> Trace:
        practice = self._practice
        network = network_mark(hit.client, hit.at.date(), practice.network_secret)
        lists = lists_with(hit.client, practice.own_networks) + practice.marks(hit.client)
        return trace_of(hit, slot, network, lists)

    def _keep(self, hit: Hit, found: Found, trace: Trace) -> Kept:
        practice = self._practice
        withheld = practice.honour_gpc and hit.kind is HitKind.CLICK and hit.withheld
        if found.token.anonymous or withheld:
            return Judged(obscure(classify(Scene(trace))), withheld, found.altered)
        return Seen(trace, shown_address(hit.client, practice.keep_network), found.altered)


def _hit(request: Request, asked: Asked) -> Hit:
    return Hit(datetime.now(UTC), asked.kind, request.client, request.headers)
