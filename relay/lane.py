"""LANE: how many copies one upstream is given at once.

Copies beyond that wait in the spool, so that a slow upstream keeps no others waiting.
"""

from dataclasses import dataclass

_EACH = 10
"""Copies under way for each connection: while one is sent the others are claimed and settled."""

_STEP_S = 0.02
_LONGEST_S = 300
"""The more are put back, the later they come again: 50 a second at most, five minutes at most."""


@dataclass(slots=True)
class Lane:
    """The copies under way to one upstream."""

    connections: int
    running: int = 0
    put_back: int = 0
    """Since it last had nothing to do."""
    backlog: bool = True
    """Copies of it wait, as far as is known, and go before new ones."""

    @property
    def room(self) -> int:
        """How many more it takes."""
        return max(0, self.connections * _EACH - self.running)

    def enter(self) -> None:
        """Count a copy in."""
        self.running += 1

    def leave(self) -> None:
        """Count a copy out."""
        self.running -= 1
        if not self.running:
            self.put_back = 0

    def turn_away(self) -> float:
        """Return after how many seconds a copy for which there is no room shall come again."""
        self.put_back += 1
        return min(1 + self.put_back * _STEP_S, _LONGEST_S)
