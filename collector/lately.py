"""What networks just tried, of which nothing is stored.

In memory for two minutes, by the day's mark of the network: never an address, never on a disk.
Law: a sign stands only on a request from the network that gave it, alike in agent or headers,
within MEMORY_S.
Law: what other networks try changes no request's signs, but by making the memory forget.
"""

from collections import OrderedDict
from collections.abc import Iterator

from collector.hit import Trace
from collector.sweeps import ALTERED_TOKEN, LOOKED_FIRST

MEMORY_S = 120.0
"""SafeLinks asks its two ways within seconds (gophish#973); mautic#9798 saw two minutes at most."""

MAX_NETWORKS = 512
"""With MAX_TRIED each, some 15 MB: who knows no token can fill it, and hides other scanners' tries,
no hit."""
MAX_TRIED = 128
"""Thirty copies' tries: a gateway asks for a copy's links together, not for all copies first."""

_COPY = 12
"""Characters of a token that hold its key and copy."""
_TAG = slice(24, 36)

_Tried = tuple[str, str, bytes, int]


class Lately:
    """The memory of one process; used in one thread."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._networks: OrderedDict[str, OrderedDict[_Tried, float]] = OrderedDict()

    def note_altered(self, token: bytes, trace: Trace, now: float) -> None:
        """Remember that a token was tried that is not ours as it stands; `now`: seconds."""
        self._note(_of_altered(token, trace), trace.network, now)

    def note_look(self, token: bytes, trace: Trace, now: float) -> None:
        """Remember that a genuine token was asked for by HEAD or OPTIONS; `now`: seconds."""
        self._note(_alike(LOOKED_FIRST, token[:_COPY], trace), trace.network, now)

    def signs(self, token: bytes, trace: Trace, now: float) -> tuple[str, ...]:
        """Return what the network of a hit by a genuine token has just tried of its copy."""
        tried = self._networks.get(trace.network)
        if tried is None:
            return ()

        def stands(names: Iterator[_Tried]) -> bool:
            return any(now - tried[name] <= MEMORY_S for name in names if name in tried)

        altered = stands(_of_altered(token, trace))
        looked = stands(_alike(LOOKED_FIRST, token[:_COPY], trace))
        return (ALTERED_TOKEN,) * altered + (LOOKED_FIRST,) * looked

    def _note(self, names: Iterator[_Tried], network: str, now: float) -> None:
        if not network:
            return
        tried = self._networks.setdefault(network, OrderedDict())
        self._networks.move_to_end(network)
        for name in names:
            tried[name] = now
            tried.move_to_end(name)
        while len(tried) > MAX_TRIED:
            tried.popitem(last=False)
        if len(self._networks) > MAX_NETWORKS:
            self._networks.popitem(last=False)


def _of_altered(token: bytes, trace: Trace) -> Iterator[_Tried]:
    """Yield names that a token shares with its alterations.

    One end of it stays where a character is changed or one is appended, and its letters where
    they are made small (gophish#973, mautic#9798).
    """
    small = token.lower()
    yield from _alike(ALTERED_TOKEN, small[:_COPY], trace)
    yield from _alike(ALTERED_TOKEN, small[_TAG], trace)


def _alike(sign: str, part: bytes, trace: Trace) -> Iterator[_Tried]:
    """Yield names that what may be by the same hand shares, as `sweeps` says of hits.

    People share a network with what guards them, and with each other.
    """
    if part:
        yield sign, "agent", part, hash(trace.agent)
        yield sign, "headers", part, hash(tuple(sorted(trace.headers)))
