"""People are told by mail, through real stores and a real collector."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from collector import notify
from collector.app import run_collector
from collector.notable import NoticePolicy
from collector.notify import NoticeTerms, Notifier, notifying
from config.settings import Settings
from ledger import schema
from ledger.address import parse_address
from ledger.audit import Author
from ledger.consent import Consent, Method, subject_of
from ledger.consents import ConsentTold, tell_consent
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, record_events
from ledger.forget import find_traces, forget_address
from ledger.notice_wishes import MailWish, NoticeWish, keep_wish
from ledger.notices import Owing, owe_notices
from ledger.people import Account, add_account, set_disabled
from ledger.relabelled import relabel_events
from ledger.role import Role
from ledger.story import Relabelling

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = b"k" * 32
POLICY = NoticePolicy(timedelta(seconds=600), timedelta(seconds=90), timedelta(seconds=5))
ANN = "a@example.com"
AUTHOR = Author("operator", NOW, KEY)


def notifier_of(house: Any, policy: NoticePolicy = POLICY) -> Notifier:
    terms = NoticeTerms(policy, "https://console.example", KEY)
    return Notifier(house.stores.ledger, house.stores.spool, terms)


@pytest.fixture
async def known(house: Any) -> Any:
    """A house whose sender has an account."""
    await add_account(house.stores.ledger, Account(ANN, Role.USER), AUTHOR)
    return house


def an_open(name: str, **more: Any) -> Event:
    said: dict[str, Any] = {
        "send_id": "S1",
        "sender": ANN,
        "subject": "Offer",
        "recipient": "b@example.org",
        "attribution": Attribution.RECIPIENT,
        "classification": Agent.HUMAN_LIKELY,
        "confidence": 0.7,
        "first": True,
    }
    return Event(name, EventType.OPENED, NOW, **{**said, **more})


async def owe(house: Any, *found: Event, at: datetime = NOW) -> None:
    def work(connection: Any) -> None:
        record_events(connection, [RecordedEvent(event, 7) for event in found])
        owe_notices(connection, [Owing(event.event_id, at) for event in found])

    await house.stores.ledger.transact(work)


async def mails(house: Any) -> list[Any]:
    async with house.stores.spool.read() as connection:
        return list((await connection.execute(schema.owed_mails.select())).all())


async def notes(house: Any) -> dict[str, str]:
    return {event.event_id: event.notice for event in await house.events()}


async def wish(house: Any, told: NoticeWish) -> None:
    async with house.stores.ledger.write() as connection:
        await keep_wish(connection, ANN, told)


def relabelled(name: str, agent: Agent = Agent.SCANNER) -> Relabelling:
    return Relabelling(name, NOW, agent, 0.9, ("sweep",), "9", first=False)


async def test_who_sent_it_is_told_once_when_the_hold_is_over(known: Any) -> None:
    await owe(known, an_open("e1"), at=NOW + timedelta(seconds=90))
    assert await notes(known) == {"e1": "held"}
    notifier = notifier_of(known)
    assert await notifier.tell_due(NOW + timedelta(seconds=89)) == 0
    assert await mails(known) == []
    assert await notifier.tell_due(NOW + timedelta(seconds=90)) == 1
    assert await notifier.tell_due(NOW + timedelta(seconds=99)) == 0
    (mail,) = await mails(known)
    assert (mail.recipient, mail.subject) == (ANN, "Your mail was opened")
    assert "b@example.org opened “Offer” at 12:00 on 23 November (UTC): probably a person." in (
        mail.text
    )
    assert "https://console.example/messages/S1\n" in mail.text
    assert "https://console.example/notices\n" in mail.text
    assert await notes(known) == {"e1": "sent"}
    assert await known.rows(schema.notices) == []


async def test_recording_or_owing_the_same_again_tells_nothing_again(known: Any) -> None:
    await owe(known, an_open("e1"))
    await owe(known, an_open("e1"))
    notifier = notifier_of(known)
    await notifier.tell_due(NOW)
    await owe(known, an_open("e1"))
    await notifier.tell_due(NOW)
    assert len(await mails(known)) == 1


async def test_a_relabelling_before_its_time_takes_it_back(known: Any) -> None:
    """Law: an event whose label is no person's any more before its time is not told."""
    await owe(known, an_open("e1"), an_open("e2", send_id="S2"))
    await known.stores.ledger.transact(partial(relabel_events, found=[relabelled("e1")]))
    assert (await notes(known))["e1"] == "none"
    assert await notifier_of(known).tell_due(NOW) == 1
    (mail,) = await mails(known)
    assert "messages/S2" in mail.text
    assert [row.notice for row in await known.rows(schema.events)] == ["none", "sent", "none"]


