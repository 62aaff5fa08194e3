"""What narrows a recipient's treatment, and which of it decides."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.mode import TrackingMode, narrowest
from relay.verdict import OFF, Because, Clicks, Reason, Treatment

# Of sources that narrow alike the first is named: the one an admin looks at first.
_RANK = {
    because: rank
    for rank, because in enumerate(
        (
            Because.CEILING,
            Because.MAX_COPIES,
            Because.INTERNAL,
            Because.RULE,
            Because.SEAT,
            Because.CONSENT,
            Because.HEADER,
            Because.CONTENT,
        )
    )
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One source's say: at most this mode, these opens, these clicks."""

    because: Because
    name: str
    """What an admin would look up; empty for the option of the value that is decided."""
    mode: TrackingMode = TrackingMode.INDIVIDUAL
    opens: bool = True
    clicks: Clicks = Clicks.BOTH
    default: bool = False
    """It holds for everybody and is named only where no other narrows as far."""

    @property
    def width(self) -> int:
        """In how many kinds of parts it leaves clicks."""
        return self.clicks.html + self.clicks.text

    def source(self, of: str) -> tuple[Because, str]:
        """Return what a Reason names where this limit decides mode, opens or clicks."""
        return self.because, self.name or f"tracking.{of}"

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Its place among those that narrow alike."""
        return self.default, _RANK[self.because], self.name


SWITCHED_OFF = Limit(Because.CEILING, "policy off", mode=TrackingMode.OFF)
"""`indicia policy off`: for everybody, mail in the queue included."""
NOT_KNOWN = Limit(Because.CEILING, "policy not known", mode=TrackingMode.OFF)
"""What admins and recipients have said could never be read."""
DENIED = Limit(Because.CONSENT, "denied", mode=TrackingMode.OFF)
"""By the recipient, or for his whole domain."""


def narrow(limits: Sequence[Limit]) -> tuple[Treatment, tuple[Reason, ...]]:
    """Return what all limits leave, and the deciding one of mode, opens and clicks, in this order.

    Opens and clicks both off is mode off, and mode off is neither.

    Law: no further limit widens the treatment.
    Law: the order of the limits does not matter, to the reasons neither.
    """
    by_mode = min(limits, key=lambda limit: (limit.mode.width, limit.rank))
    by_opens = min(limits, key=lambda limit: (limit.opens, limit.rank))
    by_clicks = min(limits, key=lambda limit: (limit.width, limit.rank))
    mode = narrowest(*(limit.mode for limit in limits))
    opens = by_opens.opens
    clicks = Clicks.of(
        html=all(limit.clicks.html for limit in limits),
        text=all(limit.clicks.text for limit in limits),
    )
    because = {
        "mode": by_mode.source("mode"),
        "opens": by_opens.source("opens"),
        "clicks": by_clicks.source("clicks"),
    }
    if mode is TrackingMode.OFF:
        off = {"opens": opens, "clicks": clicks is not Clicks.NONE}
        because |= {of: because["mode"] for of, left in off.items() if left}
        treatment = OFF
    elif not opens and clicks is Clicks.NONE:
        # The source that is named later took the last that was left.
        because["mode"] = because["opens" if by_opens.rank > by_clicks.rank else "clicks"]
        treatment = OFF
    else:
        treatment = Treatment(mode, opens, clicks)
    said = values(treatment)
    return treatment, tuple(Reason(of, said[of], *source) for of, source in because.items())


def values(treatment: Treatment) -> dict[str, str]:
    """Return mode, opens and clicks as a Reason spells them."""
    return {
        "mode": treatment.mode.value,
        "opens": "true" if treatment.opens else "false",
        "clicks": treatment.clicks.value,
    }
