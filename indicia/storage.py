"""The stores that a command stands on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.settings import Settings
from indicia.failure import Failure
from ledger.engine import sqlite_file
from ledger.migrate import Stores, open_stores


def spill_url(settings: Settings) -> str:
    """Return where the collector's spill lies."""
    return f"sqlite+aiosqlite:///{settings.server.state_dir / 'spill.db'}"


@asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Give both stores, migrated, for as long as the block runs.  Raises StoreError."""
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    try:
        yield stores
    finally:
        await stores.close()


@asynccontextmanager
async def existing_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Give both stores as `opened_stores` does; fail where there is no record yet."""
    file = sqlite_file(settings.database.url)
    if not file.exists():
        msg = f"there is no record yet at {file}; start Indicia first: indicia serve"
        raise Failure(msg)
    async with opened_stores(settings) as stores:
        yield stores
