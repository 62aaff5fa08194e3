"""`indicia export`."""

from pathlib import Path
from typing import Annotated

import typer

from indicia.printing import Json

Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]


def export(
    context: typer.Context,
    address: Address,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write export.json, export.txt and captured mail there instead."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell everything that is held of one address, to be read or as JSON.

    Of others no more is told than he knows from his own mail.
    """
    from indicia.opening import read_settings

    settings = read_settings(context)
    from indicia.exporting import export as tell_all

    tell_all(settings, address, output, as_json=as_json)
