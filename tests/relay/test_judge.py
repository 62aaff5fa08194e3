"""What may be tracked, and for whom."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.consent import Consents, digest_of, parse_subject
from ledger.mode import TrackingMode
from relay.intake import prepare_send
from relay.judge import LOOP_RECEIVED, judge
from relay.mail import Client, Envelope, RecipientType, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy, Rule
from relay.reply import Reply
from relay.verdict import (
    Accept,
    Because,
    Clicks,
    IgnoredControl,
    PassReason,
    Reason,
    Refuse,
    Verdict,
)

POLICY = Policy(
    "relay.example.com", "https://t.example.com", unknown_consent=TrackingMode.INDIVIDUAL
)


def submit(
    *fields: str, sender: str | None = "ann@sales.example", to: str = "bob@example.org"
) -> Submission:
    envelope = Envelope(
        parse_address(sender) if sender else None, tuple(map(parse_address, to.split()))
    )
    raw = "\r\n".join([*fields, "Content-Type: text/html", "", "<p>Hello</p>", ""]).encode()
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    return Submission("S", envelope, raw, at, Client("127.0.0.1", "localhost"))


def verdict_on(submission: Submission, policy: Policy = POLICY) -> Verdict:
    return judge(submission, parse_entity(submission.raw), policy)


def accepted(submission: Submission, policy: Policy = POLICY) -> Accept:
    verdict = verdict_on(submission, policy)
    assert isinstance(verdict, Accept)
    return verdict


def named(reason: Reason) -> str:
    """Return a reason as the table writes it."""
    if reason.because is Because.CEILING:
        option = reason.name.removeprefix("tracking.")
        return "ceiling" if option == reason.of else f"ceiling {option}"
    if reason.because in {Because.RULE, Because.HEADER}:
        return f"{reason.because} {reason.name}"
    if (reason.because, reason.name) == (Because.CONSENT, "denied"):
        return "consent denied"
    option = {
        Because.MAX_COPIES: "max_copies",
        Because.INTERNAL: "internal_domains",
        Because.SEAT: "seats",
        Because.CONSENT: "unknown_consent",
    }[reason.because]
    assert reason.name == f"tracking.{option}"
    return str(reason.because)


def test_the_decision_table_holds(policy_row: Any) -> None:
    verdict = accepted(policy_row.submission, policy_row.policy).treatments[0]
    assert verdict.recipient == policy_row.recipient
    treatment = verdict.treatment
    assert (treatment.mode, treatment.opens, treatment.clicks) == (
        policy_row.mode,
        policy_row.opens,
        policy_row.clicks,
    )
    assert [reason.of for reason in verdict.reasons] == ["mode", "opens", "clicks"]
    assert tuple(map(named, verdict.reasons)) == policy_row.because


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (["To: bob@example.org"], "to"),
        (["Cc: bob@example.org"], "cc"),
        (["Bcc: bob@example.org"], "bcc"),
        ([], "bcc"),
        (["To: Bob <BOB@Example.org>, x@y.example", "Cc: bob@example.org"], "to"),
        (["Cc: bob@example.org", "To: x@y.example"], "cc"),
        (["To: x@y.example", "TO:\r\n team: Bob\r\n\t<bob@example.org>;"], "to"),
        (['To: "bob"@example.org'], "to"),
        (["To: =?utf-8?q?B=C3=B6b=2C?= <bob@example.org>"], "to"),
        (["To: Böb <bob@example.org>"], "to"),
        (["To: bob@example.org.evil.example"], "bcc"),
        (['To: "bob@example.org" <x@y.example>'], "bcc"),
        (["Resent-To: bob@example.org"], "bcc"),
    ],
)
def test_the_type_of_a_recipient_is_the_first_of_to_and_cc_that_names_him_else_bcc(
    fields: list[str], kind: str
) -> None:
    (verdict,) = accepted(submit(*fields)).treatments
    assert verdict.recipient_type == kind


def test_a_latin_1_name_in_the_header_hides_nobody() -> None:
    submission = submit("To: Bob <bob@example.org>")
    submission = replace(submission, raw=submission.raw.replace(b"Bob", b"B\xf6b"))
    assert accepted(submission).treatments[0].recipient_type is RecipientType.TO


def test_verdicts_are_in_the_order_of_the_envelope() -> None:
    submission = submit("To: c@x.example", to="a@x.example b@x.example c@x.example")
    assert [str(one.recipient) for one in accepted(submission).treatments] == [
        "a@x.example",
        "b@x.example",
        "c@x.example",
    ]


@pytest.mark.parametrize("count", [0, 1, LOOP_RECEIVED - 1])
def test_a_message_may_have_come_a_long_way(count: int) -> None:
    assert isinstance(verdict_on(submit(*["Received: from a by b"] * count)), Accept)


def test_a_message_in_a_loop_is_refused() -> None:
    fields = [f"{'RECEIVED' if number % 2 else 'Received'}: x" for number in range(LOOP_RECEIVED)]
    assert verdict_on(submit(*fields)) == Refuse(
        Reply(554, "5.4.6", "Too many hops: this message is in a loop")
    )


def test_received_fields_of_an_attached_message_are_not_counted() -> None:
    submission = submit()
    attached = "Received: x\r\n" * 60
    raw = (
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        f"Content-Type: message/rfc822\r\n\r\n{attached}\r\n--b--\r\n"
    )
    assert isinstance(verdict_on(replace(submission, raw=raw.encode())), Accept)


def test_tags_and_metadata_are_noted_once_in_order() -> None:
    verdict = accepted(
        submit(
            "X-Indicia-Tag: spring, sale",
            "X-PM-Tag: sale",
            "X-Indicia-Metadata-Deal: =?utf-8?q?f=C3=BCnf?=",
            "X-Indicia-Metadata-team: fünf",
        )
    )
    assert verdict.tags == ("spring", "sale")
    assert verdict.metadata == {"Deal": "fünf", "team": "fünf"}
    assert verdict.ignored == ()


def test_an_ignored_control_is_told() -> None:
    verdict = accepted(submit("x-indicia-track: maybe", "X-Indicia-Opens:"))
    assert verdict.ignored == (
        IgnoredControl(
            "X-Indicia-Track", "maybe", "is not one of off, anonymous, shared, individual"
        ),
        IgnoredControl("X-Indicia-Opens", "", "is empty"),
    )


def test_a_header_full_of_broken_controls_is_told_in_short() -> None:
    fields = [f"X-Indicia-Track: {number}" for number in range(500)]
    assert len(accepted(submit(*fields)).ignored) == 50


def test_a_long_control_of_json_is_read_whole() -> None:
    padding = "x" * 20_000
    verdict = accepted(submit('X-MSYS-API: {"x":"' + padding + '","options":{"open_tracking":0}}'))
    assert verdict.ignored == ()
    assert verdict.treatments[0].treatment.opens is False


def test_secured_content_is_said_beside_what_the_policy_permits() -> None:
    verdict = accepted(submit("DKIM-Signature: v=1"))
    assert verdict.content is not None
    assert verdict.content.reason is PassReason.DKIM_SIGNED
    assert verdict.treatments[0].treatment.mode is TrackingMode.INDIVIDUAL


def test_a_policy_may_let_dkim_signed_mail_pass_and_nothing_else() -> None:
    policy = replace(POLICY, track_dkim_signed=True)
    assert accepted(submit("DKIM-Signature: v=1"), policy).content is None
    automatic = submit("DKIM-Signature: v=1", "Auto-Submitted: auto-replied")
    content = accepted(automatic, policy).content
    assert content is not None
    assert content.reason is PassReason.AUTOMATIC


def test_the_null_sender_is_said() -> None:
    content = accepted(submit(sender=None)).content
    assert content is not None
    assert content.reason is PassReason.NULL_SENDER


# The laws

ADDRESSES = ["ann@sales.example", "bob@example.org", "eve@gov.example", "kim@inside.example"]
KEY = b"k" * 32
DIGEST = digest_of(KEY, "bob@example.org")
PATTERNS = st.sampled_from([None, "*", "gov.example", "*@sales.example", "bob@example.org", DIGEST])
# Addresses, a detail of one, domains, and who is forgotten.
SUBJECTS = st.sampled_from([*ADDRESSES, "bob+x@example.org", "example.org", "gov.example", DIGEST])
CONSENTS = st.builds(
    lambda granted, denied: Consents(
        {parse_subject(one).key for one in granted},
        {parse_subject(one).denial_key for one in denied},
        KEY,
    ),
    st.sets(SUBJECTS, max_size=4),
    st.sets(SUBJECTS, max_size=2),
)
RULES = st.builds(
    Rule,
    st.sampled_from("abc"),
    PATTERNS,
    st.sampled_from([None, "robot"]),
    PATTERNS,
    st.sampled_from(TrackingMode),
    opens=st.booleans(),
    clicks=st.booleans(),
)
POLICIES = st.builds(
    Policy,
    st.just("relay.example.com"),
    st.just("https://t.example.com"),
    mode=st.sampled_from(TrackingMode),
    opens=st.booleans(),
    clicks=st.booleans(),
    seats=st.sampled_from([None, (), ("*",), ("zoe@sales.example",)]),
    max_copies=st.integers(0, 4),
    unknown_consent=st.sampled_from(TrackingMode),
    internal_domains=st.sampled_from([(), ("inside.example",)]),
    text_clicks=st.booleans(),
    rules=st.lists(RULES, max_size=4).map(tuple),
    consents=CONSENTS,
    tracking=st.sampled_from([True, True, True, False]),
)
CONTROLS = st.sampled_from(
    [
        *["X-Indicia-Track: off", "X-Indicia-Track: shared", "X-Indicia-Track: individual"],
        *["X-Indicia-Opens: no", "X-Indicia-Opens: yes", "X-Indicia-Clicks: html"],
        *["X-Indicia-Clicks: text", "X-Indicia-Clicks: no", "X-Indicia-Clicks: what"],
        *[
            "X-PM-TrackOpens: false",
            "X-MC-Track: clicks",
            "X-AMP: skip",
            "X-EE-Tracking-Enabled: 1",
        ],
        *["X-Indicia-Tag: a", "X-Indicia-Metadata-k: v", "X-PM-Metadata-k: w"],
    ]
)
MAILS = st.builds(
    lambda fields, sender, to: submit(*fields, sender=sender, to=" ".join(to)),
    st.lists(CONTROLS, max_size=4),
    st.sampled_from([None, *ADDRESSES[:2]]),
    st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True),
)


def widths(verdict: Accept) -> dict[str, tuple[int, bool, bool, bool]]:
    """Return for each recipient what grows as his treatment gets wider."""
    return {
        str(one.recipient): (
            one.treatment.mode.width,
            one.treatment.opens,
            one.treatment.clicks.html,
            one.treatment.clicks.text,
        )
        for one in verdict.treatments
    }


def is_narrower(after: Accept, before: Accept) -> bool:
    wide = widths(before)
    return all(
        all(small <= large for small, large in zip(width, wide[recipient], strict=True))
        for recipient, width in widths(after).items()
        if recipient in wide
    )


def additions(
    mail: Submission, policy: Policy, rule: Rule, said: tuple[str, str, list[str]]
) -> list[tuple[Submission, Policy]]:
    """Return a mail and a policy with a rule more, a control, a denial, recipients; and all."""
    control, subject, names = said
    ruled = replace(policy, rules=(*policy.rules, rule))
    controlled = replace(mail, raw=control.encode() + b"\r\n" + mail.raw)
    more = [one for one in map(parse_address, names) if one not in mail.envelope.recipients]
    envelope = replace(mail.envelope, recipients=(*more, *mail.envelope.recipients))
    consents = policy.consents
    denials = replace(consents, denied={*consents.denied, parse_subject(subject).denial_key})
    return [
        (mail, ruled),
        (controlled, policy),
        (mail, replace(policy, consents=denials)),
        (replace(mail, envelope=envelope), policy),
        (replace(controlled, envelope=envelope), replace(ruled, consents=denials)),
    ]


SAID = st.tuples(
    CONTROLS,
    SUBJECTS,
    st.lists(st.sampled_from([*ADDRESSES, "one.more@example.net"]), min_size=1, unique=True),
)


@given(MAILS, POLICIES, RULES, SAID)
def test_law_no_rule_control_recipient_or_denial_that_is_added_widens_any_recipient(
    mail: Submission, policy: Policy, rule: Rule, said: tuple[str, str, list[str]]
) -> None:
    """Law: no rule, control, recipient or denial that is added widens the mode of any recipient."""
    before = accepted(mail, policy)
    for narrower, policy_then in additions(mail, policy, rule, said):
        assert is_narrower(accepted(narrower, policy_then), before)


@given(MAILS, POLICIES, RULES, SAID)
def test_nor_does_it_widen_the_copy_that_anybody_gets(
    mail: Submission, policy: Policy, rule: Rule, said: tuple[str, str, list[str]]
) -> None:
    before = copy_widths(mail, policy)
    for narrower, policy_then in additions(mail, policy, rule, said):
        after = copy_widths(narrower, policy_then)
        assert all(after[one] <= width for one, width in before.items())


def copy_widths(mail: Submission, policy: Policy) -> dict[str, int]:
    """Return the width of the mode of each recipient's copy, once compiled and split."""
    stored = prepare_send(mail, policy, 0)
    assert not isinstance(stored, Reply)
    return {str(one.address): copy.mode.width for copy in stored.copies for one in copy.recipients}


