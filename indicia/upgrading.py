"""The versions of both stores, and their upgrade."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from indicia.failure import Failure
from indicia.printing import print_json, print_line, table
from ledger import schema
from ledger.engine import sqlite_file
from ledger.migrate import StoreError, installed_version, known_versions, open_store


class State(StrEnum):
    """How a store stands to this program."""

    CURRENT = "current"
    OLDER = "older"
    """The next start upgrades it."""
    MISSING = "missing"
    """The next start makes it."""
    NEWER = "newer"
    """A newer program has written it; this one refuses it."""


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """A store, its version and the newest one that this program knows."""

    name: str
    file: Path
    version: str | None
    known: str
    state: State


_MEND = {
    State.CURRENT: "nothing to do",
    State.OLDER: "upgraded by the next start, or by: indicia db upgrade",
    State.MISSING: "made by the next start, or by: indicia db upgrade",
    State.NEWER: "refused: run the newer program, or restore a backup made before its upgrade",
}


def tell_versions(settings: Settings, *, as_json: bool) -> None:
    """Print the version of each store.  Raises Failure where one is newer than this program."""
    found = read_versions(settings)
    _print(found, as_json=as_json)
    newer = [one.name for one in found if one.state is State.NEWER]
    if newer:
        msg = f"{' and '.join(newer)}: written by a newer program"
        raise Failure(msg)


def upgrade_stores(settings: Settings, *, as_json: bool) -> None:
    """Bring both stores up and print what they have become.  Raises StoreError."""
    asyncio.run(_upgrade(settings))
    _print(read_versions(settings), as_json=as_json)


def read_versions(settings: Settings) -> tuple[StoreVersion, ...]:
    """Return spool and ledger as they are; nothing is made or changed.  Raises StoreError."""
    return tuple(
        asyncio.run(_read(name, url, tables)) for name, (url, tables) in _stores(settings).items()
    )


def _stores(settings: Settings) -> dict[str, tuple[str, MetaData]]:
    database = settings.database
    return {
        "spool": (database.spool_url, schema.spool),
        "ledger": (database.url, schema.ledger),
    }


async def _read(name: str, url: str, tables: MetaData) -> StoreVersion:
    file, known = sqlite_file(url), known_versions(tables)
    if not file.exists():
        return StoreVersion(name, file, None, known[-1], State.MISSING)
    try:
        version = await installed_version(url)
    except SQLAlchemyError as error:
        raise _unreadable(file, error) from error
    return StoreVersion(name, file, version, known[-1], _state(version, known))


def _state(version: str | None, known: tuple[str, ...]) -> State:
    if version is None or version in known[:-1]:
        return State.OLDER
    return State.CURRENT if version == known[-1] else State.NEWER


async def _upgrade(settings: Settings) -> None:
    for url, tables in _stores(settings).values():
        try:
            await (await open_store(url, tables)).close()
        except SQLAlchemyError as error:
            raise _unreadable(sqlite_file(url), error) from error


def _unreadable(file: Path, error: SQLAlchemyError) -> StoreError:
    why = getattr(error, "orig", None) or error
    return StoreError(f"{file} can not be read ({why}); restore a backup")


def _print(found: tuple[StoreVersion, ...], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json(
                {
                    "store": one.name,
                    "file": str(one.file),
                    "version": one.version,
                    "known": one.known,
                    "state": one.state.value,
                }
            )
        return
    rows = [
        (one.name, one.version or "none", one.state.value, str(one.file), _MEND[one.state])
        for one in found
    ]
    for line in table([("store", "version", "state", "file", "what follows"), *rows]):
        print_line(line)
