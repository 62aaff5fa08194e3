"""Tells of which events people are told by mail, and when.

Law: nobody is told of a machine, of his own, of an anonymous event, of a replay or of what was
altered.
Law: a person's own wish never lets more be told than what is configured for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from collector.attribute import Settlement
from collector.sweeps import ALTERED
from collector.tale import REPLAY
from ledger.event import Attribution, Event, EventType
from ledger.notice_wishes import MailWish, NoticeWish
from ledger.notices import LETTERS_LAST, DueNotice, Owing
from ledger.story import Story

DIGEST_MINUTE = 8 * 60
"""Of the day in the reader's zone: before work begins."""

_NEVER = frozenset({ALTERED, REPLAY})
_TOLD = frozenset({EventType.OPENED, EventType.CLICKED})
_NAMED = frozenset({Attribution.RECIPIENT, Attribution.SHARED})


@dataclass(frozen=True, slots=True)
class NoticePolicy:
    """What is configured for all: `[notices]`."""

    early: timedelta
    hold: timedelta
    late_hold: timedelta
    first_open_only: bool = False
    min_confidence: float = 0.0
    throttle: int = 10
    digest: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done about the notices to one person that are due."""

    dropped: tuple[int, ...] = ()
    postponed: tuple[int, ...] = ()
    until: datetime | None = None
    letters: tuple[tuple[int, ...], ...] = ()
    """Each the numbers of what one mail tells."""


def owed_of(
    settlement: Settlement, stories: Mapping[int, Story], policy: NoticePolicy
) -> list[Owing]:
    """Return the notices that a settlement owes, with what has become the first of its kind."""
    owed = [
        Owing(event.event_id, _due_at(event, stories[one.copy_id], policy))
        for one in settlement.events
        if one.copy_id is not None and is_told(event := one.event, policy)
    ]
    owed.extend(
        Owing(one.event_id, one.at + policy.late_hold)
        for one in settlement.relabelled
        if one.first and one.agent.attentive
    )
    return owed


def _due_at(event: Event, story: Story, policy: NoticePolicy) -> datetime:
    # Contract, exact readings: a hit whose relaying is not known yet counts as early.
    early = story.relayed_at is None or event.timestamp - story.relayed_at < policy.early
    return event.timestamp + (policy.hold if early else policy.late_hold)


def is_told(event: Event, policy: NoticePolicy, wish: NoticeWish | None = None) -> bool:
    """Tell whether somebody is told of an event, as it stands now."""
    own = NoticeWish() if wish is None else wish
    first_only = policy.first_open_only or own.first_only
    least = max(policy.min_confidence, own.min_confidence)
    return (
        event.type in _TOLD
        and own.mail is not MailWish.OFF
        and event.classification is not None
        and event.classification.attentive
        and event.attribution in _NAMED
        and not _NEVER & set(event.reasons)
        # The click that it was concluded from is told.
        and event.inferred_from is None
        and (event.first or not first_only)
        and (event.confidence or 0.0) >= least
    )


def plan_notices(
    due: Sequence[DueNotice], policy: NoticePolicy, letters: Sequence[datetime], now: datetime
) -> Plan:
    """Return what is done about the due notices to one person, who had mails at some instants.

    Law: each of them is dropped, postponed to a later time, or told by one mail.
    """
    told = [one for one in due if one.wish is not None and is_told(one.event, policy, one.wish)]
    dropped = tuple(one.number for one in due if one not in told)
    if not told or (wish := told[0].wish) is None:
        return Plan(dropped)
    numbers = tuple(one.number for one in told)
    if (quiet_until := _end_of_quiet(wish, now)) is not None:
        return Plan(dropped, numbers, quiet_until)
    if policy.digest or wish.mail is MailWish.DIGEST:
        return _plan_digest(dropped, told, wish, now)
    room = policy.throttle - len(letters)
    if room <= 0:
        # Of several, as many are told then as may be.
        return Plan(dropped, numbers, max(letters[-policy.throttle] + LETTERS_LAST, _next(now)))
    if len(numbers) <= room:
        return Plan(dropped, letters=tuple((number,) for number in numbers))
    alone = numbers[: room - 1]
    return Plan(dropped, letters=(*((number,) for number in alone), numbers[room - 1 :]))


def _next(now: datetime) -> datetime:
    return now + timedelta(seconds=1)


def _plan_digest(
    dropped: tuple[int, ...], told: Sequence[DueNotice], wish: NoticeWish, now: datetime
) -> Plan:
    zone, minute = ZoneInfo(wish.zone), _digest_minute(wish)
    ready = tuple(one.number for one in told if _minute_of(one.due_at, zone) == minute)
    if ready:
        # What came since goes along: it is of the same day for who reads it.
        return Plan(dropped, letters=(tuple(one.number for one in told),))
    waiting = tuple(one.number for one in told)
    return Plan(dropped, waiting, _next_minute(now, zone, minute))


def _digest_minute(wish: NoticeWish) -> int:
    until = wish.quiet_until
    return until if until is not None and _is_quiet(wish, DIGEST_MINUTE) else DIGEST_MINUTE


def _end_of_quiet(wish: NoticeWish, now: datetime) -> datetime | None:
    """Return until when somebody is not told; None where he may be told now."""
    zone = ZoneInfo(wish.zone)
    local = now.astimezone(zone)
    if wish.quiet_until is None or not _is_quiet(wish, local.hour * 60 + local.minute):
        return None
    return _next_minute(now, zone, wish.quiet_until)


def _is_quiet(wish: NoticeWish, minute: int) -> bool:
    begin, end = wish.quiet_from, wish.quiet_until
    if begin is None or end is None:
        return False
    # Over midnight the end is the smaller one.
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def _minute_of(at: datetime, zone: ZoneInfo) -> int | None:
    """Return which minute of the day an instant is, None where it is within one."""
    local = at.astimezone(zone)
    return None if local.second or local.microsecond else local.hour * 60 + local.minute


def _next_minute(now: datetime, zone: ZoneInfo, minute: int) -> datetime:
    """Return when it is this minute of the day next, after now, in UTC."""
    local = now.astimezone(zone)
    for days in (0, 1, 2):
        day = local.date() + timedelta(days=days)
        at = datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(now.tzinfo)
        if at > now:
            return at
    return now + timedelta(days=1)
