"""The log's lines of a settlement."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from ledger.address import parse_address
from ledger.fate import Fate
from ledger.mode import TrackingMode
from relay.conclude import Attempt, Drawn, Terms, conclude_attempt
from relay.mail import Copy, Recipient, RecipientType
from relay.notice import Names
from relay.promise import Claim
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.retry import RetryTimes, Tries
from relay.tell import tell_settlement
from relay.template import Template

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
LATER = Deferred(Reply(451, "4.2.1", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))
DRAWN = Drawn(0.0, Names("BOUNCE", "E1", 71, 3), Names("DELAY", "E2", 72, 3))
CLAIM = Claim(
    copy=Copy(5, "SEND", TrackingMode.OFF, None, 0, ()),
    lease="LEASE",
    sender=parse_address("alice@example.com"),
    template=Template(b"Subject: x\r\n\r\n", (), ""),
    tries=Tries(),
    received_at=NOW,
    message_id="m@example.com",
    subject="x",
    account=None,
    smtputf8=False,
    body_8bit=False,
    delay_noticed=False,
)


def told(*outcomes: Outcome, held: bool = True, **values: Any) -> list[dict[str, Any]]:
    recipients = tuple(
        Recipient(parse_address(f"r{at}@example.org"), RecipientType.TO)
        for at in range(len(outcomes))
    )
    claim = replace(CLAIM, copy=replace(CLAIM.copy, recipients=recipients), **values)
    attempt = Attempt(NOW, outcomes, "default", "smtp.example.net")
    terms = Terms("relay.example", RetryTimes())
    with structlog.testing.capture_logs() as logs:
        tell_settlement(claim, conclude_attempt(claim, attempt, terms, DRAWN), held=held)
    assert all((line["copy_id"], line["send_id"]) == (5, "SEND") for line in logs)
    assert "example.org" not in str(logs), "a recipient stands in the log"
    return [dict(line) for line in logs]


def test_each_kind_of_outcome_is_a_line_with_how_many_it_was_for() -> None:
    delivered, deferred, failed, bounce = told(TAKEN, LATER, TAKEN, NEVER)
    assert (delivered["event"], delivered["recipients"]) == ("copy.delivered", 2)
    assert (deferred["event"], deferred["reply"]) == ("copy.deferred", "451 4.2.1 later")
    assert (deferred["attempt"], deferred["due_at"]) == (1, "2026-11-24T12:01:00.000Z")
    assert (failed["event"], failed["upstream"]) == ("copy.failed", "default")
    assert (bounce["event"], bounce["report"]) == ("bounce.queued", "BOUNCE")
    assert bounce["message_id"] == "BOUNCE@relay.example"


def test_a_notice_of_delay_and_a_bounce_are_told_apart() -> None:
    late = {"received_at": NOW - timedelta(hours=5)}
    assert [(line["event"], line.get("report")) for line in told(LATER, NEVER, **late)][2:] == [
        ("bounce.queued", "BOUNCE"),
        ("delay_notice.queued", "DELAY"),
    ]
    assert [line["event"] for line in told(LATER, **late)] == [
        "copy.deferred",
        "delay_notice.queued",
    ]


def test_what_is_given_up_in_silence_has_no_report() -> None:
    assert [line["event"] for line in told(NEVER, fate=Fate.SILENT)] == ["copy.failed"]


def test_a_dead_letter_is_a_warning() -> None:
    failed, dead = told(NEVER, sender=None)
    assert (failed["event"], dead["event"]) == ("copy.failed", "dead_letter.kept")
    assert dead["log_level"] == "warning"


def test_of_a_lost_lease_nothing_else_is_told() -> None:
    assert [line["event"] for line in told(NEVER, held=False)] == ["copy.lease_lost"]


def test_why_tracking_was_withdrawn_is_told() -> None:
    assert told(TAKEN, withdrawn="consent")[0]["why"] == "consent"
