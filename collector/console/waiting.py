"""Why mail waits, and what was done about it, in words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ledger.acts import Result
from ledger.queue import Waiting

_WAITING = {
    Waiting.NEW: "not tried yet",
    Waiting.DEFERRED: "put off",
    Waiting.UNDER_WAY: "being sent",
    Waiting.HELD: "held",
    Waiting.DROPPED: "being dropped",
    Waiting.DEAD: "dead letter",
}


def tell_waiting(why: Waiting) -> str:
    """Return why a copy is in the queue, in a word or three."""
    return _WAITING[why]


def tell_age(age: str) -> str:
    """Return an age such as `4h` or `1d` as people say it."""
    number, unit = int(age[:-1]), {"h": "hour", "d": "day"}[age[-1]]
    return f"{number} {unit} ago" if number == 1 else f"{number} {unit}s ago"


@dataclass(frozen=True, slots=True)
class Acted:
    """A sentence about what was done to the queue, and whether it is good news."""

    text: str
    good: bool = True


_ACTED = {
    "retry": "due now: a relay tries {them} within seconds",
    "hold": "held: no relay tries {them} until {it} {is} released",
    "release": "released: a relay tries {them} within seconds",
    "drop": "dropped",
    "bounce": "dropped, and the relay tells the sender",
}
_LEFT = {
    Result.UNDER_WAY: "being sent already",
    Result.AS_IT_WAS: "left alone: there was nothing to do",
    Result.HELD: "held, so not tried: release {them} first",
    Result.GONE: "no longer in the queue",
}


def tell_acted(do: str, counts: Mapping[Result, int]) -> tuple[Acted, ...]:
    """Return what came of an action, in sentences; none where nothing is known of one."""
    if do not in _ACTED:
        return ()
    done = counts.get(Result.DONE, 0) + counts.get(Result.BY_RELAY, 0)
    told = [Acted(_sentence(done, _ACTED[do]))] if done else []
    if later := counts.get(Result.WHEN_ENDED, 0):
        words = f"being sent at this moment; if that fails {{it}} {{is}} {_ACTED[do]}"
        told.append(Acted(_sentence(later, words)))
    told += [
        Acted(_sentence(counts[result], words), good=result is not Result.HELD)
        for result, words in _LEFT.items()
        if result in counts
    ]
    return tuple(told) or (Acted("Nothing in the queue matches.", good=False),)


def tell_ahead(span: timedelta) -> str:
    """Return in how long something is, as people say it; what is past is now."""
    minutes = math.ceil(span.total_seconds() / 60)
    if minutes <= 0:
        return "now"
    return f"in {minutes} min" if minutes < _HOURS_FROM_MIN else f"in {round(minutes / 60)} hours"


_HOURS_FROM_MIN = 100
"""In a hundred minutes is as easily read as in two hours."""


def _sentence(number: int, words: str) -> str:
    one = number == 1
    subject = "1 mail is" if one else f"{number} mails are"
    named = {"it": "it", "them": "it", "is": "is"} if one else _MANY
    return f"{subject} {words.format(**named)}."


_MANY = {"it": "they", "them": "them", "is": "are"}
