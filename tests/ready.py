"""Stores as migrations leave them, made once in a run: Alembic takes a second, a copy none."""

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import MetaData

from ledger import schema
from ledger.migrate import open_store

STORES: dict[str, MetaData] = {
    "spool": schema.spool,
    "ledger": schema.ledger,
    "spill": schema.spill,
}


def make_stores(folder: Path) -> None:
    """Put a migrated file of each store into a folder."""

    async def make(name: str, tables: MetaData) -> None:
        store = await open_store(f"sqlite+aiosqlite:///{folder / name}.db", tables)
        await store.close()

    for name, tables in STORES.items():
        asyncio.run(make(name, tables))


def copy_store(folder: Path, name: str, file: Path) -> None:
    """Make `file` the store of this name, unless there is one already."""
    if not file.exists() or file.stat().st_size == 0:
        shutil.copyfile(folder / f"{name}.db", file)
