"""The page of one's own notices: what of one's mail one is told by mail."""

from collections.abc import Mapping

from aiohttp import web

from collector.console.desk import DESK
from collector.console.page import PERSON, render_page
from collector.console.stats import read_zone
from ledger.notice_wishes import MailWish, NoticeWish, keep_wish, wish_of
from ledger.people import find_account

_SURE = (0.0, 0.6, 0.8)
"""What the pages call perhaps, probably and very likely."""
_HOURS = range(24)


async def show_notices(request: web.Request) -> web.Response:
    """Show what is configured for all, and what of it this person wants."""
    desk, person = request.app[DESK], request[PERSON]
    account = None if person.key is None else await find_account(desk.ledger, person.key)
    wish = NoticeWish()
    if person.key is not None:
        async with desk.ledger.read() as connection:
            wish = await wish_of(connection, person.key)
    shown = {
        "policy": desk.notices,
        "account": account,
        "wish": wish,
        "mails": tuple(MailWish),
        "sure": _SURE,
        "hours": tuple((hour * 60, f"{hour:02}:00") for hour in _HOURS),
        "done": "done" in request.query,
    }
    return render_page(request, "notices.html", shown)


async def choose_notices(request: web.Request) -> web.StreamResponse:
    """Keep what this person wants; what no form of ours says is taken for the quieter."""
    desk, person = request.app[DESK], request[PERSON]
    account = None if person.key is None else await find_account(desk.ledger, person.key)
    if account is None:
        raise web.HTTPConflict(text="There is no account of yours to keep it with.")
    fields = await request.post()
    form = {name: value for name, value in fields.items() if isinstance(value, str)}
    async with desk.ledger.write() as connection:
        await keep_wish(connection, account.key, _read(form))
    return web.Response(status=303, headers={"Location": "/notices?done=yes"})


def _read(form: Mapping[str, str]) -> NoticeWish:
    _, zone = read_zone(form.get("zone", ""))
    known = {one.value: one for one in MailWish}
    begin, end = _hour(form.get("quiet_from", "")), _hour(form.get("quiet_until", ""))
    quiet = begin is not None and end is not None and begin != end
    return NoticeWish(
        mail=known.get(form.get("mail", ""), MailWish.OFF),
        first_only=form.get("first_only") == "yes",
        min_confidence={str(one): one for one in _SURE}.get(form.get("sure", ""), _SURE[-1]),
        quiet_from=begin if quiet else None,
        quiet_until=end if quiet else None,
        zone=zone,
    )


def _hour(text: str) -> int | None:
    """Return the minute of the day that an hour of the form begins with."""
    return next((hour * 60 for hour in _HOURS if text == str(hour * 60)), None)
