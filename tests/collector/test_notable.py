"""Of which events people are told, and when: laws and tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.attribute import Settlement
from collector.notable import NoticePolicy, Plan, is_told, owed_of, plan_notices
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent
from ledger.mode import TrackingMode
from ledger.notice_wishes import MailWish, NoticeWish
from ledger.notices import DueNotice
from ledger.story import Relabelling, Story

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = NoticePolicy(timedelta(seconds=600), timedelta(seconds=90), timedelta(seconds=5))
OPENED = Event(
    "e",
    EventType.OPENED,
    NOW,
    recipient="b@example.org",
    attribution=Attribution.RECIPIENT,
    classification=Agent.HUMAN_LIKELY,
    confidence=0.7,
    first=True,
)
STOCKHOLM = ZoneInfo("Europe/Stockholm")

wishes = st.builds(
    NoticeWish,
    mail=st.sampled_from(MailWish),
    first_only=st.booleans(),
    min_confidence=st.sampled_from([0.0, 0.6, 0.8, 1.0]),
    quiet_from=st.none() | st.integers(0, 1439),
    quiet_until=st.none() | st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/Stockholm", "America/St_Johns", "Pacific/Apia"]),
)
policies = st.builds(
    replace,
    st.just(POLICY),
    first_open_only=st.booleans(),
    min_confidence=st.sampled_from([0.0, 0.6, 0.8]),
    throttle=st.integers(1, 5),
    digest=st.booleans(),
)
events = st.builds(
    replace,
    st.just(OPENED),
    type=st.sampled_from(EventType),
    attribution=st.sampled_from([*Attribution, None]),
    classification=st.sampled_from([*Agent, None]),
    confidence=st.none() | st.floats(0, 1),
    first=st.booleans(),
    reasons=st.lists(st.sampled_from(["replay", "altered_destination", "browser"])).map(tuple),
    inferred_from=st.none() | st.just("c"),
)
instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis takes them bare, and gives them in UTC


@given(events, policies, wishes)
def test_nobody_is_told_of_what_is_none_of_a_known_persons(
    event: Event, policy: NoticePolicy, wish: NoticeWish
) -> None:
    """Law: nobody is told of a machine, of his own, of an anonymous event, of a replay or of what
    was altered.
    """
    if is_told(event, policy, wish):
        assert event.classification in {Agent.HUMAN_LIKELY, Agent.PROXY}
        assert event.attribution in {Attribution.RECIPIENT, Attribution.SHARED}
        assert not {"replay", "altered_destination"} & set(event.reasons)


@given(events, policies, wishes)
def test_a_wish_only_narrows(event: Event, policy: NoticePolicy, wish: NoticeWish) -> None:
    """Law: a person's own wish never lets more be told than what is configured for all."""
    assert is_told(event, policy) or not is_told(event, policy, wish)


@given(
    st.lists(st.tuples(events, instants), max_size=8),
    policies,
    wishes | st.none(),
    instants,
    st.integers(0, 7),
)
def test_each_due_notice_is_dropped_postponed_or_told_by_one_mail(
    found: list[tuple[Event, datetime]],
    policy: NoticePolicy,
    wish: NoticeWish | None,
    now: datetime,
    had: int,
) -> None:
    """Law: each of them is dropped, postponed to a later time, or told by one mail."""
    due = [DueNotice(n, at, event, "a", wish) for n, (event, at) in enumerate(found)]
    plan = plan_notices(due, policy, [now - timedelta(minutes=60 - n) for n in range(had)], now)
    ended = [*plan.dropped, *plan.postponed, *chain(*plan.letters)]
    assert sorted(ended) == list(range(len(due)))
    assert all(plan.letters)
    assert len(plan.letters) <= max(0, policy.throttle - had) or policy.digest or is_digest(wish)
    assert (plan.until is None) == (not plan.postponed)
    assert plan.until is None or plan.until > now


def is_digest(wish: NoticeWish | None) -> bool:
    return wish is not None and wish.mail is MailWish.DIGEST