async def test_a_relabelling_after_it_was_sent_leaves_it_sent(known: Any) -> None:
    await owe(known, an_open("e1"))
    await notifier_of(known).tell_due(NOW)
    await known.stores.ledger.transact(partial(relabel_events, found=[relabelled("e1")]))
    assert (await notes(known))["e1"] == "sent"


@pytest.mark.parametrize(
    "event",
    [
        an_open("e", classification=Agent.SCANNER),
        an_open("e", classification=Agent.SELF),
        an_open("e", classification=Agent.UNKNOWN),
        an_open("e", sender="nobody@example.com"),
        an_open("e", sender=None),
    ],
)
async def test_nothing_is_owed_of_machines_of_oneself_or_to_who_has_no_account(
    known: Any, event: Event
) -> None:
    await owe(known, event)
    assert await notes(known) == {"e": "none"}
    assert await known.rows(schema.notices) == []


async def test_who_wants_no_mail_is_owed_none_and_who_changes_his_mind_gets_none(
    known: Any,
) -> None:
    await owe(known, an_open("e1"))
    await wish(known, NoticeWish(MailWish.OFF))
    await owe(known, an_open("e2"))
    assert await notes(known) == {"e1": "held", "e2": "none"}
    assert await notifier_of(known).tell_due(NOW) == 0
    assert await notes(known) == {"e1": "none", "e2": "none"}
    assert await mails(known) == []


async def test_who_is_shut_out_gets_none(known: Any) -> None:
    await owe(known, an_open("e1"))
    await set_disabled(known.stores.ledger, ANN, disabled=True, author=AUTHOR)
    await owe(known, an_open("e2"))
    await notifier_of(known).tell_due(NOW)
    assert (await notes(known), await mails(known)) == ({"e1": "none", "e2": "none"}, [])


async def test_of_who_is_forgotten_nothing_is_told(known: Any) -> None:
    await owe(known, an_open("e1"), an_open("e2", recipient="c@example.org"))
    traces = await find_traces(known.stores.ledger, parse_address("b@example.org"), [])
    await forget_address(known.stores.ledger, traces, NOW, KEY)
    assert await notifier_of(known).tell_due(NOW) == 1
    (mail,) = await mails(known)
    assert "c@example.org" in mail.text
    assert "b@example.org" not in mail.text


async def test_of_a_sender_who_is_forgotten_no_wish_and_no_letter_stays(known: Any) -> None:
    await wish(known, NoticeWish())
    await owe(known, an_open("e1"))
    await notifier_of(known).tell_due(NOW)
    await owe(known, an_open("e2"))
    traces = await find_traces(known.stores.ledger, parse_address(ANN), [])
    await forget_address(known.stores.ledger, traces, NOW, KEY)
    for table in (schema.notices, schema.notice_letters, schema.notice_wishes):
        assert await known.rows(table) == []


async def test_what_somebody_has_denied_since_is_not_told(known: Any) -> None:
    """Law: what somebody has denied since is not told."""
    await owe(known, an_open("e1"))
    told = ConsentTold(Consent.DENIED, NOW, Method.FORM, "operator")
    async with known.stores.ledger.write() as connection:
        await tell_consent(connection, subject_of(parse_address("b@example.org")), told)
    await notifier_of(known).tell_due(NOW)
    assert (await notes(known), await mails(known)) == ({"e1": "none"}, [])


