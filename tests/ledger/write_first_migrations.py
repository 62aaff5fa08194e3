"""Writes each store's first migration anew from `ledger.schema`.

For use until release 0.1.0 only: `.venv/bin/python tests/ledger/write_first_migrations.py`, then
`.venv/bin/ruff format ledger/migrations`.  Stores made before are to be thrown away (`make clean`).
"""

import re
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from ledger import schema
from ledger.schema import Instant

FOLDER = Path(schema.__file__).parent / "migrations"
HEAD = '''"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

'''


def first_migration(tables: MetaData) -> str:
    with create_engine("sqlite://").connect() as connection:
        context = MigrationContext.configure(connection, opts={"render_item": _render})
        script = produce_migrations(context, tables)
        assert script.upgrade_ops is not None
        steps = render_python_code(script.upgrade_ops, render_item=_render).splitlines()
    makers: dict[str, list[str]] = {}
    for line in steps:
        if match := re.match(r" *op\.create_table\('(\w+)'", line):
            makers[match[1]] = []
        if "# ###" not in line:
            makers[next(reversed(makers))].append(line)
    calls = "".join(f"    _make_{name}()\n" for name in makers)
    made = "".join(
        f"\n\ndef _make_{name}() -> None:\n" + "\n".join(lines) + "\n"
        for name, lines in makers.items()
    )
    return f"{HEAD}\n\ndef upgrade() -> None:\n{calls}{made}"


def _render(kind: str, item: Any, _context: object) -> str | bool:
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


if __name__ == "__main__":
    for name in ("spool", "ledger", "spill"):
        text = first_migration(getattr(schema, name))
        (FOLDER / name / "0001_first.py").write_text(text, encoding="utf-8")
