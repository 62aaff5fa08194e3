"""Why mail was not tracked lately, and what one can do about it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.console.wording import SWITCH, tell_because
from ledger.fact import UNOBSERVED
from ledger.mode import TrackingMode

LATELY = 100
"""Sends that are looked at."""

_MENDS = {
    "signed": "Nothing: the signature is worth more. Where it is put on by a gateway, let that "
    "come after the relay.",
    "encrypted": "Nothing: nobody but the recipient can read it.",
    "pgp_inline": "Nothing: it is signed or encrypted text.",
    "dkim_signed": "Let the signer come after the relay; or set tracking.dkim_signed = "
    '"resign" with a [[dkim]] key of the author\'s domain. "track" breaks the signature.',
    "calendar": "Send the mail apart from the invitation: programs read and answer it.",
    "tnef": "Have Exchange send HTML to the outside (Set-RemoteDomain -TNEFEnabled $false): "
    "only Outlook reads winmail.dat.",
    "report": "Nothing: it is for programs.",
    "automatic": "Leave the field out where people are meant to read the mail; a reply of an "
    "absent colleague is rightly left alone.",
    "null_sender": "Nothing: it is a bounce or an automatic reply.",
    "no_html": "Write in HTML. tracking.text_clicks = true has links in plain text tracked; the "
    "reader sees them.",
    "observe": "Set tracking.observe = false when you have seen enough.",
    "too_many_links": "Send fewer than 4,096 links in one mail.",
    "nothing_to_track": "Nothing: its HTML is empty, or opens are off and it has no link that "
    "may be tracked.",
    "our_fault": "Look for tracking.failed in the relay's log and report the line; it quotes "
    "nothing of the mail.",
}
"""Of the whole message: what docs/reasons.md says, which a test compares."""

_MENDS_OF_POLICY = {
    "rule": "Change the rule, where it says more than it should.",
    "consent": "Ask the recipients, and record what they say.",
    "internal": "Nothing: tracking.internal_domains says that these are your own.",
    "header": "Take the field out of the mail.",
    "ceiling": "Raise tracking.mode in the configuration.",
}
_MEND_OF_SWITCH = "It can be switched on again under Policy."


@dataclass(frozen=True, slots=True)
class Untracked:
    """One reason, and how many of the latest sends it kept from being tracked."""

    because: str
    mend: str
    count: int


@dataclass(frozen=True, slots=True)
class Lately:
    """The latest sends, and why some of them are tracked for nobody."""

    sends: int
    reasons: tuple[Untracked, ...]
    """The most frequent first."""

    @property
    def untracked(self) -> int:
        """How many of them are tracked for nobody."""
        return sum(one.count for one in self.reasons)


def tell_untracked(verdicts: Sequence[Sequence[Mapping[str, Any]]]) -> Lately:
    """Return why sends were not tracked, from the objects of `explain --json` of each.

    Law: each send that is tracked for nobody is counted under one reason.
    """
    found = Counter[tuple[str, str]](
        _reason(verdict)
        for verdict in verdicts
        if verdict and all(one["mode"] == TrackingMode.OFF for one in verdict)
    )
    reasons = tuple(
        Untracked(tell_because(because, name), tell_mend(because, name), count)
        for (because, name), count in found.most_common()
    )
    return Lately(len(verdicts), reasons)


def tell_mend(because: str, name: str) -> str:
    """Return what one can do about a reason; empty where nothing is known."""
    if because == "content":
        return _MENDS.get(name, "")
    return _MEND_OF_SWITCH if name == SWITCH else _MENDS_OF_POLICY.get(because, "")


def _reason(verdict: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if any(UNOBSERVED in one for one in verdict):
        return "content", "observe"
    said: Iterable[Mapping[str, Any]] = (
        reason for one in verdict for reason in one.get("reasons", ()) if reason["of"] == "mode"
    )
    return next(
        ((str(one["because"]), str(one.get("name", ""))) for one in said if one["is"] == "off"),
        ("content", "nothing_to_track"),
    )