NARROWED = [
    (replace(POLICY, first_open_only=True), NoticeWish(), replace(OPENED, first=False), False),
    (POLICY, NoticeWish(first_only=True), replace(OPENED, first=False), False),
    (POLICY, NoticeWish(first_only=True), OPENED, True),
    (replace(POLICY, min_confidence=0.8), NoticeWish(), OPENED, False),
    (POLICY, NoticeWish(min_confidence=0.8), OPENED, False),
    (POLICY, NoticeWish(min_confidence=0.6), OPENED, True),
    (POLICY, NoticeWish(), replace(OPENED, inferred_from="c"), False),
    (POLICY, NoticeWish(), replace(OPENED, type=EventType.CLICKED), True),
    (POLICY, NoticeWish(), replace(OPENED, type=EventType.RELAYED), False),
    (POLICY, NoticeWish(MailWish.OFF), OPENED, False),
]


@pytest.mark.parametrize(("policy", "wish", "event", "told"), NARROWED)
def test_first_and_confidence_narrow_for_all_and_for_one(
    policy: NoticePolicy, wish: NoticeWish, event: Event, told: bool
) -> None:
    assert is_told(event, policy, wish) is told


@pytest.mark.parametrize(
    ("relayed_s", "due_s"), [(None, 90), (0, 90), (599, 90), (600, 5), (86_400, 5)]
)
def test_what_comes_early_is_held_longer(relayed_s: int | None, due_s: int) -> None:
    relayed_at = None if relayed_s is None else NOW - timedelta(seconds=relayed_s)
    story = Story(7, TrackingMode.INDIVIDUAL, "S", None, None, None, (), {}, relayed_at=relayed_at)
    settlement = Settlement(events=[RecordedEvent(OPENED, 7)])
    (owing,) = owed_of(settlement, {7: story}, POLICY)
    assert owing.due_at == NOW + timedelta(seconds=due_s)


def test_what_has_become_the_first_is_owed_when_the_earlier_was_a_machines() -> None:
    first = Relabelling("e2", NOW, Agent.HUMAN_LIKELY, 0.7, (), "9", first=True)
    gone = Relabelling("e1", NOW, Agent.SCANNER, 0.9, (), "9", first=False)
    owed = owed_of(Settlement(relabelled=[gone, first]), {}, POLICY)
    assert [(one.event_id, one.due_at) for one in owed] == [("e2", NOW + timedelta(seconds=5))]


def plan_at(now: datetime, wish: NoticeWish, due_at: datetime = NOW) -> Plan:
    return plan_notices([DueNotice(1, due_at, OPENED, "a", wish)], POLICY, [], now)


def local(hour: int, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=STOCKHOLM)


NIGHT = NoticeWish(quiet_from=20 * 60, quiet_until=7 * 60, zone="Europe/Stockholm")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (local(19), None),
        (local(20), local(7, 24)),
        (local(2, 24), local(7, 24)),
        (local(7, 24), None),
    ],
)
def test_in_quiet_hours_nobody_is_told_until_their_end(
    now: datetime, until: datetime | None
) -> None:
    plan = plan_at(now.astimezone(UTC), NIGHT)
    assert plan.until == until
    assert bool(plan.letters) is (until is None)


def test_a_digest_is_told_once_a_day_in_one_mail() -> None:
    wish = NoticeWish(MailWish.DIGEST, zone="Europe/Stockholm")
    plan = plan_at(local(14).astimezone(UTC), wish)
    assert (plan.letters, plan.until) == ((), local(8, 24))
    due = [DueNotice(n, local(8, 24), OPENED, "a", wish) for n in range(40)]
    assert plan_notices(due, POLICY, [], local(8, 24)).letters == (tuple(range(40)),)


def test_a_digest_waits_for_the_end_of_quiet_hours() -> None:
    late = replace(NIGHT, mail=MailWish.DIGEST, quiet_until=9 * 60)
    assert plan_at(local(14).astimezone(UTC), late).until == local(9, 24)
    assert plan_at(local(9, 24).astimezone(UTC), late, local(9, 24)).letters == ((1,),)
