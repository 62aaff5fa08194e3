"""How a store is opened: brought to this version's tables first.

Every start does so, under a lock beside the file, so that processes starting at once agree.
A store that a newer version has written is refused and left as it is.
"""

import asyncio
import fcntl
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from ledger import schema
from ledger.engine import Store, sqlite_file

_MIGRATIONS = Path(__file__).parent / "migrations"
_STEP = re.compile(r"(\d{4})_\w+\.py")
_STORES = {
    schema.spool: "spool",
    schema.ledger: "ledger",
    schema.spill: "spill",
}


class StoreError(Exception):
    """A store can not be used; the text says which, why, and the mend."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What both programs stand on."""

    spool: Store
    ledger: Store

    async def close(self) -> None:
        """Close both."""
        await self.spool.close()
        await self.ledger.close()


async def open_stores(database_url: str, spool_url: str) -> Stores:
    """Return both stores, migrated.

    Raises StoreError where a newer version has written one of them.
    """
    spool = await open_store(spool_url, schema.spool)
    try:
        return Stores(spool=spool, ledger=await open_store(database_url, schema.ledger))
    except BaseException:
        await spool.close()
        raise


async def open_store(url: str, tables: MetaData) -> Store:
    """Return the store of these tables, migrated; its folder and file are made if need be.

    Raises StoreError where a newer version has written it, or it can not be opened.
    """
    file = sqlite_file(url)
    file.parent.mkdir(parents=True, exist_ok=True)
    store = Store(url)
    try:
        async with _lock(file.with_name(f"{file.name}.lock")):
            await _bring_up(store, file, _MIGRATIONS / _STORES[tables])
    except BaseException as error:
        await store.close()
        if isinstance(error, DBAPIError):
            msg = (
                f"{file} can not be opened: {error.orig}; see that the disk is in order and has"
                " room, or restore a backup"
            )
            raise StoreError(msg) from error
        raise
    return store


def known_versions(tables: MetaData) -> tuple[str, ...]:
    """Return the versions of a store that this program knows, oldest first.

    They are read from the names of the steps: importing Alembic costs over a second, and most
    starts have nothing to migrate.
    """
    return _versions(_MIGRATIONS / _STORES[tables])


async def installed_version(url: str) -> str | None:
    """Return the version of the tables in an existing file as they are; None where it has none."""
    store = Store(url)
    try:
        async with store.read() as connection:
            return await connection.run_sync(_version_of)
    finally:
        await store.close()


@asynccontextmanager
async def _lock(file: Path) -> AsyncIterator[None]:
    with file.open("a") as held:
        await asyncio.to_thread(fcntl.flock, held, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back


async def _bring_up(store: Store, file: Path, steps: Path) -> None:
    known = _versions(steps)
    async with store.read() as connection:
        version = await connection.run_sync(_version_of)
    if version == known[-1]:
        return
    if version is not None and version not in known:
        msg = (
            f"{file} has the tables of version {version}, this program knows {known[-1]}; "
            "run the newer program, or restore a backup made before the upgrade"
        )
        raise StoreError(msg)
    async with store.write() as connection:
        await connection.run_sync(_upgrade, steps)
    # Or a disk that becomes full would have to hold it a second time, of what mail needs.
    await store.shrink()


def _versions(steps: Path) -> tuple[str, ...]:
    names = (_STEP.fullmatch(path.name) for path in steps.iterdir())
    return tuple(sorted(name[1] for name in names if name))


def _version_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection, steps: Path) -> None:
    # Only here: the import costs 1.3 s, and most starts have nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(steps).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "head")
