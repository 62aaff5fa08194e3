"""The whole story of a send, in order."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

from config.settings import Settings
from indicia.explained import explained_lines
from indicia.failure import Failure
from indicia.printing import plain_text, print_json, print_line, table
from indicia.storage import existing_stores
from indicia.wording import tell_more, tell_what, tell_who
from ledger.engine import Store
from ledger.event import Event, event_object
from ledger.events import EventFilter, select_events
from ledger.sends import find_sends
from ledger.summary import SendRecord, read_send, send_object

PAGE_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Story:
    """A send and its events, oldest first."""

    send: SendRecord
    events: tuple[Event, ...]


def tell(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print the story of each send of this send_id or Message-ID.

    Raises Failure where there is none.
    """
    stories = asyncio.run(_read_stories(settings, name))
    if not stories:
        msg = f"no send has the send_id or Message-ID {name}"
        raise Failure(msg)
    for number, story in enumerate(stories):
        if as_json:
            print_json(story_object(story))
            continue
        for line in (*([""] if number else []), *_lines(story)):
            print_line(line)


def story_object(story: Story) -> dict[str, object]:
    """Return a story as one JSON object: the send, explain's objects, the events."""
    events = [event_object(event) for event in story.events]
    return {**send_object(story.send), "events": events}


async def _read_stories(settings: Settings, name: str) -> list[Story]:
    async with existing_stores(settings) as stores:
        async with stores.ledger.read() as connection:
            send_ids = await find_sends(connection, name)
        return [
            story
            for send_id in send_ids
            if (story := await _read_story(stores.ledger, send_id)) is not None
        ]


async def _read_story(ledger: Store, send_id: str) -> Story | None:
    async with ledger.read() as connection:
        send = await read_send(connection, send_id)
        if send is None:
            return None
        events: list[Event] = []
        number = 0
        while page := await select_events(
            connection, EventFilter(send_id=send_id), after=number, limit=PAGE_EVENTS
        ):
            events += (event for _, event in page)
            number = page[-1][0]
    return Story(send, tuple(sorted(events, key=lambda event: event.timestamp)))


def _lines(story: Story) -> Iterator[str]:
    send = story.send
    said = (
        ("send", send.send_id),
        ("accepted", f"{send.accepted_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("from", send.sender or "<> (a report)"),
        ("account", send.account or "none: a trusted network"),
        ("client", send.client or ""),
        ("subject", send.subject or ""),
        ("message id", send.message_id or "none"),
        ("size", f"{send.size_bytes} bytes"),
        ("tags", ", ".join(send.tags)),
        ("metadata", ", ".join(f"{key}={value}" for key, value in send.metadata.items())),
    )
    yield from table([row for row in said if row[1]])
    yield ""
    yield from explained_lines(send.verdict)
    yield ""
    yield from table([*map(_event_row, story.events)])


def _event_row(event: Event) -> tuple[str, ...]:
    at = f"{event.timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return at, tell_what(event), tell_who(event), plain_text(tell_more(event))
