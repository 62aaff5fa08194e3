"""How long who fails must wait before the next try.

Law: in any minute fewer than ten tries of one name are let through, and one a minute later on.
"""

from collections import OrderedDict
from dataclasses import dataclass

FREE_TRIES = 3
"""Who mistypes twice notices nothing."""
LONGEST_WAIT_S = 60.0
"""Somebody who fails on purpose in another's name keeps him out no longer than that at a time."""
FORGET_AFTER_S = 3600.0

_MAX_NAMES = 10_000
"""Each costs some hundred bytes; the one that failed longest ago goes first."""


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_at: float


class Throttle:
    """Failures by name: of an account, of a client's address."""

    def __init__(self) -> None:
        """Begin without failures."""
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, name: str, now: float) -> float:
        """Return for how long a name has to wait; 0: its try is let through."""
        known = self._known(name, now)
        if known.count < FREE_TRIES:
            return 0.0
        # Capped before it is raised: 2**n of many failures is no float any more.
        doublings = min(known.count - FREE_TRIES, 10)
        return max(0.0, known.last_at + min(2.0**doublings, LONGEST_WAIT_S) - now)

    def count(self, name: str, now: float) -> None:
        """Take a try for a failure, from its beginning: many at once are no way around."""
        self._failures[name] = _Failures(self._known(name, now).count + 1, now)
        self._failures.move_to_end(name)
        if len(self._failures) > _MAX_NAMES:
            self._failures.popitem(last=False)

    def delay_from(self, name: str, now: float) -> None:
        """Let the wait after a failure begin now, when it is known to be one."""
        known = self._failures.get(name)
        if known is not None:
            self._failures[name] = _Failures(known.count, now)

    def forgive(self, name: str) -> None:
        """Forget the failures of a name."""
        self._failures.pop(name, None)

    def uncount(self, name: str) -> None:
        """Take back one failure that was none."""
        known = self._failures.get(name)
        if known is not None:
            self._failures[name] = _Failures(known.count - 1, known.last_at)

    def _known(self, name: str, now: float) -> _Failures:
        known = self._failures.get(name)
        if known is None or now - known.last_at > FORGET_AFTER_S:
            return _Failures(0, now)
        return known
