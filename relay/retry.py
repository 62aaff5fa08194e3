"""When to try again, or to give up."""

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


def next_attempt(
    times: RetryTimes, attempts: int, now: datetime, first_at: datetime, jitter: float
) -> datetime | None:
    """Return when to try again after `attempts` (1 or more) have failed; None: give up.

    The wait doubles from `first_after_s` up to `max_after_s`; `jitter`, 0 to 1, takes up to a
    quarter of it away.  Time alone gives nothing up: as many attempts must have failed as fit into
    `give_up_after_s`, so neither a clock that jumps ahead nor a relay that was down makes a bounce
    (RFC 5321 4.5.4.1: four to five days of retries).

    Law: the next attempt is never more than `max_after_s` away, nor less than three quarters of
    `first_after_s` or `max_after_s`, whichever is less.
    """
    expired = now - first_at >= timedelta(seconds=times.give_up_after_s)
    if expired and attempts >= fewest_attempts(times):
        return None
    return now + timedelta(seconds=_wait_s(times, attempts) * (1 - _SPREAD * jitter))


def owes_delay_notice(times: RetryTimes, now: datetime, first_at: datetime) -> bool:
    """Tell whether the sender should hear that his mail still waits; never where that is 0."""
    waited_s = (now - first_at).total_seconds()
    return 0 < times.delay_notice_after_s <= waited_s


def fewest_attempts(times: RetryTimes) -> int:
    """Return how many attempts are made within `give_up_after_s` when every wait is a full one."""
    attempts, waited_s = 1, _wait_s(times, 1)
    while waited_s < times.give_up_after_s:
        attempts += 1
        waited_s += _wait_s(times, attempts)
    return attempts


def _wait_s(times: RetryTimes, attempts: int) -> float:
    # Beyond 2**30 every wait is the longest one; the bound keeps the power from overflowing.
    return min(times.first_after_s * 2.0 ** min(attempts - 1, 30), times.max_after_s)
