"""How often a name may do something within a time."""

from collections import OrderedDict

_MAX_NAMES = 10_000
"""Each costs some hundred bytes; the one that came longest ago is forgotten first."""


class Quota:
    """The latest doings of each name; used in one thread.

    Law: within any `within_s` a name is let through at most `most` times.
    """

    def __init__(self, most: int, within_s: float) -> None:
        """Begin with nobody."""
        self._most = most
        self._within_s = within_s
        self._done: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def take(self, name: str, now: float) -> bool:
        """Tell whether a name may do it now, which is counted then; `now` in seconds, any clock."""
        lately = tuple(at for at in self._done.get(name, ()) if now - at < self._within_s)
        allowed = len(lately) < self._most
        self._done[name] = (*lately, now) if allowed else lately
        self._done.move_to_end(name)
        if len(self._done) > _MAX_NAMES:
            self._done.popitem(last=False)
        return allowed
