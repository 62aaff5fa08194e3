"""RATE: how many messages an upstream is given in a minute.

Law: in no 60 seconds is more than `per_minute` spent, but by one copy that alone needs more.
"""

from collections import deque
from dataclasses import dataclass, field

_MINUTE_S = 60.0

_LONGEST_S = 300.0
"""Who waits longer looks again then: the limit may be another by that time."""

_STEP_S = 0.02
"""Between those who look again then: 50 a second."""


@dataclass(slots=True)
class Rate:
    """What was spent in the last minute, and how many have been told when to come again."""

    per_minute: int
    """0: no limit."""
    _spent: deque[float] = field(default_factory=deque)
    _told: deque[float] = field(default_factory=deque)
    """When those who were told come again, in order: at most five minutes' worth."""
    _beyond: int = 0

    def take(self, messages: int, now_s: float) -> bool:
        """Spend so many messages; return False where they would be too many."""
        if not self.per_minute:
            return True
        self._look(now_s)
        if self._spent and len(self._spent) + messages > self.per_minute:
            return False
        self._spent.extend([now_s] * messages)
        return True

    def spend(self, now_s: float) -> None:
        """Note a message that is sent, limit or not."""
        if self.per_minute:
            self._spent.append(now_s)

    def is_spent(self, now_s: float) -> bool:
        """Tell whether nothing may be sent now."""
        if not self.per_minute:
            return False
        self._look(now_s)
        return len(self._spent) >= self.per_minute

    def come_again(self, messages: int, now_s: float) -> float:
        """Return after how many seconds there is room, when all who were told earlier have gone.

        To be asked where there is none now.
        """
        self._look(now_s)
        needed = min(messages, self.per_minute)
        # So many of those before must be a minute old.
        place = max(len(self._spent) + len(self._told) + needed - self.per_minute, 1) - 1
        spent = len(self._spent)
        before_s = self._spent[place] if place < spent else self._told[place - spent]
        wait_s = before_s + _MINUTE_S - now_s
        if wait_s <= _LONGEST_S:
            self._told.append(now_s + wait_s)
            return wait_s
        self._beyond += 1
        return _LONGEST_S + self._beyond * _STEP_S % _LONGEST_S

    def _look(self, now_s: float) -> None:
        while self._spent and self._spent[0] <= now_s - _MINUTE_S:
            self._spent.popleft()
        while self._told and self._told[0] <= now_s:
            self._told.popleft()
