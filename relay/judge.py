"""What may be tracked in a message, and for whom, or that it is not taken.

Every source only narrows: ceiling, max_copies, seats, rules, internal domains, consent, controls.
Whether there is anything to track in the content is found by compile_template.
"""

from collections.abc import Iterator, Sequence
from typing import assert_never

from ledger.address import Address, matches_domain, matches_pattern
from ledger.consent import Consent
from ledger.mode import TrackingMode
from ledger.patterns import matches_mailbox, matches_signed_in
from relay.addressees import named_keys
from relay.control import MAX_NOTES, Control, is_control, read_controls
from relay.limit import DENIED, NOT_KNOWN, SWITCHED_OFF, Limit, narrow
from relay.mail import Entity, RecipientType, Submission
from relay.mime.header import Header, decode_text, read_header
from relay.policy import Policy, Rule
from relay.reply import Reply
from relay.secured import content_of
from relay.sign import signing_for
from relay.verdict import (
    Accept,
    Because,
    Clicks,
    IgnoredControl,
    PassReason,
    PassThrough,
    Reason,
    RecipientVerdict,
    Refuse,
    Treatment,
    Verdict,
)

LOOP_RECEIVED = 50
"""So many Received fields make a loop."""
# Deviates: RFC 5321 6.3 asks for 100 or more; Postfix's hopcount_limit is 50.

IN_A_LOOP = Reply(554, "5.4.6", "Too many hops: this message is in a loop")


def judge(submission: Submission, entity: Entity, policy: Policy) -> Verdict:
    """Return what holds for each envelope recipient, in the order of the envelope, or a refusal.

    Law: no rule, control, recipient or denial that is added widens the mode of any recipient.
    Law: the order of rules, controls and recipients does not matter.
    """
    header = read_header(submission.raw, entity.start, entity.body)
    if sum(field.name == b"received" for field in header.fields) >= LOOP_RECEIVED:
        return Refuse(IN_A_LOOP)
    controls = read_controls(_control_values(header))
    return Accept(
        treatments=tuple(_judge_recipients(submission, header, policy, controls)),
        content=_content(submission, entity, header, policy),
        tags=tuple(dict.fromkeys(tag for control in controls for tag in control.meaning.tags)),
        metadata=dict(pair for control in controls for pair in control.meaning.metadata),
        ignored=_ignored(controls),
    )


def _ignored(controls: Sequence[Control]) -> tuple[IgnoredControl, ...]:
    told = (
        IgnoredControl(control.field_name, control.value, control.ignored)
        for control in controls
        if control.ignored
    )
    return tuple(dict.fromkeys(told))[:MAX_NOTES]


def _content(
    submission: Submission, entity: Entity, header: Header, policy: Policy
) -> PassThrough | None:
    content = content_of(header, entity, submission.envelope.sender)
    if content is None or content.reason is not PassReason.DKIM_SIGNED:
        return content
    broken = policy.track_dkim_signed or signing_for(header, policy) is not None
    return None if broken else content


def _judge_recipients(
    submission: Submission, header: Header, policy: Policy, controls: Sequence[Control]
) -> Iterator[RecipientVerdict]:
    to, cc = _named(header, b"to"), _named(header, b"cc")
    digest_key = policy.consents.digest_key
    rules = [rule for rule in policy.rules if _concerns(rule, submission, digest_key)]
    for_all = (*_limits_of_send(submission, policy), *_limits_of_controls(controls))
    # Recipients for whom the same holds are decided once: a send may have a thousand.
    decided: dict[tuple[Limit, ...], tuple[Treatment, tuple[Reason, ...]]] = {}
    for recipient in submission.envelope.recipients:
        key = recipient.key
        own = (
            *_limits_of_recipient(recipient, policy),
            *(_limit_of_rule(rule) for rule in rules if _is_for(rule, key, digest_key)),
        )
        if own not in decided:
            decided[own] = narrow((*for_all, *own))
        treatment, reasons = decided[own]
        kind = RecipientType.TO if key in to else RecipientType.CC if key in cc else None
        yield RecipientVerdict(recipient, kind or RecipientType.BCC, treatment, reasons)


