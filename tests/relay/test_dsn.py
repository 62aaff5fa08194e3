import email
import email.policy
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import parse_address
from relay.dsn import (
    MAX_HEADER_BYTES,
    Reporter,
    Undelivered,
    Unserved,
    write_bounce,
    write_delay_notice,
)
from relay.reply import Reply

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REPORTER = Reporter("relay.example", "01REPORT", NOW)
ORIGINAL = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nThe secret body\r\n"


def undelivered(
    sender: Any = "a@example.com", original: Any = ORIGINAL, message_id: Any = "m1@example.com"
) -> Any:
    return Undelivered(parse_address(sender), NOW - timedelta(hours=5), original, message_id)


def unserved(
    address: Any = "b@example.org",
    code: Any = 550,
    enhanced: Any = "5.1.1",
    text: Any = "no such user",
) -> Any:
    return Unserved(parse_address(address), Reply(code, enhanced, text), "smtp.example.net")


def parsed(raw: bytes) -> Any:
    """The report, its human text, its per-message and per-recipient fields, the quoted header."""
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert not message.defects
    human, status, header = message.iter_parts()
    assert [part.get_content_type() for part in (human, status, header)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    per_message, *per_recipient = status.get_payload()
    return message, human.get_content(), per_message, per_recipient, header.get_content()


def test_a_bounce_is_a_report_that_parses() -> None:
    raw = write_bounce(
        undelivered(), [unserved(), unserved("c@example.org", 554, "", "no")], REPORTER
    )
    message, human, per_message, per_recipient, header = parsed(raw)
    assert message["To"] == "a@example.com"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<m1@example.com>"
    assert message["Message-ID"] == "<01REPORT@relay.example>"
    assert "b@example.org" in human
    assert "no such user" in human
    assert per_message["Reporting-MTA"] == "dns; relay.example"
    assert per_message["Arrival-Date"] == "Tue, 24 Nov 2026 07:00:00 +0000"
    assert [
        (one["Final-Recipient"], one["Action"], one["Status"], one["Remote-MTA"])
        for one in per_recipient
    ] == [
        ("rfc822; b@example.org", "failed", "5.1.1", "dns; smtp.example.net"),
        ("rfc822; c@example.org", "failed", "5.0.0", "dns; smtp.example.net"),
    ]
    assert per_recipient[0]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert header.split() == ORIGINAL.partition(b"\r\n\r\n")[0].decode().split()
    assert b"secret" not in raw


def test_a_delay_notice_says_until_when_it_is_tried() -> None:
    until = NOW + timedelta(days=4)
    raw = write_delay_notice(undelivered(), [unserved(code=451, enhanced="4.2.1")], REPORTER, until)
    message, human, _, (one,), _ = parsed(raw)
    assert "waits" in message["Subject"]
    assert "tried again" in human
    assert (one["Action"], one["Status"]) == ("delayed", "4.2.1")
    assert one["Will-Retry-Until"] == "Sat, 28 Nov 2026 12:00:00 +0000"


@pytest.mark.parametrize(
    ("code", "enhanced", "status"),
    [
        (550, "5.1.1", "5.1.1"),
        (550, "", "5.0.0"),
        (451, "", "4.0.0"),
        (451, "4.4.7", "4.4.7"),
        (550, "nonsense", "5.0.0"),
    ],
)
def test_a_failure_after_retries_keeps_its_4xx(code: Any, enhanced: Any, status: Any) -> None:
    *_, (one,), _ = parsed(
        write_bounce(undelivered(), [unserved(code=code, enhanced=enhanced)], REPORTER)
    )
    assert one["Status"] == status


def test_an_internationalised_recipient_is_named_in_xtext() -> None:
    raw = write_bounce(undelivered(), [unserved("jörg+a=b@exämple.org")], REPORTER)
    assert raw.isascii()
    *_, (one,), _ = parsed(raw)
    assert one["Final-Recipient"] == r"utf-8; j\x{F6}rg\x{2B}a\x{3D}b@ex\x{E4}mple.org"


def test_an_internationalised_sender_is_addressed_in_utf8() -> None:
    raw = write_bounce(undelivered("jörg@example.com"), [unserved()], REPORTER)
    assert "To: <jörg@example.com>\r\n".encode() in raw


@pytest.mark.parametrize("message_id", [None, "", "a b@x", "x>\r\nBcc: y@z", "ü@x"])
def test_a_message_id_that_is_none_is_not_answered(message_id: Any) -> None:
    raw = write_bounce(undelivered(message_id=message_id), [unserved()], REPORTER)
    message, *_ = parsed(raw)
    assert message["In-Reply-To"] is None
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    "original",
    [
        b"",
        b"\r\nbody only\r\n",
        b"Subject: no end\r\n",
        b"no line end at all",
        b"Subject: \xc3\xbc\r\n\r\n",
        b"Subject: \xff\xfe =\t \r\nX: y \r\n\r\nbody\r\n",
        b"X: " + b"long " * 400 + b"\r\n\r\nbody\r\n",
        b"..Dot: stuffed\r\nSubject: x\r\n\r\nbody\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\nbody",
    ],
)
def test_whatever_the_original_is_the_report_parses_and_has_no_body(original: Any) -> None:
    raw = write_bounce(undelivered(original=original), [unserved()], REPORTER)
    *_, header = parsed(raw)
    assert "body" not in header
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert len(raw) < MAX_HEADER_BYTES * 1.5
    if b"Dot" in original:
        assert header.startswith(".Dot: stuffed")
    if b"\xc3\xbc" in original:
        assert header.strip() == "Subject: ü"


RUDE = st.text(
    st.one_of(st.sampled_from("\r\n\0\x1b<>&=?%.-: ü\u2028\ud800"), st.characters()), max_size=700
)


@settings(max_examples=60)
@given(RUDE, st.lists(st.sampled_from("bcdefg"), min_size=1, max_size=5, unique=True))
def test_law_of_the_bounce(text: Any, names: Any) -> None:
    """Law: it names exactly the recipients of `unserved`."""
    some = [unserved(f"{name}@example.org", text=text) for name in names]
    raw = write_bounce(undelivered(), some, REPORTER)
    message, _, _, per_recipient, header = parsed(raw)
    assert [one["Final-Recipient"] for one in per_recipient] == [
        f"rfc822; {name}@example.org" for name in names
    ]
    assert set(message.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert {key for one in per_recipient for key in one} == {
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    }
    assert header.count("\n") == 3
    assert raw.isascii()
    assert re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw) is None
    assert max(map(len, raw.split(b"\r\n"))) <= 998
