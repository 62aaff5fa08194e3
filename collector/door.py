"""Who is connected, and how long one may be waited for.

Law: who sends nothing for too long, or too slowly, is sent away, and first of all where there are
too many: never who is being answered.
"""

from collections.abc import Callable
from typing import Protocol

MAX_CONNECTIONS = 4_000
"""In all, some 4 KB of memory each and at most 8 KB unread; a second's worth of hits."""

SPARE_FILES = 200
"""Of the files that the process may have open, what stores and log need."""

HEAD_S = 10.0
"""How long a request's head may take to come in: it is one packet."""

IDLE_S = 30.0
"""How long a kept connection may be silent: mail programs fetch a mail's images at once."""

LEFT_S = 30.0
"""How long an unusual request and its answer may take in all, a form of FORM_S included."""


class Guest(Protocol):
    """A connection, as the door sees it."""

    def abort(self) -> None:
        """End it now."""


class Door:
    """The connections of one listening process."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        """Let in `most` at once; `clock` gives seconds that only go forward."""
        self._most = most
        self._clock = clock
        self._waited_for: dict[Guest, float] = {}
        """Until when, in the order in which the waiting began."""
        self._in: set[Guest] = set()

    def __len__(self) -> int:
        """Return how many are in."""
        return len(self._in)

    def enter(self, guest: Guest) -> None:
        """Let a connection in, if need be in the place of who has been waited for the longest."""
        if len(self._in) >= self._most:
            longest = next(iter(self._waited_for), guest)
            self.leave(longest)
            longest.abort()
            if longest is guest:
                return
        self._in.add(guest)
        self.await_from(guest, HEAD_S)

    def await_from(self, guest: Guest, at_most_s: float) -> None:
        """Note that it is the connection's turn to send something, for at most so long."""
        self._waited_for.pop(guest, None)
        if guest in self._in:
            self._waited_for[guest] = self._clock() + at_most_s

    def answer(self, guest: Guest) -> None:
        """Note that it is our turn."""
        self._waited_for.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """Forget a connection that has ended."""
        self._waited_for.pop(guest, None)
        self._in.discard(guest)

    def look_round(self) -> None:
        """Send away who has been waited for too long."""
        now = self._clock()
        for guest in [guest for guest, until in self._waited_for.items() if until <= now]:
            self.leave(guest)
            guest.abort()

    def empty(self) -> None:
        """Send away all who are waited for: nothing of them is under way."""
        for guest in tuple(self._waited_for):
            self.leave(guest)
            guest.abort()
