"""How far a recipient may be tracked: the four modes and their order."""

from enum import StrEnum


class TrackingMode(StrEnum):
    """`off < anonymous < shared < individual`, as configuration, tables, API and pages spell it."""

    OFF = "off"
    ANONYMOUS = "anonymous"
    SHARED = "shared"
    INDIVIDUAL = "individual"

    @property
    def width(self) -> int:
        """How much a mode tells of the recipient, 0 (nothing) to 3 (who)."""
        return _WIDTH[self]


_WIDTH = {mode: width for width, mode in enumerate(TrackingMode)}


def narrowest(first: TrackingMode, *others: TrackingMode) -> TrackingMode:
    """Return the mode that tells least.

    Law: the order of the arguments does not matter, and no further argument widens the result.
    """
    return min((first, *others), key=lambda mode: mode.width)
