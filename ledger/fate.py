"""What is to become of a copy that is not to be delivered."""

from enum import StrEnum

REMOVED = (554, "5.3.0", "removed from the queue by an administrator")
"""What is said of a recipient whose copy was given up; his sender may read it."""


class Fate(StrEnum):
    """Why a copy is in the spool and yet not on its way."""

    SILENT = "silent"
    """An admin gives it up, and nobody is told."""
    BOUNCE = "bounce"
    """An admin gives it up, and the sender is told."""
    DEAD = "dead"
    """It failed for somebody and has no sender to tell; it is kept for people to see."""
