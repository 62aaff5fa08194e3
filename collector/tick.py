"""When answers are released that were asked for at about the same time.

Law: when one is released depends on when it was asked for, and on nothing else.
"""

import asyncio
from collections.abc import Coroutine
from math import ceil
from typing import Any

TICK_S = 0.005
"""What was asked for within it is released together: one timer for all, not one for each."""


class Ticks:
    """The ticks that somebody waits for."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._awaited: dict[int, asyncio.Event] = {}

    def hold(self, for_s: float) -> Coroutine[Any, Any, object]:
        """Return what ends when so many seconds are over, and at most TICK_S more.

        They are reckoned from this call, not from when it is awaited.
        """
        loop = asyncio.get_running_loop()
        tick = ceil((loop.time() + for_s) / TICK_S)
        released = self._awaited.get(tick)
        if released is None:
            released = self._awaited[tick] = asyncio.Event()
            loop.call_at(tick * TICK_S, self._release, tick)
        return released.wait()

    def _release(self, tick: int) -> None:
        self._awaited.pop(tick).set()
