"""A real console on real stores, and what it shows."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert
from yarl import URL

from collector.console.access import make_sign_in_link
from collector.console.app import run_console
from config.settings import Settings
from indicia.judging import decide_by
from ledger.audit import OPERATOR, Author, SubjectKind, record_audit
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent, insert_events
from ledger.fact import pack_verdict
from ledger.ident import new_ident
from ledger.keys import load_audit_key
from ledger.migrate import Stores, open_stores
from ledger.mode import TrackingMode
from ledger.people import Account, add_account, set_disabled
from ledger.policies import PolicyChange, change_policy
from ledger.role import Role
from ledger.schema import copies, copy_recipients, sends
from ledger.sessions import Person
from ledger.spooled import CapturedCopy, capture_copies

ADMIN = Person("admin@example.com", Role.ADMIN)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HERE = Path(__file__).parent
SHOP = "https://shop.example/offer?price=1&year=2027#rates"


_SOMEONE: dict[str, Any] = {
    "recipient": None,
    "recipient_type": None,
    "attribution": Attribution.ANONYMOUS,
    "tracking_mode": TrackingMode.ANONYMOUS,
    "user_agent": None,
    "ip_address": None,
}


@dataclass
class Client:
    """A browser as far as HTTP goes: cookies, no redirects, a page's form token."""

    base: str
    http: aiohttp.ClientSession

    async def get(self, path: str, **options: Any) -> tuple[int, str, Any]:
        async with self.http.get(self.base + path, allow_redirects=False, **options) as response:
            return response.status, await response.text(errors="replace"), response.headers

    async def post(self, path: str, form: dict[str, str], **options: Any) -> tuple[int, str, Any]:
        async with self.http.post(
            self.base + path, data=form, allow_redirects=False, **options
        ) as response:
            return response.status, await response.text(), response.headers

    @property
    def session(self) -> str:
        return self.http.cookie_jar.filter_cookies(URL(self.base))["indicia"].value

    async def form_token(self) -> str:
        _, page, _ = await self.get("/")
        found = re.search(r'name="form_token" value="([^"]+)"', page)
        assert found
        return found[1]


@dataclass
class Console:
    """A running console, its stores, and ways to come in and to put something there."""

    base: str
    settings: Settings
    stores: Stores
    closing: AsyncExitStack
    numbers: dict[str, int] = field(default_factory=lambda: {"send": 0, "event": 0})

    async def stranger(self) -> Client:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
        http = await self.closing.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
        return Client(self.base, http)

    async def link_code(self, person: Person = ADMIN) -> str:
        key = load_audit_key(self.settings.keys_dir)
        author = Author(OPERATOR, datetime.now(UTC), key)
        link = await make_sign_in_link(self.stores.ledger, self.base, person, author)
        return link.partition("code=")[2]

    async def signed_in(self, person: Person = ADMIN) -> Client:
        client = await self.stranger()
        status, _, _ = await client.post("/login", {"code": await self.link_code(person)})
        assert status == 303
        return client

    async def record(self, *told: Event) -> None:
        async with self.stores.ledger.write() as connection:
            await insert_events(connection, [RecordedEvent(event, copy_id=1) for event in told])

    def event(self, kind: EventType, **values: Any) -> Event:
        self.numbers["event"] += 1
        acted = kind in (EventType.OPENED, EventType.CLICKED)
        usual: dict[str, Any] = {
            "timestamp": datetime.now(UTC),
            "sender": "sales@acme.example",
            "recipient": "bob@example.org",
            "recipient_type": "to",
            "attribution": Attribution.RECIPIENT,
            "tracking_mode": TrackingMode.INDIVIDUAL,
        }
        if acted:
            usual |= {
                "classification": Agent.HUMAN_LIKELY,
                "confidence": 0.86,
                "reasons": ("fetch_metadata", "browser_agent", "language"),
                "rules_version": "2026.11.1",
                "user_agent": FIREFOX,
                "ip_address": "203.0.113.0",
            }
        if kind is EventType.CLICKED:
            usual |= {"url": SHOP, "link_text": "our offer for 2027", "link_id": "1"}
        return Event(f"event-{self.numbers['event']:06}", kind, **(usual | values))

    async def send(self, verdict: Sequence[dict[str, Any]], **values: Any) -> str:
        """Record a send with one copy for each of its copy numbers; return its send_id."""
        self.numbers["send"] += 1
        number = self.numbers["send"]
        at: datetime = values.pop("accepted_at", datetime.now(UTC))
        send_id = new_ident(int(at.timestamp() * 1000), number)
        row = {
            "send_id": send_id,
            "accepted_at": at,
            "message_id": f"offer.{number}@acme.example",
            "sender": "sales@acme.example",
            "account": None,
            "client": "127.0.0.1",
            "subject": "Our offer for 2027",
            "size_bytes": 48_213,
            "base_url": "http://127.0.0.1:8025",
            "verdict": pack_verdict(verdict),
            "tags": [],
            "metadata": {},
            **values,
        }
        async with self.stores.ledger.write() as connection:
            await connection.execute(insert(sends).values(row))
            for copy_number in sorted({one["copy"] for one in verdict}):
                mine = [one for one in verdict if one["copy"] == copy_number]
                copy_id = number * 1000 + copy_number
                await connection.execute(
                    insert(copies).values(copy_id=copy_id, send_id=send_id, mode=mine[0]["mode"])
                )
                await connection.execute(
                    insert(copy_recipients),
                    [
                        {
                            "copy_id": copy_id,
                            "number": place,
                            "recipient": one["recipient"],
                            "recipient_key": one["recipient"],
                            "recipient_type": one["recipient_type"],
                        }
                        for place, one in enumerate(mine)
                    ],
                )
        return send_id

    async def capture(self, *captured: CapturedCopy) -> None:
        async with self.stores.spool.write() as connection:
            await connection.run_sync(capture_copies, captured)


