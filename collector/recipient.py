"""HUB, the recipient's own page: show what is known, keep what he asks for.

Law: a GET changes nothing.
Law: who asks by an address learns nothing of whose mail it was, neither by words nor by time: what
he asks for is kept before anybody looks whether it can be done.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from time import monotonic
from typing import assert_never
from urllib.parse import parse_qs

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.answer import METHOD_NOT_ALLOWED, PAGE_NOT_ALLOWED, Answer, answer_page
from collector.leaflet import Leaflet, words_for
from collector.networks import shown_address
from collector.pasted import MAX_PASTED, find_links
from collector.quota import Quota
from collector.read import Found, Reader
from collector.request import Request, asked_by_us
from collector.speech.choose import choose_language
from collector.speech.phrases import Phrases
from collector.target import Confirm, Leaf, Page
from collector.tick import Ticks
from collector.wish import Confirmation, Wish, WishKind, read_code
from collector.wishes import Came, Wishes
from ledger.address import AddressError, parse_address
from ledger.consent import Consent
from ledger.disclosed import Disclosure
from ledger.ident import RANDOM_BITS, new_ident
from ledger.keys import KeyRing

MAX_FORM_BYTES = 4 * MAX_PASTED
"""A pasted link, every character of it escaped."""

_READ_S = 2.0
"""How long a page waits for what is known; without it the page still serves to object."""

_MAX_ADDRESS = 400
"""Characters that are kept of what was typed: more than any address has."""

_ASKED_AFTER_S = 0.1
"""When an address that is asked about is answered, reckoned from its request: keeping it takes 2 to
20 ms, and by then its mail is owed, if there is one, so that nobody who comes next is held up."""

_SHOWING = ("GET", "HEAD", "OPTIONS")
_DAY_S = 86_400.0
_PER_NETWORK = 20
"""Mails that a network asks for in a day: an office behind one address has a few such people."""
_PER_PERSON = 3
"""Mails to one address, or by one link, in a day: a stranger must not fill a mailbox with them."""

Disclose = Callable[[int], Awaitable[Disclosure | None]]
"""Tells what the recipient of a copy is told; None: the copy is not on record."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request for a page, and how it is spoken to."""

    request: Request
    phrases: Phrases
    form: Mapping[str, str]


