"""The page of one's own browsers: links that mark them on the tracking hosts."""

from datetime import UTC, datetime

from aiohttp import web

from collector.console.desk import DESK
from collector.console.page import render_page
from collector.mine import LINK_LASTS, Purpose, write_code


async def show_mine(request: web.Request) -> web.Response:
    """Show a link for each tracking host, made for this look."""
    desk = request.app[DESK]
    code = write_code(desk.signing_key, Purpose.LINK, datetime.now(UTC) + LINK_LASTS)
    links = tuple((base.partition("://")[2], f"{base}/mine/{code}") for base in desk.bases)
    return render_page(request, "mine.html", {"links": links, "minutes": LINK_LASTS.seconds // 60})
