import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from sqlalchemy import select

from ledger import schema
from ledger.address import parse_address
from ledger.audit import verify_audit
from ledger.consent import Consent, Method, subject_of
from ledger.consents import ConsentTold, consent_history, tell_consent
from ledger.days import tell_days
from ledger.engine import sqlite_file
from ledger.event import Event

ENGLISH = {"Accept-Language": "en", "User-Agent": "Canary-Browser/9"}
URL = "https://example.net/a?b=c"
DEADLINE_S = 10.0


async def post(
    house: Any, target: str, headers: Mapping[str, str] | None = None, **form: str
) -> tuple[int, dict[str, str], str]:
    """Send a form as a browser does, and return status, fields and body."""
    body = urlencode(form).encode()
    fields = {
        "Host": "t.example.com",
        "Connection": "close",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        **ENGLISH,
        **(headers or {}),
    }
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
    raw = await asyncio.wait_for(reader.read(), DEADLINE_S)
    writer.close()
    await writer.wait_closed()
    top, _, said = raw.partition(b"\r\n\r\n")
    line, *rest = top.decode().split("\r\n")
    pairs = (one.partition(": ") for one in rest)
    return int(line.split()[1]), {k.lower(): v for k, _, v in pairs}, said.decode()


async def show(house: Any, target: str) -> tuple[int, str]:
    reply = await house.ask(target, ENGLISH)
    return reply.status, unescape(reply.body.decode())


def own_page(target: str) -> str:
    """Return the page that belongs to a pixel or link."""
    return target.replace("/o/", "/w/").replace("/c/", "/w/").removesuffix(".gif")


async def told_tomorrow(house: Any) -> tuple[Event, ...]:
    """Return the events when this day is over."""
    async with house.stores.ledger.write() as connection:
        await tell_days(connection, datetime.now(UTC) + timedelta(days=1), 100)
    found: tuple[Event, ...] = await house.events()
    return found


async def history(house: Any, address: str = "b@example.org") -> tuple[ConsentTold, ...]:
    async with house.stores.ledger.read() as connection:
        return await consent_history(connection, subject_of(parse_address(address)))


async def states(house: Any, address: str = "b@example.org") -> list[Consent]:
    return [told.state for told in reversed(await history(house, address))]


async def owed(house: Any) -> list[Any]:
    async with house.stores.spool.read() as connection:
        return list((await connection.execute(select(schema.owed_mails))).all())


async def owed_when(house: Any, count: int) -> list[Any]:
    async with asyncio.timeout(DEADLINE_S):
        while len(found := await owed(house)) < count:  # noqa: ASYNC110 - another task writes
            await asyncio.sleep(0.01)
    return found


def link_in(text: str) -> str:
    match = re.search(r"https?://[^/\s]+(/w/confirm/\S+)", text)
    assert match is not None
    return match[1]


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    # Who has the lock may need the loop to give it back.
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_the_page_says_what_is_on_record_and_masks_who_it_is_about(served: Any) -> None:
    await served.send(7, links={1: URL})
    await served.ask(served.pixel(7))
    await served.ask(served.link(7, 1, URL))
    await served.events_when(2)
    for target in (served.pixel(7), served.link(7, 1, URL)):
        status, page = await show(served, own_page(target))
        assert status == 200
        assert "a@example.com" in page
        assert "b…@example.org" in page
        assert "b@example.org" not in page
        assert "its images were loaded" in page
        assert "a link of it was followed" in page
        assert re.search(r"\d{1,2} [A-Z][a-z]+ 20\d\d", page)
        assert "neither agreed nor objected" in page
        assert "not unsubscribing" in page


async def test_a_get_changes_nothing_and_is_no_hit(served: Any) -> None:
    await served.send(7)
    page = own_page(served.pixel(7))
    for target in (page, f"{page}?act=withdraw", "/", "/?link=x"):
        for method in ("GET", "HEAD", "OPTIONS"):
            await served.ask(target, ENGLISH, method)
    assert await states(served) == []
    assert await served.rows(schema.hits) == []
    assert await served.rows(schema.audit) == []


