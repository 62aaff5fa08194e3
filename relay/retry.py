"""When to try again, or to give up."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

_SPREAD = 0.25
"""How much of a wait jitter may take away: what failed together shall not come back together."""


@dataclass(frozen=True, slots=True)
class RetryTimes:
    """The options of `[retry]` about time; defaults as configured there."""

    first_after_s: float = 60
    max_after_s: float = 3600
    give_up_after_s: float = 432_000
    delay_notice_after_s: float = 14_400

    def __post_init__(self) -> None:
        """Refuse waits that would never add up to anything."""
        if min(self.first_after_s, self.max_after_s) <= 0:
            msg = f"retry waits must be above 0: {self.first_after_s}, {self.max_after_s}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Tries:
    """How often and how long a mail was tried."""

    attempts: int = 0
    """All of which have failed."""
    tried_at: datetime | None = None
    """The last one."""
    waited_s: float = 0
    """How much of its life it has waited, up to the last one."""


def count_attempt(
    times: RetryTimes, tries: Tries, now: datetime, steady_s: float = math.inf
) -> Tries:
    """Return the tries with one more, at `now`; for `steady_s` the clock was not set.

    Law: no more is added to `waited_s` than the wait that was due, nor than `steady_s`: neither a
    clock that jumps nor a relay that was down uses up a mail's life (RFC 5321 4.5.4.1: four to five
    days of retries).
    """
    waited_s = 0.0
    if tries.tried_at is not None:
        since_s = (now - tries.tried_at).total_seconds()
        waited_s = max(0.0, min(since_s, steady_s, _wait_s(times, tries.attempts)))
    return Tries(tries.attempts + 1, now, tries.waited_s + waited_s)


def next_attempt(times: RetryTimes, tries: Tries, now: datetime, jitter: float) -> datetime | None:
    """Return when to try again after one or more attempts have failed; None: give up.

    The wait doubles from `first_after_s` up to `max_after_s`; `jitter`, 0 to 1, takes up to a
    quarter of it away.  A mail is given up when it has waited `give_up_after_s`.

    Law: the next attempt is never more than `max_after_s` away, nor less than three quarters of
    `first_after_s` or `max_after_s`, whichever is less.
    """
    if tries.waited_s >= times.give_up_after_s:
        return None
    return now + timedelta(seconds=_wait_s(times, tries.attempts) * (1 - _SPREAD * jitter))


def owes_delay_notice(
    times: RetryTimes, tries: Tries, now: datetime, received_at: datetime
) -> bool:
    """Tell whether the sender should hear that his mail still waits; never where that is 0."""
    waited_s = max((now - received_at).total_seconds(), tries.waited_s)
    return 0 < times.delay_notice_after_s <= waited_s


def retry_until(times: RetryTimes, tries: Tries, now: datetime) -> datetime:
    """Return about when a mail that goes on failing will be given up."""
    return now + timedelta(seconds=max(0.0, times.give_up_after_s - tries.waited_s))


def _wait_s(times: RetryTimes, attempts: int) -> float:
    # Beyond 2**30 every wait is the longest one; the bound keeps the power from overflowing.
    return min(times.first_after_s * 2.0 ** min(attempts - 1, 30), times.max_after_s)
