"""The sandbox's mailbox over real HTTP."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console import captured
from collector.console.captured import group_by_send, read_cursor, write_cursor

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SEND = "01HZZZZZZZZZZZZZZZZZZZZZZ{}"


async def test_the_first_run_says_what_to_do(console: Any) -> None:
    _, page, _ = await (await console.signed_in()).get("/captured")
    assert "No mail has been captured yet" in page
    assert ".venv/bin/indicia sandbox send" in page


async def test_each_recipient_has_his_copy(console: Any, seed_demo: Any) -> None:
    await seed_demo(console)
    person = await console.signed_in()
    _, page, _ = await person.get("/captured")
    rows = re.findall(r'href="/captured/(\d+)".*?</a>', page, re.DOTALL)
    assert rows == ["1001", "1002", "1003", "1004"]
    _, page, _ = await person.get("/captured/1003")
    assert "<strong>dave@example.net</strong> (Bcc)" in page
    assert "You stand in for the recipient" in page
    assert "Our offer for 2027 – Grüße" in page
    assert "here is our offer: " in page
    assert "<dt>X-For</dt><dd>dave@example.net</dd>" in page
    _, page, _ = await person.get("/captured/1004")
    assert "Nothing in it is tracked." in page


def test_the_copies_of_a_mail_stand_together_to_before_cc_before_bcc(captured_copy: Any) -> None:
    first, second = SEND.format("A"), SEND.format("B")
    groups = group_by_send(
        (
            captured_copy(1, first, ("bcc", "a@x.example")),
            captured_copy(2, second, ("to", "z@x.example")),
            captured_copy(3, first, ("cc", "b@x.example")),
            captured_copy(4, first, ("to", "c@x.example"), ("to", "d@x.example")),
            captured_copy(5, first, ("resent", "e@x.example")),
        )
    )
    assert [group.send_id for group in groups] == [first, second]
    assert [copy.copy_id for copy in groups[0].copies] == [5, 4, 3, 1]
    assert group_by_send(()) == ()


async def test_every_copy_is_on_exactly_one_page(
    console: Any, captured_copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "PAGE_COPIES", 3)
    # The copies of one mail are captured in one step, so many have the same instant.
    await console.capture(
        *(
            captured_copy(number, SEND.format(number % 2), ("to", "a@x.example"), captured_at=NOON)
            for number in range(1, 9)
        ),
        captured_copy(
            9, SEND.format("X"), ("to", "a@x.example"), captured_at=NOON - timedelta(seconds=1)
        ),
    )
    person = await console.signed_in()
    path, seen = "/captured", []
    while path:
        _, page, _ = await person.get(path)
        seen += re.findall(r'href="/captured/(\d+)"', page)
        older = re.search(r'href="(/captured\?before=[\d-]+)"', page)
        path = older[1] if older else ""
    assert sorted(seen) == list("123456789")
    assert seen[-1] == "9"
    _, page, _ = await person.get("/captured?before=0-0")
    assert "There is nothing older." in page
    assert (await person.get("/captured", params={"before": "' OR 1"}))[0] == 200


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - strategies take naive bounds
    st.integers(0, 2**63 - 1),
)
def test_a_cursor_is_read_as_it_was_written(at: datetime, copy_id: int) -> None:
    from ledger.spooled import CapturedCopy  # noqa: PLC0415 - only here

    copy = CapturedCopy(copy_id, "", at, None, (), "off", None, b"")
    assert read_cursor(write_cursor(copy)) == (at, copy_id)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-9223372036854775808", "a-b", "1-²"])
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert read_cursor(text) is None


async def test_the_body_may_run_nothing_and_belongs_to_no_site(
    console: Any, captured_copy: Any
) -> None:
    hostile = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script><form action=/logout>"
    await console.capture(captured_copy(7, SEND.format("A"), ("to", "a@x.example"), raw=hostile))
    person = await console.signed_in()
    status, body, headers = await person.get("/captured/7/body")
    assert status == 200
    policy = dict(
        [*rule.split(" ", 1), ""][:2] for rule in headers["Content-Security-Policy"].split("; ")
    )
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script>alert(1)</script>" in body
    _, page, _ = await person.get("/captured/7")
    assert "alert(1)" not in page
    (frame,) = re.findall(r"<iframe[^>]*>", page)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert 'src="/captured/7/body"' in frame


async def test_a_copy_is_given_as_it_was_sent(console: Any, captured_copy: Any) -> None:
    raw = bytes(range(256)) + b"\r\n<script>alert(1)</script>\r\n"
    await console.capture(captured_copy(7, SEND.format("A"), ("to", "a@x.example"), raw=raw))
    person = await console.signed_in()
    async with person.http.get(console.base + "/captured/7/mail.eml") as response:
        assert await response.read() == raw
        assert response.headers["Content-Type"] == "message/rfc822"
        assert response.headers["Content-Disposition"] == 'attachment; filename="7.eml"'
        assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


async def test_a_mail_in_plain_text_is_shown_with_its_links(
    console: Any, captured_copy: Any
) -> None:
    text = b"Subject: x\r\n\r\nSee https://a.example/x\r\n"
    await console.capture(captured_copy(7, SEND.format("A"), ("to", "a@x.example"), raw=text))
    person = await console.signed_in()
    _, page, _ = await person.get("/captured/7")
    assert '<a href="https://a.example/x" target="_blank" rel="noreferrer noopener">' in page
    assert "<iframe" not in page
    assert (await person.get("/captured/7/body"))[0] == 404


async def test_attachments_are_listed(console: Any, captured_copy: Any) -> None:
    raw = b'Content-Type: application/pdf; name="a.pdf"\r\n\r\n' + b"x" * 3_000_000
    await console.capture(captured_copy(7, SEND.format("A"), ("to", "a@x.example"), raw=raw))
    _, page, _ = await (await console.signed_in()).get("/captured/7")
    assert "a.pdf" in page
    assert "2.9 MB" in page
    assert "This mail has no text to show." in page


@pytest.mark.parametrize("path", ["8", "8/body", "8/mail.eml", "9999999999999999999"])
async def test_a_copy_that_is_not_there_is_not_found(console: Any, path: str) -> None:
    status, page, _ = await (await console.signed_in()).get(f"/captured/{path}")
    assert status == 404
    assert "it has been cleared away" in page
