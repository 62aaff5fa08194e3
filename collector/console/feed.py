"""The activity feed: what happened lately, and the line that says there is news."""

from contextlib import suppress

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from collector.console.desk import DESK
from collector.console.own import owner_for
from collector.console.page import read_number, render_page
from collector.console.stories import Numbered, tell_stories
from collector.console.untracked import LATELY, tell_untracked
from ledger.events import EventFilter, last_number, select_events
from ledger.figures import recent_verdicts
from ledger.reviewed import place_of, review_events

PAGE_EVENTS = 200
"""About thirty mails with what was done with them: more than anybody reads at once."""

_RETRY_MS = 1000


async def show_feed(request: web.Request) -> web.Response:
    """Show the latest events as stories; `before` is the number to go on from."""
    async with request.app[DESK].ledger.read() as connection:
        verdicts = await recent_verdicts(connection, LATELY, owner_for(request))
    shown = await _shown(request)
    return render_page(request, "feed.html", {**shown, "lately": tell_untracked(verdicts)})


async def show_stories(request: web.Request) -> web.Response:
    """Show the stories alone, to be put in place of those of the page."""
    return render_page(request, "stories.html", await _shown(request))


async def stream_news(request: web.Request) -> web.StreamResponse:
    """Say `news` with the highest event number each time it changes.

    Only that is said: what is new the page asks for itself, with its session.
    """
    watch = request.app[DESK].watch
    number = read_number(request.headers.get("Last-Event-ID", request.query.get("after", ""))) or 0

    def listens() -> bool:
        return request.transport is not None and not request.transport.is_closing()

    if not listens():
        return web.Response()  # the page was left while this was asked for
    response = EventSourceResponse()
    response.headers["Cache-Control"] = "no-store"  # no proxy keeps or gathers it
    await response.prepare(request)
    with suppress(ConnectionResetError, TimeoutError):  # the page was closed, or takes nothing
        async with response:
            await response.send("", event="hello", retry=_RETRY_MS)
            while (latest := await watch.number_after(number, listens)) is not None:
                number = latest
                await response.send(str(number), id=str(number), event="news")
    return response


async def _shown(request: web.Request) -> dict[str, object]:
    before = read_number(request.query.get("before", ""))
    seen = read_number(request.query.get("seen", ""))
    owner = owner_for(request)
    async with request.app[DESK].ledger.read() as connection:
        if owner is None:
            events = await select_events(
                connection, EventFilter(), before=before, limit=PAGE_EVENTS
            )
            latest = events[0][0] if events else 0
        else:
            # In order of time, which of one person's mail has an index; of recording there is none.
            place = None if before is None else await place_of(connection, before)
            wanted = EventFilter(owner=owner)
            events = await review_events(connection, wanted, before=place, limit=PAGE_EVENTS)
            latest = await last_number(connection) if before is None else 0
    stories = tell_stories(events)
    fresh = () if seen is None else tuple(one for one in stories if one.number > seen)
    return {
        "stories": stories,
        "before": before,
        "latest": latest,
        "seen": latest if seen is None else seen,
        "fresh": fresh[:1],
        "older": _older(events),
    }


def _older(events: tuple[Numbered, ...]) -> int | None:
    return events[-1][0] if len(events) == PAGE_EVENTS else None