async def test_pages_run_nothing_load_nothing_and_can_not_be_framed(served: Any) -> None:
    await served.send(7)
    for target in ("/", own_page(served.pixel(7)), "/w/nothing", "/w/confirm/nothing"):
        reply = await served.ask(target, ENGLISH)
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        assert "set-cookie" not in reply.headers
        assert b"<script" not in reply.body
        assert b"src=" not in reply.body


async def test_a_withdrawal_is_a_denial_with_its_provenance_and_holds_at_once(served: Any) -> None:
    await served.send(7, links={1: URL})
    await served.send(8)
    status, _, page = await post(served, own_page(served.pixel(7)), act="withdraw")
    assert (status, "not tracked any more" in page) == (200, True)
    (told,) = await history(served)
    assert (told.state, told.method, told.actor) == (Consent.DENIED, Method.FORM, "recipient")
    assert told.source == "http://127.0.0.1:8025/w/"
    assert told.text.startswith("Stop tracking me.")
    for target in (served.pixel(7), served.pixel(8)):  # another mail to him
        assert (await served.ask(target)).status == 200
    assert (await served.ask(served.link(7, 1, URL))).headers["location"] == URL
    assert await served.rows(schema.hits) == []
    status, page = await show(served, own_page(served.pixel(7)))
    assert "stopped tracking on this page on" in page
    assert "Allow it again" in page


async def test_the_sender_is_told_by_whom_and_on_which_day_and_nothing_of_the_mail(
    served: Any,
) -> None:
    await served.send(7)
    for _ in range(2):
        await post(served, own_page(served.pixel(7)), act="withdraw")
    assert await served.events() == ()
    (event,) = await told_tomorrow(served)
    assert (event.type, event.sender) == ("tracking.withdrawn", "a@example.com")
    assert event.recipient == "b@example.org"
    assert (event.send_id, event.message_id, event.subject) == (None, None, None)
    assert (event.timestamp.hour, event.timestamp.minute, event.timestamp.second) == (0, 0, 0)
    assert event.user_agent is event.ip_address is None
    rows = await served.rows(schema.audit)
    assert [(row.actor, row.action, row.subject_kind) for row in rows] == [
        ("recipient", "tracking.withdrawn", "recipient")
    ]
    assert "example.org" not in str(rows)
    assert not hasattr(await verify_audit(served.stores.ledger), "why")


async def test_what_another_site_asks_for_is_not_done(served: Any) -> None:
    cases: tuple[tuple[Mapping[str, str], bool], ...] = (
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://t.example.com"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://t.example.com"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://t.example.com.evil.example"}, False),
    )
    for number, (headers, done) in enumerate(cases):
        await served.send(number, (f"b{number}@example.org",))
        target = own_page(served.pixel(number))
        status, _, _ = await post(served, target, headers, act="withdraw")
        assert status == (200 if done else 403), headers
        told = await states(served, f"b{number}@example.org")
        assert told == ([Consent.DENIED] if done else []), headers


async def test_forged_altered_and_unknown_links_have_one_answer_and_do_nothing(
    served: Any,
) -> None:
    await served.send(7)
    page, link = own_page(served.pixel(7)), own_page(served.link(7, 1, URL))
    flipped = page[:20] + ("A" if page[20] != "A" else "B") + page[21:]
    forged = ("/w/", "/w/x", flipped, f"{page}/example.net", f"{link}x", f"{page[:-1]}", f"{page}A")
    answers = []
    for target in forged:
        reply = await served.ask(target, ENGLISH)
        answers.append(reply.lasting)
        assert (await post(served, target, act="withdraw"))[0] == 404
    assert answers == [answers[0]] * len(forged)
    assert answers[0][0] == 404
    assert await states(served) == []


async def test_an_altered_link_is_read_by_the_stored_one(served: Any) -> None:
    await served.send(7, links={1: URL})
    link = own_page(served.link(7, 1, URL))
    for target in (f"{link}&utm=x", link[:39]):
        status, page = await show(served, target)
        assert (status, "b…@example.org" in page) == (200, True)


@pytest.mark.parametrize("mode", ["shared", "anonymous"])
async def test_by_a_link_of_several_nothing_is_told_of_anybody(served: Any, mode: str) -> None:
    people = ("b@example.org", "c@example.org")
    await served.send(7, people, mode)
    target = own_page(served.pixel(7, anonymous=mode == "anonymous"))
    status, page = await show(served, target)
    assert (status, "example.org" in page) == (200, False)
    assert 'name="address"' in page
    await post(served, target, act="withdraw")
    await post(served, target, act="restore")
    assert [await states(served, one) for one in people] == [[], []]