def explained(recipient: str, copy: int, **values: Any) -> dict[str, Any]:
    """Return an object of `explain --json`."""
    usual: dict[str, Any] = json.loads((HERE / "explained.json").read_text(encoding="utf-8"))
    return {"recipient": recipient, "copy": copy, **usual, **values}


def offer_mail(recipient: str, pixel: str = "", link: str = SHOP) -> bytes:
    """Return a copy as a mail program would write it."""
    text = (HERE / "offer.eml").read_text(encoding="utf-8")
    for blank, value in (("RECIPIENT", recipient), ("PIXEL", pixel), ("LINK", link)):
        text = text.replace(blank, value)
    return text.replace("\n", "\r\n").encode()


@pytest.fixture
async def start_console(
    tmp_path: Path,
) -> AsyncIterator[Callable[..., Awaitable[Console]]]:
    async with AsyncExitStack() as closing:

        async def start(
            rules: Iterable[dict[str, Any]] = (), proxies: Sequence[str] = (), **console: Any
        ) -> Console:
            settings = Settings.model_validate(
                {
                    "server": {"state_dir": tmp_path},
                    "console": {"listen": ["127.0.0.1:0"], **console},
                    "collector": {"trusted_proxies": list(proxies)},
                    "rule": list(rules),
                }
            )
            stores = await open_stores(settings.database.url, settings.database.spool_url)
            closing.push_async_callback(stores.close)
            (port,) = await closing.enter_async_context(
                run_console(settings, stores, decide_by(settings))
            )
            return Console(f"http://127.0.0.1:{port}", settings, stores, closing)

        yield start


@pytest.fixture
async def console(start_console: Callable[..., Awaitable[Console]]) -> Console:
    return await start_console()


@pytest.fixture
def explain() -> Callable[..., dict[str, Any]]:
    return explained


@pytest.fixture
def mail() -> Callable[..., bytes]:
    return offer_mail


@pytest.fixture
def captured_copy(mail: Callable[..., bytes]) -> Callable[..., CapturedCopy]:
    def build(copy_id: int, send_id: str, *recipients: tuple[str, str], **values: Any) -> Any:
        usual = CapturedCopy(
            copy_id=copy_id,
            send_id=send_id,
            captured_at=datetime.now(UTC),
            sender="sales@acme.example",
            recipients=recipients,
            mode="individual",
            subject="Our offer for 2027",
            raw=mail(recipients[0][1]),
        )
        return replace(usual, **values)

    return build