class RecipientPage:
    """The pages of `/` and `/w/`."""

    def __init__(
        self, leaflet: Leaflet, reader: Reader, disclose: Disclose, keys: KeyRing, wishes: Wishes
    ) -> None:
        """Take who draws, who reads links, where things are on record, and who grants wishes."""
        self._leaflet = leaflet
        self._reader = reader
        self._disclose = disclose
        self._keys = keys
        self._wishes = wishes
        self._networks = Quota(_PER_NETWORK, _DAY_S)
        self._persons = Quota(_PER_PERSON, _DAY_S)
        self._ticks = Ticks()

    async def receive(self, request: Request, target: Leaf | Confirm | Page) -> Answer:
        """Return the answer to a request that is no hit."""
        if isinstance(target, Page) and target is not Page.NOTICE:
            return answer_page(target) if request.method in _SHOWING else METHOD_NOT_ALLOWED
        visit = _Visit(
            request,
            choose_language(request.headers.get("accept-language", "")),
            _form_of(request) if request.method == "POST" else {},
        )
        if request.method == "POST" and not asked_by_us(request):
            return self._leaflet.draw_said(visit.phrases, visit.phrases.foreign, 403)
        if request.method not in (*_SHOWING, "POST"):
            return PAGE_NOT_ALLOWED
        match target:
            case Leaf():
                return await self._leaf(visit, target)
            case Confirm():
                return await self._confirm(visit, target)
            case _:
                return self._root(visit)

    def _root(self, visit: _Visit) -> Answer:
        if visit.request.method != "POST":
            return self._leaflet.draw_notice(visit.phrases)
        # Of several readings of what was pasted one may be signed as it stands; else the first
        # that has a token's form: the stored link may be the second way.
        links = list(find_links(visit.form.get("link", "")))
        signed = [
            leaf
            for leaf in links
            if any(self._reader.read_signed(asked) for asked in leaf.readings())
        ]
        for leaf in (*signed, *links):
            if leaf.target.isascii() and leaf.target.isprintable():
                return Answer(303, {"Location": leaf.target, "Cache-Control": "no-store"})
        return self._leaflet.draw_notice(visit.phrases, wrong=True)

    async def _leaf(self, visit: _Visit, leaf: Leaf) -> Answer:
        found = await self._find(leaf)
        if found is None:
            return self._leaflet.draw_said(visit.phrases, visit.phrases.not_found, 404)
        known = await self._known(found.token.copy_id)
        shared = found.token.anonymous or (known is not None and known.party.one is None)
        match visit.form.get("act"):
            case "ask" if shared:
                return await self._ask(visit, found.token.copy_id)
            case "restore" if known is not None and known.withdrawal is not None:
                return await self._restore(visit, found.token.copy_id)
            case "withdraw" if not shared:
                return await self._withdraw(visit, found.token.copy_id, known)
        return self._leaflet.draw_record(visit.phrases, known, anonymous=found.token.anonymous)

    async def _find(self, leaf: Leaf) -> Found | None:
        for asked in leaf.readings():
            found = await self._reader.read(asked)
            if found is not None:
                return found
        return None

    async def _withdraw(self, visit: _Visit, copy_id: int, known: Disclosure | None) -> Answer:
        phrases = visit.phrases
        if known is not None and known.consent is Consent.DENIED:
            return self._leaflet.draw_said(phrases, phrases.withdrawn)
        wish = _wish(visit, WishKind.WITHDRAW, copy_id=copy_id, text=phrases.withdraw.words)
        match await self._wishes.keep_and_wait(wish):
            case Came.LOST:
                return self._leaflet.draw_said(phrases, phrases.not_kept, 503)
            case Came.DONE:
                return self._leaflet.draw_said(phrases, phrases.withdrawn)
            case Came.KEPT | Came.NOTHING:
                return self._leaflet.draw_said(phrases, phrases.withdrawal_kept)
            case unexpected:
                assert_never(unexpected)

    async def _ask(self, visit: _Visit, copy_id: int) -> Answer:
        address = visit.form.get("address", "").strip()[:_MAX_ADDRESS]
        if not self._may_write(visit.request, f"address {_name_of(address)}"):
            return self._leaflet.draw_said(visit.phrases, visit.phrases.too_often, 429)
        held = self._ticks.hold(_ASKED_AFTER_S)
        wish = _wish(visit, WishKind.ASK, copy_id=copy_id, address=address)
        kept = await self._wishes.keep(wish)
        await held
        if not kept:
            return self._leaflet.draw_said(visit.phrases, visit.phrases.not_kept, 503)
        return self._leaflet.draw_said(visit.phrases, visit.phrases.asked)

    async def _restore(self, visit: _Visit, copy_id: int) -> Answer:
        if not self._may_write(visit.request, f"copy {copy_id}"):
            return self._leaflet.draw_said(visit.phrases, visit.phrases.too_often, 429)
        if not await self._wishes.keep(_wish(visit, WishKind.RESTORE, copy_id=copy_id)):
            return self._leaflet.draw_said(visit.phrases, visit.phrases.not_kept, 503)
        return self._leaflet.draw_said(visit.phrases, visit.phrases.restore_asked)

    async def _confirm(self, visit: _Visit, target: Confirm) -> Answer:
        phrases = visit.phrases
        confirmation = read_code(self._keys, target.code, datetime.now(UTC))
        if confirmation is None:
            return self._leaflet.draw_said(phrases, phrases.code_ended, 404)
        address = parse_address(confirmation.address)
        act = phrases.undo if confirmation.kind is WishKind.UNDO else phrases.deny
        if visit.form.get("act") != "confirm":
            return self._leaflet.draw_confirm(phrases, act, address)
        return await self._confirmed(visit, confirmation, words_for(act, address))

    async def _confirmed(self, visit: _Visit, confirmation: Confirmation, words: str) -> Answer:
        phrases = visit.phrases
        wish = _wish(
            visit,
            confirmation.kind,
            address=confirmation.address,
            text=words,
            up_to=confirmation.up_to,
        )
        match await self._wishes.keep_and_wait(wish):
            case Came.LOST:
                return self._leaflet.draw_said(phrases, phrases.not_kept, 503)
            case Came.KEPT:
                return self._leaflet.draw_said(phrases, phrases.confirmation_kept)
            case came if confirmation.kind is WishKind.UNDO:
                said = phrases.undone if came is Came.DONE else phrases.nothing_undone
            case _:
                said = phrases.denied
        return self._leaflet.draw_said(phrases, said)

    async def _known(self, copy_id: int) -> Disclosure | None:
        try:
            async with asyncio.timeout(_READ_S):
                return await self._disclose(copy_id)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("ledger.unread", why=type(error).__name__)
            return None

    def _may_write(self, request: Request, person: str) -> bool:
        """Tell whether one more mail may be asked for; the address is not looked up for it."""
        network = shown_address(request.client, "truncated") or ""
        now = monotonic()
        return self._networks.take(network, now) and self._persons.take(person, now)


def _wish(visit: _Visit, kind: WishKind, **more: object) -> Wish:
    now = datetime.now(UTC)
    wish_id = new_ident(int(now.timestamp() * 1000), secrets.randbits(RANDOM_BITS))
    return Wish(wish_id, now, kind, visit.phrases.language, **more)  # type: ignore[arg-type] # each kind has its own


def _name_of(address: str) -> str:
    """Return what stands for an address in memory: nobody's who reads it there."""
    try:
        key = parse_address(address).key_without_detail
    except AddressError:
        key = address
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _form_of(request: Request) -> Mapping[str, str]:
    text = request.body[:MAX_FORM_BYTES].decode("utf-8", "replace")
    try:
        fields = parse_qs(text, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}
