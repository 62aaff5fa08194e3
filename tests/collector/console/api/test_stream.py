"""Events as they are recorded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from collector.console.app import run_console
from indicia.judging import decide_by
from ledger.api_tokens import revoke_api_token
from ledger.audit import OPERATOR, Author
from ledger.event import EventType

PATIENCE_S = 10.0


class Stream:
    """What a program reads of a stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, str, Any]:
        """Return id, event and data of the next message; data None: there is no more."""
        said = {"id": "", "event": "", "data": ""}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._response.content:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if not name and said["event"]:
                    return said["id"], said["event"], json.loads(said["data"] or "{}")
                said[name or "event"] = value
        return "", "", None


@asynccontextmanager
async def streaming(
    program: Any, query: Any = None, last: str | None = None
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {program.token}"}
    if last is not None:
        headers["Last-Event-ID"] = last
    async with program.http.get(
        f"{program.base}/api/v1/events/stream", params=query or {}, headers=headers
    ) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        yield Stream(response)


async def test_what_is_recorded_is_told_at_once_and_nothing_of_before(program: Any) -> None:
    async with streaming(program) as stream:
        hello, kind, _ = await stream.next()
        assert (kind, bool(hello)) == ("hello", True)
        event = program.console.event(EventType.OPENED)
        await program.console.record(event)
        place, kind, told = await stream.next()
    assert kind == "email.opened"
    assert told["event_id"] == event.event_id
    assert told == (await program.get("/events", limit="1"))["events"][0]
    assert place != hello


async def test_who_comes_back_misses_nothing_and_is_told_nothing_twice(program: Any) -> None:
    # Law: who comes back with the last id he saw misses nothing and is told nothing twice.
    events = [program.console.event(EventType.OPENED) for _ in range(250)]
    told: list[str] = []
    async with streaming(program) as stream:
        last, _, _ = await stream.next()
    await program.console.record(*events)
    while len(told) < len(events):
        async with streaming(program, last=last) as stream:
            await stream.next()
            for _ in range(120):
                if len(told) < len(events):
                    last, _, one = await stream.next()
                    told.append(one["event_id"])
    assert told == [event.event_id for event in events]


async def test_a_list_goes_on_as_a_stream(program: Any) -> None:
    page = await program.get("/events", order="oldest", limit="3")
    following = await program.get("/events", order="oldest", cursor=page["next_cursor"], limit="1")
    async with streaming(program, {"cursor": page["next_cursor"]}) as stream:
        await stream.next()
        place, _, told = await stream.next()
    assert told == following["events"][0]
    assert place == following["next_cursor"]


async def test_what_is_not_asked_for_is_not_told(program: Any) -> None:
    query = {"recipient": "bob@example.org", "type": "clicked"}
    async with streaming(program, query) as stream:
        await stream.next()
        await program.console.record(
            program.console.event(EventType.OPENED),
            program.console.event(EventType.CLICKED, recipient="dave@example.net"),
        )
        wanted = program.console.event(EventType.CLICKED)
        await program.console.record(wanted)
        _, _, told = await stream.next()
    assert told["event_id"] == wanted.event_id


async def test_a_revoked_token_is_told_nothing_more(program: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), b"k" * 32)
    async with streaming(program) as stream:
        await stream.next()
        await revoke_api_token(program.console.stores.ledger, program.name, author)
        await program.console.record(program.console.event(EventType.OPENED))
        assert (await stream.next())[2] is None


async def test_a_number_of_a_record_that_was_made_anew_is_the_present(program: Any) -> None:
    page = await program.get("/events", order="oldest", limit="500")
    async with program.console.stores.ledger.write() as connection:
        await connection.exec_driver_sql("DELETE FROM events WHERE number > 3")
    async with streaming(program, last=page["next_cursor"]) as stream:
        await stream.next()
        event = program.console.event(EventType.OPENED)
        await program.console.record(event)
        _, _, told = await stream.next()
    assert told["event_id"] == event.event_id


async def test_a_console_that_ends_sends_its_listeners_home(program: Any) -> None:
    console = program.console
    async with AsyncExitStack() as listening:
        async with run_console(console.settings, console.stores, decide_by(console.settings)) as (
            port,
        ):
            other = replace(program, base=f"http://127.0.0.1:{port}")
            stream = await listening.enter_async_context(streaming(other))
            assert (await stream.next())[1] == "hello"
        # Had it waited for them to go, they would have been cut off.
        assert (await stream.next())[2] is None


@pytest.mark.parametrize("last", ["5", "x", "Zm9vIDE"])
async def test_an_id_that_is_none_is_refused(program: Any, last: str) -> None:
    status, problem, _ = await program.ask("GET", "/events/stream", headers={"Last-Event-ID": last})
    assert status == 400
    assert problem["errors"][0]["where"] == "cursor"
