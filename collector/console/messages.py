"""The pages of what was sent: the list, and the whole story of one mail."""

from datetime import datetime

from aiohttp import web

from collector.console.desk import DESK
from collector.console.dossier import left_parts, link_lines, recipient_lines
from collector.console.own import owner_for, record_view
from collector.console.page import render_page
from collector.console.stories import tell_stories
from collector.console.unseen import tell_unseen
from ledger.event import Event
from ledger.events import EventFilter, select_events
from ledger.fact import UNOBSERVED
from ledger.ident import is_ident
from ledger.mode import TrackingMode
from ledger.summary import list_summaries, read_send

PAGE_SENDS = 40
STORY_EVENTS = 2000
"""Of one mail: a page of more would take a browser seconds; the newest are shown."""
SHOWN_RECIPIENTS = 200
"""As many as the page lists."""


async def show_messages(request: web.Request) -> web.Response:
    """List sends, the latest first."""
    given = request.query.get("before", "")
    before = given if is_ident(given) else None
    async with request.app[DESK].ledger.read() as connection:
        summaries = await list_summaries(connection, PAGE_SENDS, before, owner_for(request))
    shown = {
        "summaries": summaries,
        "older": summaries[-1].send_id if len(summaries) == PAGE_SENDS else None,
        "before": before,
    }
    return render_page(request, "messages.html", shown)


async def show_message(request: web.Request) -> web.Response:
    """Tell all that is known of one send."""
    send_id = request.match_info["send_id"]
    async with request.app[DESK].ledger.read() as connection:
        send = await read_send(connection, send_id, owner_for(request))
        events = await select_events(connection, EventFilter(send_id=send_id), limit=STORY_EVENTS)
    if send is None:
        raise web.HTTPNotFound(
            text="No message of this name is on record. If it was sent this moment, "
            "it will be here in a second."
        )
    await record_view(request, "send.viewed", send_id)
    stories = tell_stories(events)
    # Of what was only observed, what would have been done is what there is to see.
    observed = any(UNOBSERVED in one for one in send.verdict)
    verdict = [one.get(UNOBSERVED, one) for one in send.verdict]
    recipients = recipient_lines(verdict, events)
    cut = len(events) == STORY_EVENTS
    told = [event for _, event in events]
    # Of a story that is cut it is not known what is missing.
    unseen = [None if cut else tell_unseen(one, told) for one in send.verdict[:SHOWN_RECIPIENTS]]
    shown = {
        "send": send,
        "story": stories[0] if stories else None,
        "recipients": recipients,
        "tracked": any(line.mode != TrackingMode.OFF for line in recipients),
        "observed": observed,
        "links": link_lines(verdict, events),
        "parts": left_parts(verdict),
        "timeline": sorted((event for _, event in reversed(events)), key=_when),
        "cut": cut,
        "unseen": unseen,
        "latest": events[0][0] if events else 0,
    }
    return render_page(request, "message.html", shown)


def _when(event: Event) -> datetime:
    return event.timestamp
