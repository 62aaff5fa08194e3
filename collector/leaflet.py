"""DRAW: the pages of the recipient, in his language.

Law: no page holds an address of anybody but the sender in full.
No script, no cookie, no frame: what is shown is in the page itself.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from collector.answer import Answer
from collector.speech.choose import tell_day
from collector.speech.phrases import Act, Phrases, Said
from ledger.address import Address
from ledger.consent import Consent
from ledger.disclosed import Disclosure, SeenDay
from ledger.event import EventType
from ledger.mode import TrackingMode

_PAGES = Path(__file__).with_name("pages")


@dataclass(frozen=True, slots=True)
class Operator:
    """What the organisation says of itself."""

    notice: str = ""
    contact: str = ""

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The notice, cut at its empty lines."""
        return tuple(one.strip() for one in self.notice.split("\n\n") if one.strip())


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of a mail is shown, as it is written."""

    sender: str | None
    day: str
    recipient: str | None
    seen: tuple[tuple[str, str], ...]
    state: str


class Leaflet:
    """Draws the pages of one host."""

    def __init__(self, operator: Operator) -> None:
        """Read the templates."""
        self._operator = operator
        # Files are read once, at the first page; a change needs a restart.
        self._pages = Environment(
            loader=FileSystemLoader(_PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._css = (_PAGES / "leaf.css").read_text(encoding="utf-8")
        self._policy = _policy(self._css)

    def draw_notice(self, phrases: Phrases, *, wrong: bool = False) -> Answer:
        """Return the page at the root; `wrong`: what was pasted holds no link of ours."""
        status = 422 if wrong else 200
        shown = {"title": phrases.notice.title, "operator": self._operator, "wrong": wrong}
        return self._answer("notice.html", phrases, status, shown)

    def draw_record(self, phrases: Phrases, known: Disclosure | None, *, anonymous: bool) -> Answer:
        """Return what is known of a mail, and what its recipient may do.

        `anonymous`: the link itself says that it is several people's.
        """
        shared = anonymous or (known is not None and known.party.one is None)
        does, act = _offer(phrases, known, shared=shared)
        shown = {
            "title": phrases.record.title,
            "shown": None if known is None else _shown(phrases, known),
            "act": act,
            "does": does,
            "ask": shared,
        }
        return self._answer("record.html", phrases, 200, shown)

    def draw_confirm(self, phrases: Phrases, act: Act, address: Address) -> Answer:
        """Return the page that a mail of ours leads to."""
        shown = {"title": act.title, "act": act, "words": words_for(act, address)}
        return self._answer("confirm.html", phrases, 200, shown)

    def draw_said(self, phrases: Phrases, said: Said, status: int = 200) -> Answer:
        """Return a page that says one thing."""
        shown = {"title": said.title, "paragraphs": said.paragraphs}
        return self._answer("leaf.html", phrases, status, shown)

    def _answer(
        self, page: str, phrases: Phrases, status: int, shown: Mapping[str, object]
    ) -> Answer:
        drawn = self._pages.get_template(page).render(css=self._css, phrases=phrases, **shown)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": phrases.language,
            "Content-Security-Policy": self._policy,
            "Cache-Control": "no-store",
            "Vary": "Accept-Language",
            # With no-referrer browsers send "Origin: null" even to ourselves (Fetch 3.2).
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "X-Robots-Tag": "noindex",
        }
        return Answer(status, headers, drawn.encode())


def mask_address(address: Address) -> str:
    """Return an address as others may see it: its first letter and its domain."""
    return f"{address.local.lstrip(chr(34))[:1]}…@{address.domain}"


def words_for(act: Act, address: Address) -> str:
    """Return what a button means for an address."""
    return act.words.format(mask=mask_address(address))


def _policy(css: str) -> str:
    # CSP 3, 2.3.1: the style in the page is allowed by its hash, and nothing else is.
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _offer(phrases: Phrases, known: Disclosure | None, *, shared: bool) -> tuple[str, Act | None]:
    """Return what a button does, by its value, and how it is called."""
    if shared:
        return "ask", phrases.ask
    if known is None:
        return "withdraw", phrases.withdraw
    if known.withdrawal is not None:
        return "restore", phrases.restore
    if known.consent is Consent.DENIED:
        return "", None
    return "withdraw", phrases.withdraw


def _shown(phrases: Phrases, known: Disclosure) -> _Shown:
    party = known.party
    return _Shown(
        sender=party.sender,
        day=tell_day(phrases, party.accepted_at.date()),
        recipient=None if party.one is None else mask_address(party.one),
        seen=tuple((tell_day(phrases, one.day), _act(phrases, one)) for one in known.seen),
        state=_state(phrases, known),
    )


def _act(phrases: Phrases, seen: SeenDay) -> str:
    record = phrases.record
    if seen.type is EventType.CLICKED:
        return record.machine_clicked if seen.machine else record.clicked
    return record.machine_opened if seen.machine else record.opened


def _state(phrases: Phrases, known: Disclosure) -> str:
    record, mode = phrases.record, known.party.mode
    if known.party.one is None:
        return {TrackingMode.SHARED: record.shared, TrackingMode.OFF: record.untracked}.get(
            mode, record.anonymous
        )
    if known.consent is Consent.DENIED:
        since: date | None = known.withdrawn_on
        if since is None:
            return record.denied_elsewhere
        return record.denied.format(day=tell_day(phrases, since))
    return record.granted if known.consent is Consent.GRANTED else record.unknown