async def test_who_names_his_address_is_written_to_and_confirms(served: Any) -> None:
    await served.send(7, ("Bo+x@example.org", "c@example.org"), "shared")
    status, _, _ = await post(
        served, own_page(served.pixel(7)), act="ask", address="BO@example.org"
    )
    assert status == 200
    (mail,) = await owed_when(served, 1)
    assert mail.recipient == "Bo+x@example.org"
    assert "confirm" in mail.subject
    link = link_in(mail.text)
    status, page = await show(served, link)
    assert (status, "B…@example.org" in page) == (200, True)
    assert await states(served, "Bo+x@example.org") == []  # a scanner follows links
    status, _, page = await post(served, link, act="confirm")
    assert (status, "not tracked any more" in page) == (200, True)
    (told,) = await history(served, "Bo+x@example.org")
    assert (told.state, told.method, told.actor) == (Consent.DENIED, Method.FORM, "recipient")
    assert "B…@example.org" in told.text
    assert await served.events() == ()  # the sender of an anonymous or shared mail learns nothing


async def test_the_answer_does_not_tell_who_had_the_mail(served: Any) -> None:
    await served.send(7, ("b@example.org", "c@example.org"), "anonymous")
    target = own_page(served.pixel(7, anonymous=True))
    asked = ("b@example.org", "nobody@example.org", "no address", "", "x" * 5000, "b@", "\x00@é")
    answers = [await post(served, target, act="ask", address=one) for one in asked]
    lasting = [(status, {**fields, "date": ""}, body) for status, fields, body in answers]
    assert lasting == [lasting[0]] * len(asked)
    assert len(await owed_when(served, 1)) == 1


@pytest.mark.slow
async def test_nobody_is_written_to_without_end(served: Any) -> None:
    await served.send(7, ("b@example.org", "c@example.org"), "shared")
    target = own_page(served.pixel(7))
    got = [(await post(served, target, act="ask", address="b@example.org"))[0] for _ in range(5)]
    assert got == [200, 200, 200, 429, 429]
    got = [(await post(served, target, act="ask", address=f"n{n}@x.example"))[0] for n in range(30)]
    assert got.count(200) <= 17
    assert 429 in got


async def test_restoring_is_confirmed_by_mail_and_grants_nothing(served: Any) -> None:
    await served.send(7)
    page = own_page(served.pixel(7))
    await post(served, page, act="withdraw")
    status, _, said = await post(served, page, act="restore")
    assert (status, "until then" in said.lower()) == (200, True)
    (mail,) = await owed_when(served, 1)
    assert mail.recipient == "b@example.org"
    assert await states(served) == [Consent.DENIED]
    link = link_in(mail.text)
    await show(served, link)
    assert await states(served) == [Consent.DENIED]
    status, _, said = await post(served, link, act="confirm")
    assert (status, "as it was before" in said) == (200, True)
    assert await states(served) == [Consent.DENIED, Consent.UNKNOWN]
    await served.ask(served.pixel(7))
    (event,) = await served.events_when(1)
    assert event.type == "email.opened"
    _, _, said = await post(served, link, act="confirm")
    assert "nothing to take back" in said


async def test_an_old_mail_does_not_undo_a_later_withdrawal(served: Any) -> None:
    await served.send(7)
    page = own_page(served.pixel(7))
    await post(served, page, act="withdraw")
    await post(served, page, act="restore")
    (mail,) = await owed_when(served, 1)
    link = link_in(mail.text)
    await post(served, link, act="confirm")
    await post(served, page, act="withdraw")
    _, _, said = await post(served, link, act="confirm")
    assert "nothing to take back" in said
    assert (await states(served))[-1] is Consent.DENIED


