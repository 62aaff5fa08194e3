"""The log review: events searched for, exported, and questions kept.

Law: what a page or an export shows is what its URL says, and to a user his own mail alone.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from collector.console.desk import DESK
from collector.console.own import owner_for
from collector.console.page import PERSON, render_page
from ledger.audit import author_of, record_audit
from ledger.cells import EVENT_KEYS, csv_line
from ledger.event import Agent, Event, EventType, event_object
from ledger.events import EventFilter
from ledger.lookup import WORDS, AskedError, read_lookup
from ledger.reviewed import Place, review_events
from ledger.sessions import Person
from ledger.views import MAX_NAME, MAX_QUERY, SavedView, drop_view, list_views, save_view

PAGE_EVENTS = 50
EXPORT_PAGE = 500
"""Rows in memory at once, however many there are."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)

Words = Mapping[str, Sequence[str]]


async def show_log(request: web.Request) -> web.Response:
    """Show what the query asks for; `before` is where to go on."""
    asked, before = _asked(request.query), _read_place(request.query.get("before", ""))
    faults = dict[str, str]()
    wanted: EventFilter | None = None
    try:
        wanted = _wanted(request, asked)
    except AskedError as error:
        faults[error.name] = str(error)
    async with request.app[DESK].ledger.read() as connection:
        found = (
            await review_events(connection, wanted, before=before, limit=PAGE_EVENTS + 1)
            if wanted
            else ()
        )
        views = await list_views(connection, _key(request[PERSON]))
    page = found[:PAGE_EVENTS]
    older = _place_of(*page[-1]) if len(found) > PAGE_EVENTS else None
    shown = {
        "events": [event for _, event in page],
        "asked": {name: [*asked.get(name, ())] for name in WORDS},
        "narrowed": bool(asked),
        "faults": faults,
        "first_page": before is None,
        "older": older and str(URL("/log").with_query([*_pairs(asked), ("before", older)])),
        "query": URL.build(query=[*_pairs(asked)]).raw_query_string,
        "views": views,
        "types": tuple(EventType),
        "agents": tuple(Agent),
        "max_name": MAX_NAME,
    }
    return render_page(request, "log.html", shown, status=422 if faults else 200)


async def export_csv(request: web.Request) -> web.StreamResponse:
    """Give all that the query asks for as CSV, the latest first."""
    return await _export(request, "csv", "text/csv", _as_csv, csv_line(EVENT_KEYS) + "\r\n")


async def export_ndjson(request: web.Request) -> web.StreamResponse:
    """Give all that the query asks for as one JSON object a line, the latest first."""
    return await _export(request, "ndjson", "application/x-ndjson", _as_json)


async def keep_view(request: web.Request) -> web.StreamResponse:
    """Keep a question under a name, and show it."""
    form = await request.post()
    name = " ".join(str(form.get("name", "")).split())
    given = parse_qsl(str(form.get("query", "")))
    query = URL.build(
        query=[(key, value) for key, value in given if key in WORDS and value.strip()]
    ).raw_query_string
    if not name or len(name) > MAX_NAME:
        raise web.HTTPUnprocessableEntity(
            text=f"Give the view a name of at most {MAX_NAME} characters."
        )
    if not query or len(query) > MAX_QUERY:
        raise web.HTTPUnprocessableEntity(
            text="Narrow the log down first; a view keeps what it is narrowed to."
        )
    async with request.app[DESK].ledger.write() as connection:
        view = SavedView(name, query)
        kept = await save_view(connection, _key(request[PERSON]), view, datetime.now(UTC))
    if not kept:
        raise web.HTTPUnprocessableEntity(text="You have too many views. Remove one first.")
    return web.Response(status=303, headers={"Location": f"/log?{query}"})


async def remove_view(request: web.Request) -> web.StreamResponse:
    """Take one of the person's own views away."""
    form = await request.post()
    async with request.app[DESK].ledger.write() as connection:
        await drop_view(connection, _key(request[PERSON]), str(form.get("name", "")))
    return web.Response(status=303, headers={"Location": "/log"})


def _asked(query: MultiMapping[str]) -> Words:
    given = {name: [text for text in query.getall(name, []) if text.strip()] for name in WORDS}
    return {name: texts for name, texts in given.items() if texts}


def _wanted(request: web.Request, asked: Words) -> EventFilter:
    return read_lookup(asked, datetime.now(UTC), owner_for(request))


def _pairs(asked: Words) -> Sequence[tuple[str, str]]:
    return [(name, text) for name, texts in asked.items() for text in texts]


def _key(person: Person) -> str:
    return person.key or person.name


async def _export(
    request: web.Request,
    form: str,
    content_type: str,
    write: Callable[[Event], str],
    head: str = "",
) -> web.StreamResponse:
    try:
        wanted = _wanted(request, _asked(request.query))
    except AskedError as error:
        raise web.HTTPUnprocessableEntity(text=f"{error.name}: {error}") from None
    await _record_export(request, form)
    response = web.StreamResponse(
        headers={
            "Content-Type": f"{content_type}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="indicia-log.{form}"',
        }
    )
    await response.prepare(request)
    await response.write(head.encode())
    async for page in _pages(request, wanted):
        await response.write("".join(map(write, page)).encode())
    await response.write_eof()
    return response


async def _pages(request: web.Request, wanted: EventFilter) -> AsyncIterator[Sequence[Event]]:
    """Give page after page, each read by itself: none holds the ledger while a client is slow."""
    before: Place | None = None
    while True:
        async with request.app[DESK].ledger.read() as connection:
            page = await review_events(connection, wanted, before=before, limit=EXPORT_PAGE)
        yield [event for _, event in page]
        if len(page) < EXPORT_PAGE:
            return
        before = Place(page[-1][1].timestamp, page[-1][0])


async def _record_export(request: web.Request, form: str) -> None:
    desk = request.app[DESK]
    author = author_of(request[PERSON].key, datetime.now(UTC), desk.audit_key)
    narrowed = ", ".join(sorted(_asked(request.query))) or "nothing"
    entry = author.entry("log.exported", detail={"form": form, "narrowed_by": narrowed})
    async with desk.ledger.write() as connection:
        await record_audit(connection, entry)


def _as_csv(event: Event) -> str:
    told = event_object(event)
    return csv_line(told.get(key) for key in EVENT_KEYS) + "\r\n"


def _as_json(event: Event) -> str:
    return json.dumps(event_object(event), ensure_ascii=False) + "\n"


def _place_of(number: int, event: Event) -> str:
    return f"{(event.timestamp - _EPOCH) // _MICROSECOND}-{number}"


def _read_place(text: str) -> Place | None:
    match = _PLACE.fullmatch(text)
    try:
        return match and Place(_EPOCH + int(match[1]) * _MICROSECOND, int(match[2]))
    except OverflowError:
        return None
