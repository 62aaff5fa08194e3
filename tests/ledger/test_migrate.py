import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, inspect, text

from ledger import migrate, schema
from ledger.migrate import StoreError, known_versions, open_store, open_stores

STORES = {"spool": schema.spool, "ledger": schema.ledger, "spill": schema.spill}
INDEXES = text(
    "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name ORDER BY name"
)


@pytest.fixture(autouse=True)
def _really_migrate(bring_up: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_bring_up", bring_up)


def url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def shape(file: Path) -> dict[str, object]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        seen = inspect(connection)
        tables = sorted(set(seen.get_table_names()) - {"alembic_version"})
        found: dict[str, object] = {}
        for table in tables:
            columns = seen.get_columns(table)
            sql = connection.scalar(
                text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table}
            )
            found[table] = (
                [(c["name"], str(c["type"]), c["nullable"]) for c in columns],
                connection.execute(INDEXES, {"name": table}).scalars().all(),
                sorted(str(key) for key in seen.get_foreign_keys(table)),
                seen.get_pk_constraint(table)["constrained_columns"],
                sorted(str(key) for key in seen.get_unique_constraints(table)),
                "AUTOINCREMENT" in sql,
            )
    engine.dispose()
    return found


@pytest.mark.parametrize("name", STORES)
async def test_the_migrations_make_what_the_schema_declares(name: str, tmp_path: Path) -> None:
    store = await open_store(url(tmp_path / "migrated.db"), STORES[name])
    await store.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    STORES[name].create_all(engine)
    engine.dispose()
    declared = shape(tmp_path / "declared.db")
    assert declared
    assert shape(tmp_path / "migrated.db") == declared, (
        "schema.py and ledger/migrations differ; until 0.1.0 run "
        "tests/ledger/write_first_migrations.py, after it add a step"
    )


async def test_both_stores_open_with_their_folders_made(tmp_path: Path) -> None:
    stores = await open_stores(url(tmp_path / "a/ledger.db"), url(tmp_path / "b/spool.db"))
    async with stores.ledger.read() as ledger, stores.spool.read() as spool:
        assert await ledger.scalar(text("SELECT count(*) FROM events")) == 0
        assert await spool.scalar(text("SELECT count(*) FROM spooled_copies")) == 0
    await stores.close()


async def test_what_a_migration_wrote_is_in_the_file_when_mail_comes(tmp_path: Path) -> None:
    # A log that holds the whole schema is missing to a disk that becomes full.
    store = await open_store(url(tmp_path / "ledger.db"), schema.ledger)
    assert (tmp_path / "ledger.db").stat().st_size > 100_000
    assert not store.has_log()
    await store.close()


async def test_a_second_start_migrates_nothing_and_keeps_the_rows(tmp_path: Path) -> None:
    first = await open_store(url(tmp_path / "s.db"), schema.spool)
    async with first.write() as connection:
        await connection.execute(text("INSERT INTO owed_facts (fact) VALUES ('{}')"))
    await first.close()
    second = await open_store(url(tmp_path / "s.db"), schema.spool)
    async with second.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM owed_facts")) == 1
    await second.close()


@pytest.mark.slow
def test_a_start_with_nothing_to_migrate_does_not_import_alembic(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from ledger import schema; from ledger.migrate import open_store\n"
        f"store = asyncio.run(open_store({url(tmp_path / 's.db')!r}, schema.spool))\n"
        "print('alembic' in sys.modules)"
    )
    seen = [
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()
        for _start in range(2)
    ]
    assert seen == ["True", "False"]


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    await (await open_store(url(file), schema.ledger)).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match=r"l\.db has the tables of version 9999.*newer program"):
        await open_stores(url(file), url(tmp_path / "s.db"))
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as again:
        assert again.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE sends (mine)")  # the second half of the step can not pass
    connection.close()
    with pytest.raises(Exception, match="sends already exists"):
        await open_store(url(file), schema.ledger)
    assert list(shape(file)) == ["sends"]


@pytest.mark.slow
async def test_two_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    script = (
        "import asyncio; from ledger.migrate import open_stores\n"
        "async def main():\n"
        f"    stores = await open_stores({url(tmp_path / 'l.db')!r}, {url(tmp_path / 's.db')!r})\n"
        "    await stores.close()\n"
        "asyncio.run(main())"
    )
    starts = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE
        )
        for _process in range(2)
    ]
    ends = await asyncio.wait_for(asyncio.gather(*(one.communicate() for one in starts)), 60)
    assert [one.returncode for one in starts] == [0, 0], ends
    with sqlite3.connect(tmp_path / "l.db") as connection:
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    connection.close()
    assert versions == [(known_versions(schema.ledger)[-1],)]


def test_every_table_belongs_to_one_store() -> None:
    names = [name for tables in STORES.values() for name in _names(tables)]
    assert len(names) == len(set(names))


def _names(tables: MetaData) -> list[str]:
    return list(tables.tables)


async def test_a_file_that_can_not_be_opened_is_told_with_the_mend(tmp_path: Path) -> None:
    file = tmp_path / "spool.db"
    file.write_bytes(b"this is no database" * 500)
    with pytest.raises(StoreError, match=r"spool\.db can not be opened: .*; see that the disk"):
        await open_store(url(file), schema.spool)
