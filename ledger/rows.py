"""Rows added, and looked up by their keys, at the cost of the driver alone.

SQLAlchemy takes each row apart by name and each list of keys into a new text, which for what is
done with every mail costs more than all that SQLite does.  A statement is compiled once from the
tables, for the engine it is used on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import JSON, BindParameter, Connection, Dialect, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

Values = Sequence[Any]
"""Of the columns that are named, in their order; Python's words, as for SQLAlchemy."""


@dataclass(frozen=True, slots=True)
class RowInsert:
    """What is added: values of these columns of a table."""

    table: Table
    names: tuple[str, ...]
    once: bool = False
    """A row that is there already is left as it stands."""

    def run(self, connection: Connection, rows: Iterable[Values]) -> None:
        """Add rows in their order, within the caller's transaction."""
        ready = _prepare(self, connection.dialect)
        if values := [ready.row(row) for row in rows]:
            connection.exec_driver_sql(ready.sql, values)

    async def run_async(self, connection: AsyncConnection, rows: Iterable[Values]) -> None:
        """Add rows in their order, within the caller's transaction."""
        await connection.run_sync(self.run, rows)


@dataclass(frozen=True, slots=True)
class _Ready:
    sql: str
    order: tuple[int, ...]
    """Which value stands at each place of the statement."""
    made: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Places whose value the driver needs in another form."""

    def row(self, values: Values) -> tuple[Any, ...]:
        row = [values[at] for at in self.order]
        for at, make in self.made:
            row[at] = make(row[at])
        return tuple(row)


@cache
def _prepare(wanted: RowInsert, dialect: Dialect) -> _Ready:
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement: Any = insert(wanted.table).values({name: bindparam(name) for name in wanted.names})
    if wanted.once:
        statement = statement.on_conflict_do_nothing()
    compiled = statement.compile(dialect=dialect)
    places = compiled.positiontup
    assert places is not None, "a driver with numbered or unnamed places"
    makers = (_maker(wanted.table.c[name].type.dialect_impl(dialect), dialect) for name in places)
    return _Ready(
        str(compiled),
        tuple(wanted.names.index(name) for name in places),
        tuple((at, make) for at, make in enumerate(makers) if make is not None),
    )


_Make = Callable[[Any], Any]


def _maker(kind: TypeEngine[Any], dialect: Dialect) -> _Make | None:
    make: _Make | None = kind.bind_processor(dialect)
    if make is None or not isinstance(kind, JSON):
        return make
    known, no_list, no_object = make, make([]), make({})

    # Four in each event, nearly all of them empty.
    def make_json(value: object) -> object:
        if value or not isinstance(value, list | tuple | dict):
            return known(value)
        return no_object if isinstance(value, dict) else no_list

    return make_json


Keys = Sequence[BindParameter[Any]]
"""What stands for the keys in a statement: as many as are asked for at a time."""


@dataclass(frozen=True, slots=True)
class ByKeys:
    """A statement about the rows of some keys, made by `make`.

    What it selects must be numbers and texts: they come as the driver gives them.
    """

    make: Callable[[Keys], ClauseElement]

    def run(self, connection: Connection, keys: Sequence[object]) -> Iterable[Sequence[Any]]:
        """Return what comes of it, within the caller's transaction."""
        # The last is said again, up to a power of two: so few texts are compiled.
        count = 1 << (len(keys) - 1).bit_length() if keys else 0
        asked = [*keys, *[keys[-1]] * (count - len(keys))] if keys else []
        sql, places = _expand(self, connection.dialect, count)
        values = tuple(asked[one] if isinstance(one, int) else one[0] for one in places)
        return connection.exec_driver_sql(sql, values)


@cache
def _expand(
    wanted: ByKeys, dialect: Dialect, count: int
) -> tuple[str, tuple[int | tuple[Any], ...]]:
    """Return the text, and for each place which key it is, or a constant."""
    names = [f"key_{number}" for number in range(count)]
    compiled: Any = wanted.make([bindparam(name) for name in names]).compile(dialect=dialect)
    numbers = {name: number for number, name in enumerate(names)}
    return str(compiled), tuple(
        numbers[name] if name in numbers else (compiled.params[name],)
        for name in compiled.positiontup
    )
