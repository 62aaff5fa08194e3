import email
import email.policy
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address, parse_address
from ledger.mode import TrackingMode
from relay.conclude import Attempt, Drawn, Terms, conclude_attempt
from relay.mail import Copy, Recipient, RecipientType
from relay.notice import Names
from relay.outgoing import single_dots
from relay.promise import Claim, Settlement
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.retry import RetryTimes
from relay.template import Template

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TERMS = Terms("relay.example", RetryTimes())
DRAWN = Drawn(0.0, Names("BOUNCE", "E1", 71, 3), Names("DELAY", "E2", 72, 3))
ORIGINAL = b"Subject: x\r\n\r\nbody\r\n"
TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
LATER = Deferred(Reply(451, "4.2.1", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))
ALICE = parse_address("alice@example.com")


def claim(
    number: int,
    sender: Address | None = ALICE,
    attempts: int = 0,
    age: timedelta = timedelta(),
    *,
    delay_noticed: bool = False,
) -> Claim:
    recipients = tuple(
        Recipient(parse_address(f"r{at}@example.org"), RecipientType.TO) for at in range(number)
    )
    return Claim(
        copy=Copy(5, "SEND", TrackingMode.OFF, None, 0, recipients),
        lease="LEASE",
        sender=sender,
        template=Template(ORIGINAL, (), ""),
        attempts=attempts,
        received_at=NOW - age,
        message_id="m@example.com",
        subject="x",
        account=None,
        smtputf8=False,
        body_8bit=False,
        delay_noticed=delay_noticed,
    )


def conclude(given_claim: Claim, *outcomes: Outcome) -> Settlement:
    attempt = Attempt(NOW, outcomes, "default", "smtp.example.net")
    return conclude_attempt(given_claim, attempt, TERMS, DRAWN)


def reports(settlement: Settlement) -> list[tuple[str, list[str]]]:
    """What each notice says and of whom."""
    found = []
    for notice in settlement.notices:
        raw = single_dots(notice.template.original)
        status = email.message_from_bytes(raw, policy=email.policy.SMTP).get_payload(1)
        fields = status.get_payload()[1:]  # type: ignore[union-attr] # it is multipart
        found.append((str(fields[0]["Action"]), [str(one["Final-Recipient"]) for one in fields]))
    return found


def test_all_delivered_is_settled_and_nobody_is_told() -> None:
    settlement = conclude(claim(2), TAKEN, TAKEN)
    assert [outcome for _, outcome in settlement.outcomes] == [TAKEN, TAKEN]
    assert (settlement.copy_id, settlement.lease, settlement.upstream) == (5, "LEASE", "default")
    assert (settlement.due_at, settlement.notices) == (None, ())


def test_the_deferred_are_due_again() -> None:
    settlement = conclude(claim(2), TAKEN, LATER)
    assert settlement.due_at == NOW + timedelta(seconds=60)
    assert settlement.notices == ()


def test_a_bounce_is_untracked_mail_from_nobody_to_the_sender() -> None:
    (notice,) = conclude(claim(2), TAKEN, NEVER).notices
    assert reports(conclude(claim(2), TAKEN, NEVER)) == [("failed", ["rfc822; r1@example.org"])]
    assert notice.submission.envelope.sender is None
    assert notice.submission.envelope.recipients == (ALICE,)
    assert notice.template.layouts == ()
    (copy,) = notice.copies
    assert (copy.copy_id, copy.mode, copy.layout, copy.key_id) == (71, TrackingMode.OFF, None, 3)
    assert copy.send_id == notice.submission.send_id == notice.fact.send_id == "BOUNCE"
    assert notice.fact.copies[0].recipients[0].event_id == "E1"
    assert notice.fact.message_id == "BOUNCE@relay.example"


def test_a_delay_is_told_once() -> None:
    late = timedelta(hours=5)
    first = conclude(claim(2, age=late), LATER, TAKEN)
    assert reports(first) == [("delayed", ["rfc822; r0@example.org"])]
    assert first.delay_noticed
    again = conclude(claim(1, age=late, delay_noticed=True), LATER)
    assert again.notices == ()
    assert again.delay_noticed


def test_what_was_tried_long_enough_fails_with_the_last_reply() -> None:
    settlement = conclude(claim(1, attempts=200, age=timedelta(days=6)), LATER)
    assert [outcome for _, outcome in settlement.outcomes] == [Failed(LATER.reply)]
    assert settlement.due_at is None
    assert reports(settlement) == [("failed", ["rfc822; r0@example.org"])]


def test_nobody_is_told_about_mail_from_nobody() -> None:
    settlement = conclude(claim(2, sender=None, age=timedelta(hours=5)), NEVER, LATER)
    assert settlement.notices == ()
    assert not settlement.delay_noticed


def test_a_report_to_an_internationalised_sender_needs_smtputf8() -> None:
    (notice,) = conclude(claim(1, sender=parse_address("jörg@example.com")), NEVER).notices
    assert notice.submission.envelope.smtputf8


def test_without_a_host_we_speak_ourselves() -> None:
    attempt = Attempt(NOW, (NEVER,), "", "")
    (notice,) = conclude_attempt(claim(1), attempt, TERMS, DRAWN).notices
    assert b"Remote-MTA: dns; relay.example\r\n" in notice.template.original


@given(
    st.lists(st.sampled_from([TAKEN, LATER, NEVER]), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([(0, 0), (3, 5), (300, 200)]),
    st.booleans(),
)
def test_law_of_the_conclusion(
    outcomes: list[Outcome], has_sender: bool, tried: tuple[int, int], noticed: bool
) -> None:
    """Law: every recipient is delivered, failed or due again, and each who fails is named in a
    report to the sender if there is one."""
    attempts, hours = tried
    one = claim(
        len(outcomes),
        ALICE if has_sender else None,
        attempts,
        timedelta(hours=hours),
        delay_noticed=noticed,
    )
    settlement = conclude(one, *outcomes)
    assert [recipient for recipient, _ in settlement.outcomes] == list(one.copy.recipients)
    ended = [outcome for _, outcome in settlement.outcomes]
    assert (settlement.due_at is not None) == any(isinstance(out, Deferred) for out in ended)
    failed = [
        f"rfc822; {recipient.address}"
        for recipient, outcome in settlement.outcomes
        if isinstance(outcome, Failed)
    ]
    told = [whom for action, whom in reports(settlement) if action == "failed"]
    assert told == ([failed] if failed and has_sender else [])
