"""Events as they are recorded, by server-sent events.

Law: who comes back with the last id he saw misses nothing and is told nothing twice.
"""

from contextlib import suppress
from json import dumps

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from collector.console.api.asked import StreamAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_number_cursor, write_cursor
from collector.console.api.events import OLDEST
from ledger.event import Event, event_object
from ledger.events import EventFilter, last_number, select_events

_AT_ONCE = 100
_RETRY_MS = 1000


async def stream_events(caller: Caller, asked: StreamAsked) -> web.StreamResponse:
    """Tell each event that is wanted, re-labellings too, until the caller goes."""
    # HTML Standard 9.2.4: what a client saw last goes before what its URL says.
    cursor = caller.request.headers.get("Last-Event-ID", asked.cursor)
    number = read_number_cursor(OLDEST, cursor)
    async with caller.desk.ledger.read() as connection:
        latest = await last_number(connection)
    # A higher one is of a record that was made anew since.
    told = latest if number is None or number > latest else number
    wanted = EventFilter(
        sender=asked.sender,
        recipient=asked.recipient,
        send_id=asked.send_id or None,
        types=asked.type,
        classifications=asked.classification,
        history=True,
    )
    response = EventSourceResponse()
    response.headers["Cache-Control"] = "no-store"
    await response.prepare(caller.request)
    with suppress(ConnectionResetError, TimeoutError):  # the caller went, or takes nothing
        async with response:
            await response.send("", event="hello", id=_id(told), retry=_RETRY_MS)
            await _follow(caller, response, wanted, told)
    return response


async def _follow(
    caller: Caller, response: EventSourceResponse, wanted: EventFilter, told: int
) -> None:
    """Send what is wanted after a number, until the caller goes or his token is revoked."""
    transport = caller.request.transport

    def listens() -> bool:
        return transport is not None and not transport.is_closing()

    while True:
        page, reached = await _page(caller, wanted, told)
        if page and not await caller.is_known():
            return
        for number, event in page:
            shown = dumps(event_object(event))
            await response.send(shown, id=_id(number), event=event.type.value)
        told = page[-1][0] if len(page) == _AT_ONCE else reached
        if len(page) < _AT_ONCE and (
            await caller.desk.watch.number_after(told, listens) is None or not listens()
        ):
            return


async def _page(
    caller: Caller, wanted: EventFilter, told: int
) -> tuple[tuple[tuple[int, Event], ...], int]:
    """Return what is wanted after a number, and up to which number that was looked for."""
    async with caller.desk.ledger.read() as connection:
        page = await select_events(connection, wanted, after=told, limit=_AT_ONCE)
        return page, await last_number(connection)


def _id(number: int) -> str:
    return write_cursor(OLDEST, str(number))
