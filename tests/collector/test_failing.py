import sqlite3

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from collector.failing import is_down


@pytest.mark.parametrize(
    ("error", "down"),
    [
        (OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")), True),
        (DatabaseError("INSERT", {}, sqlite3.DatabaseError("file is not a database")), True),
        (PoolTimeoutError(), True),
        (OSError(), True),
        (TimeoutError(), True),
        (IntegrityError("INSERT", {}, sqlite3.IntegrityError("NOT NULL")), False),
        (StatementError("no JSON", "INSERT", {}, TypeError()), False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), False),
        (KeyError("agent"), False),
    ],
)
def test_what_would_be_so_for_any_row_is_the_stores_fault(error: Exception, down: bool) -> None:
    assert is_down(error) is down