async def test_what_is_more_than_the_throttle_is_told_in_one_mail_and_then_an_hour_waits(
    known: Any,
) -> None:
    notifier = notifier_of(known, replace(POLICY, throttle=3))
    await owe(known, *(an_open(f"e{n}", send_id=f"S{n}") for n in range(5)))
    assert await notifier.tell_due(NOW) == 3
    assert [mail.subject for mail in await mails(known)].count("Your mail was opened") == 2
    assert "Your mail: 3 opens and clicks" in [mail.subject for mail in await mails(known)]
    later = NOW + timedelta(minutes=59)
    await owe(known, an_open("e6"), at=later)
    assert await notifier.tell_due(later) == 0
    assert await notifier.tell_due(NOW + timedelta(minutes=61)) == 1
    assert set((await notes(known)).values()) == {"sent"}


class Killed(BaseException):
    """What nothing here catches."""


@pytest.mark.parametrize("step", ["owe_mail_once", "close_letter", "forget_name"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("posted", [False, True])
async def test_killed_between_any_two_steps_one_mail_is_owed_all_the_same(
    known: Any, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, posted: bool
) -> None:
    """Law: each notice is told by one mail, or dropped, whenever it is killed in between."""
    real = getattr(notify, step)

    def kill(*given: Any, **named: Any) -> Any:
        if step == "close_letter":
            if after:
                real(*given, **named)
            raise Killed
        return kill_later(*given)

    async def kill_later(*given: Any) -> None:
        if after:
            await real(*given)
        raise Killed

    await owe(known, an_open("e1"))
    monkeypatch.setattr(notify, step, kill)
    with pytest.raises(Killed):
        await notifier_of(known).tell_due(NOW)
    monkeypatch.setattr(notify, step, real)
    names = [mail.name for mail in await mails(known)]
    if posted:  # the relay has sent it meanwhile
        async with known.stores.spool.write() as connection:
            await connection.execute(schema.owed_mails.delete())
    again = notifier_of(known)
    await again.recall()
    await again.tell_due(NOW)
    names += [mail.name for mail in await mails(known) if mail.name not in names]
    assert len(names) == 1
    assert len(await mails(known)) == (0 if posted and names and step != "owe_mail_once" else 1)
    assert await notes(known) == {"e1": "sent"}


@asynccontextmanager
async def collecting(house: Any, **told: Any) -> AsyncIterator[None]:
    given: dict[str, Any] = {
        "server": {"state_dir": house.settings.server.state_dir},
        "collector": {"listen": ["127.0.0.1:0"]},
        "notices": {"mail": True, "hold_s": 0, "late_hold_s": 0, **told},
    }
    async with run_collector(Settings(**given), house.stores, house.keys) as (house.port,):
        yield


async def test_an_open_over_the_wire_is_told_by_mail(known: Any, until: Any) -> None:
    await known.send(7, relayed=True)
    async with collecting(known):
        await known.ask(known.pixel(7))
        (mail,) = await until(partial(mails, known), lambda found: len(found) == 1)
    assert mail.recipient == ANN
    assert re.search("b@example.org opened “Offer”", mail.text)


async def test_it_is_held_while_programs_come(known: Any, until: Any) -> None:
    await known.send(7, relayed=True)
    async with collecting(known, hold_s=90):
        await known.ask(known.pixel(7))
        await until(known.events, lambda found: any(one.notice == "held" for one in found))
    (row,) = await known.rows(schema.notices)
    (event,) = [one for one in await known.events() if one.type is EventType.OPENED]
    assert row.due_at == event.timestamp + timedelta(seconds=90)


async def test_nobody_is_told_where_it_is_not_configured(known: Any) -> None:
    await known.send(7, relayed=True)
    async with collecting(known, mail=False):
        await known.ask(known.pixel(7))
        await known.events_when(2)
    assert {event.notice for event in await known.events()} == {"none"}


async def test_after_a_failure_of_a_store_it_goes_on(
    known: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.notify.PAUSE_S", 0.01)
    failing = iter([True])
    real = Notifier.tell_due

    async def fail_once(self: Notifier, now: datetime) -> int:
        if next(failing, False):
            msg = "disk"
            raise OSError(msg)
        return await real(self, now)

    monkeypatch.setattr(Notifier, "tell_due", fail_once)
    await owe(known, an_open("e1"))
    given: dict[str, Any] = {
        "server": {"state_dir": known.settings.server.state_dir},
        "notices": {"mail": True},
    }
    async with notifying(Settings(**given), known.stores):
        await until(partial(mails, known), lambda found: len(found) == 1)
