"""Alembic's way in: runs the steps on the connection that `ledger.migrate` holds."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
