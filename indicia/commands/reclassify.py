"""`indicia reclassify`."""

from typing import Annotated

import typer

from indicia.printing import Json


def reclassify(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="2d", help="Copies with a hit since then: 2d, 12h, or an instant."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the rules of this version over opens and clicks on record."""
    from indicia.opening import read_settings

    settings = read_settings(context)
    from indicia.reclassifying import reclassify as run

    run(settings, since, dry=dry_run, as_json=as_json)
