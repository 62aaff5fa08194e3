"""How much of a long task is done in one transaction.

Law: however slow the disk, the size falls until a step is as short as it should be, and never
below LEAST: a flush costs as much for one row as for fifty.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

AIM_S = 0.04
"""How long a step may hold the writer: half of the 100 ms that mail and hits are promised."""

LEAST, FIRST, MOST = 50, 100, 2_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How many rows the next step takes."""

    size: int = FIRST

    def after(self, took_s: float) -> "Pace":
        """Return the pace for the next step, from how long the last one took."""
        if took_s > AIM_S:
            return Pace(max(LEAST, self.size // 2))
        if took_s < AIM_S / 3:
            return Pace(min(MOST, self.size * 2))
        return self


async def go_through(step: Callable[[int], Awaitable[int]]) -> int:
    """Do a step again and again until it has nothing to do; return how much was done in all.

    A step is told how many rows it may take, and returns how many it took.  Between two steps
    others have as much time as the step has taken.
    """
    pace, done = Pace(), 0
    while True:
        began = monotonic()
        taken = await step(pace.size)
        took_s = monotonic() - began
        done += taken
        if not taken:
            return done
        pace = pace.after(took_s)
        await asyncio.sleep(took_s)
