"""`indicia db …`."""

import typer

from indicia.printing import Json

db = typer.Typer(no_args_is_help=True, help="The versions of the two stores.")


@db.callback()
def group() -> None:
    """Look at the versions of spool and ledger, and bring them up to this program's."""


@db.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Tell the version of each store beside the one this program knows.

    Nothing is changed. Exit status 1 where a store is newer than the program, which then refuses
    to start.
    """
    from indicia.opening import read_settings
    from indicia.upgrading import tell_versions

    tell_versions(read_settings(context), as_json=as_json)


@db.command()
def upgrade(context: typer.Context, *, as_json: Json = False) -> None:
    """Bring both stores up to this program's version, as every start does.

    Make a backup first: an older program refuses what a newer one has upgraded.
    """
    from indicia.opening import read_settings
    from indicia.upgrading import upgrade_stores

    upgrade_stores(read_settings(context), as_json=as_json)