@given(MAILS, POLICIES, st.integers())
def test_law_the_order_of_rules_controls_and_recipients_does_not_matter(
    mail: Submission, policy: Policy, seed: int
) -> None:
    """Law: the order of rules, controls and recipients does not matter."""
    dice = random.Random(seed)
    head, _, rest = mail.raw.partition(b"Content-Type")
    fields = head.splitlines(keepends=True)
    rules, recipients = list(policy.rules), list(mail.envelope.recipients)
    for order in (fields, rules, recipients):
        dice.shuffle(order)
    shuffled = replace(
        mail,
        raw=b"".join(fields) + b"Content-Type" + rest,
        envelope=replace(mail.envelope, recipients=tuple(recipients)),
    )
    before = accepted(mail, policy)
    after = accepted(shuffled, replace(policy, rules=tuple(rules)))
    by_recipient = {one.recipient: one for one in before.treatments}
    assert {one.recipient: one for one in after.treatments} == by_recipient
    assert set(after.tags) == set(before.tags)


@given(MAILS, POLICIES)
def test_nobody_is_off_and_tracked_or_on_and_not(mail: Submission, policy: Policy) -> None:
    for one in accepted(mail, policy).treatments:
        off = one.treatment.mode is TrackingMode.OFF
        assert off is not (one.treatment.opens or one.treatment.clicks is not Clicks.NONE)
        assert off is not one.treatment.tracks
        assert one.treatment.mode.width <= policy.mode.width
        assert policy.text_clicks or not one.treatment.clicks.text
