"""How the stores' tables came about: one folder of steps a store.

A step is never edited after a release; until 0.1.0 each store's first one is written anew from
`ledger.schema` by `tests/ledger/write_first_migrations.py`.
"""
