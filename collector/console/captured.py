"""The sandbox's mailbox: each recipient's copy, as he would see it.

A captured mail is hostile until proven otherwise: it is shown in a frame that may run nothing and
belongs to no site, and it may load what it likes, for whoever looks stands in for the recipient.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from aiohttp import web

from collector.console.desk import DESK
from collector.console.own import record_view
from collector.console.page import render_page
from collector.console.reading import read_mail
from ledger.spooled import CapturedCopy, captured_copy, list_captured

PAGE_COPIES = 100

_KINDS = ("to", "cc", "bcc")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(r"(\d{1,16})-(\d{1,19})", re.ASCII)
_MAX_COPY_ID = 2**63 - 1

# HTML Standard 7.1.5: no scripts, no forms, an origin of its own; links open a new tab.
BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; "
    "img-src http: https: data:; "
    "style-src 'unsafe-inline' http: https:; "
    "font-src http: https: data:; "
    "media-src http: https:; "
    "base-uri http: https:; "
    "form-action 'none'; "
    "frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class CapturedSend:
    """The copies of one mail."""

    send_id: str
    subject: str | None
    sender: str | None
    captured_at: datetime
    copies: tuple[CapturedCopy, ...]


async def show_captured(request: web.Request) -> web.Response:
    """List captured mail, latest first, each with its copies."""
    before = read_cursor(request.query.get("before", ""))
    async with request.app[DESK].spool.read() as connection:
        copies = await list_captured(connection, PAGE_COPIES, before)
    shown = {
        "sends": group_by_send(copies),
        "older": write_cursor(copies[-1]) if len(copies) == PAGE_COPIES else None,
        "first_page": before is None,
    }
    return render_page(request, "captured.html", shown)


async def show_captured_copy(request: web.Request) -> web.Response:
    """Show one copy: its header, its HTML in a frame, its text."""
    copy = await _find(request)
    await record_view(request, "copy.viewed", copy.send_id)
    return render_page(
        request, "captured_copy.html", {"copy": copy, "reading": read_mail(copy.raw)}
    )


async def show_captured_body(request: web.Request) -> web.Response:
    """Show the HTML of a copy, to stand in a frame."""
    copy = await _find(request)
    await record_view(request, "copy.viewed", copy.send_id)
    html = read_mail(copy.raw).html
    if html is None:
        raise web.HTTPNotFound(text="This mail has no HTML part.")
    return web.Response(
        text=html, content_type="text/html", headers={"Content-Security-Policy": BODY_POLICY}
    )


async def give_captured(request: web.Request) -> web.Response:
    """Give the bytes of a copy as a file."""
    copy = await _find(request)
    await record_view(request, "copy.viewed", copy.send_id)
    return web.Response(
        body=copy.raw,
        content_type="message/rfc822",
        headers={
            "Content-Disposition": f'attachment; filename="{copy.copy_id}.eml"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def group_by_send(copies: tuple[CapturedCopy, ...]) -> tuple[CapturedSend, ...]:
    """Return the mails of some copies, in the order of their first ones.

    Copies of one mail that were captured apart come together, those of To before Cc before Bcc.
    """
    place = {copy.send_id: number for number, copy in reversed(list(enumerate(copies)))}
    ordered = sorted(copies, key=lambda copy: (place[copy.send_id], _standing(copy)))
    grouped = (tuple(some) for _, some in groupby(ordered, lambda copy: copy.send_id))
    return tuple(
        CapturedSend(some[0].send_id, some[0].subject, some[0].sender, some[0].captured_at, some)
        for some in grouped
    )


def write_cursor(last: CapturedCopy) -> str:
    """Return where the page after this copy begins."""
    return f"{(last.captured_at - _EPOCH) // _MICROSECOND}-{last.copy_id}"


def read_cursor(text: str) -> tuple[datetime, int] | None:
    """Return what write_cursor wrote, None where it is something else."""
    match = _CURSOR.fullmatch(text)
    if match is None or int(match[2]) > _MAX_COPY_ID:
        return None
    return _EPOCH + int(match[1]) * _MICROSECOND, int(match[2])


def _standing(copy: CapturedCopy) -> list[tuple[int, str]]:
    return [(_KINDS.index(kind), address) for kind, address in copy.recipients if kind in _KINDS]


async def _find(request: web.Request) -> CapturedCopy:
    copy_id, copy = int(request.match_info["copy_id"]), None
    if copy_id <= _MAX_COPY_ID:
        async with request.app[DESK].spool.read() as connection:
            copy = await captured_copy(connection, copy_id)
    if copy is None:
        raise web.HTTPNotFound(
            text="This copy is not here: it was never captured, or it has been cleared away."
        )
    return copy
