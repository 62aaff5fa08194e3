"""How much of something one may have within a time.

Law: within any span as long as the time, nobody has more than twice his allowance, and whoever has
had nothing that long has it all.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_MAX_KEPT = 10_000
"""Who are remembered; the one that took least lately goes first, and has all again."""


class Allowance:
    """An allowance for each of many, which fills up evenly (a token bucket)."""

    def __init__(
        self, most: int, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow everybody `most` within so many seconds."""
        self._most = most
        self._per_s = most / within_s
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable) -> bool:
        """Take one; False where nothing is left."""
        now = self._clock()
        left, at = self._left.get(who, (float(self._most), now))
        left = min(left + (now - at) * self._per_s, self._most)
        allowed = left >= 1
        self._left[who] = (left - allowed, now)
        self._left.move_to_end(who)
        if len(self._left) > _MAX_KEPT:
            self._left.popitem(last=False)
        return allowed
