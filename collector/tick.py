"""When answers are released that were asked for at about the same time.

Law: when one is released depends on when it was asked for, and on nothing else: neither on what was
done meanwhile nor, among those of one tick, on who was ready first.
"""

import asyncio
from math import ceil

TICK_S = 0.005
"""What was asked for within it is released together: one timer for all, not one for each."""


class Ticks:
    """The ticks that somebody waits for."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._awaited: dict[int, list[asyncio.Future[None]]] = {}

    def hold(self, for_s: float) -> asyncio.Future[None]:
        """Return what is done when so many seconds are over, and at most TICK_S more.

        They are reckoned from this call, not from when it is awaited.
        """
        loop = asyncio.get_running_loop()
        tick = ceil((loop.time() + for_s) / TICK_S)
        held = self._awaited.get(tick)
        if held is None:
            held = self._awaited[tick] = []
            loop.call_at(tick * TICK_S, self._release, tick)
        # In the order of asking: who begins to wait for it late is not answered last.
        mine: asyncio.Future[None] = loop.create_future()
        held.append(mine)
        return mine

    def _release(self, tick: int) -> None:
        for held in self._awaited.pop(tick):
            if not held.done():  # its client may be gone
                held.set_result(None)
