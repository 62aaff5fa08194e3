"""Sends: a page of them, and one with all that happened to it."""

from http import HTTPStatus

from collector.console.api.asked import MessageAsked, MessagesAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_name_cursor, write_cursor
from collector.console.api.problem import ProblemError
from collector.console.own import record_look
from ledger.event import event_object, message_objects
from ledger.events import EventFilter, select_accepted, select_events
from ledger.summary import read_send, send_object

STORY_EVENTS = 2000
"""As many as the page of a mail shows: some hundred kilobytes."""

_ORDER = "messages"


async def list_messages(caller: Caller, asked: MessagesAsked) -> dict[str, object]:
    """Return a page of sends, the latest first."""
    wanted = EventFilter(
        since=asked.since,
        until=asked.until,
        sender=asked.sender,
        recipient=asked.recipient,
        message_id=asked.message_id or None,
    )
    before = read_name_cursor(_ORDER, asked.cursor)
    async with caller.desk.ledger.read() as connection:
        events = await select_accepted(connection, wanted, before=before, limit=asked.limit)
    found = list(message_objects(events))
    more = len(found) == asked.limit
    return {
        "messages": found,
        "next_cursor": write_cursor(_ORDER, str(found[-1]["send_id"])) if more else None,
    }


async def tell_message(caller: Caller, asked: MessageAsked) -> dict[str, object]:
    """Return one send as it was accepted, and its events, oldest first."""
    async with caller.desk.ledger.read() as connection:
        send = await read_send(connection, asked.send_id)
        wanted = EventFilter(send_id=asked.send_id)
        events = await select_events(connection, wanted, limit=STORY_EVENTS)
    if send is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "No message of this name is on record. Take a send_id of /messages; of what was sent "
            "this moment it is there in a second.",
        )
    if caller.request.method != "HEAD":
        await record_look(caller.desk.ledger, caller.author, "send.viewed", asked.send_id)
    return {**send_object(send), "events": [event_object(event) for _, event in reversed(events)]}
