"""SHRINK: what the stores give back to a disk that is short.

SQLite leaves a log as long as it once was: 4 MB and more of each store, which a full disk needs
for the marks of mail that was accepted.
"""

import asyncio
from collections.abc import Sequence

from ledger.engine import Store
from ledger.room import has_room

_LOOK_S = 0.1
"""What is under way when room becomes short writes some 30 KB a transaction to each log."""


async def shrink_when_short(stores: Sequence[Store]) -> None:
    """Cut the log of each store whose disk has no room for mail, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        for store in stores:
            if not has_room(store.file.parent, 0):
                await store.shrink()
