"""Webhooks are told by real posts to real receivers on loopback."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from collector import posted
from collector import telling as told_by
from collector.app import run_collector
from collector.posted import Pace
from collector.telling import telling
from config.settings import Settings
from ledger import deliveries
from ledger.address import parse_address
from ledger.consent import Consent, Method, subject_of
from ledger.consents import ConsentTold, tell_consent
from ledger.deliveries import WebhookState, list_dead, list_webhooks, resend
from ledger.engine import sqlite_file
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, record_events

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HASTY = Pace(first_s=0.01, longest_s=0.05)
NOW = datetime.now(UTC)

Answer = Callable[[str], Awaitable[int]]


@dataclass
class Receiver:
    """Whoever is told; `answer` says with which status, by the name of the event."""

    answer: Answer
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """Each post, by the name of its event."""
    taken: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        said: dict[str, Any] = Webhook(SECRET).verify(body, dict(request.headers))
        name = said["data"]["event_id"]
        self.asked.append(name)
        self.ids.append(request.headers["webhook-id"])
        status = await self.answer(name)
        if status == 200:
            self.taken.append(name)
            self.bodies.append(json.loads(body))
        return web.Response(status=status)


async def always(_name: str) -> int:
    return 200


@asynccontextmanager
async def receiving(answer: Answer = always) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    application = web.Application()
    application.router.add_post("/{any:.*}", receiver.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def told_to(
    house: Any, answer: Answer = always, pace: Pace = HASTY
) -> AsyncIterator[Receiver]:
    """Run what tells one receiver."""
    async with (
        receiving(answer) as receiver,
        telling(settings_of(house, receiver), house.stores.ledger, pace),
    ):
        yield receiver


def settings_of(house: Any, *receivers: Receiver) -> Settings:
    hooks = [
        {"url": f"http://127.0.0.1:{one.port}/", "secret": SECRET, "allow_private": True}
        for one in receivers
    ]
    given: dict[str, Any] = {
        "server": {"state_dir": house.settings.server.state_dir},
        "collector": {"listen": ["127.0.0.1:0"]},
        "webhook": hooks,
    }
    return Settings(**given)


def an_event(name: str, send: str | None = "S1", **more: Any) -> Event:
    said = {"recipient": "b@example.org", "classification": Agent.PROXY, **more}
    return Event(name, said.pop("type", EventType.OPENED), NOW, send_id=send, **said)


async def record(house: Any, *found: Event) -> None:
    rows = [RecordedEvent(event) for event in found]
    await house.stores.ledger.transact(partial(record_events, rows=rows))


async def states(house: Any) -> tuple[WebhookState, ...]:
    async with house.stores.ledger.read() as connection:
        found: tuple[WebhookState, ...] = await connection.run_sync(list_webhooks)
    return found


async def until_none_waits(house: Any, until: Callable[..., Awaitable[Any]]) -> None:
    await until(partial(states, house), lambda found: not any(one.waiting for one in found))


async def test_what_is_recorded_is_told_signed_and_in_order(house: Any, until: Any) -> None:
    async with receiving() as receiver:
        settings = settings_of(house, receiver)
        async with telling(settings, house.stores.ledger, HASTY):
            await record(house, *(an_event(f"E{n}") for n in range(40)))
            await until_none_waits(house, until)
    assert receiver.taken == [f"E{n}" for n in range(40)]
    assert receiver.bodies[0]["data"]["recipient"] == "b@example.org"
    (state,) = await states(house)
    assert state.delivered_at is not None


async def test_a_running_collector_tells_of_an_open_at_once(house: Any, until: Any) -> None:
    async with receiving() as receiver:
        settings = settings_of(house, receiver)
        async with run_collector(settings, house.stores, house.keys) as ports:
            house.port = ports[0]
            await house.send(7, relayed=True)
            await house.ask(house.pixel(7))

            async def taken() -> list[dict[str, Any]]:
                return receiver.bodies

            bodies = await until(taken, lambda found: len(found) >= 2)
    assert [one["type"] for one in bodies] == ["email.relayed", "email.opened"]
    assert bodies[1]["data"]["provisional"] is True
    assert "provisional" not in bodies[0]["data"]


@pytest.mark.slow
async def test_a_collector_starts_while_the_ledger_is_locked_and_tells_afterwards(
    house: Any, until: Any
) -> None:
    file = sqlite_file(house.settings.database.url)
    async with receiving() as receiver:
        settings = settings_of(house, receiver)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with (
                asyncio.timeout(20),
                run_collector(settings, house.stores, house.keys) as ports,
            ):
                house.port = ports[0]
                assert (await house.ask(house.pixel(7))).status == 200
                other.execute("ROLLBACK")
                await until(partial(states, house), len)
                await record(house, an_event("E1"))
                await until_none_waits(house, until)
    assert receiver.taken == ["E1"]


async def test_a_failing_receiver_gets_all_of_it_with_the_same_names(
    house: Any, until: Any
) -> None:
    seen: dict[str, int] = {}

    async def twice_badly(name: str) -> int:
        seen[name] = seen.get(name, 0) + 1
        return 200 if seen[name] == 3 else 500

    async with told_to(house, twice_badly) as receiver:
        await record(house, *(an_event(f"E{n}") for n in range(5)))
        await until_none_waits(house, until)
    assert receiver.asked == [f"E{n}" for n in range(5) for _ in range(3)]
    assert receiver.taken == [f"E{n}" for n in range(5)]
    assert len(set(receiver.ids)) == 5


async def test_one_send_and_one_webhook_hold_up_no_other(house: Any, until: Any) -> None:
    hold = asyncio.Event()

    async def slow(name: str) -> int:
        if name == "E0":
            await hold.wait()
        return 200

    async with (
        receiving(slow) as one,
        receiving() as other,
        telling(settings_of(house, one, other), house.stores.ledger, HASTY),
    ):
        await record(house, an_event("E0"), an_event("E1"))
        await record(house, *(an_event(f"F{n}", f"S{n + 2}") for n in range(50)))

        async def taken() -> tuple[int, int]:
            return len(one.taken), len(other.taken)

        await until(taken, lambda found: found == (50, 52))
        assert one.asked.count("E1") == 0
        hold.set()
        await until_none_waits(house, until)
    assert one.taken[-2:] == ["E0", "E1"]


async def test_gone_is_a_dead_letter_at_once_and_can_be_sent_again(house: Any, until: Any) -> None:
    gone = {"E0"}

    async def answer(name: str) -> int:
        return 410 if name in gone else 200

    async with told_to(house, answer) as receiver:
        await record(house, an_event("E0"), an_event("E1"))
        await until_none_waits(house, until)
        (dead,) = await house.stores.ledger.transact(partial(list_dead, limit=9))
        assert (dead.reply, dead.attempts) == ("410 Gone", 1)
        gone.clear()
        await house.stores.ledger.transact(partial(resend, delivery_ids=[dead.delivery_id]))
        await until_none_waits(house, until)
    assert receiver.taken == ["E1", "E0"]


async def test_what_is_not_taken_within_a_day_is_dead(house: Any, until: Any) -> None:
    async def never(_name: str) -> int:
        return 503

    pace = Pace(first_s=0.01, longest_s=0.01, give_up=timedelta(milliseconds=100))
    async with told_to(house, never, pace):
        await record(house, *(an_event(f"E{n}", f"S{n}") for n in range(20)))
        await until_none_waits(house, until)
    (state,) = await states(house)
    assert (state.dead, state.fault) == (20, "503 Service Unavailable")


async def deny(house: Any, address: str) -> None:
    told = ConsentTold(Consent.DENIED, NOW, Method.OTHER, "operator")
    async with house.stores.ledger.write() as connection:
        await tell_consent(connection, subject_of(parse_address(address)), told)


async def test_law_of_who_denies_since_nothing_is_told(house: Any, until: Any) -> None:
    """Law: what somebody has denied since, or is forgotten, is not told."""
    failing = True

    async def answer(_name: str) -> int:
        return 500 if failing else 200

    shared = {"recipient": None, "candidates": ("b@example.org", "c@example.org")}
    async with receiving(answer) as receiver:
        settings = settings_of(house, receiver)
        async with telling(settings, house.stores.ledger, HASTY):
            await record(
                house,
                an_event("E0", "S0"),
                an_event("E1", "S1", attribution=Attribution.SHARED, **shared),
                an_event("E2", "S2", recipient="other@example.org"),
                an_event("E3", "S3", type=EventType.RELAYED, classification=None),
                an_event("E4", "S4", recipient="b+detail@example.org"),
            )
            await deny(house, "b@example.org")
            failing = False
            await until_none_waits(house, until)
    assert sorted(receiver.taken) == ["E2", "E3"]


async def test_a_stop_keeps_what_was_answered_and_posts_the_rest_again(
    house: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_by, "END_S", 0.05)
    hold = asyncio.Event()

    async def slow(name: str) -> int:
        if name == "E0":
            await hold.wait()
        return 200

    async with receiving(slow) as receiver:
        settings = settings_of(house, receiver)

        async def asked() -> list[str]:
            return receiver.asked

        async with telling(settings, house.stores.ledger, HASTY):
            await record(house, an_event("E0", "S0"), an_event("E1", "S1"))
            await until(asked, lambda found: len(found) == 2)
        (state,) = await states(house)
        assert state.waiting == 1
        hold.set()
        async with telling(settings, house.stores.ledger, HASTY):
            await until_none_waits(house, until)
    assert receiver.asked == ["E0", "E1", "E0"]


async def test_a_ledger_that_is_away_holds_up_and_loses_nothing(
    house: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_by, "PAUSE_S", 0.01)
    faults = iter([OSError("away"), OSError("away")])
    keep = deliveries.settle

    def settle(*given: Any, **named: Any) -> None:
        if (fault := next(faults, None)) is not None:
            raise fault
        keep(*given, **named)

    monkeypatch.setattr(told_by, "settle", settle)
    async with told_to(house) as receiver:
        await record(house, an_event("E0"), an_event("E1"))
        await until_none_waits(house, until)
    assert receiver.asked == ["E0", "E1"]


async def test_one_at_which_our_code_fails_holds_up_no_other(
    house: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = posted.make_body

    def failing(event: Event) -> bytes:
        if event.event_id == "E0":
            raise RuntimeError
        return make(event)

    monkeypatch.setattr(told_by, "make_body", failing)
    async with told_to(house) as receiver:
        await record(house, an_event("E0", "S0"), an_event("E1", "S1"))

        async def taken() -> list[str]:
            return receiver.taken

        await until(taken, lambda found: found == ["E1"])
        await until(
            partial(states, house), lambda found: found[0].fault == "our fault (RuntimeError)"
        )
