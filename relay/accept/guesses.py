"""Who has tried to sign in in vain, and how long he must wait.

Tries are counted when they begin, so that many at once get no further than one after another.
What is kept is in memory alone: a restart forgives.

Law: of one address fewer than ten wrong tries in any minute are answered, however they come.
Law: what strangers try with an account never keeps out an address that has signed in to it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TypeVar

IPAddress = IPv4Address | IPv6Address
_Key = TypeVar("_Key", bound=Hashable)
_Record = TypeVar("_Record")

_MINUTE_S = 60.0
_MAX_A_MINUTE = 9
"""Tries of one address that are answered, the same one again too."""

_MAX_GUESSES = 20
_GUESSES_WITHIN_S = 3600.0
"""Different wrong credentials from one address before it is banned: a person tries a handful."""

_MAX_WITH_ACCOUNT = 20
_WITH_ACCOUNT_WITHIN_S = 600.0
"""Wrong tries with one account from addresses that have not signed in to it before."""

_FIRST_BAN_S = 60.0
_LONGEST_BAN_S = 3600.0
"""A ban doubles each time, up to an hour."""

_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 8.0
"""Before a wrong try is answered; it doubles each time.  Mail programs wait 30 s and more."""

_QUIET_S = 3600.0
"""After so long without a wrong try delay and ban begin anew."""

_MAX_KEPT = 10_000
"""Addresses and accounts each that are remembered; the one that tried least lately goes first."""


@dataclass(slots=True)
class _Place:
    """An address, or the /64 of one."""

    tries: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_A_MINUTE))
    guesses: OrderedDict[Hashable, float] = field(default_factory=OrderedDict)
    """Different wrong credentials."""
    wrong: int = 0
    """In a row."""
    wrong_at: float = 0.0
    bans: int = 0
    banned_until: float = 0.0


@dataclass(slots=True)
class _Target:
    """An account, or a name that is none."""

    tries: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_WITH_ACCOUNT))
    bans: int = 0
    banned_until: float = 0.0


class Guesses:
    """The wrong tries of the last hours; every `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        """Nobody has tried."""
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()
        self._targets: OrderedDict[str, _Target] = OrderedDict()
        self._at_home: OrderedDict[tuple[str, Hashable], None] = OrderedDict()

    def is_banned(self, peer: IPAddress | None, now: float) -> bool:
        """Tell whether an address must wait before it may try at all."""
        place = self._places.get(_place_of(peer))
        return place is not None and place.banned_until > now

    def begin(self, peer: IPAddress | None, account: str, now: float) -> bool:
        """Count a try that begins; False where it gets no answer: there were too many."""
        place = _kept(self._places, _place_of(peer), _Place)
        tries = place.tries
        if len(tries) == _MAX_A_MINUTE and now - tries[0] < _MINUTE_S:
            return False
        if not self._is_at_home(peer, account) and not self._may_be_tried(account, now):
            return False
        tries.append(now)
        return True

    def take_back(self, peer: IPAddress | None, account: str) -> None:
        """Forget a try that has begun: it was right, or nobody could tell."""
        place, target = self._places.get(_place_of(peer)), self._targets.get(account)
        if place is not None and place.tries:
            place.tries.pop()
        if target is not None and target.tries and not self._is_at_home(peer, account):
            target.tries.pop()

    def right(self, peer: IPAddress | None, account: str) -> None:
        """Forget a try that has begun, and remember where the account is at home."""
        self.take_back(peer, account)
        home = (account, _place_of(peer))
        self._at_home[home] = None
        self._at_home.move_to_end(home)
        if len(self._at_home) > _MAX_KEPT:
            self._at_home.popitem(last=False)

    def wrong(self, peer: IPAddress | None, guess: Hashable, now: float) -> float:
        """Return how many seconds a wrong try waits for its answer.

        The same guess again is none, and leads to no ban: a device that has an old password tries
        it all day, and others are behind the same address.
        """
        place = _kept(self._places, _place_of(peer), _Place)
        if now - place.wrong_at > _QUIET_S:
            place.wrong, place.bans = 0, 0
        delay_s = min(_FIRST_DELAY_S * 2.0 ** min(place.wrong, 16), _LONGEST_DELAY_S)
        place.wrong, place.wrong_at = place.wrong + 1, now
        self.note(peer, guess, now)
        return delay_s

    def note(self, peer: IPAddress | None, guess: Hashable, now: float) -> None:
        """Count a guess, one too that was turned away: it was compared with what is remembered."""
        place = _kept(self._places, _place_of(peer), _Place)
        place.guesses.setdefault(guess, now)
        if len(place.guesses) >= _MAX_GUESSES:
            _, first_at = place.guesses.popitem(last=False)
            if now - first_at < _GUESSES_WITHIN_S:
                _ban(place, now)

    def _is_at_home(self, peer: IPAddress | None, account: str) -> bool:
        return (account, _place_of(peer)) in self._at_home

    def _may_be_tried(self, account: str, now: float) -> bool:
        target = _kept(self._targets, account, _Target)
        if target.banned_until > now:
            return False
        tries = target.tries
        if len(tries) == _MAX_WITH_ACCOUNT and now - tries[0] < _WITH_ACCOUNT_WITHIN_S:
            if now - target.banned_until > _QUIET_S:
                target.bans = 0
            _ban(target, now)
            return False
        tries.append(now)
        return True


def _ban(banned: _Place | _Target, now: float) -> None:
    ban_s = min(_FIRST_BAN_S * 2.0 ** min(banned.bans, 16), _LONGEST_BAN_S)
    banned.bans, banned.banned_until = banned.bans + 1, now + ban_s


def _kept(records: OrderedDict[_Key, _Record], key: _Key, new: Callable[[], _Record]) -> _Record:
    record = records.get(key)
    if record is None:
        record = records[key] = new()
        if len(records) > _MAX_KEPT:
            records.popitem(last=False)
    records.move_to_end(key)
    return record


def _place_of(peer: IPAddress | None) -> Hashable:
    # RFC 6177 2: who has IPv6 has at least a /64 of it.
    return ip_network((peer, 64), strict=False) if isinstance(peer, IPv6Address) else peer