@pytest.mark.parametrize("before", [Consent.GRANTED, Consent.DENIED])
async def test_what_was_told_elsewhere_is_not_undone_and_never_granted_again(
    served: Any, before: Consent
) -> None:
    await served.send(7)
    address = parse_address("b@example.org")
    told = ConsentTold(before, datetime.now(UTC), Method.CONSOLE, "operator")
    async with served.stores.ledger.write() as connection:
        await tell_consent(connection, subject_of(address), told)
    page = own_page(served.pixel(7))
    if before is Consent.DENIED:
        _, shown = await show(served, page)
        assert "can not be changed here" in shown.replace("\n", " ")
        await post(served, page, act="withdraw")
        await post(served, page, act="restore")
        assert await states(served) == [Consent.DENIED]
        return
    await post(served, page, act="withdraw")
    await post(served, page, act="restore")
    (mail,) = await owed_when(served, 1)
    await post(served, link_in(mail.text), act="confirm")
    assert await states(served) == [Consent.GRANTED, Consent.DENIED, Consent.UNKNOWN]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long before the page."""
    monkeypatch.setattr("collector.wishes.SOON_S", 0.2)


def spilled(house: Any) -> tuple[list[Any], list[Any]]:
    """Return the hits and wishes in the spill."""
    with sqlite3.connect(house.settings.server.state_dir / "spill.db") as spill:
        hits = spill.execute("SELECT copy_id FROM spilled_hits").fetchall()
        wishes = spill.execute("SELECT kind, copy_id FROM spilled_wishes").fetchall()
    spill.close()
    return hits, wishes


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
async def test_while_the_ledger_is_locked_a_withdrawal_is_kept_and_holds(served: Any) -> None:
    await served.send(7, links={1: URL})
    page = own_page(served.pixel(7))
    async with locked(sqlite_file(served.settings.database.url)):
        for _ in range(2):
            status, _, said = await post(served, page, act="withdraw")
            assert (status, "objection is kept" in said) == (200, True)
        assert (await served.ask(served.pixel(7))).status == 200
        assert (await served.ask(served.link(7, 1, URL))).status == 302
        assert spilled(served) == ([], [("withdraw", 7)])
    await served.rows_when(schema.day_events, 1)  # that he has withdrawn, told tomorrow
    assert await states(served) == [Consent.DENIED]
    await served.ask(served.pixel(7))
    assert await served.rows(schema.hits) == []


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
async def test_a_withdrawal_that_waits_holds_over_a_restart(house: Any, serve: Any) -> None:
    async with serve(house):
        await post(house, own_page(house.pixel(7)), act="withdraw")
    async with serve(house):
        assert (await house.ask(house.pixel(7))).status == 200
        assert spilled(house) == ([], [("withdraw", 7)])
        await house.send(7)
        async with asyncio.timeout(DEADLINE_S):
            while spilled(house) != ([], []):  # noqa: ASYNC110 - another task writes
                await asyncio.sleep(0.01)
        assert await states(house) == [Consent.DENIED]


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
async def test_while_the_ledgers_file_is_away_a_withdrawal_waits_for_it(
    house: Any, serve: Any, tmp_path: Path
) -> None:
    await house.send(7)
    file = sqlite_file(house.settings.database.url)
    async with serve(house):
        with closing(sqlite3.connect(file, check_same_thread=False)) as other:
            # Else who connects anew finds the log, and an empty file to bring it into.
            await asyncio.to_thread(other.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
        file.rename(tmp_path / "away.db")
        _, _, said = await post(house, own_page(house.pixel(7)), act="withdraw")
        assert "objection is kept" in said
        await house.ask(house.pixel(7))
        assert spilled(house) == ([], [("withdraw", 7)])


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
async def test_a_withdrawal_of_a_mail_that_is_not_known_yet_waits_for_it(
    house: Any, serve: Any
) -> None:
    async with serve(house):
        status, page = await show(house, own_page(house.pixel(7)))
        assert (status, "Stop tracking me" in page) == (200, True)
        _, _, page = await post(house, own_page(house.pixel(7)), act="withdraw")
        assert "objection is kept" in page
        await house.ask(house.pixel(7))
        await house.send(7)
        await house.rows_when(schema.day_events, 1)
        assert await states(house) == [Consent.DENIED]
        await house.ask(house.pixel(7))
        assert await house.rows(schema.hits) == []


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
async def test_a_withdrawal_that_turns_out_to_be_of_several_makes_the_copy_anonymous(
    house: Any, serve: Any
) -> None:
    async with serve(house):
        await post(house, own_page(house.pixel(7)), act="withdraw")
        people = tuple(f"r{n}@example.org" for n in range(6))
        await house.send(7, people, "shared", relayed=True)
        async with asyncio.timeout(DEADLINE_S):
            while spilled(house) != ([], [("someone", 7)]):  # noqa: ASYNC110 - another task writes
                await asyncio.sleep(0.01)
    async with serve(house):  # it is remembered
        await house.ask(house.pixel(7))
        async with asyncio.timeout(DEADLINE_S):
            while not (opened := await told_opens(house)):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
    assert [(event.attribution, event.candidates, event.ip_address) for event in opened] == [
        ("anonymous", (), None)
    ]
    assert await house.rows(schema.consents) == []


async def told_opens(house: Any) -> list[Any]:
    return [event for event in await house.events() if event.type == "email.opened"]


async def test_where_nothing_can_be_written_the_page_says_so(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.send(7)

    def fail(_connection: object, **_more: object) -> None:
        msg = "no room"
        raise OSError(msg)

    monkeypatch.setattr("collector.wishes.insert_wish", fail)
    status, _, page = await post(served, own_page(served.pixel(7)), act="withdraw")
    assert (status, "nothing was changed" in page) == (503, True)
    assert await states(served) == []


async def test_what_is_pasted_leads_to_its_page(served: Any) -> None:
    await served.send(7, links={1: URL})
    link = f"https://t.example.com{served.link(7, 1, URL)}"
    wrapped = f"https://x.safelinks.protection.outlook.com/?url={quote(link, safe='')}&data=1"
    for pasted in (link, f"https://other.example{served.link(7, 1, URL)}#end", wrapped):
        status, fields, _ = await post(served, "/", link=pasted)
        assert (status, fields["location"]) == (303, own_page(served.link(7, 1, URL)))
    status, fields, _ = await post(served, "/", link=f'<img src="{served.pixel(7)}">')
    assert (status, fields["location"]) == (303, own_page(served.pixel(7)))


async def test_what_holds_no_link_of_ours_is_told_in_every_language(served: Any) -> None:
    for language in ("en", "de", "sv"):
        headers = {"Accept-Language": language}
        status, fields, page = await post(served, "/", headers, link="https://example.net/")
        assert (status, fields["content-language"]) == (422, language)
        assert 'role="alert"' in page
        assert f'<html lang="{language}">' in page


async def test_nothing_that_is_pasted_gets_into_a_header_or_the_page(served: Any) -> None:
    token = served.pixel(7)[3:39]
    hostile = (
        f"/c/{token}/a\r\nSet-Cookie:x=1",
        f"/c/{token}/\x00\x7f\u2028",
        f"/c/{token}/é<script>alert(1)</script>",
        f'/w/{token}/"><script>alert(1)</script>',
    )
    for pasted in hostile:
        _, fields, page = await post(served, "/", link=pasted)
        assert "set-cookie" not in fields
        assert fields.get("location", "").isascii()
        assert "<script" not in page


async def test_an_address_on_the_page_is_text(served: Any) -> None:
    await served.send(7, ('"<b>x"@example.org',))
    reply = await served.ask(own_page(served.pixel(7)), ENGLISH)
    assert b"<b>" not in reply.body


async def test_the_operator_speaks_for_himself(house: Any, serve: Any) -> None:
    said = {"notice": "Example Ltd.\n\nLegitimate <interest>", "contact": "privacy@example.com"}
    async with serve(house, privacy=said):
        _, page = await show(house, "/")
    assert '<p class="kept">Example Ltd.</p>' in page
    assert "privacy@example.com" in page
    assert "Legitimate <interest>" in page  # unescaped by show


async def test_other_methods_are_refused(served: Any) -> None:
    for target in ("/", own_page(served.pixel(7))):
        reply = await served.ask(target, ENGLISH, "DELETE")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert (await post(served, "/healthz"))[0] == 405
    assert (await post(served, served.pixel(7)))[0] == 405


async def test_a_form_that_is_too_long_is_no_form(served: Any) -> None:
    await served.send(7)
    status, _, _ = await post(
        served, own_page(served.pixel(7)), filler="x" * 200_000, act="withdraw"
    )
    assert status == 200
    assert await states(served) == []
