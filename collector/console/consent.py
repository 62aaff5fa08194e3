"""The page of consent: what was told of an address or a domain, and what holds.

Law: a consent that is recorded here has its method, and who recorded it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from collector.console.desk import DESK
from collector.console.names import account_names
from collector.console.page import PERSON, render_page
from ledger.address import AddressError
from ledger.audit import author_of
from ledger.consent import Consent, Method, Subject, parse_subject
from ledger.consents import (
    ConsentTold,
    consent_history,
    consent_holding,
    list_consents,
    record_telling,
)

PAGE_SUBJECTS = 50

MAX_SOURCE = 500
"""A file, a form, a call: named, not told."""
MAX_TEXT = 8000
"""What somebody was shown, whole: a page of a form."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told of one subject, which bears on the one that was looked for."""

    subject: Subject
    history: tuple[ConsentTold, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A form that sets a consent, word by word, and what is wrong beside each field."""

    words: Mapping[str, str]
    faults: Mapping[str, str]


_NOTHING = _Asked({"state": "", "method": "", "source": "", "text": ""}, {})


async def show_consent(request: web.Request) -> web.Response:
    """Show what holds for `about` and its history, and a page of all that holds."""
    return await _page(request, request.query.get("about", "").strip())


async def set_consent(request: web.Request) -> web.StreamResponse:
    """Record what was told of an address or a domain."""
    desk = request.app[DESK]
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    about = form.get("about", "").strip()
    asked = _read(form)
    subject, fault = _subject(about)
    if subject is None or fault or asked.faults:
        return await _page(request, about, asked)
    author = author_of(request[PERSON].key, datetime.now(UTC), desk.audit_key)
    words = asked.words
    state, method = Consent(words["state"]), Method(words["method"])
    told = ConsentTold(state, author.at, method, author.actor, words["source"], words["text"])
    await record_telling(desk.ledger, subject, told, author)
    location = str(URL("/consent").with_query(about=about, done="yes"))
    return web.Response(status=303, headers={"Location": location})


async def _page(request: web.Request, about: str, asked: _Asked = _NOTHING) -> web.Response:
    desk = request.app[DESK]
    subject, fault = _subject(about)
    after = request.query.get("after", "")
    async with desk.ledger.read() as connection:
        listed = await list_consents(connection, PAGE_SUBJECTS + 1, after)
        holds = (
            None if subject is None else await consent_holding(connection, subject, desk.audit_key)
        )
        told = () if subject is None else await _told(connection, subject)
        names = await account_names(connection, desk.audit_key)
    more = len(listed) > PAGE_SUBJECTS
    shown = {
        "about": about,
        "wrong": fault,
        "subject": subject,
        "holds": holds,
        "told": told,
        "names": names,
        "listed": listed[:PAGE_SUBJECTS],
        "after": after,
        "next": listed[PAGE_SUBJECTS - 1][0].key if more else None,
        "asked": asked,
        "states": tuple(Consent),
        "methods": tuple(Method),
        "unknown": desk.tracking.unknown_consent,
        "done": request.query.get("done") == "yes",
    }
    status = 422 if fault or asked.faults else 200
    return render_page(request, "consent.html", shown, status=status)


def _subject(about: str) -> tuple[Subject | None, str]:
    """Return whose consent it is, and why it is nobody's."""
    if not about:
        return None, ""
    try:
        subject = parse_subject(about)
    except AddressError:
        return None, f"{about!r} is no mail address and no domain. Write name@example.com."
    if subject.key.startswith("~"):
        return None, "Who is forgotten has no address here. Look for the address itself."
    return subject, ""


async def _told(connection: AsyncConnection, subject: Subject) -> tuple[_Told, ...]:
    """Return what was told of a subject, of its address without detail, and of its domain."""
    keys = dict.fromkeys((subject.key, subject.denial_key, subject.key.rpartition("@")[2]))
    found = []
    for key in keys:
        one = subject if key == subject.key else parse_subject(key)
        history = await consent_history(connection, one)
        if history:
            found.append(_Told(one, history))
    return tuple(found)


def _read(form: Mapping[str, str]) -> _Asked:
    words = {name: form.get(name, "").strip() for name in _NOTHING.words}
    faults = {}
    if words["state"] not in set(Consent):
        faults["state"] = "Choose what was told."
    if words["method"] not in set(Method):
        faults["method"] = "Choose how it was told."
    for name, most in (("source", MAX_SOURCE), ("text", MAX_TEXT)):
        if len(words[name]) > most:
            faults[name] = f"Write at most {most} characters."
    if not form.get("about", "").strip():
        faults["about"] = "Write whose consent it is."
    return _Asked(words, faults)
