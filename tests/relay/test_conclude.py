import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address, parse_address
from ledger.fate import Fate
from ledger.mode import TrackingMode
from relay.conclude import Attempt, Drawn, Terms, conclude_attempt
from relay.mail import Copy, Recipient, RecipientType
from relay.notice import Names
from relay.outgoing import single_dots
from relay.promise import Claim, Settlement
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.retry import RetryTimes, Tries
from relay.template import Template

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TERMS = Terms("relay.example", RetryTimes())
DRAWN = Drawn(0.0, Names("BOUNCE", "E1", 71, 3), Names("DELAY", "E2", 72, 3))
ORIGINAL = b"Subject: x\r\n\r\nbody\r\n"
TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
LATER = Deferred(Reply(451, "4.2.1", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))
UNTRIED = Tries()
WORN = Tries(130, NOW - timedelta(hours=1), 432_000)
"""All of its life is over."""
ALICE = parse_address("alice@example.com")


def claim(
    number: int,
    sender: Address | None = ALICE,
    tries: Tries = UNTRIED,
    age: timedelta = timedelta(),
    *,
    delay_noticed: bool = False,
    fate: Fate | None = None,
) -> Claim:
    recipients = tuple(
        Recipient(parse_address(f"r{at}@example.org"), RecipientType.TO) for at in range(number)
    )
    return Claim(
        copy=Copy(5, "SEND", TrackingMode.OFF, None, 0, recipients),
        lease="LEASE",
        sender=sender,
        template=Template(ORIGINAL, (), ""),
        tries=tries,
        received_at=NOW - age,
        message_id="m@example.com",
        subject="x",
        account=None,
        smtputf8=False,
        body_8bit=False,
        delay_noticed=delay_noticed,
        fate=fate,
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
    settlement = conclude(claim(1, tries=WORN, age=timedelta(days=6)), LATER)
    assert [outcome for _, outcome in settlement.outcomes] == [Failed(LATER.reply)]
    assert settlement.due_at is None
    assert reports(settlement) == [("failed", ["rfc822; r0@example.org"])]


def test_nobody_is_told_about_mail_from_nobody() -> None:
    settlement = conclude(claim(2, sender=None, age=timedelta(hours=5)), NEVER, LATER)
    assert settlement.notices == ()
    assert not settlement.delay_noticed
    assert settlement.fate is Fate.DEAD


def test_what_an_admin_gives_up_is_no_dead_letter() -> None:
    assert conclude(claim(1, sender=None, fate=Fate.BOUNCE), NEVER).fate is None


def test_a_dead_letter_stays_one_however_the_others_fare() -> None:
    assert conclude(claim(1, sender=None, fate=Fate.DEAD), TAKEN).fate is Fate.DEAD


def test_a_delay_is_told_when_it_is_given_up_by_what_has_waited() -> None:
    (notice,) = conclude(
        claim(1, tries=Tries(9, NOW, 20_000), age=timedelta(hours=5)), LATER
    ).notices
    until = format_datetime(NOW + timedelta(seconds=432_000 - 20_000))
    assert f"Will-Retry-Until: {until}".encode() in notice.template.original


def test_a_report_quotes_the_header_of_the_original_and_not_its_body() -> None:
    (notice,) = conclude(claim(1), NEVER).notices
    raw = single_dots(notice.template.original)
    assert b"Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n" in raw
    assert raw.endswith(b"\r\nSubject: x\r\n\r\n--=_BOUNCE--\r\n")


def test_law_of_reports_on_reports() -> None:
    """Law: what has no sender makes no report; who fails of it makes it a dead letter."""
    dice = Random(20261124)
    for _ in range(10_000):
        outcomes = dice.choices([TAKEN, LATER, NEVER], k=dice.randint(1, 4))
        tries = dice.choice([UNTRIED, Tries(3, NOW, 300), WORN])
        age = timedelta(hours=dice.uniform(0, 300))
        one = claim(len(outcomes), None, tries, age, delay_noticed=dice.random() < 0.5)
        settlement = conclude(one, *outcomes)
        failed = any(isinstance(outcome, Failed) for _, outcome in settlement.outcomes)
        assert settlement.notices == ()
        assert (settlement.fate is Fate.DEAD) == failed


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
    st.sampled_from([(UNTRIED, 0), (Tries(3, NOW, 300), 5), (WORN, 200)]),
    st.booleans(),
    st.sampled_from([None, *Fate]),
)
def test_law_of_the_conclusion(
    outcomes: list[Outcome],
    has_sender: bool,
    tried: tuple[Tries, int],
    noticed: bool,
    fate: Fate | None,
) -> None:
    """Law: every recipient is delivered, failed or due again, and each who fails is named in a
    report to the sender if there is one, unless an admin has given the copy up in silence."""
    tries, hours = tried
    one = claim(
        len(outcomes),
        ALICE if has_sender else None,
        tries,
        timedelta(hours=hours),
        delay_noticed=noticed,
        fate=fate,
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
    is_told = has_sender and fate is not Fate.SILENT
    assert told == ([failed] if failed and is_told else [])
