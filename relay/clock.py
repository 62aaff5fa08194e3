"""The wall clock, and for how long it has run evenly.

A clock that is set moves away from the monotonic one.  What is measured across such a jump is not
to be trusted: neither that a lease has ended nor how long a mail has waited.
"""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

_JUMP_S = 2.0
"""Slewing moves a clock half a millisecond a second (adjtimex); this is seen between two looks."""


def utc_now() -> datetime:
    """Return the instant it is."""
    return datetime.now(UTC)


class SteadyClock:
    """A wall clock that notices when it is set; it has to be looked at every few seconds."""

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the clock as it is now for steady."""
        self._wall, self._monotonic = wall, monotonic
        self._seen = (wall(), monotonic())
        self._jumped_at = -math.inf
        self.jumps = 0
        """How often it was set."""

    def now(self) -> datetime:
        """Return the instant it is."""
        wall, ticks = self._wall(), self._monotonic()
        wall_s, ticks_s = (wall - self._seen[0]).total_seconds(), ticks - self._seen[1]
        if abs(wall_s - ticks_s) > _JUMP_S:
            self.jumps += 1
            self._jumped_at = ticks
        self._seen = (wall, ticks)
        return wall

    @property
    def steady_s(self) -> float:
        """For how long it has not been set; infinite where it never was."""
        return self._monotonic() - self._jumped_at
