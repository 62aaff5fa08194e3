"""`indicia purge`."""

from typing import Annotated

import typer

from indicia.printing import Json


def purge(
    context: typer.Context,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be deleted, and delete nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what has been kept as long as the configuration says; a running Indicia does daily."""
    from indicia.opening import read_settings

    settings = read_settings(context)
    from indicia.purging import purge_now

    purge_now(settings, dry=dry_run, as_json=as_json)
