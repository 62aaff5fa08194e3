"""The page of the queue: what waits and why, and what an admin does about it.

Law: what gives mail up is asked twice; a form without that answer changes nothing.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from collector.console.desk import DESK, Desk
from collector.console.page import PERSON, read_number, render_page
from collector.console.waiting import tell_acted, tell_age, tell_ahead, tell_waiting
from ledger.acts import Action, Result, act_on_queue, audit_action
from ledger.audit import author_of
from ledger.engine import Store
from ledger.queue import Place, QueuedCopy, QueueFilter, Waiting, find_queued, place_of

PAGE_COPIES = 50

_AGES = {"1h": 1, "4h": 4, "1d": 24, "3d": 72}
"""What can be chosen, in hours; the command takes any age."""

ACTIONS: Mapping[str, Action] = {
    "retry": Action.RETRY,
    "hold": Action.HOLD,
    "release": Action.RELEASE,
    "drop": Action.DROP,
    "bounce": Action.BOUNCE,
}
"""By the words of pages and API."""
_GIVE_UP = frozenset({"drop", "bounce"})
_WORDS = ("recipient", "sender", "reply", "older", "waiting")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(r"([01])-(\d{1,18})-(\d{1,19})", re.ASCII)
_MAX_COPY_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a form asks for."""

    do: str
    copy_ids: tuple[int, ...]
    whole: bool
    """Act on all that match, not on those that are ticked."""
    sure: bool
    words: Mapping[str, str]


async def show_queue(request: web.Request) -> web.Response:
    """List what waits; the query narrows it, `after` is where to go on."""
    desk, now = request.app[DESK], datetime.now(UTC)
    words = _words(request.query)
    wanted = read_filter(words, now)
    after = read_place(request.query.get("after", ""))
    copies = await _page(desk.spool, wanted, now, after)
    more = len(copies) > PAGE_COPIES
    copies = copies[:PAGE_COPIES]
    shown = {
        "copies": copies,
        "now": now,
        "filtered": not wanted.is_empty,
        "first_page": after is None,
        "older": str(URL("/queue").with_query({**words, "after": write_place(copies[-1])}))
        if more
        else None,
        "acted": tell_acted(request.query.get("did", ""), _counts(request.query)),
        **_form(words),
    }
    return render_page(request, "queue.html", shown)


async def change_queue(request: web.Request) -> web.StreamResponse:
    """Do what the form asks for, and go back to the list; ask first where it gives mail up."""
    asked = _read(await request.post())
    desk, now = request.app[DESK], datetime.now(UTC)
    if asked is None:
        raise web.HTTPUnprocessableEntity(text="Choose what to do, and with which mail.")
    wanted = read_filter(asked.words, now)
    if not asked.whole:
        wanted = QueueFilter(copy_ids=asked.copy_ids)
    if asked.do in _GIVE_UP and not asked.sure:
        return await _ask(request, asked, wanted)
    author = author_of(request[PERSON].key, now, desk.audit_key)
    action = ACTIONS[asked.do]
    results, sends = Counter[Result](), dict[str, None]()
    async for copy, result in act_on_queue(desk.spool, action, wanted, author):
        results[result] += 1
        if result.is_done:
            sends[copy.send_id] = None
    if sends:
        done = sum(number for result, number in results.items() if result.is_done)
        await audit_action(desk.ledger, author, action, list(sends), done)
    counts = {result.value: str(number) for result, number in results.items()}
    back = URL("/queue").with_query({**asked.words, "did": asked.do, **counts})
    return web.Response(status=303, headers={"Location": str(back)})


def read_filter(words: Mapping[str, str], now: datetime) -> QueueFilter:
    """Return the filter that the fields of a form say; what makes no sense is left out."""
    hours = _AGES.get(words.get("older", ""))
    waiting = words.get("waiting", "")
    return QueueFilter(
        received_before=None if hours is None else now - timedelta(hours=hours),
        recipient=words.get("recipient") or None,
        sender=words.get("sender") or None,
        reply=words.get("reply") or None,
        waiting=frozenset({Waiting(waiting)} if waiting in set(Waiting) else ()),
    )


def write_place(copy: QueuedCopy) -> str:
    """Return where a page ends, for a URL.

    Law: read_place gives the place back.
    """
    held, due_at, copy_id = place_of(copy)
    return f"{held:d}-{(due_at - _EPOCH) // _MICROSECOND}-{copy_id}"


def read_place(text: str) -> Place | None:
    """Return the place a text names, None where it names none."""
    match = _CURSOR.fullmatch(text)
    if match is None or int(match[3]) > _MAX_COPY_ID:
        return None
    try:
        return match[1] == "1", _EPOCH + int(match[2]) * _MICROSECOND, int(match[3])
    except OverflowError:
        return None


async def _page(
    spool: Store, wanted: QueueFilter, now: datetime, after: Place | None
) -> list[QueuedCopy]:
    """Return the copies of one page and, where there are more, one of the next."""
    copies = []
    async for copy in find_queued(spool, wanted, now, after):
        copies.append(copy)
        if len(copies) > PAGE_COPIES:
            break
    return copies


async def _ask(request: web.Request, asked: _Asked, wanted: QueueFilter) -> web.Response:
    copies, people, some = 0, 0, list[QueuedCopy]()
    desk: Desk = request.app[DESK]
    now = datetime.now(UTC)
    async for copy in find_queued(desk.spool, wanted, now):
        copies, people = copies + 1, people + len(copy.pending)
        if len(some) < PAGE_COPIES:
            some.append(copy)
    shown = {"asked": asked, "copies": copies, "people": people, "some": some, **_form(asked.words)}
    return render_page(request, "queue_drop.html", shown)


def _read(form: MultiMapping[object]) -> _Asked | None:
    do, whole = str(form.get("do", "")), form.get("whole") == "yes"
    numbers = [read_number(str(value)) for value in form.getall("copy", [])]
    copy_ids = tuple(number for number in numbers if number is not None)
    if do not in ACTIONS or not (whole or copy_ids):
        return None
    return _Asked(do, copy_ids, whole, form.get("sure") == "yes", _words(form))


def _words(given: MultiMapping[object] | MultiMapping[str]) -> dict[str, str]:
    said = {name: str(given.get(name, "")).strip() for name in _WORDS}
    return {name: word for name, word in said.items() if word}


def _form(words: Mapping[str, str]) -> dict[str, object]:
    return {
        "asked_words": words,
        "chosen": {name: words.get(name, "") for name in _WORDS},
        "ages": tuple((age, tell_age(age)) for age in _AGES),
        "reasons": tuple(Waiting),
        "tell_waiting": tell_waiting,
        "tell_ahead": tell_ahead,
    }


def _counts(query: Mapping[str, str]) -> dict[Result, int]:
    counts = {result: read_number(query.get(result.value, "")) for result in Result}
    return {result: number for result, number in counts.items() if number}