def _limits_of_send(submission: Submission, policy: Policy) -> Iterator[Limit]:
    """Yield what the configuration says for everybody."""
    sender = submission.envelope.sender
    if not policy.tracking:
        yield SWITCHED_OFF
    if not policy.known:
        yield NOT_KNOWN
    clicks = _all_or_none(policy.clicks or policy.seats is not None)
    yield Limit(Because.CEILING, "", policy.mode, policy.opens, clicks)
    html_or_all = Clicks.of(html=True, text=policy.text_clicks)
    yield Limit(Because.CEILING, "tracking.text_clicks", clicks=html_or_all, default=True)
    if policy.seats is not None:
        seated = sender is not None and any(matches_pattern(seat, sender) for seat in policy.seats)
        yield Limit(Because.SEAT, "tracking.seats", clicks=_all_or_none(seated))
    # Counted before any narrowing, so that no denial can widen another's mode.
    if policy.max_copies == 0 or len(submission.envelope.recipients) > policy.max_copies:
        yield Limit(Because.MAX_COPIES, "tracking.max_copies", mode=TrackingMode.SHARED)


def _limits_of_recipient(recipient: Address, policy: Policy) -> Iterator[Limit]:
    if matches_domain(policy.internal_domains, recipient.domain):
        yield Limit(Because.INTERNAL, "tracking.internal_domains", mode=TrackingMode.OFF)
    match policy.consents.of(recipient):
        case Consent.DENIED:
            yield DENIED
        case Consent.UNKNOWN:
            yield Limit(Because.CONSENT, "tracking.unknown_consent", mode=policy.unknown_consent)
        case Consent.GRANTED:
            pass
        case unexpected:
            assert_never(unexpected)


def _limits_of_controls(controls: Sequence[Control]) -> dict[Limit, None]:
    """Return each distinct limit once, however often a field is there."""
    said = ((control.field_name, control.meaning) for control in controls)
    return dict.fromkeys(
        Limit(Because.HEADER, name, meaning.mode, meaning.opens, meaning.clicks)
        for name, meaning in said
        if meaning.narrows
    )


def _limit_of_rule(rule: Rule) -> Limit:
    return Limit(Because.RULE, rule.name, rule.mode, rule.opens, _all_or_none(rule.clicks))


def _concerns(rule: Rule, submission: Submission, digest_key: bytes | None) -> bool:
    """Tell whether a rule's sender and account match; nobody matches a key that is given."""
    sender, account = submission.envelope.sender, submission.account
    by_sender = rule.sender is None or (
        sender is not None and matches_mailbox(rule.sender, sender.key, digest_key)
    )
    by_account = rule.account is None or (
        account is not None and matches_signed_in(rule.account, account, digest_key)
    )
    return by_sender and by_account


def _is_for(rule: Rule, recipient_key: str, digest_key: bytes | None) -> bool:
    return rule.recipient is None or matches_mailbox(rule.recipient, recipient_key, digest_key)


def _all_or_none(clicks: bool) -> Clicks:  # noqa: FBT001 - the value itself
    return Clicks.BOTH if clicks else Clicks.NONE


def _named(header: Header, name: bytes) -> frozenset[str]:
    values = (named_keys(_text(value)) for value in header.values(name))
    return frozenset[str]().union(*values)


def _control_values(header: Header) -> Iterator[tuple[str, str]]:
    """Yield name, as spelled, and value of each field that is a control."""
    for field in header.fields:
        if is_control(field.name.decode("ascii")):
            name = header.raw[field.start : field.start + len(field.name)]
            value = header.value_of(field)
            # Not cut, as decode_text would: a long value of JSON is long, not broken.
            yield name.decode("ascii"), decode_text(value) if b"=?" in value else _text(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