@pytest.fixture
def seed_demo(
    captured_copy: Callable[..., CapturedCopy],
) -> Callable[[Console], Awaitable[str]]:
    """Fill a console with a day of a small sales team; the send_id of the main mail is returned."""

    async def seed(console: Console) -> str:
        now = datetime.now(UTC)

        def at(minutes: float) -> datetime:
            return now - timedelta(minutes=minutes)

        def delivered(
            send_id: str, subject: str, minutes: float, people: Iterable[str]
        ) -> list[Event]:
            told = []
            for person in people:
                same = {"send_id": send_id, "subject": subject, "recipient": person}
                told.append(console.event(EventType.ACCEPTED, timestamp=at(minutes), **same))
                told.append(
                    console.event(
                        EventType.RELAYED,
                        timestamp=at(minutes - 0.1),
                        reply="250 2.0.0 Ok: queued as 4C1F2A",
                        upstream="default",
                        **same,
                    )
                )
            return told

        await _seed_old(console, delivered, at)
        main = await _seed_main(console, delivered, at)
        await _seed_people(console)
        await _seed_policy(console)
        await console.capture(
            captured_copy(1001, main, ("to", "bob@example.org"), captured_at=at(119)),
            captured_copy(1002, main, ("cc", "carol.fitzgerald@example.org"), captured_at=at(119)),
            captured_copy(1003, main, ("bcc", "dave@example.net"), captured_at=at(119)),
            captured_copy(
                1004,
                "01HZZZZZZZZZZZZZZZZZZZZZZZ",
                ("to", "erin@example.org"),
                ("to", "frank@example.org"),
                mode="off",
                subject="Minutes of Monday",
                captured_at=at(300),
            ),
        )
        return main

    return seed


async def _seed_people(console: Console) -> None:
    author = Author(OPERATOR, datetime.now(UTC), load_audit_key(console.settings.keys_dir))
    for account in (
        Account("anna.lindqvist@acme.example", Role.ADMIN, ("*@sales.acme.example",), "kept"),
        Account("otto@acme.example", Role.AUDITOR),
        Account("sales@acme.example", Role.USER, ("office@acme.example",) * 4, "kept"),
        Account("a.rather.long.name.that.somebody.has@subsidiary.acme.example", Role.USER, (), "x"),
    ):
        await add_account(console.stores.ledger, account, author)
    await set_disabled(console.stores.ledger, "sales@acme.example", True, author)
    async with console.stores.ledger.write() as connection:
        await record_audit(
            connection,
            author.entry("consent.set", SubjectKind.RECIPIENT, "bob@example.org", {"to": "denied"}),
        )


async def _seed_policy(console: Console) -> None:
    now = datetime.now(UTC)
    rule = {"recipient": "*@gov.example", "mode": "off"}
    changes = (
        PolicyChange(now, OPERATOR, "Counsel asked for it in March.", "public offices", rule),
        PolicyChange(now, OPERATOR, "An incident, see ticket 4711.", None, value=False),
        PolicyChange(now, OPERATOR, "It is over.", None, value=True),
    )
    asked = "May we see whether you open our mail, and which of our links you follow?"
    denied = ConsentTold(Consent.DENIED, now, Method.SPOKEN, OPERATOR, "call of 12 March", asked)
    granted = ConsentTold(Consent.GRANTED, now, Method.IMPORT, OPERATOR, "newsletter.csv")
    async with console.stores.ledger.write() as connection:
        for change in changes:
            await change_policy(connection, change)
        for subject, told in (
            ("example.net", denied),
            ("carol.fitzgerald@example.org", granted),
            ("carol.fitzgerald@example.org", denied),
        ):
            await tell_consent(connection, parse_subject(subject), told)


