"""Why no open or click of a recipient is counted, in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collector.console.signs import tell_reason
from collector.console.wording import tell_because
from ledger.event import Event, EventType
from ledger.mode import TrackingMode

_SEEN = frozenset({EventType.OPENED, EventType.CLICKED})


def tell_unseen(explained: Mapping[str, Any], told: Iterable[Event]) -> str | None:
    """Return why nothing is counted of a recipient, the most decisive reason; None: something is.

    `explained` is his object of `explain --json`, `told` the events of the send.
    """
    recipient = str(explained["recipient"])
    own = [one for one in told if recipient in (one.recipient, *one.candidates)]
    seen = [one for one in own if one.type in _SEEN]
    if any(one.classification and one.classification.attentive for one in seen):
        return None
    return (
        _undelivered(own)
        or _untracked(explained)
        or _machines(seen)
        or _withdrawn(own)
        or _NAMELESS.get(str(explained["mode"]))
        or _unfetched(explained)
    )


def _undelivered(own: Sequence[Event]) -> str | None:
    states = {one.type for one in own}
    if EventType.RELAYED in states:
        return None
    if EventType.FAILED in states:
        return "It was refused, so nobody has it."
    if EventType.DEFERRED in states:
        return "It is not delivered yet: it was deferred, and will be tried again."
    return "It is not delivered yet: there is no answer so far."


def _untracked(explained: Mapping[str, Any]) -> str | None:
    if explained["mode"] == TrackingMode.OFF:
        return f"It is not tracked: {_because(explained, 'mode')}."
    if not explained["opens"] and explained["clicks"] == "none":
        return f"Neither opens nor links are tracked: {_because(explained, 'opens')}."
    return None


def _machines(seen: Sequence[Event]) -> str | None:
    if not seen:
        return None
    times = sum(1 + one.repeats for one in seen)
    saw = sorted({tell_reason(code) for one in seen for code in one.reasons})
    why = f": {'; '.join(saw)}" if saw else ""
    return f"Only programs, your own network or what can not be told so far, {times} in all{why}."


def _withdrawn(own: Sequence[Event]) -> str | None:
    if all(one.type is not EventType.WITHDRAWN for one in own):
        return None
    return "Tracking was withdrawn since: what he does now is not recorded."


_NAMELESS = {
    "shared": "The copy is shared: an open is told as “someone of these”, and there was none.",
    "anonymous": "The copy is anonymous: an open is told as “someone”, never by name.",
}


def _unfetched(explained: Mapping[str, Any]) -> str:
    if not explained["opens"]:
        why = _because(explained, "opens")
        return f"Opens are not tracked ({why}), and no link was followed."
    return "Its pixel was not fetched: images are off, or it was not read."


def _because(explained: Mapping[str, Any], of: str) -> str:
    return next(
        (
            tell_because(str(one["because"]), str(one.get("name", "")))
            for one in explained.get("reasons", ())
            if one["of"] == of
        ),
        "there is nothing in it that could be tracked",
    )
