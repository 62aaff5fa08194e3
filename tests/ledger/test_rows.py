"""Rows come back as they were given, whichever way they were added."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Table, create_engine, insert, select
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.exc import IntegrityError

from ledger import schema
from ledger.rows import ByKeys, RowInsert, _prepare

NAMES = ("send_id", "accepted_at", "size_bytes", "base_url", "verdict", "tags", "metadata")
ROWS: list[tuple[object, ...]] = [
    (str(number), datetime(2026, 1, number, tzinfo=UTC), number, "u", {"a": [number]}, tags, {})
    for number, tags in ((1, ["ä"]), (2, ["ä"]), (3, []))
]


def test_rows_are_those_that_sqlalchemy_would_have_added(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/l.db")
    schema.sends.create(engine)
    with engine.begin() as connection:
        RowInsert(schema.sends, NAMES).run(connection, ROWS)
        RowInsert(schema.sends, NAMES).run(connection, [])
        ours = connection.execute(select(schema.sends)).all()
        connection.execute(schema.sends.delete())
        connection.execute(
            insert(schema.sends), [dict(zip(NAMES, row, strict=True)) for row in ROWS]
        )
        assert connection.execute(select(schema.sends)).all() == ours
    engine.dispose()


def test_a_row_that_is_there_is_left_or_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/l.db")
    schema.sends.create(engine)
    changed = [(*ROWS[0][:2], 99, *ROWS[0][3:]), ROWS[1]]
    with engine.begin() as connection:
        RowInsert(schema.sends, NAMES).run(connection, ROWS[:1])
        RowInsert(schema.sends, NAMES, once=True).run(connection, changed)
        assert connection.scalars(select(schema.sends.c.size_bytes)).all() == [1, 2]
        with pytest.raises(IntegrityError):
            RowInsert(schema.sends, NAMES).run(connection, ROWS[:1])
    engine.dispose()


@pytest.mark.parametrize("table", [schema.sends, schema.events, schema.spooled_copies])
def test_the_statement_is_made_for_postgresql_too(table: Table) -> None:
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's
    names = tuple(column.name for column in table.c)
    ready = _prepare(RowInsert(table, names, once=True), dialect)
    assert ready.sql.count("$") == len(names)
    assert ready.sql.endswith("ON CONFLICT DO NOTHING")


def test_rows_are_found_by_as_many_keys_as_there_are(tmp_path: Path) -> None:
    found = ByKeys(
        lambda keys: select(schema.sends.c.send_id).where(
            schema.sends.c.base_url == "u", schema.sends.c.send_id.in_(keys)
        )
    )
    engine = create_engine(f"sqlite:///{tmp_path}/l.db")
    schema.sends.create(engine)
    with engine.begin() as connection:
        RowInsert(schema.sends, NAMES).run(connection, ROWS)
        for keys in (["2"], ["3", "1", "9"], ["1", "2", "3"]):
            rows = found.run(connection, keys)
            assert sorted(send_id for (send_id,) in rows) == sorted(set(keys) - {"9"})
    engine.dispose()
