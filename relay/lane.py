"""LANE: how many copies one upstream is given at once.

Copies beyond that wait in the spool, so that a slow upstream keeps no others waiting.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_EACH = 10
"""Copies under way for each connection: while one is sent the others are claimed and settled."""

_STEP_S = 0.02
_LONGEST_S = 300
"""The more are put back, the later they come again: 50 a second at most, five minutes at most."""

_FEWEST = 20
"""Claims are made so many at a time while others run: facts 5, claim in twenties."""

_MOST_BYTES = 32 * 1024 * 1024
"""Of content under way, or a single copy: ready for the wire it is there three times."""


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


class Lanes:
    """The lanes of all upstreams, by name, and how much content is under way in them."""

    def __init__(self, connections: Mapping[str, int]) -> None:
        """Have a lane for each upstream, in their order, with so many connections."""
        self._lanes = {name: Lane(number) for name, number in connections.items()}
        self._running = 0
        self._size_bytes = 0
        self._longest_bytes = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Name the upstreams, the first of which takes what no other does."""
        return tuple(self._lanes)

    def limits(self) -> dict[str, int]:
        """Return how many copies to claim of each lane; without those that take none now."""
        return {name: limit for name in self._lanes if (limit := self.limit(name))}

    def limit(self, name: str) -> int:
        """Return how many to claim of a lane: 0 where none fits, or it is not worth the way."""
        lane = self._lanes[name]
        left = max(_MOST_BYTES - self._size_bytes, 0) // self._longest_bytes
        limit = min(lane.room, max(left, 0 if self._running else 1))
        return 0 if lane.running and limit < min(_FEWEST, lane.running) else limit

    def claimed(self, name: str, limit: int, sizes_bytes: list[int]) -> None:
        """Note the sizes of what was due in a lane, when up to `limit` were asked for."""
        self._lanes[name].backlog = len(sizes_bytes) == limit
        self._longest_bytes = max(sizes_bytes, default=1)

    def reserve(self, name: str, size_bytes: int) -> bool:
        """Return whether a new copy may enter, before others that are due as well."""
        lane = self._lanes[name]
        lane.backlog = lane.backlog or not self._fits(lane, size_bytes)
        self._longest_bytes = max(self._longest_bytes, size_bytes)
        return not lane.backlog and self.enter(name, size_bytes)

    def enter(self, name: str, size_bytes: int) -> bool:
        """Count a copy in; False where there is no room for it."""
        lane = self._lanes[name]
        if not self._fits(lane, size_bytes):
            return False
        lane.enter()
        self._running += 1
        self._size_bytes += size_bytes
        return True

    def leave(self, name: str, size_bytes: int) -> bool:
        """Count a copy out; return whether others are to be claimed now."""
        lane = self._lanes[name]
        lane.leave()
        self._running -= 1
        self._size_bytes -= size_bytes
        return lane.backlog and self.limit(name) > 0

    def turn_away(self, name: str) -> float:
        """Return after how many seconds a copy for which there is no room shall come again."""
        lane = self._lanes[name]
        return 0 if lane.room else lane.turn_away()

    def _fits(self, lane: Lane, size_bytes: int) -> bool:
        left = _MOST_BYTES - self._size_bytes
        return lane.room > 0 and (not self._running or size_bytes <= left)
