"""The log: events, messages and deliveries, as table, JSON lines or CSV."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from config.settings import Settings
from indicia.failure import USAGE, Failure
from indicia.printing import Format, columns, print_csv, print_json, print_line
from indicia.storage import existing_stores
from indicia.wording import tell_more, tell_what, tell_who
from ledger.cells import EVENT_KEYS
from ledger.engine import Store
from ledger.event import (
    MESSAGE_KEYS,
    Event,
    EventType,
    event_object,
    message_objects,
    read_instant,
)
from ledger.events import EventFilter, select_events
from ledger.lookup import Asked, AskedError, read_lookup

PAGE_EVENTS = 500
LOOK_AGAIN_S = 0.5
"""How often `--follow` looks: a person does not see the difference to at once."""

_DELIVERIES = frozenset({EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})
_KINDS: dict[str, frozenset[EventType]] = {
    "events": frozenset(),
    "messages": frozenset({EventType.ACCEPTED}),
    "deliveries": _DELIVERIES,
}
_WIDTHS = (19, 12, 30, 30, 28)
_HEAD = ("time (UTC)", "what", "who", "sender", "subject", "more")


@dataclass(frozen=True, slots=True)
class Review:
    """What is asked for."""

    kind: str
    """events, messages or deliveries."""
    wanted: EventFilter
    form: Format
    follow: bool = False


def read_wanted(asked: Asked) -> EventFilter:
    """Return the filter that the options of a command say.  Raises Failure."""
    for name, texts in asked.items():
        if not all(text.strip() for text in texts):
            msg = f"--{name.replace('_', '-')} is empty; write what is looked for, or leave it out"
            raise Failure(msg, USAGE)
    try:
        return read_lookup(asked, datetime.now(UTC))
    except AskedError as error:
        msg = f"--{error.name.replace('_', '-')}: {error}"
        raise Failure(msg, USAGE) from None


def read_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """Return the instant that an age such as `2d`, or an instant of RFC 3339, means.

    Raises Failure.
    """
    try:
        return read_instant(text, now)
    except ValueError as error:
        msg = f"{option} {error}"
        raise Failure(msg, USAGE) from None


def review(settings: Settings, asked: Review) -> None:
    """Print what is asked for, oldest first; with `follow` until interrupted."""
    try:
        asyncio.run(_review(settings, asked))
    except KeyboardInterrupt:
        if not asked.follow:
            raise


async def _review(settings: Settings, asked: Review) -> None:
    types = _KINDS[asked.kind]
    if types:
        types = types & asked.wanted.types if asked.wanted.types else types
        asked = replace(asked, wanted=replace(asked.wanted, types=types))
        if not types:
            return
    printer = _PRINTERS[asked.kind == "messages", asked.form]
    _print_head(asked)
    async with existing_stores(settings) as stores:
        async for page in _pages(stores.ledger, asked):
            printer(page)


async def _pages(ledger: Store, asked: Review) -> AsyncIterator[list[Event]]:
    """Give events page by page; those of one send's acceptance, which stand together, stay so."""
    number, kept = 0, list[Event]()
    while True:
        async with ledger.read() as connection:
            page = await select_events(connection, asked.wanted, after=number, limit=PAGE_EVENTS)
        number = page[-1][0] if page else number
        events = [*kept, *(event for _, event in page)]
        whole = len(page) < PAGE_EVENTS
        cut = len(events) if whole else _start_of_last(events)
        kept = events[cut:]
        yield events[:cut]
        if whole and not asked.follow:
            return
        if whole:
            await asyncio.sleep(LOOK_AGAIN_S)


def _start_of_last(events: Sequence[Event]) -> int:
    """Return where the events of the last send begin."""
    last = events[-1].send_id
    return next((end for end in range(len(events), 0, -1) if events[end - 1].send_id != last), 0)


def _print_head(asked: Review) -> None:
    match asked.form, asked.kind:
        case Format.TABLE, _:
            print_line(columns(_HEAD, _WIDTHS))
        case Format.CSV, "messages":
            print_csv(MESSAGE_KEYS)
        case Format.CSV, _:
            print_csv(EVENT_KEYS)
        case Format.JSON, _:
            pass


def _events_as_json(events: Sequence[Event]) -> None:
    for event in events:
        print_json(event_object(event))


def _events_as_csv(events: Sequence[Event]) -> None:
    for event in events:
        shown = event_object(event)
        print_csv(shown.get(key) for key in EVENT_KEYS)


def _events_as_table(events: Sequence[Event]) -> None:
    for event in events:
        print_line(_row(event, tell_what(event), tell_who(event), tell_more(event)))


def _messages_as_json(events: Sequence[Event]) -> None:
    for message in message_objects(events):
        print_json(message)


def _messages_as_csv(events: Sequence[Event]) -> None:
    for message in message_objects(events):
        print_csv(message.values())


def _messages_as_table(events: Sequence[Event]) -> None:
    for _, group in groupby(events, key=lambda event: event.send_id):
        copies = list(group)
        who = ", ".join(event.recipient or "?" for event in copies)
        print_line(_row(copies[0], f"{len(copies)} people", who, copies[0].send_id or ""))


_PRINTERS: dict[tuple[bool, Format], Callable[[Sequence[Event]], None]] = {
    (False, Format.JSON): _events_as_json,
    (False, Format.CSV): _events_as_csv,
    (False, Format.TABLE): _events_as_table,
    (True, Format.JSON): _messages_as_json,
    (True, Format.CSV): _messages_as_csv,
    (True, Format.TABLE): _messages_as_table,
}
"""By whether messages are asked for, and the form."""


def _row(event: Event, what: str, who: str, more: str) -> str:
    at = f"{event.timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return columns((at, what, who, event.sender or "<>", event.subject or "", more), _WIDTHS)