async def _seed_old(
    console: Console, delivered: Callable[..., list[Event]], at: Callable[[float], datetime]
) -> None:
    quiet = await console.send(
        [explained("gail@gov.example", 1, mode="off", opens=False, clicks="none")],
        accepted_at=at(60 * 30),
        subject="Annual report",
    )
    await console.record(
        *(
            replace(event, tracking_mode=TrackingMode.OFF)
            for event in delivered(quiet, "Annual report", 60 * 30, ["gail@gov.example"])
        )
    )
    await console.record(
        console.event(EventType.OPENED, timestamp=at(26 * 60), subject=None, **_SOMEONE)
    )
    subject = "Invitation: Lübeck warehouse, opening day"
    team = ["erin@example.org", "frank@example.org", "grace@example.org"]
    shared = await console.send(
        [explained(one, 1, mode="shared") for one in team], accepted_at=at(400), subject=subject
    )
    same: dict[str, Any] = {"send_id": shared, "subject": subject}
    of_them = {"recipient": None, "attribution": Attribution.SHARED, "candidates": tuple(team)}
    await console.record(
        *delivered(shared, subject, 400, team),
        console.event(EventType.OPENED, timestamp=at(95), **same, **of_them),
    )
    subject = "Re: delivery dates"
    failing = await console.send(
        [explained("nobody@example.org", 1), explained("slow@example.com", 2)],
        accepted_at=at(30),
        subject=subject,
    )
    same = {"send_id": failing, "subject": subject}
    await console.record(
        console.event(EventType.ACCEPTED, timestamp=at(30), recipient="nobody@example.org", **same),
        console.event(EventType.ACCEPTED, timestamp=at(30), recipient="slow@example.com", **same),
        console.event(
            EventType.FAILED,
            timestamp=at(29.5),
            recipient="nobody@example.org",
            reply="550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown",
            upstream="default",
            **same,
        ),
        console.event(
            EventType.DEFERRED,
            timestamp=at(29),
            recipient="slow@example.com",
            reply="451 4.7.1 Greylisted, please try again later",
            upstream="default",
            **same,
        ),
    )


async def _seed_main(
    console: Console, delivered: Callable[..., list[Event]], at: Callable[[float], datetime]
) -> str:
    subject = "Our offer for 2027"
    people = ["bob@example.org", "carol.fitzgerald@example.org", "dave@example.net"]
    kinds = ["to", "cc", "bcc"]
    send_id = await console.send(
        [
            explained(one, number, recipient_type=kind)
            for number, (one, kind) in enumerate(zip(people, kinds, strict=True), 1)
        ],
        accepted_at=at(120),
        tags=["offers"],
    )
    bob: dict[str, Any] = {"send_id": send_id, "subject": subject, "recipient": people[0]}
    carol: dict[str, Any] = bob | {"recipient": people[1], "recipient_type": "cc"}
    dave: dict[str, Any] = bob | {"recipient": people[2], "recipient_type": "bcc"}
    gmail = {
        "classification": Agent.PROXY,
        "confidence": 0.72,
        "reasons": ("gmail_image_proxy", "gmail_network"),
        "user_agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com"
        " GoogleImageProxy)",
        "ip_address": "66.249.93.0",
    }
    scanner = {
        "classification": Agent.SCANNER,
        "confidence": 0.93,
        "reasons": ("sweep", "mail_gateway"),
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/57.0",
    }
    prefetch = {
        "classification": Agent.PREFETCH,
        "confidence": 0.8,
        "reasons": ("apple_mail_privacy",),
        "user_agent": "Mozilla/5.0",
    }
    await console.record(
        *delivered(send_id, subject, 120, people),
        console.event(EventType.OPENED, timestamp=at(119), **dave, **scanner),
        console.event(EventType.CLICKED, timestamp=at(118.9), **dave, **scanner),
        console.event(EventType.OPENED, timestamp=at(110), **dave, **prefetch),
        console.event(EventType.OPENED, timestamp=at(80), repeats=1, first=True, **bob),
        console.event(EventType.OPENED, timestamp=at(40), first=True, **carol, **gmail),
        console.event(EventType.OPENED, timestamp=at(3), notice="held", **bob),
        console.event(EventType.CLICKED, timestamp=at(2), first=True, notice="held", **bob),
    )
    return send_id
